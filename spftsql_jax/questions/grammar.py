"""A grammar of questions as data: wordings with weights and guards, read from `grammars/`.

A file has a section for each construct, and a row for each wording of it:

    [count: question]
    # A whole question for a number of rows.
    2 | How many {things} are there?
    4 | How many {nouns} {do}?       | verbal !single
    1 | How many {things} are {kept}?| !said

A row is how often it is taken beside the others, the phrase, and the guard that must hold. A guard
names features: "a" must be there, "!a" must not, "a/b" is either of the two. A slot in braces is
what the writer knows by that name, else a wording of the section of that name. `{noun:a}` is a slot
in a form that the language knows ("a price"). "~" parts what is asked for from what may also stand
first: "the number of doctors ~ for each city". A mark behind the guard tells how the phrase goes on
("one", for what takes a singular verb).
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from spftsql_jax.columns.word_lists import lists_of

FOLDER = Path(__file__).parent / "grammars"
_SLOT = re.compile(r"\{([^{}:]+)(?::([a-z]+))?\}")
# Choices by the features that hold: so many are kept, then all are made anew.
_KEPT_CHOICES = 20_000


class GrammarError(ValueError):
  """A row of a grammar that cannot be read; the message says which and why."""


@dataclasses.dataclass(frozen=True)
class Slot:
  """A place in a phrase: what the writer knows by a name, in a form of the language, or ""."""

  name: str
  form: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
  """One wording.

  Attributes:
    weight: how often it is taken beside the others whose guards hold.
    pieces: text and slots, in their order.
    guard: each member holds where one of its features does; (feature, wanted).
    mark: what the sentence around it must know, or "".
  """

  weight: float
  pieces: tuple[str | Slot, ...]
  guard: tuple[tuple[tuple[str, bool], ...], ...] = ()
  mark: str = ""

  def holds(self, features: frozenset[str]) -> bool:
    """Whether the guard allows this row."""
    return all(
      any((feature in features) is wanted for feature, wanted in either) for either in self.guard
    )


# What a slot stands for: words, a thing whose forms the language knows, or what makes them.
Value = object
Form = Callable[[Value, str], str]


class Context:
  """What one phrase is about: features that guards ask for, and what its slots stand for.

  A value that is a function is called when a row first needs it, and kept: the same is said the
  same throughout a phrase.
  """

  def __init__(self, features: Iterable[str], values: Mapping[str, Value]):
    self.features = frozenset(features)
    self.values = dict(values)

  def value(self, name: str) -> Value:
    """What a slot stands for; None where nothing is known by that name."""
    value = self.values.get(name)
    if callable(value):
      value = self.values[name] = value()
    return value


class Grammar:
  """Wordings by construct."""

  def __init__(self, sections: Mapping[str, Sequence[Row]], form: Form):
    self.sections = {name: tuple(rows) for name, rows in sections.items()}
    self._form = form
    self._choices: dict[tuple[str, frozenset[str]], tuple[tuple[Row, ...], tuple[float, ...]]] = {}
    self._relevant = {name: self._features_of(rows) for name, rows in self.sections.items()}

  def has(self, section: str, features: Iterable[str]) -> bool:
    """Whether any wording of a construct is allowed."""
    return bool(self._allowed(section, frozenset(features))[0])

  def pick(self, section: str, context: Context, rng: random.Random) -> Row:
    """One of the wordings that are allowed, by weight; one number is drawn whatever is allowed.

    Raises GrammarError: there is none.
    """
    rows, totals = self._allowed(section, context.features)
    if not rows:
      raise GrammarError(f"no wording of {section!r} with {sorted(context.features)}")
    return rows[bisect.bisect(totals, rng.random() * totals[-1], hi=len(rows) - 1)]

  def say_if(self, section: str, context: Context, rng: random.Random) -> str:
    """One wording, with its slots filled; "" where there is no such construct, or none allowed."""
    if section not in self.sections or not self._allowed(section, context.features)[0]:
      return ""
    return self.say(section, context, rng)

  def say(self, section: str, context: Context, rng: random.Random) -> str:
    """One wording, with its slots filled."""
    return self.fill(self.pick(section, context, rng), context, rng)

  def every(self, section: str, context: Context, rng: random.Random) -> list[str]:
    """All wordings that are allowed, each as often as its weight says, to take one of them."""
    rows, _ = self._allowed(section, context.features)
    return [text for row in rows for text in [self.fill(row, context, rng)] * round(row.weight)]

  def fill(self, row: Row, context: Context, rng: random.Random) -> str:
    """The words of a row. Raises GrammarError: a slot that neither writer nor grammar knows."""
    words = []
    for piece in row.pieces:
      if isinstance(piece, str):
        words.append(piece)
        continue
      value = context.value(piece.name)
      if value is None:
        value = self.say(piece.name, context, rng)
      words.append(self._form(value, piece.form) if piece.form else str(value))
    return "".join(words)

  def with_rows(self, sections: Mapping[str, Sequence[Row]]) -> Grammar:
    """This grammar with more wordings of constructs that it has.

    Raises GrammarError: a construct that it does not have, or a slot that no row of it has.
    """
    joined = dict(self.sections)
    for name, rows in sections.items():
      if name not in joined:
        raise GrammarError(f"no construct is called {name!r}")
      known = {slot for row in joined[name] for slot in row.pieces if isinstance(slot, Slot)}
      names = {slot.name for slot in known} | joined.keys()
      for row in rows:
        for piece in row.pieces:
          if isinstance(piece, Slot) and piece.name not in names:
            raise GrammarError(f"{name!r} knows nothing of {{{piece.name}}}")
      joined[name] = (*joined[name], *rows)
    return Grammar(joined, self._form)

  def _allowed(
    self, section: str, features: frozenset[str]
  ) -> tuple[tuple[Row, ...], tuple[float, ...]]:
    try:
      key = (section, features & self._relevant[section])
    except KeyError:
      raise GrammarError(f"no construct is called {section!r}") from None
    found = self._choices.get(key)
    if found is None:
      rows = tuple(row for row in self.sections[section] if row.holds(features))
      found = (rows, tuple(itertools.accumulate(row.weight for row in rows)))
      if len(self._choices) >= _KEPT_CHOICES:
        self._choices.clear()
      self._choices[key] = found
    return found

  @staticmethod
  def _features_of(rows: Iterable[Row]) -> frozenset[str]:
    return frozenset(feature for row in rows for either in row.guard for feature, _ in either)


def read_rows(path: Path) -> dict[str, tuple[Row, ...]]:
  """The rows of a file, by construct.

  Raises:
    GrammarError: a row that is none, with file and section.
    OSError: there is no such file.
  """
  try:
    return rows_of(path.read_text(encoding="utf-8"), str(path))
  except UnicodeDecodeError:
    raise GrammarError(f"{path}: not UTF-8") from None


def rows_of(text: str, path: str) -> dict[str, tuple[Row, ...]]:
  """The rows of a text, as `read_rows` finds them in the file `path`. Raises GrammarError."""
  try:
    lists = lists_of(text, path)
  except ValueError as error:
    raise GrammarError(str(error)) from None
  sections = {}
  for name, entries in lists.items():
    try:
      sections[name] = tuple(map(read_row, entries))
    except ValueError as error:
      raise GrammarError(f"{path}: [{name}]: {error}") from None
  return sections


def read_row(text: str) -> Row:
  """A row from its line: "2 | How many {things} are there? | !single". Raises ValueError."""
  parts = [part.strip() for part in text.split("|")]
  if not 2 <= len(parts) <= 4:
    raise ValueError(f"{text!r} is not a weight, a phrase and a guard between |")
  try:
    weight = float(parts[0])
  except ValueError:
    raise ValueError(f"{text!r} does not begin with a weight") from None
  if not 0 < weight < float("inf"):
    raise ValueError(f"{text!r} has no weight above 0")
  phrase, guard, mark = (*parts[1:], "", "")[:3]
  return Row(weight, _pieces(phrase), _guard(guard), mark)


def _pieces(phrase: str) -> tuple[str | Slot, ...]:
  pieces: list[str | Slot] = []
  at = 0
  for match in _SLOT.finditer(phrase):
    pieces += [phrase[at : match.start()], Slot(match[1], match[2] or "")]
    at = match.end()
  pieces.append(phrase[at:])
  left = "".join(piece for piece in pieces if isinstance(piece, str))
  if "{" in left or "}" in left:
    raise ValueError(f"{phrase!r} has a brace without its other")
  return tuple(piece for piece in pieces if piece != "")


def _guard(text: str) -> tuple[tuple[tuple[str, bool], ...], ...]:
  return tuple(
    tuple((feature.removeprefix("!"), not feature.startswith("!")) for feature in word.split("/"))
    for word in text.split()
  )


@functools.cache
def read_folder(folder: Path) -> Mapping[str, tuple[Row, ...]]:
  """The rows of all files of a language. Raises GrammarError: a construct stands in two of them."""
  sections: dict[str, tuple[Row, ...]] = {}
  for path in sorted(folder.glob("*.txt")):
    for name, rows in read_rows(path).items():
      if name in sections:
        raise GrammarError(f"{path}: [{name}] stands in another file too")
      sections[name] = rows
  return sections
