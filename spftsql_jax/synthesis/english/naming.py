"""Natural names of tables and columns: what a person would call them when asking about them.

Identifiers are split (snake_case, camelCase, glued words), abbreviations are spelled out, singular and plural forms come
from the `inflect` library, and a general English table offers synonyms. Names are computed once for each schema.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import re

from spftsql_jax.databases.schema import Column, Schema, Table
from spftsql_jax.synthesis.english import vocabulary
from spftsql_jax.synthesis.english.inflection import ENGINE

_CACHE_SIZE = 256
_CACHE: collections.OrderedDict[int, tuple[Schema, SchemaNames]] = collections.OrderedDict()
# Letters beyond ASCII are taken for small ones: "größe" is one word.
_PIECES = re.compile(r"[KMGT]i?[Bb](?![A-Za-z])|[kMG]Hz|kWh|[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+(?:\.\d+)?|%")
_AFTER_HEAD = (" of ", " for ", " with ", " in ", " by ", " at ", " to ", " on ", " from ")
# Dates by the day, written as numbers.
_FIRST_DAY, _LAST_DAY = 19_000_101, 21_001_231
_SHORT_COMMENT = re.compile(r"[a-z][a-z \-]{2,38}", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Noun:
  """A noun phrase in both numbers: ("date of birth", "dates of birth")."""

  singular: str
  plural: str


@dataclasses.dataclass(frozen=True)
class TableName:
  """What the rows of a table are called. `nouns[0]` is the name itself, the others are synonyms; `person` chooses who."""

  nouns: tuple[Noun, ...]
  person: bool


@dataclasses.dataclass(frozen=True)
class ColumnName:
  """What a column is called.

  Attributes:
    nouns: the full name first ("product name"), then synonyms.
    short: the name without the words of its table ("name"), as used in "the name of the product"; synonyms follow.
    tags: the kinds of attribute it is, of `vocabulary.ATTRIBUTE_TAGS`, e.g. {"name"} or {"price", "money"}.
    names_entity: True where it is the natural name of its table's rows: "doctors" can stand for their names.
    property: for a yes/no column, the participle or noun it states ("active", "has parking"), else "".
    event: for a date or year called by what happened then ("hired", "bought_on"), the participle, else "".
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
    taken = collections.Counter()
    words = _lexicon_of(schema)
    for table in schema.tables:
      noun = _table_noun(table, words)
      taken[noun.singular] += 1
      for column in table.columns:
        taken[" ".join(expand(split_identifier(column.name, words)))] += 1
    referred = {table.name.lower(): _table_noun(table, words).singular for table in schema.tables}
    for table in schema.tables:
      name = _table_name(table, words, taken)
      self.tables[table.name.lower()] = name
      # A synonym must not be the name of another column of the same table, nor of a table.
      own = {" ".join(expand(split_identifier(c.name, words))) for c in table.columns}
      for column in table.columns:
        self.columns[table.name.lower(), column.name.lower()] = _column_name(column, table, name, words, own, referred)

  def table(self, table: Table) -> TableName:
    return self.tables[table.name.lower()]

  def column(self, table: Table, column: Column) -> ColumnName:
    return self.columns[table.name.lower(), column.name.lower()]


def _lexicon_of(schema: Schema) -> frozenset[str]:
  """The words that identifiers of a schema are taken apart into: a general vocabulary's and those of the tables' names, but for
  a table's name that is two other names written as one (countrylanguage, beside a table country and a column Language).
  """

  def long_words(name: str) -> set[str]:
    found = {word for word in split_identifier(name, frozenset()) if len(word) > 3}
    return found | {singular_of(word) for word in found}

  of_tables = {word for table in schema.tables for word in long_words(table.name)}
  known = of_tables | {word for table in schema.tables for column in table.columns for word in long_words(column.name)}
  lexicon = set(vocabulary.LEXICON)
  for word in of_tables:
    halves = ({word[:cut], word[cut:]} for cut in range(4, len(word) - 3))
    shortened = {cut for cut in range(4, len(word) - 3) if word[:cut] in lexicon and word[cut:] in vocabulary.ABBREVIATIONS}
    if not shortened:  # "useracct" is a user's account.
      lexicon.update(next((both for both in halves if both <= known), {word}))
  return frozenset(lexicon)


def names_of(schema: Schema) -> SchemaNames:
  """The names of a schema, computed at its first use and kept for the most recently used schemas."""
  entry = _CACHE.get(id(schema))
  if entry is None or entry[0] is not schema:
    entry = (schema, SchemaNames(schema))
    _CACHE[id(schema)] = entry
    if len(_CACHE) > _CACHE_SIZE:
      _CACHE.popitem(last=False)
  return entry[1]


def _follows_noun(word: str) -> bool:
  """Whether a word in an identifier stands behind what it is about: "date sold", "documents mailed"."""
  return word in vocabulary.TRAILING_WORDS or (word.endswith("ed") and word not in vocabulary.NOT_PARTICIPLES)


@functools.lru_cache(maxsize=16384)
def plural_of(phrase: str) -> str:
  """The plural of a singular noun phrase: "date of birth" -> "dates of birth", "staff" -> "staff"."""
  for separator in _AFTER_HEAD:
    head, found, rest = phrase.partition(separator)
    if found and head and not _follows_noun(head.split()[-1]):
      return plural_of(head) + found + rest
  first, joined, second = phrase.partition(" and ")
  if joined:
    return f"{plural_of(first)} and {plural_of(second)}"
  before, _, word = phrase.rpartition(" ")
  if phrase.startswith("date ") and " " in before:
    return f"dates {phrase.removeprefix('date ')}"  # "date became customer", "date product discontinued"
  if before and _follows_noun(word):
    return f"{plural_of(before)} {word}"
  if _follows_noun(word):
    return phrase  # "invested" has no plural.
  if word.lower() in vocabulary.UNCOUNTABLE or not (word.isalpha() and word.isascii()) or word in vocabulary.TRAILING_WORDS:
    return phrase
  if word.isupper() and len(word) > 1:
    plural = word + "s"
  else:
    plural = vocabulary.IRREGULAR_PLURALS.get(word) or ENGINE.plural_noun(word) or word
  return f"{before} {plural}" if before else plural


@functools.lru_cache(maxsize=16384)
def singular_of(phrase: str) -> str:
  """The singular of a noun phrase that may be plural already: "has allergies" -> "has allergy", "status" -> "status"."""
  for separator in _AFTER_HEAD:
    head, found, rest = phrase.partition(separator)
    if found and head and not _follows_noun(head.split()[-1]):
      return singular_of(head) + found + rest
  first, joined, second = phrase.partition(" and ")
  if joined:
    return f"{singular_of(first)} and {singular_of(second)}"
  before, _, word = phrase.rpartition(" ")
  if before and _follows_noun(word):
    return f"{singular_of(before)} {word}"
  lowered = word.lower()
  if (
    lowered in vocabulary.UNCOUNTABLE
    or lowered in ("cosmos", "chaos")
    or lowered.endswith(("ss", "us", "is", "as"))
    or len(word) < 4
    or not word.isalpha()
  ):
    return phrase
  single = vocabulary.IRREGULAR_SINGULARS.get(lowered) or (lowered.endswith("s") or lowered.endswith(("men", "ren", "people")))
  if single is True:
    single = ENGINE.singular_noun(word) or word
  single = single or word
  return f"{before} {single}" if before else single


def split_identifier(name: str, lexicon: frozenset[str]) -> tuple[str, ...]:
  """Lower-case words of an identifier; glued words are taken apart where every piece is in `lexicon`."""
  words: list[str] = []
  pieces = [p.lower() for p in _PIECES.findall(name.replace("'", ""))]
  for index in reversed(range(1, len(pieces))):
    if pieces[index].isdigit() and pieces[index - 1].isdigit():
      pieces[index - 1 : index + 1] = [f"{pieces[index - 1]}-{pieces[index]}"]  # "18_49": from 18 to 49.
  if len(pieces) == 2 and len(pieces[0]) == 1 and "".join(pieces) in vocabulary.ABBREVIATIONS:
    pieces = ["".join(pieces)]
  for lowered in pieces:
    if lowered in vocabulary.ABBREVIATIONS or lowered in lexicon or len(lowered) < 5:
      words.append(lowered)
    else:
      words.extend(_take_apart(lowered, lexicon))
  return tuple(words) or (name.lower(),)


def expand(words: tuple[str, ...]) -> tuple[str, ...]:
  """Spells out abbreviations, and puts counts as people say them: (num, of, seats) -> (number, of, seats)."""
  result: list[str] = []
  for i, word in enumerate(words):
    if word == "no" and i + 1 < len(words) and words[i + 1] != "of" and i == 0:
      result.append("no")
    elif word == "desc" and i + 1 < len(words):
      result.append("description")
    else:
      result.extend(vocabulary.ABBREVIATIONS.get(word, word).split())
  if len(result) > 1 and result[-1] in ("mf", "mfu"):
    result.pop()  # "gender_mf" says what it holds.
  if len(result) > 1 and result[0] == "number" and result[1] not in vocabulary.PREPOSITIONS:
    result = ["number", "of", *result[1:-1], plural_of(singular_of(result[-1]))]
  elif len(result) > 2 and result[0] == "number" and result[1] == "of":
    result = [*result[:-1], plural_of(singular_of(result[-1]))]
  if len(result) > 1 and result[0] in vocabulary.AGGREGATE_PREFIXES:
    result[0] = vocabulary.AGGREGATE_PREFIXES[result[0]]
  if len(result) > 1 and result[-1] in vocabulary.LEADING_WORDS and result[0] not in ("is", "was", "has", "years"):
    result = [result[-1], *result[:-1]]  # "GNPOld" is the old GNP.
  deduplicated = [w for i, w in enumerate(result) if i == 0 or w != result[i - 1]]
  return tuple(deduplicated)


def role_of(columns: tuple[str, ...], referred: Table, schema_names: SchemaNames) -> Noun | None:
  """What a foreign key calls its row: `host_city_id` -> "host city"; None where that adds nothing to the table's name."""
  if len(columns) != 1:
    return None
  return _role(columns[0], schema_names.table(referred).nouns[0].singular)


@functools.lru_cache(maxsize=16384)
def _role(column: str, referred: str) -> Noun | None:
  words = list(expand(split_identifier(column, frozenset(vocabulary.LEXICON) | set(referred.split()))))
  while words and (words[-1] in vocabulary.KEY_WORDS or (words[-1].endswith("id") and len(words[-1]) < 6 and len(words) > 1)):
    words.pop()
  if len(words) > 1 and len(words[-1]) == 1 and referred.startswith(words[-1]):
    words[-1:] = referred.split()  # "source_u_id" of a user
  if not words or (len(words) == 1 and (len(words[0]) < 5 or words[0].endswith("id") or words[0] in vocabulary.NOT_ROLES)):
    return None
  role = singular_of(" ".join(words))
  if (
    role == referred
    or set(role.split()) <= set(referred.split())
    or referred.replace(" ", "").startswith(role.replace(" ", ""))
  ):
    return None
  if len(words) == 1 and _follows_noun(words[0]):
    return None  # "liked_id"
  of_verb = words[0] in vocabulary.VERB_LIKE or bool(vocabulary.PREPOSITIONS & set(words[1:-1]) - {"of"})  # "recorded by staff"
  if of_verb or words[-1] in vocabulary.NOT_ROLES:
    return None
  return Noun(role, plural_of(role))


@functools.lru_cache(maxsize=16384)
def same_thing(child: str, parent: str) -> bool:
  """Whether a row of `child` whose key is that of a row of `parent` is that row: a student is a person, a hiring is none."""
  nouns = [singular_of(" ".join(expand(split_identifier(name, frozenset())))) for name in (child, parent)]
  # The address of a student, or the district of a store, is neither.
  return len({is_person(noun) for noun in nouns}) == 1 and not nouns[0].startswith(f"{nouns[1]} ")


def is_person(noun: str) -> bool:
  """Whether a noun names people (which then takes who)."""
  last = noun.split(" of ")[0].split()[-1]
  if last in vocabulary.PERSONS:
    return True
  return last.endswith(("ist", "ian", "eer")) and last not in vocabulary.NOT_PERSONS


def _take_apart(word: str, lexicon: frozenset[str]) -> list[str]:
  """Splits "lastname" into known words; the word itself where that is not possible."""
  best: list[list[str] | None] = [[]] + [None] * len(word)
  for end in range(1, len(word) + 1):
    for start in range(max(0, end - 14), end):
      piece = word[start:end]
      known = (
        len(piece) > 2
        and piece in lexicon
        or (len(piece) > 3 and piece in vocabulary.ABBREVIATIONS)
        or (piece in ("id", "no") and end == len(word))
        or piece == "of"
      )
      if known and best[start] is not None and (best[end] is None or len(best[start]) + 1 < len(best[end])):
        best[end] = [*best[start], piece]
  return best[-1] or [word]


def _table_noun(table: Table, lexicon: frozenset[str]) -> Noun:
  words = list(split_identifier(table.name, lexicon))
  while len(words) > 1 and words[0] in vocabulary.TABLE_PREFIXES:
    words.pop(0)
  while len(words) > 1 and words[-1] in vocabulary.TABLE_SUFFIXES:
    words.pop()
  if len(words) == 2 and words[0] in vocabulary.VERB_TABLES and words[1] in vocabulary.PREPOSITIONS:
    words = vocabulary.VERB_TABLES[words[0]].split()
  if len(words) == 2 and words[0] in vocabulary.VERB_TABLES:
    words = [singular_of(words[1]), vocabulary.DEEDS_OF_VERBS.get(words[0], vocabulary.VERB_TABLES[words[0]])]
  spelled = expand(tuple(words))
  spelled = (*spelled[:-1], vocabulary.DEEDS_OF_TABLES.get(spelled[-1], spelled[-1]))
  if len(spelled) == 3 and spelled[1] == "of":
    spelled = (spelled[2], spelled[0])  # "member of club"
  singular = singular_of(" ".join((*map(_modifier, spelled, spelled[1:]), spelled[-1])))
  if spelled[-1] in vocabulary.RECORDED:
    singular = f"{singular} record"
  if spelled[-1] == "staff":
    return Noun(f"{singular} member", singular)
  return Noun(singular, plural_of(singular))


def _modifier(word: str, following: str) -> str:
  """A word of a compound before another: the cards of customers are customer cards."""
  if following in vocabulary.PREPOSITIONS or word in vocabulary.PLURAL_MODIFIERS or is_person(following):
    return word
  return singular_of(word)


def _table_name(table: Table, lexicon: frozenset[str], taken: collections.Counter) -> TableName:
  noun = _table_noun(table, lexicon)
  nouns = [noun]
  before, _, last = noun.singular.rpartition(" ")
  for synonym in vocabulary.TABLE_SYNONYMS.get(last, ()):
    candidate = f"{before} {synonym}" if before else synonym
    if not taken[candidate] and not taken[synonym]:
      nouns.append(Noun(candidate, plural_of(candidate)))
  return TableName(tuple(nouns), is_person(noun.singular))


def _key_words(
  column: Column, table: Table, words: tuple[str, ...], owner: list[str], referred: dict[str, str]
) -> tuple[str, ...]:
  """The words of a column that shortens what it belongs to: mID, actid, pname."""
  keys = [key.referred_table.lower() for key in table.foreign_keys if tuple(key.columns) == (column.name,)]
  keys = [name for name in keys if name in referred and name != table.name.lower()]
  if len(words) == 1 and words[0][1:] in vocabulary.AFTER_INITIAL:
    rest = vocabulary.ABBREVIATIONS.get(words[0][1:], words[0][1:])
    if keys and referred[keys[0]].startswith(words[0][0]):
      return (*referred[keys[0]].split(), rest)
    return (*owner, rest) if owner[-1][0] == words[0][0] else words
  glued = len(words) == 1 and words[0].endswith("id") and words[0] not in vocabulary.ENDS_IN_ID and words[0] != "id"
  short = len(words) == 2 and words[1] == "id" and len(words[0]) == 1
  if not glued and not short:
    return words
  if keys:
    return (*referred[keys[0]].split(), "id")
  return (*owner, "id") if tuple(table.primary_key) == (column.name,) else words


def _is_prefix(word: str, noun: str, table: Table) -> bool:
  """Whether a word abbreviates the noun of the table's rows in most of its columns."""
  letters = iter(noun)
  short = word[0] == noun[0] and 2 <= len(word) < len(noun) and all(letter in letters for letter in word)
  return short and 2 * sum(column.name.lower().startswith(word) for column in table.columns) >= len(table.columns)


def _column_name(
  column: Column, table: Table, table_name: TableName, lexicon: frozenset[str], own: set[str], referred: dict[str, str]
) -> ColumnName:
  """`referred` holds the nouns of the tables, by their names in lower case."""
  words = expand(split_identifier(column.name, lexicon))
  owner = table_name.nouns[0].singular.replace("staff member", "staff").split()
  words = _key_words(column, table, words, owner, referred)
  if len(words) > 1 and words[0] not in lexicon and words[0] != owner[0]:
    if len(words[0]) > 2 and owner[0].startswith(words[0]):
      words = (owner[0], *words[1:])  # "resName" of a restaurant
    elif _is_prefix(words[0], owner[-1], table):
      words = (owner[-1], *words[1:])  # "CRS_CODE" of a course
    elif len(words) == 2 and words[0] == owner[-1][0] and words[1] in vocabulary.AFTER_INITIAL:
      words = (owner[-1], words[1])  # "GName" of a video game
  if len(words) == 3 and words[0] == "date" and singular_of(words[1]) == owner[-1] and words[2] in vocabulary.EVENTS_OF_COLUMNS:
    words = (words[0], words[2])  # "date account opened" of an account
  if len(words) == 2 and words[0].endswith("ated") and words[1] == "in" and column.kind == "text":
    words = ("place", "of", f"{words[0][:-2]}ion")  # "incorporated in"
  if len(words) == 2 and words[0] == "born":
    words = (words[1], "of", "birth")
  if words[:1] == ("other",) and [singular_of(w) for w in words[1:-1]] == owner:
    words = (words[0], words[-1])  # "other student details" of a student
  if len(words) == 3 and words[0] == "date" and words[1] in ("first", "last") and words[2] in vocabulary.EVENTS_OF_COLUMNS:
    words = (words[1], vocabulary.EVENTS_OF_COLUMNS[words[2]][0], "date")  # "date first registered"
  if len(words) == 3 and words[0] == "date" and words[2] in ("from", "to", "until"):
    words = (f"{words[1]}-{words[2]}", "date")  # "date valid from"
  if len(words) > 2 and words[:2] == ("date", "time"):
    words = (*words[2:], "time")  # "datetime_detention_end"
  if len(words) == 3 and words[1:] in (("from", "date"), ("to", "date")):
    words = (f"{words[0]}-{words[1]}", "date")
  words = vocabulary.COLUMN_PHRASES.get(words, words)
  if len(words) > 1 and words[0] in ("the", "a"):
    words = words[1:]
  if column.kind == "date" and len(words) > 1 and words[-1] in ("on", "at") and words[-2] not in vocabulary.EVENTS_OF_COLUMNS:
    words = (*words[:-1], "date")  # "checked on": the checked date.
  if len(words) == 2 and words[1] in ("from", "since") and words[0] in ("start", "valid", "effective"):
    words = (words[0], "date" if column.kind == "date" else "year" if _years(column) else "time")
  if len(words) == 1 and words[0] in ("gold", "silver", "bronze") and column.kind == "number":
    words = (words[0], "medals")
  done = len(words) == 1 and _follows_noun(words[0]) and words[0] not in vocabulary.EVENTS_OF_COLUMNS
  if words[0] in vocabulary.ADJECTIVE_NAMES and len(words) == 1 and column.kind == "number" and not _property(column, words):
    words = (*words, "figure")
  if done and column.kind == "number" and not _property(column, words):
    words = ("number", words[0]) if words[0] in vocabulary.SUFFERED else (*words, "amount")  # "killed", "budgeted"
  if column.kind == "number" and len(words) == 1 and words[0] in vocabulary.SUPERLATIVE_NAMES:
    words = (*words, "value")  # "highest": the highest value, of which there can be a lowest.
  # A column of numbers called "wins" counts them: the word stays as it is.
  number_like = words[0] == "number" or column.kind == "number" or _digits(column)
  full = " ".join(words) if number_like else singular_of(" ".join(words))
  short_words = list(words)
  if len(words) > len(owner) and [singular_of(w) for w in words[: len(owner)]] == owner:
    short_words = list(words[len(owner) :])
  elif len(owner) > 1 and len(words) > 1 and words[0] == owner[-1] and " ".join(words[1:]) not in own:
    short_words = list(words[1:])  # "order status" of a customer order
  elif words[-1 - len(owner) : -len(owner)] == ("of",) and [singular_of(w) for w in words[-len(owner) :]] == owner:
    head = words[: -1 - len(owner)]  # "cost of treatment" of a treatment: its cost.
    if head and head[0] != "number" and " ".join(head) not in own:
      short_words = list(head)
  if short_words[0] in ("of", "in", "is", "has") or short_words[-1] in vocabulary.PREPOSITIONS:
    short_words = list(words)
  short = " ".join(short_words) if number_like else singular_of(" ".join(short_words))
  tags = _tags(column, tuple(short_words))
  property_ = _property(column, words)
  event = "" if property_ else _event(column, short_words)
  full_nouns, short_nouns = [Noun(full, plural_of(singular_of(full)))], [Noun(short, plural_of(singular_of(short)))]
  if event:
    tags = (tags | {"date" if column.kind == "date" else "year"}) - {"type", "name", "place"}
    what = "date" if column.kind == "date" else "year"
    stem = vocabulary.EVENTS_OF_COLUMNS[event][0]
    if event in words:
      full_nouns = [Noun(f"{stem} {what}", f"{stem} {what}s"), Noun(f"{what} of {stem}", f"{what}s of {stem}")]
      short_nouns = full_nouns
  elif property_:
    word = property_.removeprefix("has ").removeprefix("can ")
    full_nouns = short_nouns = [Noun(f"{word} flag", f"{word} flags"), Noun(f"{word} status", f"{word} statuses")]
  elif words[-1] in vocabulary.UNITS and len(short_words) > 1 and column.kind == "number" and words[0] != "number":
    unit = vocabulary.UNIT_NAMES.get(words[-1], words[-1])
    bare_words = short_words[:-1]
    if bare_words[-1] == "metric" and len(bare_words) > 1:
      unit, bare_words = f"metric {unit}", bare_words[:-1]
    if bare_words[-1] == "in" and len(bare_words) > 1:
      bare_words = bare_words[:-1]
    bare = " ".join(bare_words)
    tags = _tags(column, tuple(bare_words))
    many = plural_of(singular_of(bare))
    full_nouns = short_nouns = [Noun(f"{bare} in {unit}", f"{many} in {unit}"), Noun(bare, many)]
  elif _counts(column, short_words):
    noun, single = " ".join(short_words), singular_of(short_words[-1])
    full_nouns = short_nouns = [
      Noun(f"number of {noun}", f"numbers of {noun}"),
      *([Noun(f"{single} count", f"{single} counts")] if len(short_words) == 1 else []),
    ]
    tags = tags | {"count", "plain"}
  job = table_name.person and short == "title"  # A person's title is no name.
  if job:
    own = own | {"name"}
  for synonym in _synonyms(full, own):
    full_nouns = [*full_nouns, Noun(synonym, plural_of(synonym))]
  for synonym in _synonyms(short, own):
    short_nouns = [*short_nouns, Noun(synonym, plural_of(synonym))]
  described = singular_of(_named_by_comment(column, own))
  if described:
    full_nouns, short_nouns = (
      [*full_nouns, Noun(described, plural_of(described))],
      [*short_nouns, Noun(described, plural_of(described))],
    )
  names_entity = (
    not job
    and column.kind in ("text", "other")
    and (short in vocabulary.NAMING_COLUMNS or short == table_name.nouns[0].singular or full == table_name.nouns[0].singular)
  )
  if short == table_name.nouns[0].singular and names_entity and not any(name.endswith("name") for name in own):
    full_nouns = short_nouns = [Noun("name", "names")]  # The model of a model is its name.
  elif short == table_name.nouns[0].singular and column.kind == "number":
    full_nouns = short_nouns = [Noun(f"{short} value", f"{short} values")]
  elif short == owner[-1] and column.kind == "text" and "full name" in own and "short name" not in own:
    full_nouns = short_nouns = [Noun("short name", "short names")]
  return ColumnName(tuple(full_nouns), tuple(short_nouns), tags, names_entity, property_, event)


def _named_by_comment(column: Column, own: set[str]) -> str:
  """The name that a short comment gives its column ("year of publication"), or ""."""
  comment = column.comment.strip()
  if comment.count(",") > 1:
    return ""
  said = re.split(r"[,;:(.]| if | when ", comment, maxsplit=1)[0].strip()
  said = re.sub(r"^(the|a|an) ", "", said, flags=re.IGNORECASE)
  before, _, unit = said.rpartition(" in ")
  if before and unit in vocabulary.UNITS:
    said = before
  words = said.lower().split()
  if (
    not _SHORT_COMMENT.fullmatch(said)
    or len(words) > 5
    or words[0] in vocabulary.NO_NAMES | vocabulary.UNITS
    or "or" in words
    or len(said) < 4
  ):
    return ""
  if (
    words[0] in ("milligrams", "number")
    and len(words) < 3
    or any(w in ("which", "that", "where", "was", "is", "null", "empty") for w in words)
  ):
    return ""
  if said.lower() in {str(v).lower() for v in column.samples}:
    return ""
  name = said if any(w.isupper() for w in said.split()) else said.lower()
  return "" if name in own or name.split()[0].rstrip("s") + "s" in vocabulary.UNITS else name


def _years(column: Column) -> bool:
  samples = [int(v) if isinstance(v, str) and v.isdigit() else v for v in column.samples]
  return bool(samples) and all(isinstance(v, (int, float)) and 1000 <= v <= 2100 for v in samples)


def _digits(column: Column) -> bool:
  """Whether a text column holds whole numbers."""
  return column.kind == "text" and bool(column.samples) and all(str(value).isdigit() for value in column.samples)


def day_numbers(column: Column) -> bool:
  """Whether a column of numbers holds days: 20240131."""
  return (
    column.kind == "number"
    and bool(column.samples)
    and all(
      isinstance(v, int) and _FIRST_DAY <= v <= _LAST_DAY and 1 <= v // 100 % 100 <= 12 and 1 <= v % 100 <= 31
      for v in column.samples
    )
  )


def _event(column: Column, words: list[str]) -> str:
  """The participle of a column called by what happened: "hired", "bought on", "date sold", "founded year"."""
  rest = [w for w in words if w not in ("on", "at", "in", "of", "date", "year", "datetime", "time")]
  if words == ["birthday"] or words == ["birthdate"]:
    rest = ["birth"]
  if len(rest) == 1 and (len(words) > 1 or _years(column)) or rest == ["birth"]:
    rest = [vocabulary.EVENT_STEMS.get(rest[0], rest[0])]
  if len(rest) != 1 or rest[0] not in vocabulary.EVENTS_OF_COLUMNS:
    return ""
  years = _years(column)
  return rest[0] if column.kind == "date" or (column.kind == "number" and (years or "year" in words)) else ""


def _counts(column: Column, words: list[str]) -> bool:
  """Whether a number column counts things and is called by them: "seats", "home games", "bikes available"."""
  if not (column.kind == "number" or _digits(column)) or words[0] in vocabulary.NOT_OF_COUNTS or "of" in words or "in" in words:
    return False
  if words[0] in vocabulary.TIMES and len(words) > 1:
    return True  # "weeks on top"
  done = len(words) > 1 and (_follows_noun(words[-1]) or words[-1].endswith("ing"))
  counted = words[: words.index("per")] if "per" in words[1:] else words[:-1] if done else words
  word = counted[-1] if counted else words[-1]
  if word in vocabulary.TIMES and counted != words:
    return True  # "hours played", "years working"
  return singular_of(word) != word and word not in vocabulary.NOT_COUNTED


def _synonyms(name: str, own: set[str]) -> list[str]:
  """Synonyms of a column's name: of the whole name, and of its last word."""
  found = list(vocabulary.COLUMN_SYNONYMS.get(name, ()))
  before, _, last = name.rpartition(" ")
  if before and " of " not in name:
    found.extend(f"{before} {synonym}" for synonym in vocabulary.LAST_WORD_SYNONYMS.get(last, ()))
  return [s for s in found if s not in own]


def _tags(column: Column, words: tuple[str, ...]) -> frozenset[str]:
  """The kinds of attribute: from the type first, then from the words of the name."""
  tags = set()
  # What a phrase is, its head says: the level of membership, the rank of the year.
  last = singular_of(words[words.index("of") - 1] if "of" in words[1:] and words[0] != "number" else words[-1])
  if column.kind == "date":
    tags.add("date")
  for tag, words_of_tag in vocabulary.ATTRIBUTE_TAGS.items():
    if last in words_of_tag or " ".join(words) in words_of_tag:
      tags.add(tag)
  if column.kind == "number" and last == "date" and _years(column):
    tags.add("year")
  if (column.kind == "number" and not day_numbers(column)) or (column.kind in ("text", "other") and last == "time"):
    tags.discard("date")
  if column.kind == "number":
    tags -= {"place", "name", "type"}
  elif column.kind in ("text", "other") and not _digits(column):
    tags -= set(vocabulary.NUMERIC_TAGS)
  if words[0] == "number" and len(words) > 2 and words[1] == "of":
    tags.add("count")
  if len(words) == 1 or (len(words) == 2 and words[0] in ("total", "release", "publication", "list")):
    tags.add("plain")
  return frozenset(tags)


def _property(column: Column, words: tuple[str, ...]) -> str:
  """`is_active` -> "active", `has_parking` -> "has parking"; "" where the column is not a yes/no one."""
  values = {str(v).lower() for v in column.samples}
  yes_no = column.kind == "boolean" or (
    values
    and (
      values <= {"0", "1"}
      or values <= {"y", "n"}
      or values <= {"t", "f"}
      or values <= {"yes", "no"}
      or values <= {"true", "false"}
    )
  )
  if len(words) > 1 and words[0] == "if" and yes_no:
    return " ".join(words[1:])
  if len(words) > 1 and words[0] in ("is", "has", "was", "can") and (yes_no or not values):
    rest = " ".join(words[1:])
    return rest if words[0] in ("is", "was") else f"{words[0]} {rest}"
  if yes_no and len(words) > 2 and words[-1] == "flag" and _follows_noun(words[-2]):
    return f"has {' '.join(words[:-1])}"  # "pets_allowed_yn"
  if yes_no and len(words) == 2 and words[-1] == "flag" and _follows_noun(words[0]):
    return words[0]  # "abandoned_yn"
  participle = (
    words[-1] in vocabulary.PARTICIPLES or words[-1] in vocabulary.ADJECTIVES or (words[-1].endswith("ed") and len(words) == 1)
  )
  stated = len(words) > 1 and words[0] in ("in", "on", "for", "under", "out")  # "in print", "on sale"
  return " ".join(words) if yes_no and (participle or stated) else ""
