"""What guards of a grammar ask about columns and comparisons, whatever the language."""

from __future__ import annotations

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.kinds import ends_in, is_label
from spftsql_jax.questions import wordings
from spftsql_jax.questions.naming import SchemaNames
from spftsql_jax.questions.plan import Attribute

OPERATORS = {
  "=": "equal",
  "!=": "unequal",
  ">": "more",
  "<": "less",
  ">=": "at-least",
  "<=": "at-most",
}
# What a column says beside its table's name when it holds the time of its rows.
_TIME_WORDS = frozenset(
  {"date", "year", "month", "day", "time", "datetime"}
  | {"of", "release", "publication", "publish", "event"}
)
_GOES_ON = frozenset({"in", "on", "at", "by", "from", "to", "for", "with"})
# Kinds of which one is said of a value, the first that fits.
SORTS = ("named", "place", "nationality", "of-year", "of-month", "on-day", "of-age")


def features_of(names: SchemaNames, attribute: Attribute) -> frozenset[str]:
  """What a column is: its kind and tags (`kinds.TAGS`), and how its rows stand to it.

  own: it belongs to the rows that are spoken of. timed: a date or a year. label: a number that
  names something, or its place among others. person: of people.
  event: called by what happened then; passive: that is also said behind a noun ("hired in 2010");
  optional: it may not have happened yet. dates-row: its rows happen then; takes-place, made: with
  these verbs. named, place, nationality, of-year, of-month, on-day, of-age: how a value of it is
  said of a row. told-apart: best said with its column. work: made by people somewhere. relation:
  what a row is to its value ("continuation of"). within: its name goes on behind a preposition, so
  that no value may stand there ("rank in round").
  """
  table, column, own = attribute.ref.table, attribute.ref.column, attribute.own
  key = (table.name.lower(), column.name.lower(), own)
  found = names.features.get(key)
  if found is None:
    found = names.features[key] = _features(names, attribute)
  return found


def _features(names: SchemaNames, attribute: Attribute) -> frozenset[str]:
  table, column, own = attribute.ref.table, attribute.ref.column, attribute.own
  name, of_table = names.column(table, column), names.table(table)
  tags = name.tags
  found = set(tags - {"place"})
  found.add(column.kind)
  if of_table.person:
    found.add("person")
  if tags & {"date", "year"}:
    found.add("timed")
  if not {*name.short[0].singular.split()[1:-1]}.isdisjoint(_GOES_ON):
    found.add("within")
  if is_label(name.nouns[0].singular.split()):
    found.add("label")
  if name.event:
    past = vocabulary.EVENTS_OF_COLUMNS[name.event][1]
    found.add("event")
    if past.startswith("were ") or name.event in ("opened", "started"):
      found.add("passive")
    if own and past.startswith("were ") and name.event in vocabulary.OPTIONAL_EVENTS:
      found.add("optional")
  if not own:
    return frozenset(found)
  found.add("own")
  if column.kind == "text" and name.short[0].singular.endswith(" of"):
    found.add("relation")
  dated = next((tag for tag in ("date", "year") if tag in tags), "")
  if dated and dates_its_rows(names, attribute, dated):
    found.add("dates-row")
  last = of_table.nouns[0].singular.split()[-1]
  if last in wordings.MEETINGS | wordings.OCCASIONS | wordings.SHOWS:
    found.add("takes-place")
  elif (
    last in wordings.DEEDS
    and wordings.DEEDS[last][0] == "made"
    or last in ("order", "loan", "complaint", "claim")
  ):
    found.add("made")
  if last in wordings.WORKS:
    found.add("work")
  places = [c for c in table.columns if {"place", "plain"} <= names.column(table, c).tags]
  word = name.short[0].singular
  title = ends_in(word.split(), "title")  # That of a person is no name.
  if len(places) > 1 and word in wordings.LEVELS_OF:
    found.add("told-apart")
  fits = {
    "named": name.names_entity or ({"name", "plain"} <= tags and not (of_table.person and title)),
    "place": (len(places) == 1 or word in wordings.LEVELS)
    if column in places
    else column.kind == "text" and word.removesuffix(" name") in wordings.LEVELS,
    "nationality": word == "nationality",
    "of-year": "year" in tags and dates_its_rows(names, attribute, "year"),
    "of-month": "month" in tags and dates_its_rows(names, attribute, "month"),
    "on-day": "date" in tags and dates_its_rows(names, attribute, "date"),
    "of-age": "age" in tags,
  }
  found.update([sort for sort in SORTS if fits[sort]][:1])
  return frozenset(found)


def dates_its_rows(names: SchemaNames, attribute: Attribute, tag: str) -> bool:
  """Whether "in 2019" needs no column name.

  The rows happen at a time, and no other column of the table shares the tag. A visit happens on its
  date, and a film is of its year; "the owners after 2007" says nothing of when they became members.
  """
  table, column = attribute.ref.table, attribute.ref.column
  of_table = names.table(table)
  if of_table.person or sum(tag in names.column(table, c).tags for c in table.columns) != 1:
    return False
  words = of_table.nouns[0].singular.split()
  happens = (
    words[-1] in wordings.MEETINGS | wordings.OCCASIONS | wordings.SHOWS
    or words[-1] in wordings.DEEDS
  )
  short = names.column(table, column).short[0].singular
  return happens or set(short.split()) <= {*words, *_TIME_WORDS}
