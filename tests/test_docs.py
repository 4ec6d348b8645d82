"""What documents say of the tree is true: links lead somewhere, and the files they name exist."""

from __future__ import annotations

import pathlib
import re

import pytest
from documents import DOCUMENTS, ROOT

# Where a path may start: at the top, in the package, or at what the text says it means.
_STARTS = (ROOT, ROOT / "spftsql_jax", ROOT / "experiments", ROOT / "experiments/benchmarks")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_CODE = re.compile(r"`([^`]+)`|^ {4}(.+)$", re.MULTILINE)
_FILE = re.compile(r"(?<![\w./=:-])[\w/]+\.(?:py|md|toml|ipynb)(?![\w.*])")
# Made by a run, or the reader's own.
_NOT_OURS = ("runs/", "FILE.", "X.py")


def test_there_are_documents():
  assert {"README.md", "BUILD_NOTES.md", "docs/decisions.md", "docs/results.md"} <= set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_are_at_most_100_characters(name):
  lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
  assert [f"{name}:{i}" for i, line in enumerate(lines, start=1) if len(line) > 100] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(name):
  text = (ROOT / name).read_text(encoding="utf-8")
  links = [link for link in _LINK.findall(text) if "://" not in link]
  assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_named_in_code_exist(name):
  text = (ROOT / name).read_text(encoding="utf-8")
  named = {file for code in _CODE.findall(text) for file in _FILE.findall("".join(code))}
  named = {file for file in named if not file.startswith(_NOT_OURS)}
  assert sorted(f for f in named if not any(_exists(start / f) for start in _STARTS)) == []


def _exists(path: pathlib.Path) -> bool:
  # A config or a file of a room may be named without its folder.
  return path.exists() or (len(path.parts) > 0 and any(path.parent.rglob(path.name)))
