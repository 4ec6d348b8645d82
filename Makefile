# make quickstart   the whole method on demo databases, on a CPU, in minutes
# make test         all tests
# make check        lint, format, types, and that imports run one way
# Each makes .venv and installs what it needs when it is not there: the versions and files that
# requirements.lock and requirements-dev.lock name with their hashes, and no others.
# make lock         both lock files again, behind a change of requirements*.txt
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# The lock files are for Python 3.11 and newer on every system.
LOCK := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-header --no-emit-index-url

.PHONY: quickstart test check docs lock clean

quickstart: $(VENV)/.installed
	$(BIN)/python experiments/quickstart.py --workdir=runs/quickstart

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests -n 2 --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/type_check.py
	$(BIN)/python -m pytest tests/test_floors.py tests/test_type_check.py

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs build/docs/html
	@echo build/docs/html/index.html

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

$(VENV)/.installed-dev: requirements-dev.lock | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(LOCK) requirements.txt --output-file=requirements.lock
	$(LOCK) requirements.txt requirements-dev.txt --output-file=requirements-dev.lock

clean:
	rm -rf $(VENV) .venv-lock build/docs runs
