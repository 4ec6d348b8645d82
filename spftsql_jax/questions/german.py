"""German: the same plans in the words of `grammars/german/`, with a file of nouns for a schema.

Counts, listings, filters and superlatives over one table. What a table or column is called stands
in a file, since German names cannot be read out of English ones:

    [tables]
    doctor: Arzt, Ärzte, m
    patient: Patient, Patienten, m, Patienten

    [columns]
    doctor.salary: Gehalt, Gehälter, n
    product.is_active: aktiv

A noun has its plural and gender, and its form after "den" and "dem" where that is another; a yes or
no has an adjective.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from spftsql_jax.columns.word_lists import by_word, read_lists
from spftsql_jax.questions.features import OPERATORS, features_of
from spftsql_jax.questions.grammar import FOLDER, Context, Grammar, GrammarError, Value, read_folder
from spftsql_jax.questions.naming import names_of
from spftsql_jax.questions.parts import join_words
from spftsql_jax.questions.plan import (
  Against,
  Alike,
  Attribute,
  Between,
  Both,
  Compare,
  Computed,
  Condition,
  Count,
  CountKnown,
  CountValues,
  DatePart,
  Either,
  Like,
  Listing,
  Literal,
  Member,
  Missing,
  OneOf,
  Order,
  Question,
  Rows,
  Stated,
  Top,
  Unmoved,
)
from spftsql_jax.questions.plan_conditions import plan_condition
from spftsql_jax.questions.plan_listings import plan_count, plan_listing
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery, read_query
from spftsql_jax.questions.syntax import aggregate_in
from spftsql_jax.schema import Schema

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_ARTICLES = {
  "der": {"m": "der", "f": "die", "n": "das"},
  "den": {"m": "den", "f": "die", "n": "das"},
  "dem": {"m": "dem", "f": "der", "n": "dem"},
  "welcher": {"m": "Welcher", "f": "Welche", "n": "Welches"},
}


@dataclasses.dataclass(frozen=True)
class GermanNoun:
  """A noun; `oblique` is its form after "den" and "dem"."""

  singular: str
  plural: str
  gender: str
  oblique: str

  def __str__(self) -> str:
    return self.singular


@dataclasses.dataclass(frozen=True)
class Extreme:
  """The stem of a superlative, and the gender of the noun behind it."""

  stem: str
  gender: str

  def __str__(self) -> str:
    return self.stem


def form(value: Value, name: str) -> str:
  """What a slot stands for, in a form. Raises GrammarError: German has no such form."""
  if isinstance(value, GermanNoun):
    match name:
      case "oblique":
        return value.oblique
      case "plural":
        return value.plural
      case "dative" | "dativeplural":
        return _dative(value.plural)
      case "der" | "welcher":
        return f"{_ARTICLES[name][value.gender]} {value.singular}"
      case "den" | "dem":
        return _ARTICLES[name][value.gender]
  if isinstance(value, Extreme) and name == "schwach":  # Behind "den", "die" or "das".
    return f"{value.stem}{'en' if value.gender == 'm' else 'e'}"
  raise GrammarError(f"no form {name!r} of {value!r} in German")


def _dative(plural: str) -> str:
  return plural if plural.endswith(("n", "s")) else f"{plural}n"


@functools.cache
def grammar() -> Grammar:
  """The wordings of German."""
  return Grammar(read_folder(FOLDER / "german"), form)


def read_names(path: Path) -> Mapping[str, GermanNoun | str]:
  """The nouns of a file: of tables by their name, of columns by "table.column", in small letters.

  Raises GrammarError: a line that is no noun, with the file.
  """
  try:
    lists = read_lists(path)
  except ValueError as error:
    raise GrammarError(str(error)) from None
  names: dict[str, GermanNoun | str] = {}
  for name, said in by_word(line for lines in lists.values() for line in lines).items():
    parts = [part.strip() for part in said.split(",")]
    if len(parts) not in (1, 3, 4) or not all(parts) or (len(parts) > 1 and parts[2] not in "mfn"):
      raise GrammarError(f"{path}: {name}: {said!r} is not a noun, its plural and m, f or n")
    if len(parts) == 1:
      names[name.lower()] = parts[0]
    else:
      names[name.lower()] = GermanNoun(parts[0], parts[1], parts[2], (parts[3:] or parts[:1])[0])
  return names


def write_german(
  sql: str, schema: Schema, nouns: Mapping[str, GermanNoun | str], rng: random.Random
) -> str:
  """One wording of a query in German. Raises UnsupportedQuery."""
  return _Writer(schema, nouns, rng).question(_plan(sql, schema))


def _plan(sql: str, schema: Schema) -> Question:
  query = read_query(sql, schema)
  if not isinstance(query, Query) or query.derived is not None:
    raise UnsupportedQuery("German: more than one SELECT")
  if len(query.sources) > 1:
    raise UnsupportedQuery("German: more than one table")
  if query.group or query.having:
    raise UnsupportedQuery("German: groups")
  if not any(map(aggregate_in, query.items)):
    return plan_listing(query, names_of(schema))
  count = None
  if len(query.items) == 1:
    count = plan_count(query, query.items[0], Rows(query, next(iter(query.sources))))
  if count is None:
    raise UnsupportedQuery("German: aggregates other than one count")
  return count


class _Writer:
  """Words one question."""

  def __init__(self, schema: Schema, nouns: Mapping[str, GermanNoun | str], rng: random.Random):
    self.names, self.nouns, self.rng = names_of(schema), nouns, rng
    self.grammar = grammar()

  def question(self, plan: Question) -> str:
    """The words of a plan."""
    query, head = plan.rows.query, plan.rows.head
    noun = self._noun(query.sources[head].name)
    clauses = [
      self._clause(plan_condition(query, node, head, self.names)) for node in query.conditions
    ]
    said = f", {' und '.join(clauses)}" if clauses else ""
    values: dict[str, Value] = {"noun": noun, "said": said}
    features = {"said"} if clauses else set()
    match plan:
      case Count():
        return self._say("count", features, values, noun)
      case CountValues():
        values["columns"] = self._column(plan.attribute).plural
        return self._say("count values", features, values, noun)
      case CountKnown():
        values["column"] = self._column(plan.attribute)
        return self._say("count known", features, values, noun)
      case Listing():
        return self._listing(plan, features, values, noun)

  def _say(
    self, section: str, features: set[str], values: dict[str, Value], noun: GermanNoun
  ) -> str:
    """A sentence about rows, whose noun mostly stands in the plural."""
    many = dataclasses.replace(noun, singular=noun.plural)
    return self.grammar.say(section, Context(features, {**values, "nouns": many}), self.rng)

  def _listing(
    self, plan: Listing, features: set[str], values: dict[str, Value], noun: GermanNoun
  ) -> str:
    columns = [self._column(column) for column in plan.columns]
    if len(columns) > 1:
      features.add("several")
    if plan.distinct:
      features.add("distinct")
    first = plan.columns[0] if len(plan.columns) == 1 else None
    if (
      isinstance(first, Attribute)
      and not plan.distinct
      and self.names.column(first.ref.table, first.ref.column).names_entity
    ):
      features.add("natural")
    values["sorted"] = self._sorted(plan.order)
    if plan.top is not None:
      return self._top(plan.top, columns, features, values, noun)
    if not columns:
      if plan.distinct:
        raise UnsupportedQuery("German: different rows")
      return self._say("everything", features, values, noun)
    values["columns"] = join_words([column.plural for column in columns], "und")
    return self._say("listing", features, values, noun)

  def _top(
    self,
    top: Top,
    columns: Sequence[GermanNoun],
    features: set[str],
    values: dict[str, Value],
    noun: GermanNoun,
  ) -> str:
    if not columns or len(top.order) != 1 or "distinct" in features:
      raise UnsupportedQuery("German: the first rows of this order")
    order = top.order[0]
    by = self._column(order.by)
    if isinstance(order.by, Attribute):
      if order.by.ref.column.kind not in ("number", "date"):
        raise UnsupportedQuery("German: the first in the alphabet")
      features |= features_of(self.names, order.by) & {"timed"}
    if order.descending:
      features.add("down")
    extreme = self.grammar.say("extreme", Context(features, {}), self.rng)
    if top.limit == 1:
      features.add("one")
      said = join_words([form(column, "der") for column in columns], "und")
    else:
      said = join_words([column.plural for column in columns], "und")
    values |= {
      "by": by,
      "extreme": Extreme(extreme, by.gender),
      "columns": said,
      "number": str(top.limit),
      "among": "",
    }
    if "said" in features:
      values["among"] = f" {self.grammar.say('among', Context((), values), self.rng)}"
    return self._say("top", features, values, noun)

  def _sorted(self, orders: Sequence[Order]) -> str:
    said = []
    for order in orders:
      features = {*(("down",) if order.descending else ()), *(("several",) * (len(orders) > 1))}
      by = Context(features, {"by": self._column(order.by)})
      said.append(self.grammar.say("order", by, self.rng))
    if not said:
      return ""
    return self.grammar.say("sorted", Context((), {"orders": ", dann nach ".join(said)}), self.rng)

  def _clause(self, condition: Condition) -> str:
    """A condition as a relative clause."""
    match condition:
      case Both():
        return " und ".join(map(self._clause, condition.members))
      case Either():
        if any(isinstance(member, Both) for member in condition.members):
          raise UnsupportedQuery("German: and within or")
        members = " oder ".join(map(self._clause, condition.members))
        return self.grammar.say("either", Context((), {"members": members}), self.rng)
      case Member() | Against() | Alike() | Unmoved():
        raise UnsupportedQuery("German: a condition that holds a query or computes")
    attribute = condition.attribute
    features = set(features_of(self.names, attribute))
    section, values = self._told(condition, features)
    if not isinstance(condition, Stated):
      values["column"] = self._column(attribute).singular
    return self.grammar.say(section, Context(features, values), self.rng)

  def _told(self, condition: Condition, features: set[str]) -> tuple[str, dict[str, Value]]:
    """The construct of a condition and its values; adds to the features."""
    match condition:
      case Compare():
        features.add(OPERATORS[condition.operator])
        value = _value(condition.value)
        day = _DATE.fullmatch(condition.value.text)
        return "compare", {"value": value, "when": f"dem {value}" if day else value}
      case DatePart() if condition.part == "year":
        features.add(OPERATORS[condition.operator])
        return "part year", {"value": condition.value.text}
      case Between():
        features |= {"denied"} if condition.negated else set()
        return "between", {"low": _value(condition.low), "high": _value(condition.high)}
      case OneOf():
        features |= {"denied"} if condition.negated else set()
        said = [_value(value) for value in condition.values]
        return "one of", {"any": join_words(said, "oder"), "nor": " noch ".join(said)}
      case Like():
        features |= {"denied"} if condition.negated else set()
        features.add(condition.place)
        return "like", {"text": _quoted(condition.text)}
      case Missing():
        features |= {"missing"} if condition.missing else set()
        return "missing", {}
      case Stated():
        features |= {"holds"} if condition.holds else set()
        ref = condition.attribute.ref
        stated = self.nouns.get(f"{ref.table.name}.{ref.column.name}".lower())
        if not isinstance(stated, str):
          raise UnsupportedQuery(f"German: no adjective for {ref.table.name}.{ref.column.name}")
        return "stated", {"stated": stated}
    raise UnsupportedQuery(f"German: {type(condition).__name__}")

  def _noun(self, name: str) -> GermanNoun:
    noun = self.nouns.get(name.lower())
    if not isinstance(noun, GermanNoun):
      raise UnsupportedQuery(f"German: no noun for {name}")
    return noun

  def _column(self, column: Attribute | Computed) -> GermanNoun:
    if isinstance(column, Computed):
      raise UnsupportedQuery("German: what is computed")
    return self._noun(f"{column.ref.table.name}.{column.ref.column.name}")


def _value(value: Literal) -> str:
  """A value as German writes it: 2,5 and 3.2.2015, and text in quotes."""
  if not value.quoted:
    return value.text.replace(".", ",")
  day = _DATE.fullmatch(value.text)
  if day:
    return f"{int(day[3])}.{int(day[2])}.{day[1]}"
  return _quoted(value.text)


def _quoted(text: str) -> str:
  return f"„{text}“"
