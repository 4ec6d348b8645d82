"""The tables and columns that a question mentions by their names or comments: schema linking by
words.

    index = NameIndex(db.schema)
    index.search("How old is the youngest singer from France?", limit=6)
    # (MatchedName("singer", ("Age",)), ...)

Found by rule, the same in training and prediction. What is found is a hint and no more: the prompt
shows the whole schema beside it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

from spftsql_jax.columns.implied import YEAR, implied_by, is_year
from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.synonyms import Phrase, said_otherwise
from spftsql_jax.columns.vocabulary import LEXICON
from spftsql_jax.columns.words import SHORTEST_STEM, alike, expand, singular_words, split_identifier
from spftsql_jax.examples.question_words import FUNCTION_WORDS
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.sql import identifiers

_WORD = re.compile(r"[^\W_]+")
# Words of names that say nothing by themselves.
_WEAK = frozenset({"id", "of", "the", "a", "in", "is", "and", "for", "to", "by", "on", "at"})
# And of comments, which are sentences: any question has these.
_UNTOLD = _WEAK | frozenset(singular_of(word) for word in FUNCTION_WORDS) | FUNCTION_WORDS
# So many words of a comment are read.
_READ = 8
# What a mention is worth: all words in a row, all of them, the last one, any.
_PHRASE, _WORDS, _HEAD, _ANY = 1.0, 0.8, 0.55, 0.4
# A column of a table that is mentioned too, and one that would repeat what a better one says.
_OF_MENTIONED = 0.5
# What a mention in other words is worth beside one in the name's own.
_IN_OTHER_WORDS = 0.8
# And one that means the column without a word for it.
_IMPLIED = 0.6
_LEAST = 0.4


@dataclasses.dataclass(frozen=True)
class MatchedName:
  """A table that a question mentions, or of which it mentions columns, as SQL has to write them."""

  table: str
  columns: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class NameMark:
  """Where a question mentions a table (column "") or a column, as SQL has to write them.

  Attributes:
    end: the place in the question behind the mention's last word.
  """

  end: int
  table: str
  column: str = ""


@dataclasses.dataclass(frozen=True)
class _Mention:
  score: float
  place: int  # of its first word in the question
  last: int = 0  # and of its last one


@dataclasses.dataclass(frozen=True)
class _Named:
  """The phrases that a table or column may be called by: its own, and what people say for them;
  what comments tell of it; and those that mean a column.
  """

  own: tuple[Phrase, ...]
  others: tuple[Phrase, ...]
  told: Phrase = ()
  implied: tuple[Phrase, ...] = ()


class NameIndex:
  """The names of a schema, searchable by what a question mentions."""

  def __init__(self, schema: Schema):
    self._schema = schema
    self._tables = [_named(t.parts[-1], t.called, t.comment) for t in schema.tables]
    self._columns = [
      [_named_column(c, _words(t.parts[-1])) for c in t.columns] for t in schema.tables
    ]

  def search(self, question: str, limit: int) -> tuple[MatchedName, ...]:
    """What `question` mentions: tables in the order of their mention, `limit` columns at most."""
    tables, columns = self._mentions(_Asked(question))
    return self._grouped(tables, _best(columns, limit))

  def marks(self, question: str, limit: int) -> tuple[NameMark, ...]:
    """Where `question` mentions what `search` finds, in the order of the places; at one place
    the better matches first.
    """
    words, asked = list(_WORD.finditer(question)), _Asked(question)
    tables, columns = self._mentions(asked)
    found = [(m.last, -m.score, t, -1) for t, m in enumerate(tables) if m.score >= _LEAST and words]
    for score, _, t, c in _best(columns, limit):
      found.append((_mention(self._columns[t][c], asked).last, -score, t, c))
    return tuple(self._mark(words[last].end(), t, c) for last, _, t, c in sorted(found))

  def _mark(self, end: int, table: int, column: int) -> NameMark:
    owner, dialect = self._schema.tables[table], self._schema.dialect
    path = identifiers.written_path(owner.parts, dialect)
    if column < 0:
      return NameMark(end, path)
    return NameMark(end, path, identifiers.written(owner.columns[column].name, dialect))

  def _mentions(self, asked: _Asked) -> tuple[list[_Mention], list[tuple[float, int, int, int]]]:
    """(the mention of each table, (score, place, table, column) of each column mentioned)."""
    tables = [_mention(named, asked) for named in self._tables]
    found: list[tuple[float, int, int, int]] = []
    # Words that name a table say nothing of its keys, which begin with them.
    of_tables = {mention.place for mention in tables if mention.score >= _WORDS}
    for t, columns in enumerate(self._columns):
      bonus = _OF_MENTIONED * tables[t].score
      for c, named in enumerate(columns):
        mention = _mention(named, asked)
        in_part = mention.score < _WORDS
        if mention.score >= _LEAST and not (in_part and mention.place in of_tables):
          found.append((mention.score + bonus, mention.place, t, c))
    return tables, found

  def _grouped(
    self, tables: list[_Mention], found: list[tuple[float, int, int, int]]
  ) -> tuple[MatchedName, ...]:
    columns: dict[int, list[tuple[int, int]]] = {}
    # By table: the first word that stands for it or a column of it, and how much it is meant.
    first: dict[int, tuple[int, float]] = {
      t: (mention.place, -mention.score)
      for t, mention in enumerate(tables)
      if mention.score >= _LEAST
    }
    for score, place, t, c in found:
      columns.setdefault(t, []).append((place, c))
      first[t] = min(first.get(t, (place, -score)), (place, -score))
    return tuple(
      self._written(self._schema.tables[t], [c for _, c in sorted(columns.get(t, []))])
      for t in sorted(first, key=lambda t: (first[t], t))
    )

  def _written(self, table: Table, columns: Iterable[int]) -> MatchedName:
    dialect = self._schema.dialect
    return MatchedName(
      identifiers.written_path(table.parts, dialect),
      tuple(identifiers.written(table.columns[c].name, dialect) for c in columns),
    )


def _best(
  found: list[tuple[float, int, int, int]], limit: int
) -> list[tuple[float, int, int, int]]:
  """The best columns; of those that stand for the same word of the question two at most."""
  kept: list[tuple[float, int, int, int]] = []
  at: dict[int, int] = {}
  for item in sorted(found, key=lambda i: (-i[0], i[1:])):
    if len(kept) == limit:
      break
    if at.get(item[1], 0) < 2:
      at[item[1]] = at.get(item[1], 0) + 1
      kept.append(item)
  return kept


def _named(name: str, called: str, comment: str, owner: tuple[str, ...] = ()) -> _Named:
  words = _words(name)
  phrases = [words]
  if owner and len(words) > len(owner) and words[: len(owner)] == owner:
    phrases.append(words[len(owner) :])  # "name" of "singer name"
  phrases.append(_as_said(called))
  own = tuple(dict.fromkeys(p for p in (*phrases, _written(name)) if p))
  others = (other for phrase in own for other in said_otherwise(phrase))
  return _Named(
    own,
    tuple(dict.fromkeys(form for other in others for form in _forms(other))),
    _as_said(comment)[:_READ],
  )


def _named_column(column: Column, owner: Phrase) -> _Named:
  named = _named(column.name, column.called, column.comment, owner)
  implied = (other for phrase in named.own for other in implied_by(column, phrase))
  return dataclasses.replace(named, implied=tuple(dict.fromkeys(implied)))


def _as_said(text: str) -> Phrase:
  """The words of a text that people wrote, in the singular."""
  return tuple(singular_of(word) for word in _WORD.findall(text.lower()))


def _forms(phrase: Phrase) -> Iterator[Phrase]:
  """A phrase, and its plural where a question's words keep it: "wages"."""
  yield phrase
  plural = plural_of(phrase[-1])
  if singular_of(plural) == plural != phrase[-1]:
    yield (*phrase[:-1], plural)


def _written(name: str) -> tuple[str, ...]:
  """The words of a name as they are written: people say "bathroom count" too."""
  return singular_words(split_identifier(name, LEXICON))


def _words(name: str) -> tuple[str, ...]:
  return singular_words(expand(split_identifier(name, LEXICON)))


def _mention(named: _Named, asked: _Asked) -> _Mention:
  """The best mention of a name: by its phrases or by others for them, whole or in part."""
  best = _Mention(0.0, asked.count)
  for phrase in named.own:
    best = _better(best, phrase, [asked.place_of_form(word) for word in phrase], 1.0)
  places = [asked.place_of_form(word) for word in named.told]
  best = _better(best, named.told, places, 1.0, _UNTOLD)
  for phrase in named.others:
    # Other words are not told by how they begin.
    best = _better(best, phrase, [asked.place(word) for word in phrase], _IN_OTHER_WORDS)
  for phrase in named.implied:
    places = [asked.place(word) for word in phrase]
    if None not in places:
      best = _better(best, phrase, places, _IMPLIED)
  return best


def _better(
  best: _Mention,
  phrase: Phrase,
  places: list[int | None],
  worth: float,
  weak: frozenset[str] = _WEAK,
) -> _Mention:
  """The better of a mention and that by a phrase whose words stand at `places`."""
  there = [place for place in places if place is not None]
  if not there:
    return best
  strong = [p for w, p in zip(phrase, places, strict=True) if p is not None and w not in weak]
  if len(there) == len(phrase):
    in_a_row = all(b - a == 1 for a, b in zip(there, there[1:], strict=False))
    score = _PHRASE if in_a_row else _WORDS
    score += 0.05 * (len(phrase) - 1)
  elif strong and places[-1] is not None and phrase[-1] not in weak:
    score = _HEAD
  elif strong:
    score = _ANY
  else:
    return best
  score *= worth
  return _Mention(score, min(strong or there), max(strong or there)) if score > best.score else best


class _Asked:
  """The words of a question, as names are compared with them, and where each stands first."""

  def __init__(self, question: str):
    words = [singular_of(word) for word in _WORD.findall(question.lower())]
    self.count = len(words)
    self._first: dict[str, int | None] = {
      word: place for place, word in reversed([*enumerate(words)])
    }
    years = (place for place, word in enumerate(words) if is_year(word))
    self._first[YEAR] = next(years, None)
    self._stems: dict[str, list[str]] = {}
    for word in words:
      self._stems.setdefault(word[:SHORTEST_STEM], []).append(word)

  def place(self, word: str) -> int | None:
    """Where the question has the word as it is, or YEAR any year."""
    return self._first.get(word)

  def place_of_form(self, word: str) -> int | None:
    """Where the question has the word, or another form of it."""
    if word in self._first:
      return self._first[word]
    others = self._stems.get(word[:SHORTEST_STEM], ())
    return next((self._first[other] for other in others if alike(word, other)), None)
