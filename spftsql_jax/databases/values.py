"""The stored values that a question mentions.

BM25 finds candidates, the longest common substring ranks them.

After CodeS (Li et al., 2024, section 6.2), which does the same on Lucene. The BM25 index here is
three NumPy arrays: a posting list of documents and weights for each word. (The library bm25s was
weighed: it loads JAX when imported and claims a device.)
"""

from __future__ import annotations

import array
import dataclasses
import functools
import math
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from spftsql_jax.columns.word_lists import read_lists
from spftsql_jax.databases.catalogs import listed
from spftsql_jax.databases.cells import is_readable
from spftsql_jax.databases.database import Database
from spftsql_jax.databases.engines import engine_module
from spftsql_jax.databases.introspection import open_reader, read_schema, tell_left_out
from spftsql_jax.databases.locations import engine_of
from spftsql_jax.databases.passwords import hide_passwords
from spftsql_jax.databases.sampling import roll_back
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql.identifiers import quote, quote_path

# Longer texts are prose: no question quotes them.
LONGEST_VALUE = 80
# Values of a database at most, half a kilobyte each; rows of a table that they are read from.
MOST_VALUES = 2_000_000
READ_ROWS = 10_000_000
_CANDIDATES = 100
# BM25's usual constants.
_K1, _B = 1.5, 0.75
_WORD = re.compile(r"\w+")
# A match must cover at least this share of the value.
_LEAST_SCORE = 0.55


@dataclasses.dataclass(frozen=True)
class ValueMatch:
  """A stored value that a question mentions.

  `score` is in (0, 1]: 1 where the whole value stands in the question as words of its own.
  """

  table: str
  column: str
  value: str
  score: float


class ValueIndex:
  """The text values of a database, searchable by what a question mentions.

  index = ValueIndex.build("concert_singer.sqlite")
  index.search("Which singers come from france?")
  # [ValueMatch("singer", "Country", "France", 1.0)]
  """

  def __init__(self, values: Iterable[tuple[str, str, str]]):
    """Indexes (table, column, value) triples."""
    self._places: list[tuple[str, str]] = []
    self._place_of = array.array("i")
    self._values: list[str] = []
    numbers: dict[tuple[str, str], int] = {}
    words: dict[str, int] = {}
    occurrences = array.array("i")  # word numbers, value after value
    lengths = array.array("i")  # words of each value
    for table, column, value in values:
      place = numbers.setdefault((table, column), len(numbers))
      self._place_of.append(place)
      self._values.append(value)
      found = _WORD.findall(value.lower())
      lengths.append(len(found))
      for word in found:
        occurrences.append(words.setdefault(word, len(words)))
    self._places = list(numbers)
    self._words = words
    self._build_postings(np.frombuffer(occurrences, np.int32), np.frombuffer(lengths, np.int32))

  def _build_postings(self, occurrences: np.ndarray, lengths: np.ndarray) -> None:
    """Posting lists sorted by word: `_documents` and `_weights` [P], `_starts` [words + 1]."""
    documents = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    # A word twice in one value is one posting with its count.
    pairs, counts = np.unique(
      occurrences * np.int64(max(1, len(lengths))) + documents, return_counts=True
    )
    word_of, self._documents = np.divmod(pairs, max(1, len(lengths)))
    self._documents = self._documents.astype(np.int32)
    frequency = np.bincount(word_of, minlength=len(self._words))
    idf = np.log1p((len(lengths) - frequency + 0.5) / (frequency + 0.5))
    norm = _K1 * (1 - _B + _B * lengths / max(1.0, float(lengths.mean()) if len(lengths) else 1.0))
    weights = idf[word_of] * counts * (_K1 + 1) / (counts + norm[self._documents])
    self._weights = weights.astype(np.float32)
    self._starts = np.concatenate([[0], np.cumsum(frequency)])

  def __len__(self) -> int:
    return len(self._values)

  @classmethod
  def build(
    cls, database: Database | str | os.PathLike, schema: Schema | None = None
  ) -> ValueIndex:
    """Indexes the distinct values of all text columns of a database: MOST_VALUES of them, those of
    columns with few values first, out of READ_ROWS rows of a table.

    Args:
      database: an open one, or its location.
      schema: what is indexed of it, where that is not all; masked columns never are.

    Raises DatabaseError.
    """
    if isinstance(database, Database):
      location, schema = database.location, schema or database.schema
    else:
      location = os.fspath(database)
      schema = schema or read_schema(location)
    errors = engine_module(engine_of(location)).ERRORS

    def stored(connection: Any) -> Iterator[tuple[str, str, str]]:
      left, cut = MOST_VALUES, []
      for table, column in _text_columns(schema):
        before = left
        try:
          for value in values_of(connection, table, column, left):
            left -= 1
            yield value
        except errors as error:
          # Its first rows could be read, when the schema was: what lies behind them is damaged, or
          # away by now.
          reason = (
            f"values of column {column.name} of table {table.name} "
            f"({' '.join(str(error).split())[:200]})"
          )
          tell_left_out(schema.name, [hide_passwords(reason, location)])
          roll_back(connection, errors)
        if not left or table.row_count > READ_ROWS:
          cut.append(f"{table.name}.{column.name} ({before - left:,})")
      if cut:
        tell_left_out(
          schema.name, [f"further values, which questions are not searched for: {listed(cut)}"]
        )

    def values_of(
      connection: Any, table: Table, column: Column, limit: int
    ) -> Iterator[tuple[str, str, str]]:
      name, path = quote(column.name), quote_path(table.parts)
      if table.row_count > READ_ROWS:
        path = f"(SELECT {name} FROM {path} LIMIT {READ_ROWS}) AS some"
      cursor = connection.cursor()
      cursor.execute(f"SELECT DISTINCT {name} FROM {path} WHERE {name} IS NOT NULL LIMIT {limit}")
      while rows := cursor.fetchmany(10_000):
        for (value,) in rows:
          if (
            isinstance(value, str)
            and 0 < len(value) <= LONGEST_VALUE
            and not value.isspace()
            and is_readable(value)
          ):
            yield table.name, column.name, value

    with open_reader(location) as connection:
      return cls(stored(connection))

  def has_word(self, word: str) -> bool:
    """Whether some value has this word, given in small letters."""
    return word in self._words

  def holds(self, table: str, column: str, value: str) -> bool:
    """Whether a column has this very value among those that are indexed. One without a word in it
    is taken to be there.
    """
    words = [self._words.get(word) for word in _WORD.findall(value.lower())]
    known = [word for word in words if word is not None]
    if not words or len(known) < len(words):
      return not words
    rarest = min(known, key=lambda word: int(self._starts[word + 1] - self._starts[word]))
    return any(
      self._values[i] == value and self._places[self._place_of[i]] == (table, column)
      for i in self._documents[self._starts[rarest] : self._starts[rarest + 1]].tolist()
    )

  def search(self, question: str, limit: int = 5) -> list[ValueMatch]:
    """The values that `question` mentions, best first; equal ones in the order of the schema."""
    candidates = self._candidates(question)
    lowered = question.lower()
    matches = []
    for i in candidates:
      score = _mention_score(question, lowered, self._values[i])
      if score >= _LEAST_SCORE:
        matches.append((-score, -len(self._values[i]), i))
    best = []
    for negative, _, i in sorted(matches)[:limit]:
      table, column = self._places[self._place_of[i]]
      best.append(ValueMatch(table, column, self._values[i], round(-negative, 4)))
    return best

  def _candidates(self, question: str) -> list[int]:
    """The numbers of the values with the highest BM25 score for the question's words."""
    wanted: dict[int, None] = {}
    for word in _WORD.findall(question.lower()):
      # The plural of what is stored, or the singular.
      for form in (
        word,
        word[:-1] if word.endswith("s") else word + "s",
        word[:-2] if word.endswith("es") else word,
      ):
        if form in self._words:
          wanted[self._words[form]] = None
    if not wanted:
      return []
    pieces = [slice(self._starts[word], self._starts[word + 1]) for word in wanted]
    documents = np.concatenate([self._documents[piece] for piece in pieces])
    weights = np.concatenate([self._weights[piece] for piece in pieces])
    if 4 * len(documents) > len(self._values):
      scores = np.bincount(documents, weights, minlength=len(self._values))
      touched = np.flatnonzero(scores)
      scores = scores[touched]
    else:
      touched, inverse = np.unique(documents, return_inverse=True)
      scores = np.bincount(inverse, weights)
    if len(touched) > _CANDIDATES:
      # All that tie with the last one stay, else the order of storage would decide; but not without
      # end.
      bound = np.partition(scores, -_CANDIDATES)[-_CANDIDATES]
      above = touched[scores > bound]
      touched = np.concatenate([above, touched[scores == bound][: 2 * _CANDIDATES]])
    return touched.tolist()


def _text_columns(schema: Schema) -> list[tuple[Table, Column]]:
  """The columns whose values are indexed, in the order of the schema; where they are too many for
  all, those with few values first, since more questions name one of these.
  """
  found = [
    (table, column)
    for table in schema.tables
    for column in table.columns
    if not column.masked and column.kind == "text" and not table.is_view and table.row_count
  ]
  if sum(column.distinct_count for _, column in found) > MOST_VALUES:
    found.sort(key=lambda each: each[1].distinct_count)
  return found


@functools.cache
def _common_words() -> frozenset[str]:
  """Words of every question, which are values only where it writes them as they are stored."""
  lists = read_lists(Path(__file__).parent / "lists" / "common_words.txt")
  return frozenset(lists["common words"])


def _mention_score(question: str, lowered: str, value: str) -> float:
  """How much of `value` the question mentions, in [0, 1]."""
  text = value.strip()
  if len(text) <= 2 or text.lower() in _common_words():
    if text in _common_words():
      return 0.0
    # "M", "NY", "AND": nothing but the very word counts.
    return 1.0 if re.search(rf"(?<!\w){re.escape(text)}(?!\w)", question) else 0.0
  text = text.lower()
  at = lowered.find(text)
  if at >= 0:
    before, behind = lowered[at - 1 : at], lowered[at + len(text) : at + len(text) + 1]
    if not before.isalnum() and not behind.isalnum():
      return 1.0
    # Inside a longer word: "singer" in "singers" is likely meant, "art" in "start" is not.
    return (
      0.95
      if not before.isalnum() and lowered[at + len(text) :].startswith(("s", "es", "'"))
      else 0.5
    )
  least = max(1, math.ceil(_LEAST_SCORE / 0.9 * len(text) - 1e-9))
  return 0.9 * _common_substring(lowered, text, least) / len(text)


def _common_substring(text: str, value: str, least: int) -> int:
  """Length of the longest common substring that starts at the start of a word in both.

  0 where it is shorter than `least`.
  """
  best = least - 1
  starts = [match.start() for match in _WORD.finditer(text)]
  for match in _WORD.finditer(value):
    begin = match.start()
    if len(value) - begin <= best:
      break
    # Only what is longer than the best so far is looked at: one comparison tells for most pairs of
    # words.
    longer = value[begin : begin + best + 1]
    for start in starts:
      while len(longer) > best and text.startswith(longer, start):
        best += 1
        longer = value[begin : begin + best + 1]
  return best if best >= least else 0
