"""What kind of attribute a column is, by its type, name and content: a price, a year, an event."""

from __future__ import annotations

from collections.abc import Collection

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.inflection import follows_noun, singular_of
from spftsql_jax.schema import Column

# Numbers from here on are years where nothing else is known of them: not heights of 1,200 m.
_FIRST_YEAR = 1700


def day_numbers(column: Column) -> bool:
  """Whether a column of numbers holds days: 20240131."""
  return column.kind == "number" and column.date_format == "%Y%m%d"


def holds_digits(column: Column) -> bool:
  """Whether a text column holds whole numbers."""
  return (
    column.kind == "text"
    and bool(column.samples)
    and all(str(value).isdigit() for value in column.samples)
  )


def holds_shares(column: Column) -> bool:
  """Whether a number column holds shares of 1, which must not be said as per cent."""
  return column.kind == "number" and not any(
    isinstance(value, (int, float)) and abs(value) > 1 for value in column.samples
  )


def holds_years(column: Column) -> bool:
  """Whether all that a column holds could be years."""
  samples = [int(v) if isinstance(v, str) and v.isdigit() else v for v in column.samples]
  return bool(samples) and all(isinstance(v, (int, float)) and 1000 <= v <= 2100 for v in samples)


def looks_like_years(column: Column, words: Collection[str]) -> bool:
  """Whether a column holds years that its name does not tell of: "season", "creation"."""
  return (
    (column.kind == "number" or holds_digits(column))
    and len(column.samples) > 1
    and holds_years(column)
    and all(float(str(v)) >= _FIRST_YEAR and float(str(v)).is_integer() for v in column.samples)
    and not kinds.has_word(words, "code", "identifier", "quantity", "own text")
  )


def tags_of(column: Column, words: tuple[str, ...]) -> frozenset[str]:
  """The kinds of attribute: from the type first, then from the words of the name."""
  tags = set()
  # What a phrase is, its head says: the level of membership, the rank of the year.
  last = singular_of(
    words[words.index("of") - 1] if "of" in words[1:] and words[0] != "number" else words[-1]
  )
  if column.kind == "date":
    tags.add("date")
  for tag in kinds.TAGS:
    if not kinds.words_of(tag).isdisjoint((last, " ".join(words))):
      tags.add(tag)
  if column.kind == "number" and last == "date" and holds_years(column):
    tags.add("year")
  if not tags and looks_like_years(column, words):
    tags.add("year")
  if (column.kind == "number" and not day_numbers(column)) or (
    column.kind in ("text", "other") and last == "time"
  ):
    tags.discard("date")
  if column.kind == "number":
    tags -= {"place", "name", "type"}
  elif column.kind in ("text", "other") and not holds_digits(column):
    tags -= kinds.NUMERIC_TAGS
  if words[0] == "number" and len(words) > 2 and words[1] == "of":
    tags.add("count")
  if len(words) == 1 or (
    len(words) == 2 and words[0] in ("total", "release", "publication", "list")
  ):
    tags.add("plain")
  return frozenset(tags)


def property_of(column: Column, words: tuple[str, ...]) -> str:
  """What a yes/no column states: `is_active` -> "active", `has_tv` -> "has tv"; else ""."""
  yes_no = column.kind == "boolean" or kinds.holds_yes_no(column.samples)
  if len(words) > 1 and words[0] == "if" and yes_no:
    return " ".join(words[1:])
  if len(words) > 1 and words[0] in ("is", "has", "was", "can") and (yes_no or not column.samples):
    rest = " ".join(words[1:])
    return rest if words[0] in ("is", "was") else f"{words[0]} {rest}"
  if yes_no and len(words) > 1 and words[-1] == "flag" and follows_noun(words[-2]):
    # "abandoned_yn", "pets_allowed_yn"
    return words[0] if len(words) == 2 else f"has {' '.join(words[:-1])}"
  participle = (
    words[-1] in vocabulary.PARTICIPLES
    or words[-1] in vocabulary.ADJECTIVES
    or (words[-1].endswith("ed") and len(words) == 1)
  )
  # "in print", "on sale"
  stated = len(words) > 1 and words[0] in ("in", "on", "for", "under", "out")
  return " ".join(words) if yes_no and (participle or stated) else ""


def event_of(column: Column, words: list[str]) -> str:
  """The participle of a column called by what happened: "hired", "bought on", "date sold"."""
  rest = [w for w in words if w not in ("on", "at", "in", "of", "date", "year", "datetime", "time")]
  if words in (["birthday"], ["birthdate"]):
    rest = ["birth"]
  if len(rest) == 1 and (len(words) > 1 or holds_years(column)) or rest == ["birth"]:
    rest = [vocabulary.EVENT_STEMS.get(rest[0], rest[0])]
  if len(rest) != 1 or rest[0] not in vocabulary.EVENTS_OF_COLUMNS:
    return ""
  years = holds_years(column)
  return (
    rest[0]
    if column.kind == "date" or (column.kind == "number" and (years or "year" in words))
    else ""
  )


def counts(column: Column, words: list[str]) -> bool:
  """Whether a number column counts things and is called by them: "seats", "bikes available"."""
  if (
    not (column.kind == "number" or holds_digits(column))
    or words[0] in vocabulary.NOT_OF_COUNTS
    or "of" in words
    or "in" in words
  ):
    return False
  if words[0] in vocabulary.TIMES and len(words) > 1:
    return True  # "weeks on top"
  done = len(words) > 1 and (follows_noun(words[-1]) or words[-1].endswith("ing"))
  counted = words[: words.index("per")] if "per" in words[1:] else words[:-1] if done else words
  word = counted[-1] if counted else words[-1]
  alone = len(words) == 1 and column.kind == "number"  # Texts of hours tell when.
  if word in vocabulary.TIMES and (counted != words or alone):
    return True  # "hours played", "years working", "hours"
  return singular_of(word) != word and word not in vocabulary.NOT_COUNTED
