"""The examples in the documents are right: Python runs, commands name scripts and flags that there
are, those that take seconds run, and quoted messages are messages of the code.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import functools
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from documents import DOCUMENTS, ROOT, code_spans, command_lines, fenced, indented
from tiny_runs import EXPERIMENTS, make_demo

sys.path.insert(0, str(ROOT / "docs"))

import config_file
from command_flags import read_flags

from spftsql_jax.console import commands
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score

PYTHON = [name for name in DOCUMENTS if fenced(name, "python")]
# Commands that run as they are written, where the demo databases and a run are.
RUN = [
  ".venv/bin/python experiments/demo/make_databases.py --output=demo",
  "spftsql --help",
  "spftsql ask --help",
  "spftsql synthetic_databases --count=10 --seed=0 --output=made",
  "spftsql model_base list --base=runs/quickstart/model_base",
  "spftsql model_base show --base=runs/quickstart/model_base --version=vbi_ft-2",
  "spftsql model_base best --base=runs/quickstart/model_base",
  (
    "spftsql evaluate --examples=runs/quickstart/demo/test.json --predictions=predictions.sql "
    "--databases=runs/quickstart/demo --comparison=strict --output=scores.json"
  ),
]
_SCRIPT = re.compile(r"(?:spftsql (\w+)|(?:experiments/(?:benchmarks/|demo/)?)?(\w+)\.py)$")
_FLAG = re.compile(r"--([a-z]\w*)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder as the documents assume it: demo databases, a run with two versions, predictions."""
  where = tmp_path_factory.mktemp("documents")
  make_demo(where / "demo")
  (where / "runs/quickstart").mkdir(parents=True)
  (where / "runs/quickstart/demo").symlink_to(where / "demo")
  (where / "experiments").symlink_to(EXPERIMENTS)
  base = ModelBase(where / "runs/quickstart/model_base")
  for number, right in ((1, (True, False)), (2, (True, True))):
    version = f"vbi_ft-{number}"
    base.add(version, {"w": jax.numpy.ones(2)}, Lineage("vbi_ft", number))
    base.add_score(version, "selection", Score(sum(right) / 2, 1.0, right))
  gold = [each["query"] for each in json.loads((where / "demo/test.json").read_text())]
  (where / "predictions.sql").write_text("\n".join(gold) + "\n")
  return where


@pytest.mark.parametrize("name", PYTHON)
def test_python_runs_and_gives_what_it_shows(name, folder, monkeypatch):
  monkeypatch.chdir(folder)
  test = doctest.DocTestParser().get_doctest(fenced(name, "python"), {}, name, name, 0)
  assert test.examples
  told: list[str] = []
  doctest.DocTestRunner().run(test, out=told.append)
  assert not told, "".join(told)


def test_there_is_python_to_run():
  assert "docs/python.md" in PYTHON


@pytest.mark.parametrize("line", RUN)
def test_a_command_runs_as_it_is_written(line, folder):
  assert any(line in command_lines(name) for name in DOCUMENTS), "no document has it"
  program, *rest = shlex.split(line)
  start = [sys.executable, *(("-m", "spftsql_jax.console") if program == "spftsql" else ())]
  environment = os.environ | {"PYTHONPATH": str(ROOT)}
  done = subprocess.run(
    [*start, *rest], cwd=folder, env=environment, capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  if "evaluate" in line:
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["execution_accuracy"] == 1.0


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_name_scripts_and_flags_that_there_are(name):
  wrong = [line for line in command_lines(name) for _ in _faults(line)]
  assert wrong == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_flags_in_sentences_are_flags_of_a_script(name):
  known = {flag for script in _scripts() for flag in _flags(script)} | {"help", "helpfull"}
  named = {
    flag
    for span in code_spans(name)
    if span.startswith("--") and not span.startswith("--config.")
    for flag in _FLAG.findall(span)
  }
  assert sorted(flag for flag in named if not _is_one(flag, known)) == []


def test_a_wrong_command_is_noticed():
  assert list(_faults("spftsql ask --model=x --modle=y"))
  assert list(_faults("spftsql aks --model=x"))
  assert list(_faults("python experiments/gone.py"))
  assert list(_faults("spftsql spft --config=experiments/configs/quickstart.py --config.vbi=1"))
  assert list(_faults("make quikstart"))
  launch = "python experiments/slurm/launch.py --nodes=2 --"
  assert list(_faults(f"{launch} experiments/ask.py --modle=y"))
  assert list(_faults(f"{launch.replace('nodes', 'knots')} experiments/ask.py --model=y"))
  assert not list(_faults(f"{launch} experiments/ask.py --model=y"))
  good = "spftsql spft --config=experiments/configs/quickstart.py --config.vbi_ft.rounds=3 -q"
  assert not list(_faults(f"{good} && make test"))


def test_flags_read_from_the_text_are_those_that_absl_has():
  for script in ("ask", "spft"):
    told = {flag.name for flag in read_flags(script)}
    assert told <= _flags(EXPERIMENTS / f"{script}.py")


def test_every_command_has_a_page_with_its_flags():
  pages = {path.stem: path.read_text() for path in (ROOT / "docs/commands").glob("*.md")}
  index = pages.pop("index")
  assert set(pages) == set(commands())
  for name, text in pages.items():
    assert f"```{{flags}} {name}\n```" in text and f"({name}.md)" in index
    for heading in ("## Flags", "## Exit codes", "## ", "Files written"):
      assert heading in text or "leaves in the work folder" in text, (name, heading)


def test_every_quoted_message_is_one_of_the_code():
  messages = [" ".join(block.split()) for block in indented("docs/troubleshooting.md")]
  assert len(messages) > 30
  assert [message for message in messages if not _is_message(message)] == []
  assert not _is_message("...: no such data base file")


def test_functions_named_with_their_file_are_in_it():
  wrong, count = [], 0
  for document in DOCUMENTS:
    text = " ".join((ROOT / document).read_text(encoding="utf-8").split())
    for name, path in re.findall(r"`([\w.]+)` in `([\w/]+\.py)`", text):
      starts = (ROOT / "spftsql_jax" / path, ROOT / path)
      count += 1
      if not any(name.split(".")[0] in _names(start) for start in starts if start.is_file()):
        wrong.append((document, name, path))
  assert count > 30 and wrong == []


def test_the_site_is_built_without_a_warning(tmp_path):
  if not all(map(importlib.util.find_spec, ("sphinx", "myst_parser", "furo"))):
    pytest.skip("requirements-docs.txt is not installed")
  done = subprocess.run(
    [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    + ["-b", "html", "docs", tmp_path],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  page = (tmp_path / "commands/ask.html").read_text()
  for flag in read_flags("ask"):
    assert flag.usage in page
  assert "0.75" in page  # a default
  assert "error_driven_loss" in (tmp_path / "reference.html").read_text()
  # Documents that stay at the top are shown, with links that lead to pages.
  assert "What is guarded against" in (tmp_path / "project/security.html").read_text()
  assert 'href="../decisions.html"' in (tmp_path / "project/build_notes.html").read_text()


@functools.cache
def _scripts() -> tuple[Path, ...]:
  folders = (EXPERIMENTS, *(EXPERIMENTS / name for name in ("benchmarks", "demo", "slurm", "tpu")))
  paths = (path for each in folders for path in sorted(each.glob("*.py")))
  return tuple(path for path in paths if '__name__ == "__main__"' in path.read_text())


@functools.cache
def _flags(path: Path) -> set[str]:
  """The flags that a script defines, or a file of experiments/ that it imports."""
  tree = ast.parse(path.read_text(encoding="utf-8"))
  found, imported = {"help"}, set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
      if node.func.attr.startswith("DEFINE"):
        # A flag with a parser of its own is defined by an object, and named within it.
        texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
        found |= set([each for each in texts if isinstance(each, str)][:1])
    elif isinstance(node, ast.ImportFrom):
      imported.add(node.module)
    elif isinstance(node, ast.Import):
      imported |= {alias.name for alias in node.names}
  for module in imported:
    for start in (path.parent, EXPERIMENTS):
      if module and (other := start / f"{module}.py").is_file() and other != path:
        found |= _flags(other)
  return found


def _faults(line: str):
  """What is wrong with the commands of a line."""
  for command in re.split(r"&&|;|\||&(?= |$)", line.split("  #")[0]):
    words = command.split()
    if words[:1] == ["make"]:
      targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
      yield from (word for word in words[1:2] if word not in targets)
    at, script = _script_of(words)
    if script is None:
      continue
    if not isinstance(script, Path):
      yield script
      continue
    if "--" in words:  # Behind it stands the command that this one starts.
      yield from _faults(" ".join(words[words.index("--") + 1 :]))
      words = words[: words.index("--")]
    given = [word for word in words[at:] if word.startswith("--") and word != "--"]
    for word in given:
      if word.startswith("--config."):
        continue
      if (match := _FLAG.match(word)) and not _is_one(match[1], _flags(script)):
        yield f"{script.stem} has no flag {word}"
    if "config" in _flags(script) and script.stem == "spft":
      if not any(word.startswith("--config=") for word in given):
        given.insert(0, f"--config={EXPERIMENTS}/configs/quickstart.py")
      yield from _config_faults([w for w in given if w.startswith("--config")])


def _is_one(flag: str, flags: set[str]) -> bool:
  return flag in flags or flag.removeprefix("no") in flags


def _script_of(words: list[str]) -> tuple[int, Path | str | None]:
  """Where the flags of a line's script begin, and the script; what is wrong where there is none."""
  for at, word in enumerate(words):
    if word == "spftsql" and at + 1 < len(words) and re.match(r"\w", words[at + 1]):
      name = words[at + 1]
      if name.isupper():
        return at, None  # spftsql COMMAND
      return at + 2, commands().get(name, f"no command {name}")
    if word.startswith("experiments/") and word.endswith(".py") or re.fullmatch(r"\w+\.py", word):
      named = [path for path in _scripts() if path == ROOT / word or path.name == word]
      there = (ROOT / word).is_file() or any(ROOT.rglob(word))
      return at + 1, named[0] if named else None if there else f"no script {word}"
  return 0, None


def _config_faults(given: list[str]):
  given = [word.replace("=experiments/", f"={EXPERIMENTS}/") for word in given]
  config, *fields = sorted(given, key=lambda word: not word.startswith("--config="))
  with contextlib.suppress(config_file.InputError):
    loaded = config_file.load(config.removeprefix("--config="))
    for field in fields:
      name, _, value = field.removeprefix("--config.").partition("=")
      try:
        config_file._check_field(loaded, name, f"={value}")
      except config_file.InputError as error:
        yield str(error)
    return
  # A name in capitals stands for the reader's own.
  if not re.search(r"[A-Z]{3}", Path(config).name):
    yield f"{config} cannot be loaded"


@functools.cache
def _texts() -> tuple[str, ...]:
  """The texts of the code, with NUL where a value stands in them."""
  paths = [*(ROOT / "spftsql_jax").rglob("*.py"), *EXPERIMENTS.glob("*.py")]
  trees = (ast.parse(path.read_text(encoding="utf-8")) for path in paths)
  return tuple(" ".join(_text(n).split()) for tree in trees for n in ast.walk(tree) if _text(n))


def _text(node: ast.AST) -> str:
  if isinstance(node, ast.Constant) and isinstance(node.value, str):
    return node.value
  if isinstance(node, ast.JoinedStr):
    return "".join(_text(part) or "\0" for part in node.values)
  return ""


def _is_message(message: str) -> bool:
  """Whether a text of the code has the parts of a message in their order; "..." stands between."""
  parts = [re.escape(part.strip()) for part in message.split("...") if part.strip(" .")]
  pattern = re.compile(r".*".join(parts), re.DOTALL)
  return bool(parts) and any(pattern.search(text) for text in _texts())


@functools.cache
def _names(path: Path) -> set[str]:
  """What a file defines at its top."""
  names = set()
  for node in ast.parse(path.read_text(encoding="utf-8")).body:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
      names.add(node.name)
    elif isinstance(node, ast.Assign):
      names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
      names.add(node.target.id)
  return names
