"""Conditions on columns in English, each in five forms, by `grammars/english/conditions.txt`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.attributes import holds_digits
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import conjugate
from spftsql_jax.questions.features import OPERATORS, SORTS, features_of
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.naming import ColumnName
from spftsql_jax.questions.parts import (
  Clause,
  article,
  join_words,
  parted_unit,
  singular_head,
  things_counted,
)
from spftsql_jax.questions.phrases import Phrases
from spftsql_jax.questions.plan import (
  Attribute,
  Between,
  ColumnCondition,
  Compare,
  DatePart,
  Like,
  Literal,
  Missing,
  OneOf,
  Stated,
)
from spftsql_jax.questions.query_meaning import Query

_GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}
_PLAIN_VALUE = re.compile(r"(?=.{3})[^\W\d_]+([ -][^\W\d_]+)?")
# A text that tells a day, with or without its year; a time without one; one of a month.
_DAY = re.compile(r"(?=.*\d)[\w.]+[-/ ,]+[\w\-/ ,.:]+")
_LONG_TIME = re.compile(rf"({'|'.join(wordings.MONTHS)})( \d{{4}})?|\d{{4}}")
# Of a people, not of a country.
_DEMONYM = re.compile(r"\w+(ish|ese|ch|ian|ean|can|man)")
_CLASSES = ("category", "class")
_TYPES = ("type", "kind", *_CLASSES)


def unit_of(name: ColumnName) -> str:
  """The unit in a column's name, or ""."""
  return parted_unit(name.nouns[0].singular)[1]


def _with_unit(value: str, name: ColumnName, noun: str) -> str:
  """A value with the unit of its column's name, where the noun has it not: "above 100 billion"."""
  unit = unit_of(name)
  if not unit or noun.endswith(f" in {unit}"):
    return value
  return f"{value}%" if unit in ("percent", "percentage") else f"{value} {unit}"


def _counted(words: str, things: str) -> str:
  """ "more than 2 seats", "more than 1 seat"."""
  return f"{words} {singular_head(things) if words == '1' or words.endswith(' 1') else things}"


def _in(literal: Literal, column: str) -> str:
  """Whether something is at or in a place, by its name and the column's last word."""
  named = literal.text.lower().split()
  return "at" if column == "venue" or named[-1:] and named[-1] in wordings.SITES else "in"


def _demonym(*literals: Literal) -> tuple[str, ...]:
  """Whether any of some values is what people are ("French"), not where they are from."""
  return ("demonym",) if any(_DEMONYM.fullmatch(literal.text) for literal in literals) else ()


def _unfit(features: frozenset[str], literal: Literal) -> set[str]:
  """What a column's texts are said to be and this one is not: a day, a month."""
  text = literal.text
  if "of-month" in features and text not in wordings.MONTHS:
    return {"of-month"}
  if {"on-day", "text"} <= features and not (
    text in wordings.WEEKDAYS or _DAY.fullmatch(text) or _LONG_TIME.fullmatch(text)
  ):
    return {"on-day"}
  return set()


class ColumnConditions(Phrases):
  """Words what is said of rows by one of their columns."""

  def column_clause(self, query: Query, condition: ColumnCondition, noun: str = "") -> Clause:
    """A condition on one column. `noun` is the column's, where it is known already."""
    attribute = condition.attribute
    ref = attribute.ref
    if not noun:
      noun = (self.short(ref) if attribute.own else self.qualified(query, ref)).singular
    features = features_of(self.names, attribute)
    match condition:
      case Compare():
        return self._compared(condition, features, noun)
      case Stated():
        return self._stated(condition, features)
      case Between():
        return self._between(condition, features, noun)
      case OneOf():
        return self._one_of(condition, features, noun)
      case Like():
        return self._like(condition, features, noun)
      case Missing():
        return self._missing(condition, features, noun)
      case DatePart():
        return self._date_part(condition, features, noun)

  def _clause(
    self, section: str, features: Collection[str], noun: str, values: Mapping[str, Value]
  ) -> Clause:
    """A condition in each of its forms, of those that the grammar has for it."""
    context = Context(features, {"noun": noun, **values})

    def form(part: str) -> str:
      return self.grammar.say_if(f"{section}: {part}", context, self.rng)

    verb, post, adjective = form("verb"), form("post"), form("adjective")
    predicate = form("predicate")
    return Clause(
      noun if predicate else "",
      predicate,
      form("having"),
      (conjugate(verb),) if verb else (),
      (post,) if post else (),
      (adjective,) if adjective else (),
      by_name="named" in context.features and "equal" in context.features,
      compares=section in ("compare", "between", "against", "than that of"),
    )

  def _event(self, attribute: Attribute) -> dict[str, Value]:
    """What happened at a date that is called by it."""
    event = self.column_name(attribute.ref).event
    return {"event": event, "past": vocabulary.EVENTS_OF_COLUMNS[event][1]} if event else {}

  def _when(self, attribute: Attribute, when: str) -> dict[str, Value]:
    dated = f"of {when.removeprefix('on ')}" if when.startswith("on ") else when
    return {**self._event(attribute), "when": when, "dated": dated}

  def _compared_noun(self, name: ColumnName, noun: str) -> str:
    """The noun of a column that is compared with a value: mostly the value has the unit."""
    unit = unit_of(name)
    return noun.removesuffix(f" in {unit}") if unit and self.maybe(0.85) else noun

  def _compared(self, condition: Compare, features: frozenset[str], noun: str) -> Clause:
    attribute, operator = condition.attribute, OPERATORS[condition.operator]
    ref, name = attribute.ref, self.column_name(attribute.ref)
    noun = self._compared_noun(name, noun)
    literal = condition.value
    if operator in ("equal", "unequal"):
      return self._equal(condition, features, noun)
    timed = "timed" in features
    value = _with_unit(self.literal(literal, ref.column, timed), name, noun)
    told: set[str] = {*features, operator}
    things = things_counted(noun)
    if not things and (
      ref.column.kind == "number"
      and name.nouns[0].plural == noun
      and noun.endswith("s")
      and "date" not in features
    ):
      things = noun
    if things:
      told.add("things")
    if not attribute.own or ref.column.kind != "number":
      told.discard("plain")
    if noun in wordings.COSTS:
      told.add("cost")
    comparative = self._comparative(told, operator)
    if comparative:
      told.add("comparative")
    if not (attribute.own and ("plain" in features or "date" in features)):
      told.discard("dates-row")
    values: dict[str, Value] = {"value": value, "comparative": comparative}
    context = Context(told, values)
    row = self.grammar.pick("compared", context, self.rng)
    compared = self.grammar.fill(row, context, self.rng)
    told.add(row.mark)
    values |= {
      "compared": compared,
      "counted": lambda: _counted(self.grammar.say("count compared", context, self.rng), things),
      "measured": lambda: _with_unit(self.literal(literal, ref.column), name, ""),
      **self._when(attribute, compared),
    }
    return self._clause("compare", told, noun, values)

  def _comparative(self, features: Collection[str], operator: str) -> str:
    """ "older", of what is said of the thing itself."""
    if "plain" not in features or operator not in ("more", "less"):
      return ""
    for tag, (more, less) in wordings.THING_COMPARATIVES.items():
      if tag in features and (tag != "price" or "cost" in features):
        return more if operator == "more" else less
    return ""

  def _equal(self, condition: Compare, features: frozenset[str], noun: str) -> Clause:
    attribute, literal = condition.attribute, condition.value
    ref, name = attribute.ref, self.column_name(attribute.ref)
    if name.property:
      value = self.literal(literal)
      return self._clause("flag", {OPERATORS[condition.operator]}, noun, {"value": value})
    value = _with_unit(self.literal(literal, ref.column, "date" in features), name, noun)
    told = {*features, OPERATORS[condition.operator], *_demonym(literal)}
    if holds_digits(ref.column) and not told & {"label", "timed"}:
      told.add("number")
    last = noun.split()[-1]
    values: dict[str, Value] = {"value": value, "last": last, "in": _in(literal, last)}
    if attribute.own and "text" in told and noun in wordings.DIRECTIONS:
      told.add("directed")
      values["direction"] = wordings.DIRECTIONS[noun]
    the = "the " if literal.text.lower() in wordings.PLACES_WITH_THE else ""
    values["place"] = f"{the}{value}"
    if things := things_counted(noun):
      told.add("numbered")
      values["counted"] = _counted(value, things)
    if attribute.own:
      told |= self._sorts(features, noun, literal, ref.column.kind == "number")
      told -= _unfit(features, literal)
      values |= {"gender": _GENDERS.get(literal.text.lower(), ""), "plain value": literal.text}
      if told & {"event", "on-day", "of-month"}:
        long = _LONG_TIME.fullmatch(literal.text) or ("year" in told and "on-day" not in told)
        values |= self._when(attribute, f"{'in' if long else 'on'} {value}")
    return self._clause("equal", told, noun, values)

  def _sorts(self, features: frozenset[str], noun: str, literal: Literal, number: bool) -> set[str]:
    """How a value that the rows themselves have is said of them."""
    told: set[str] = set()
    sorted_ = features & {*SORTS, "event"}
    last = noun.split()[-1]
    if noun in wordings.COSTS and number and not sorted_:
      told.add("costs")
    if "type" in features and not number and not sorted_:
      if last in ("gender", "sex") and literal.text.lower() in _GENDERS:
        told.add("gendered")
      elif last in _TYPES and "plain" in features:
        told |= {"typed", "classed"} if last in _CLASSES else {"typed"}
      if "plain" in features and _PLAIN_VALUE.fullmatch(literal.text):
        told.add("adjectival")
    if "person" in features and not number and kinds.ends_in(noun.split(), "job", "title"):
      text = literal.text  # "Head Nurse": nurses do not work as Nurse.
      if " " in text and text[:1].isupper() and kinds.is_person(text.lower()):
        told.add("job")
    return told

  def _stated(self, condition: Stated, features: frozenset[str]) -> Clause:
    stated = self.column_name(condition.attribute.ref).property
    verb, _, rest = stated.partition(" ")
    if verb not in ("has", "can"):
      verb, rest = "is", stated
    told = {verb}
    if condition.holds:
      told.add("holds")
    if rest.endswith("ed"):
      told.add("done")
    if " " not in rest:
      told.add("single")
    return self._clause("stated", told, "", {"stated": rest})

  def _between(self, condition: Between, features: frozenset[str], noun: str) -> Clause:
    attribute = condition.attribute
    ref, name = attribute.ref, self.column_name(attribute.ref)
    noun = self._compared_noun(name, noun)
    low, high = (
      _with_unit(self.literal(end, ref.column, True), name, noun)
      for end in (condition.low, condition.high)
    )
    told = set(features)
    if noun in wordings.COSTS:
      told.add("cost")
    if things := things_counted(noun):
      told.add("numbered")
    values: dict[str, Value] = {"low": low, "high": high}
    span = self.grammar.say("span", Context(told, values), self.rng)
    values |= {"span": span, "things": things, **self._when(attribute, span)}
    clause = self._clause("between", told, noun, values)
    if condition.negated:
      return Clause(clause.noun, clause.predicate.replace("is ", "is not ", 1))
    return clause

  def _one_of(self, condition: OneOf, features: frozenset[str], noun: str) -> Clause:
    ref = condition.attribute.ref
    words = [self.literal(value, ref.column, True) for value in condition.values]
    told = {*features, *_demonym(*condition.values)}
    told -= {kind for value in condition.values for kind in _unfit(features, value)}
    if condition.negated:
      told.add("denied")
    if len(words) > 2:
      told.add("many")
    if things := things_counted(noun):
      told.add("numbered")
    values: dict[str, Value] = {
      "in": _in(condition.values[0], noun.split()[-1]),
      "any": join_words(words, "or"),
      "things": things,
      "nor": join_words(words, "nor"),
      "all": join_words(words),
    }
    among = self.grammar.say("among", Context(told, values), self.rng)
    on = "in" if "year" in features else "on"
    values |= {"among": among, **self._when(condition.attribute, f"{on} {among}")}
    return self._clause("one of", told, noun, values)

  def _like(self, condition: Like, features: frozenset[str], noun: str) -> Clause:
    text = condition.text
    told: set[str] = {condition.place}
    if condition.negated:
      told.add("denied")
    plain = condition.place != "pattern" and (
      self.maybe(0.15) and text.isalnum() or self.quote in text
    )
    value = self.text(text) if plain else f"{self.quote}{text}{self.quote}"
    value = value.replace(" ", self.gap)
    if text.isalpha() and len(text) > 3:
      told.add("word")
    return self._clause("like", told, noun, {"text": value})

  def _missing(self, condition: Missing, features: frozenset[str], noun: str) -> Clause:
    told = {*features, "missing"} if condition.missing else features
    return self._clause("missing", told, noun, self._event(condition.attribute))

  def _date_part(self, condition: DatePart, features: frozenset[str], noun: str) -> Clause:
    kind, text = condition.part, condition.value.text
    operator = OPERATORS[condition.operator]
    if kind == "month" and text.isdigit() and 1 <= int(text) <= 12:
      value = wordings.MONTHS[int(text) - 1]
    elif kind == "year and month" and len(text) == 7 and 1 <= int(text[5:]) <= 12:
      value = f"{wordings.MONTHS[int(text[5:]) - 1]} {text[:4]}"
    else:
      value = text
    told = {*features, operator} - {"year", "date", "timed"}
    values: dict[str, Value] = {"value": value, "kind": kind}
    ordered = operator not in ("equal", "unequal")
    if kind in ("year", "month", "year and month") and not (kind == "month" and ordered):
      told |= {"spoken", "year"} if kind == "year" else {"spoken"}
      when = self.grammar.say("date part: when", Context(told, values), self.rng)
      values |= {"when": when, **self._when(condition.attribute, when), "dated": when}
    else:
      told -= {"event", "own"}
      noun = f"{kind} of the {noun}"
      if ordered:
        values["compared"] = self.grammar.say("compared", Context(told, values), self.rng)
    return self._clause("date part", told, noun, values)


def clause_of_span(clauses: list[Clause], conjunction: str, said: str) -> Clause:
  """Conditions on one column as one: "a price above 5 and below 9"."""
  noun = clauses[0].noun
  span = join_words([clause.predicate.removeprefix("is ") for clause in clauses], conjunction)
  return Clause(noun, f"is {said}{span}", f"{article(noun)} {said}{span}")
