"""Natural names of tables and columns: what a person would call them when asking about them.

Identifiers are split (snake_case, camelCase, glued words), abbreviations are spelled out, singular
and plural forms come from the `inflect` library, and a general English table offers synonyms. Names
are computed once for each schema.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.attributes import (
  counts,
  event_of,
  holds_digits,
  holds_shares,
  property_of,
  tags_of,
)
from spftsql_jax.columns.column_words import column_words, short_words
from spftsql_jax.columns.comments import named_by_comment
from spftsql_jax.columns.deeds import column_said
from spftsql_jax.columns.inflection import follows_noun, plural_of, singular_of
from spftsql_jax.columns.key_words import Keys, role_words
from spftsql_jax.columns.spelling import Spelling
from spftsql_jax.columns.table_words import RowWords, row_words
from spftsql_jax.columns.words import expand, split_identifier
from spftsql_jax.questions.syntax import is_link, is_pure_link
from spftsql_jax.schema import Column, Schema, Table

_CACHE_SIZE = 256
_CACHE: collections.OrderedDict[int, tuple[Schema, SchemaNames]] = collections.OrderedDict()
# A word that says something of what it names: no initial, no number.
_SAID = re.compile(r"[^\W\d_]{3,}")
# Up to five words that begin with capitals, as names do; small words between them.
_INITIAL = re.compile("[a-z][A-Z]")
_DIGIT = re.compile(r"\d")
_A_NAME = re.compile(r"[^\W\d_a-z][\w.'-]*(,? ((and|of|the|de|van|von) )*[^\W\d_a-z][\w.'-]*){1,4}")
_FEWEST_NAMES = 3
# Why a query is refused that goes by one of several keys to a table.
UNTOLD_KEY = "one of several keys whose names tell nothing"


@dataclasses.dataclass(frozen=True)
class Noun:
  """A noun phrase in both numbers: ("date of birth", "dates of birth")."""

  singular: str
  plural: str

  def __str__(self) -> str:
    return self.singular


def unchanging(text: str) -> Noun:
  """A noun that is the same in both numbers."""
  return Noun(text, text)


@dataclasses.dataclass(frozen=True)
class TableName:
  """What the rows of a table are called.

  `nouns[0]` is the name itself, the others are synonyms; `person` chooses who.
  """

  nouns: tuple[Noun, ...]
  person: bool


@dataclasses.dataclass(frozen=True)
class ColumnName:
  """What a column is called.

  Attributes:
    nouns: the full name first ("product name"), then synonyms.
    short: the name without the words of its table ("name"), as used in "the name of the product";
      synonyms follow.
    tags: the kinds of attribute it is, of `kinds.TAGS`, e.g. {"name"} or {"price",
      "money"}.
    names_entity: True where it is the natural name of its table's rows: "doctors" can stand for
      their names.
    property: for a yes/no column, the participle or noun it states ("active", "has parking"), else
      "".
    event: for a date or year called by what happened then ("hired", "bought_on"), the participle,
      else "".
  """

  nouns: tuple[Noun, ...]
  short: tuple[Noun, ...]
  tags: frozenset[str]
  names_entity: bool
  property: str = ""
  event: str = ""


class SchemaNames:
  """The natural names of everything in one schema."""

  def __init__(self, schema: Schema):
    self.tables: dict[str, TableName] = {}
    self.columns: dict[tuple[str, str], ColumnName] = {}
    # What guards of a grammar ask about columns, kept by `features`.
    self.features: dict[tuple[str, str, bool], frozenset[str]] = {}
    self._beside: dict[tuple[str, str, str], Noun] = {}
    lexicon = _lexicon_of(schema)
    spelling = Spelling(schema, lexicon)
    rows = row_words(schema, spelling)
    nouns = {
      t.name.lower(): Noun(t.called, plural_of(t.called))
      if t.called
      else _noun_of(rows[t.name.lower()].noun)
      for t in schema.tables
    }
    spelled = {
      t.name: [
        _spelled(c, spelling, rows[t.name.lower()], _initials(t, c, nouns)) for c in t.columns
      ]
      for t in schema.tables
    }
    taken = collections.Counter(noun.singular for noun in nouns.values())
    taken.update(" ".join(words) for columns in spelled.values() for words in columns)
    keys = Keys(schema, {name: noun.singular for name, noun in nouns.items()})
    for table in schema.tables:
      key = table.name.lower()
      owner = _owner(nouns[key])
      self.tables[key] = _table_name(nouns[key], taken)
      # A synonym must not be the name of another column of the same table, nor of a table.
      own = {" ".join(words) for words in spelled[table.name]}
      for column, words in zip(table.columns, spelled[table.name], strict=True):
        full = words if column.called else column_words(column, table, words, owner, lexicon, keys)
        referring = any(column.name in key.columns for key in table.foreign_keys)
        self.columns[key, column.name.lower()] = _column_name(
          column, full, self.tables[key], owner, own, referring
        )

  def table(self, table: Table) -> TableName:
    """What the rows of a table are called."""
    return self.tables[table.name.lower()]

  def asked_alone(self, table: Table) -> bool:
    """Whether people ask about the rows of a table by themselves. They do not where the rows only
    connect others and are called by these, or by the people among them: party hosts, advisors.
    """
    nouns = [self.tables.get(key.referred_table.lower()) for key in table.foreign_keys]
    called = [end.nouns[0].singular.split() for end in nouns if end]
    ends = {word for words in called for word in words}
    noun = self.table(table)
    said = [singular_of(word) for word in noun.nouns[0].singular.split()]
    if not is_link(table):
      # "student addresses" that have a rent: of one student, at one address.
      heads = {words[-1] for words in called if words != said}
      return len(called) < 2 or not (said[-1] in heads and ends.issuperset(said))
    own = [word for word in said if word not in ends | vocabulary.PREPOSITIONS]
    # "hosting cities", "compatible browsers"
    states = said[-1] in ends and all(
      follows_noun(word) or word.endswith(("ing", "able", "ible")) for word in own
    )
    return not (states or (noun.person and is_pure_link(table)))

  def is_noun(self, table: Table, column: Column) -> bool:
    """Whether a column's name is one that can be said of anything: no "continuation of"."""
    return self.column(table, column).short[0].singular.split()[-1] not in vocabulary.PREPOSITIONS

  def beside(self, noun: Noun, table: Table, parent: Table) -> Noun:
    """What the rows of a table are called beside those that they belong to: the policies of
    customers, where nothing else is called so, are not their customer policies.
    """
    key = (noun.singular, table.name, parent.name)
    if key not in self._beside:
      self._beside[key] = self._without_owner(noun, table, parent)
    return self._beside[key]

  def _without_owner(self, noun: Noun, table: Table, parent: Table) -> Noun:
    owner = f"{self.table(parent).nouns[0].singular} "
    short = Noun(noun.singular.removeprefix(owner), noun.plural.removeprefix(owner))
    named = [self.column(t, column).short for t in (table, parent) for column in t.columns]
    named += [other.nouns for other in self.tables.values()]
    vague = short.singular.split()[0] in vocabulary.PREPOSITIONS
    taken = any(short.singular == other.singular for nouns in named for other in nouns)
    return noun if taken or vague else short

  def column(self, table: Table, column: Column) -> ColumnName:
    """What a column is called."""
    return self.columns[table.name.lower(), column.name.lower()]


def _lexicon_of(schema: Schema) -> frozenset[str]:
  """The words that names of a schema are taken apart into.

  A general vocabulary's and those of the tables' names, but for a table's name that is two other
  names written as one (countrylanguage, beside a table country and a column Language).
  """

  def long_words(name: str) -> set[str]:
    found = {word for word in split_identifier(name, frozenset()) if len(word) > 3}
    return found | {singular_of(word) for word in found}

  of_tables = {word for table in schema.tables for word in long_words(table.base_name)}
  known = of_tables | {
    word for table in schema.tables for column in table.columns for word in long_words(column.name)
  }
  lexicon = set(vocabulary.LEXICON)
  for word in of_tables:
    halves = ({word[:cut], word[cut:]} for cut in range(4, len(word) - 3))
    shortened = {
      cut
      for cut in range(4, len(word) - 3)
      if word[:cut] in lexicon and word[cut:] in vocabulary.ABBREVIATIONS
    }
    if not shortened:  # "useracct" is a user's account.
      lexicon.update(next((both for both in halves if both <= known), {word}))
  return frozenset(lexicon)


def names_of(schema: Schema) -> SchemaNames:
  """The names of a schema, computed once and kept for the most recently used schemas."""
  entry = _CACHE.get(id(schema))
  if entry is None or entry[0] is not schema:
    entry = (schema, SchemaNames(schema))
    _CACHE[id(schema)] = entry
    if len(_CACHE) > _CACHE_SIZE:
      _CACHE.popitem(last=False)
  return entry[1]


def role_of(
  columns: tuple[str, ...], referred: Table, schema_names: SchemaNames, several: bool = False
) -> Noun | None:
  """What a foreign key calls its row: `host_city_id` -> "host city".

  None where that adds nothing to the table's name. Of `several` keys to one table words may tell
  one from the others that say nothing alone ("source airport").
  """
  if len(columns) != 1:
    return None
  noun = schema_names.table(referred).nouns[0].singular
  return _role(columns[0], noun, _own_key(referred), several)


def tells_a_role(column: str, referred: Table, schema_names: SchemaNames) -> bool:
  """Whether a key's name has words beside those of the table that it refers to."""
  noun = schema_names.table(referred).nouns[0].singular
  return (
    not {*role_words(column, noun, _own_key(referred))} <= {*noun.split()} | vocabulary.NOT_ROLES
  )


def _own_key(table: Table) -> str:
  """The one column of a table's key; "" of several."""
  return table.primary_key[0] if len(table.primary_key) == 1 else ""


@functools.lru_cache(maxsize=16384)
def _role(column: str, referred: str, key: str, several: bool) -> Noun | None:
  words = role_words(column, referred, key)
  no_roles = frozenset() if several else vocabulary.NOT_ROLES
  if not any(_SAID.fullmatch(word) for word in words) or (
    len(words) == 1 and (len(words[0]) < 5 or kinds.identifies(words) or words[0] in no_roles)
  ):
    return None
  if all(word.isdigit() or word in referred.split() or kinds.identifies((word,)) for word in words):
    return None  # "club_id_2"
  role = singular_of(" ".join(words))
  if (
    role == referred
    or set(role.split()) <= set(referred.split())
    or referred.replace(" ", "").startswith(role.replace(" ", ""))
  ):
    return None
  if len(words) == 1 and follows_noun(words[0]):
    return None  # "liked_id"
  # "recorded by staff"
  of_verb = words[0] in vocabulary.VERB_LIKE or bool(
    vocabulary.PREPOSITIONS & set(words[1:-1]) - {"of"}
  )
  if of_verb or words[-1] in no_roles:
    return None
  if words[-1] in vocabulary.NOT_ROLES:
    role = f"{role} {referred}"  # "source airport"
  return Noun(role, plural_of(role))


def same_thing(child: Table, parent: Table) -> bool:
  """Whether a row of `child` whose key is that of a row of `parent` is that row.

  A student is a person, a hiring is none; nor are figures of a city, its temperatures, a city.
  """
  figures = all(
    column.kind == "number" for column in child.columns if column.name not in child.primary_key
  )
  return _one_sort(child.base_name, parent.base_name, figures)


@functools.lru_cache(maxsize=16384)
def _one_sort(child: str, parent: str, figures: bool) -> bool:
  nouns = [
    singular_of(" ".join(expand(split_identifier(name, frozenset())))) for name in (child, parent)
  ]
  people = [kinds.is_person(noun) for noun in nouns]
  # The address of a student, or the district of a store, is neither.
  alike = len(set(people)) == 1 and not nouns[0].startswith(f"{nouns[1]} ")
  return alike and (people[0] or not figures)


def _initials(table: Table, column: Column, nouns: Mapping[str, Noun]) -> dict[str, str]:
  """What the first letter of a column's name may stand for: "" for its table or one that the table
  refers to; of a key, the noun of the rows that it refers to.
  """
  found = {nouns[table.name.lower()].singular[0]: ""}
  for key in table.foreign_keys:
    if noun := nouns.get(key.referred_table.lower()):
      found.setdefault(noun.singular[0], "")
      if column.name in key.columns:
        found[noun.singular[0]] = noun.singular
  return found


def _spelled(
  column: Column,
  spelling: Spelling,
  rows: RowWords,
  initials: Mapping[str, str],
) -> tuple[str, ...]:
  """The words of a column's name; those of its table as the noun that stands for them."""
  if column.called:
    return tuple(column.called.split())
  words = spelling.words(column.name, column.comment)
  if _INITIAL.match(column.name) and words[1:] and words[0] in initials:
    words = (*initials[words[0]].split(), *words[1:])  # "pName" of a player
  words = expand(words)
  words = column_said(words, column.kind == "date" or bool(column.date_format))
  length, noun = len(rows.name), tuple(rows.noun.split())
  repeated = len(words) > length and words[:length] == rows.name
  # "on_call_start" of an on-call shift.
  return (*noun, *words[length:]) if repeated and set(noun).isdisjoint(rows.name) else words


def _noun_of(singular: str) -> Noun:
  """The noun of a table's rows in both numbers."""
  staff = singular.split()[-1] == "staff"
  return Noun(f"{singular} member", singular) if staff else Noun(singular, plural_of(singular))


def _owner(noun: Noun) -> list[str]:
  """The words by which columns name the rows of their table."""
  return noun.singular.replace("staff member", "staff").split()


def _table_name(noun: Noun, taken: collections.Counter) -> TableName:
  # Of one word only: nobody calls a department store a department shop.
  synonyms = vocabulary.TABLE_SYNONYMS.get(noun.singular, ())
  nouns = [noun, *(Noun(word, plural_of(word)) for word in synonyms if not taken[word])]
  return TableName(tuple(nouns), kinds.is_person(noun.singular))


def unit_behind(words: Sequence[str]) -> tuple[list[str], str] | None:
  """The words before a unit, and the unit in full: ("area",), "square km"; None without either."""
  *before, last = words
  last, power = last if last in vocabulary.UNITS else last.lower(), ""
  if last in vocabulary.UNIT_POWERS and before:
    power, last = vocabulary.UNIT_POWERS[last], before.pop()
  if last not in vocabulary.UNITS or not before:
    return None
  if not power and before[-1] in vocabulary.UNIT_POWERS and len(before) > 1:
    power = vocabulary.UNIT_POWERS[before.pop()]
  measured = " ".join([word for word in before if word != "in"][-1:] + [last])
  unit = vocabulary.UNIT_NAMES.get(measured) or vocabulary.UNIT_NAMES.get(last, last)
  if before[-1] in vocabulary.MULTIPLES and len(before) > 1:
    power = vocabulary.MULTIPLES[before.pop()]
  return (before, f"{power} {unit}".strip()) if before else None


def _column_name(
  column: Column,
  words: tuple[str, ...],
  table_name: TableName,
  owner: list[str],
  own: set[str],
  referring: bool,
) -> ColumnName:
  """The name made of the words of a column.

  `owner` name its table's rows; `own` are all columns of that table. One that is `referring` is of
  a foreign key: it counts nothing.
  """
  table_noun = table_name.nouns[0].singular
  # A column of numbers called "wins" counts them: the word stays as it is.
  number_like = words[0] == "number" or (
    not referring and (column.kind == "number" or holds_digits(column))
  )
  # Nor is "0/1" one goal.
  stays = number_like or (column.samples and all(_DIGIT.match(str(v)) for v in column.samples))
  full = " ".join(words) if stays else singular_of(" ".join(words))
  shortened = short_words(words, owner, own)
  short = " ".join(shortened) if stays else singular_of(" ".join(shortened))
  tags = tags_of(column, tuple(shortened))
  property_ = property_of(column, words)
  event = "" if property_ else event_of(column, shortened)
  full_nouns, short_nouns = (
    [_column_noun(full)],
    [_column_noun(short)],
  )
  share = words[-1] in ("percent", "percentage") and holds_shares(column)
  if event:
    tags = (tags | {"date" if column.kind == "date" else "year"}) - {"type", "name", "place"}
    what = "date" if column.kind == "date" else "year"
    stem = vocabulary.EVENTS_OF_COLUMNS[event][0]
    if event in words:
      full_nouns = [
        Noun(f"{stem} {what}", f"{stem} {what}s"),
        Noun(f"{what} of {stem}", f"{what}s of {stem}"),
      ]
      short_nouns = full_nouns
  elif property_:
    word = property_.removeprefix("has ").removeprefix("can ")
    full_nouns = short_nouns = [
      Noun(f"{word} flag", f"{word} flags"),
      Noun(f"{word} status", f"{word} statuses"),
    ]
  elif (
    (measured := unit_behind(shortened)) is not None
    and column.kind == "number"
    and words[0] != "number"
    and not share
  ):
    bare_words, unit = measured
    if bare_words[-1] == "metric" and len(bare_words) > 1:
      unit, bare_words = f"metric {unit}", bare_words[:-1]
    if bare_words[-1] == "in" and len(bare_words) > 1:
      bare_words = bare_words[:-1]
    bare = " ".join(bare_words)
    tags = tags_of(column, tuple(bare_words))
    many = plural_of(singular_of(bare))
    told_apart = any(
      (twin := unit_behind(name.split())) and (twin[0] == bare_words and twin[1] != unit)
      for name in own
    )
    tags = tags - {"plain"} if told_apart else tags  # What it "costs" is not told.
    full_nouns = short_nouns = [
      Noun(f"{bare} in {unit}", f"{many} in {unit}"),
      # "The length" of what has one in feet and one in meters is neither.
      *([] if told_apart else [Noun(bare, many)]),
    ]
  elif not referring and counts(column, shortened):
    noun, single = " ".join(shortened), singular_of(shortened[-1])
    full_nouns = short_nouns = [
      Noun(f"number of {noun}", f"numbers of {noun}"),
      *(
        [Noun(f"{single} count", f"{single} counts")]
        if single != noun and len(shortened) == 1
        else []
      ),
    ]
    tags = tags | {"count", "plain"}
  job = table_name.person and short == "title"  # A person's title is no name.
  if job:
    own = own | {"name"}
  for synonym in _synonyms(full, own):
    full_nouns = [*full_nouns, Noun(synonym, plural_of(synonym))]
  for synonym in _synonyms(short, own):
    short_nouns = [*short_nouns, Noun(synonym, plural_of(synonym))]
  described = "" if column.called else singular_of(named_by_comment(column, own))
  if described:
    full_nouns = [*full_nouns, _column_noun(described)]
    alone = " ".join(short_words(tuple(described.split()), owner, own))
    short_nouns = [*short_nouns, _column_noun(alone)]
  in_place_of_name = _in_place_of_name(column, short, own)
  names_entity = (
    not job
    and column.kind in ("text", "other")
    and (short in vocabulary.NAMING_COLUMNS or table_noun in (short, full) or in_place_of_name)
  )
  if in_place_of_name:
    full_nouns = [Noun(f"{table_noun} name", f"{table_noun} names")]
    short_nouns = [Noun("name", "names")]
  if short == table_noun and names_entity and not any(name.endswith("name") for name in own):
    # The model of a model is its name, but an address has none.
    full_nouns = short_nouns = [
      _column_noun(vocabulary.TEXTS_OF_ROWS.get(table_noun.split()[-1], "name"))
    ]
  elif short == table_noun and column.kind == "number":
    full_nouns = short_nouns = [Noun(f"{short} value", f"{short} values")]
  elif (
    short == owner[-1] and column.kind == "text" and "full name" in own and "short name" not in own
  ):
    full_nouns = short_nouns = [Noun("short name", "short names")]
  return ColumnName(tuple(full_nouns), tuple(short_nouns), tags, names_entity, property_, event)


def _in_place_of_name(column: Column, short: str, own: set[str]) -> bool:
  """Whether the "details" of rows without a name hold their names: "Mrs. Hanna Willms"."""
  if short not in vocabulary.IN_PLACE_OF_NAMES or len(column.samples) < _FEWEST_NAMES:
    return False
  if any(name.split()[-1] in vocabulary.NAMING_COLUMNS for name in own):
    return False
  return all(_A_NAME.fullmatch(str(sample)) for sample in column.samples)


def _column_noun(name: str) -> Noun:
  """A name with its plural; what is done has none ("fastest qualifying"), nor has a letter behind a
  noun ("class a").
  """
  before, _, last = name.rpartition(" ")
  done = last.endswith("ing") and last not in vocabulary.COUNTED_DEEDS
  lettered = bool(before) and len(set(last)) == 1
  return unchanging(name) if done or lettered else Noun(name, plural_of(singular_of(name)))


def _synonyms(name: str, own: set[str]) -> list[str]:
  """Synonyms of a column's name: of the whole name, and of its last word."""
  found = list(vocabulary.COLUMN_SYNONYMS.get(name, ()))
  before, _, last = name.rpartition(" ")
  if before and " of " not in name:
    found.extend(f"{before} {synonym}" for synonym in vocabulary.LAST_WORD_SYNONYMS.get(last, ()))
  return [s for s in found if s not in own]
