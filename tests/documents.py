"""The documents of the tree, and what stands in them as code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
  path.relative_to(ROOT).as_posix()
  for path in (
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "third_party").glob("*.md"),
  )
)
_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"(?:^ {4,}\S.*\n|^\n(?= {4,}\S))+", re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`")


def text_of(name: str) -> str:
  """A document's text."""
  return (ROOT / name).read_text(encoding="utf-8")


def fenced(name: str, language: str) -> str:
  """The fenced blocks of a language, one behind the other."""
  return "\n".join(body for kind, body in _FENCE.findall(text_of(name)) if kind == language)


def indented(name: str) -> list[str]:
  """The indented blocks; a blank line ends one."""
  blocks = _BLOCK.findall(_FENCE.sub("", text_of(name)))
  return [part for block in blocks for part in block.split("\n\n") if part.strip()]


def code_spans(name: str) -> list[str]:
  """Code within sentences, in one line each."""
  text = _FENCE.sub("", text_of(name))
  return [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text))]


def command_lines(name: str) -> list[str]:
  """Lines of indented blocks, continued ones joined, and code within sentences."""
  lines = [
    line.strip()
    for block in indented(name)
    for line in re.sub(r" *\\\n *", " ", block).splitlines()
  ]
  return [line for line in lines if line] + code_spans(name)
