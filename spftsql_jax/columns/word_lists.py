"""Reads lists of words from text files: words are data, not code.

A file has a section for each list, and says behind its name what it is for. An entry is a line:

    [units]
    # What amounts are counted in.
    bytes
    feet

    [unit names]
    # Units in full.
    ft: feet

A line that begins with "#" is a comment. What an entry means is for the reader of its list to say:
a word, a word and others (`by_word`), or a wording and how often it is taken (`weighted`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def read_lists(path: Path) -> dict[str, tuple[str, ...]]:
  """The entries of each section of a file, in their order.

  Raises:
    ValueError: an entry stands before the first section, or two sections have the same name.
  """
  return lists_of(path.read_text(encoding="utf-8"), str(path))


def lists_of(text: str, path: str) -> dict[str, tuple[str, ...]]:
  """The entries of each section of a text, as `read_lists` finds them in the file `path`."""
  lists: dict[str, list[str]] = {}
  entries: list[str] | None = None
  for number, line in enumerate(text.splitlines(), start=1):
    if not line or line.startswith("#"):
      continue
    if line.startswith("["):
      name = line[1:-1]
      if name in lists:
        raise ValueError(f"{path}: line {number}: a second section {name!r}")
      entries = lists[name] = []
    elif entries is None:
      raise ValueError(f"{path}: line {number}: an entry before the first section")
    else:
      entries.append(line)
  return {name: tuple(found) for name, found in lists.items()}


def by_word(entries: Iterable[str]) -> dict[str, str]:
  """What stands behind the colon of each entry, by what stands before it."""
  return {word: text.strip() for word, _, text in (entry.partition(":") for entry in entries)}


def tuples_by_word(entries: Iterable[str]) -> dict[str, tuple[str, ...]]:
  """The same, as its parts between commas: "film: movie, picture"."""
  return {word: tuple(text.split(", ")) for word, text in by_word(entries).items()}


def weighted(entries: Iterable[str]) -> tuple[tuple[str, int], ...]:
  """Wordings with how often each is taken beside the others: "8: more than"."""
  return tuple(
    (text.strip(), int(weight)) for weight, _, text in (entry.partition(":") for entry in entries)
  )
