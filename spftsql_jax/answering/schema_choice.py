"""The part of a schema that a question is put over, where the whole is too long for the prompt.

The parts are those of training (`examples.subschemas`): tables that keys connect. Which of them a
question needs is read off what it mentions: names of tables and columns, comments, stored values.
No query is looked at, and the same question always gets the same part.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from spftsql_jax.amounts import by_database
from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.columns.vocabulary import LEXICON
from spftsql_jax.columns.words import alike, expand, singular_words, split_identifier
from spftsql_jax.databases import ValueIndex
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.question_words import FUNCTION_WORDS
from spftsql_jax.examples.subschemas import SubSchemas, tables_of
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.schema import Schema, Table

_WORD = re.compile(r"[^\W_]+")
# How much a word of the question says for a table that has it in its name, in a column, in a column
# that refers to another table, in a comment, in a stored value.
_NAME, _COLUMN, _KEY, _COMMENT, _VALUE = 1.0, 0.6, 0.2, 0.4, 0.9
# A table whose whole name is mentioned.
_WHOLE_NAME = 0.5
# Another form of a word of the question, beside the very word.
_FORM = 0.7
# What is said for a table counts less where it is not joined to those wanted already directly, or
# not at all.
_CONNECTED, _APART = 0.85, 0.7
_VALUES = 8


class AskedDatabase(Protocol):
  """What is read of a database: see `PromptDatabase`."""

  @property
  def schema(self) -> Schema: ...
  @property
  def values(self) -> ValueIndex: ...


@dataclasses.dataclass(frozen=True)
class Coverage:
  """Of questions over parts of a schema, with a gold query that reads tables of it, those whose
  part has them all.
  """

  questions: int
  covered: int


@dataclasses.dataclass(frozen=True, eq=False)
class SchemaChooser:
  """Chooses the schema of each question's prompt.

  Attributes:
    tokenizer: of the prompts.
    longest_prefix: tokens of a schema's prompt at most; None puts every question over the whole
      schema.
  """

  tokenizer: Tokenizer
  longest_prefix: int | None
  # By the identity of a schema, which is kept so that its id stays its own.
  _split: dict[int, tuple[Schema, _Split | None]] = dataclasses.field(
    default_factory=dict, repr=False
  )

  def parts(self, schema: Schema) -> SubSchemas | None:
    """The parts of a schema; None where it fits whole."""
    split = self._of(schema)
    return None if split is None else split.parts

  def choose(self, database: AskedDatabase, question: str, evidence: str = "") -> Schema:
    """The schema itself where it fits, or else the part that the question most likely needs.

    A schema of which no table fits alone is returned whole.
    """
    split = self._of(database.schema)
    if split is None:
      return database.schema
    return split.choose(f"{question} {evidence}".strip(), database.values)

  def describe(
    self, databases: Mapping[str, AskedDatabase], examples: Sequence[Example], what: str
  ) -> str:
    """How many of the examples' questions are put over parts, in words with their databases; ""
    where none is.
    """
    moved: Counter[str] = Counter()
    used: set[int] = set()
    for e in examples:
      whole = databases[e.db_id].schema
      chosen = self.choose(databases[e.db_id], e.question, e.evidence)
      if chosen is not whole:
        moved[e.db_id] += 1
        used.add(id(chosen))
    if not moved:
      return ""
    return (
      f"{moved.total()} of {len(examples)} {what} are over schemas too long for the prompt and are "
      f"put over {len(used)} sub-schemas ({by_database(moved)})"
    )

  def coverage(
    self, databases: Mapping[str, AskedDatabase], examples: Sequence[Example]
  ) -> Coverage:
    """Whether the chosen parts have the tables of the gold queries; nothing is chosen by them."""
    questions = found = 0
    for e in examples:
      whole = databases[e.db_id].schema
      chosen = self.choose(databases[e.db_id], e.question, e.evidence)
      if chosen is not whole and (tables := tables_of(e.query, whole)):
        questions += 1
        found += covered(chosen, tables)
    return Coverage(questions, found)

  def _of(self, schema: Schema) -> _Split | None:
    if self.longest_prefix is None:
      return None
    if id(schema) not in self._split:
      longest, length = self.longest_prefix, self.tokenizer.prefix_length
      fits = length(schema) <= longest
      self._split[id(schema)] = (
        schema,
        None if fits else _Split(schema, SubSchemas(schema, lambda p: length(p) <= longest)),
      )
    return self._split[id(schema)][1]


class _Split:
  """A schema too long, with its parts and the words that its tables are called by."""

  def __init__(self, schema: Schema, parts: SubSchemas):
    self.schema, self.parts = schema, parts
    self._order = [table.name for table in schema.tables]
    self._words = {table.name: _said_of(table) for table in schema.tables}
    self._names = {table.name: frozenset(_words(table.base_name)) for table in schema.tables}
    held = Counter(word for words in self._words.values() for word in words)
    self._rarity = {word: math.log1p(len(self._order) / count) for word, count in held.items()}
    self._chosen: dict[str, Schema] = {}

  def choose(self, question: str, values: ValueIndex) -> Schema:
    if question not in self._chosen:
      self._chosen[question] = self._choose(self._mentions(question, values))
    return self._chosen[question]

  def _mentions(self, question: str, values: ValueIndex) -> dict[str, dict[str, float]]:
    """By table, what each word of the question says for it."""
    asked = dict.fromkeys(
      singular_of(w) for w in _WORD.findall(question.lower()) if w not in FUNCTION_WORDS
    )
    found: dict[str, dict[str, float]] = {name: {} for name in self._order}
    for word in asked:
      for known, likeness in self._forms(word):
        for name, words in self._words.items():
          if known in words:
            weight = words[known] * likeness * self._rarity[known]
            found[name][word] = max(found[name].get(word, 0.0), weight)
    for name, own in self._names.items():
      if own and own <= found[name].keys():
        for word in own:
          found[name][word] += _WHOLE_NAME * self._rarity[word]
    for match in values.search(question, limit=_VALUES):
      if match.table in found:
        word = singular_of(match.value.lower())
        weight = _VALUE * match.score * math.log1p(len(self._order))
        found[match.table][word] = max(found[match.table].get(word, 0.0), weight)
    return found

  @functools.cache  # noqa: B019  (as long-lived as the schema)
  def _forms(self, word: str) -> tuple[tuple[str, float], ...]:
    """The words of the schema that a word of a question is a form of, with how alike they are."""
    return tuple(
      (known, 1.0 if known == word else _FORM)
      for known in sorted(self._rarity)
      if known == word or alike(known, word)
    )

  def _choose(self, mentions: Mapping[str, Mapping[str, float]]) -> Schema:
    """The part around the tables that explain the question's words, best first, with those that
    connect them; then the tables that explain a word a second time and others, as far as they
    fit.
    """
    wanted: frozenset[str] = frozenset()
    explained: dict[str, float] = {}
    while True:
      gains = {
        name: self._nearness(wanted, name)
        * sum(max(0.0, v - explained.get(w, 0.0)) for w, v in words.items())
        for name, words in mentions.items()
        if name not in wanted
      }
      name = max(gains, key=lambda n: gains[n], default="")  # the first of equals, in their order
      if not name or gains[name] <= 0:
        break
      for word, value in mentions[name].items():
        explained[word] = max(value, explained.get(word, 0.0))
      wanted = self._with(wanted, name)
    totals = {
      name: self._nearness(wanted, name) * sum(words.values()) for name, words in mentions.items()
    }
    joins = {name: len(self.parts.near(name) & wanted) for name in self._order}
    # Behind those that are mentioned, tables between the wanted ones.
    for name in sorted(self._order, key=lambda n: (-totals[n], -joins[n])):
      if wanted and name not in wanted:
        wanted = self._with(wanted, name)
    if wanted and (part := self.parts.covering(wanted)) is not None:
      return part
    # Nothing is mentioned: the part with most tables, the first of equals.
    return max(self.parts.parts, key=lambda p: len(p.tables), default=self.schema)

  def _nearness(self, wanted: frozenset[str], name: str) -> float:
    """How much what is said for a table counts beside those that are wanted already."""
    if not wanted or self.parts.near(name) & wanted:
      return 1.0
    return _CONNECTED if len(self.parts.way(wanted, name)) > 1 else _APART

  def _with(self, wanted: frozenset[str], name: str) -> frozenset[str]:
    """The tables and one more, with those on the way to it, as far as all that fits."""
    for more in (self.parts.way(wanted, name), (name,)):
      if more and self.parts.covering(wanted | set(more)) is not None:
        return wanted | set(more)
    return wanted


def _said_of(table: Table) -> dict[str, float]:
  """The words that a table is called by, each with how much it says."""
  words: dict[str, float] = {}

  def add(said: Iterable[str], weight: float) -> None:
    for word in said:
      if word not in FUNCTION_WORDS and len(word) > 1:
        words[word] = max(weight, words.get(word, 0.0))

  add([*_words(table.base_name), *_of_text(table.called)], _NAME)
  add(_of_text(table.comment), _COMMENT)
  keys = {column for key in table.foreign_keys for column in key.columns}
  for column in table.columns:
    named = [*_words(column.name), *_of_text(column.called)]
    add(named, _KEY if column.name in keys else _COLUMN)
    add(_of_text(column.comment), _KEY if column.name in keys else _COMMENT)
  return words


def _words(name: str) -> tuple[str, ...]:
  split = split_identifier(name, LEXICON)
  return singular_words((*split, *expand(split)))


def _of_text(text: str) -> list[str]:
  return [singular_of(word) for word in _WORD.findall(text.lower())]


def covered(chosen: Schema, tables: Iterable[str]) -> bool:
  """Whether a chosen schema has all the tables that a query reads (`subschemas.tables_of`)."""
  return set(tables) <= {table.name for table in chosen.tables}
