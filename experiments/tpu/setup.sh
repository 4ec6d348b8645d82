#!/usr/bin/env bash
# Installs on a worker of a TPU what requirements.txt pins, JAX with what it needs for TPUs, in
# .venv. Images come with an older Python than is needed; uv brings one.
set -euo pipefail
jax=$(sed -n 's/^jax==//p' requirements.txt)
python3 -m pip install --quiet --user uv
python3 -m uv venv --quiet --allow-existing --python 3.12 .venv
python3 -m uv pip install --quiet --python .venv/bin/python -r requirements.txt "jax[tpu]==$jax"
