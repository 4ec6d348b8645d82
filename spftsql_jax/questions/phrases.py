"""Nouns of tables and columns, values and comparisons, as chosen for one question."""

from __future__ import annotations

import abc
import random
import re

from sqlglot import exp

from spftsql_jax.columns import kinds
from spftsql_jax.columns.attributes import day_numbers
from spftsql_jax.columns.splitting import split_name
from spftsql_jax.questions import wordings
from spftsql_jax.questions.features import OPERATORS
from spftsql_jax.questions.grammar import Context, Grammar
from spftsql_jax.questions.naming import (
  UNTOLD_KEY,
  ColumnName,
  Noun,
  SchemaNames,
  role_of,
  tells_a_role,
)
from spftsql_jax.questions.parts import Clause, Plan, TopWords, article, pick
from spftsql_jax.questions.plan import Literal, Top, belongs
from spftsql_jax.questions.plan_conditions import literal_of
from spftsql_jax.questions.plan_listings import is_single
from spftsql_jax.questions.query_meaning import Edge, Query, Ref, SetQuery, UnsupportedQuery
from spftsql_jax.schema import Column, Table

_MIDNIGHT = " 00:00:00"
_ONE = ("1", "one")
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_PLAIN_TEXT = re.compile(r"[A-Za-zÀ-ÿ0-9][\wÀ-ÿ\-&'./ ]*[\wÀ-ÿ]|\w")
_RISKY_WORDS = re.compile(
  r"\b(and|or|with|of|the|is|in|by|not|all|to|for|from|at|on|as|than|that|who)\b", re.IGNORECASE
)


def _names_rows(column: Column) -> bool:
  """Whether the numbers of a column are identifiers, which are written without commas."""
  return any(kinds.identifies((word,)) for word in split_name(column.name))


def _uses(query: Query, alias: str) -> list[str]:
  """All aliases of an alias's table."""
  return [a for a, table in query.sources.items() if table is query.sources[alias]]


class Phrases(abc.ABC):
  """The words of one question: a thing is called the same throughout it."""

  def __init__(self, names: SchemaNames, rng: random.Random, grammar: Grammar):
    self.names = names
    self.rng = rng
    self.grammar = grammar
    # Whether joined rows are meant as "at least one": where duplicates cannot show.
    self.existential = False
    # A nested query gives one row, though nothing in it says so.
    self.one_row = False
    # What both ends of a column are called where both are told: ["highest", "lowest"]; else empty.
    self.ends: list[str] = []
    # Whether a whole sentence may be said, not only a noun phrase within another.
    self.whole = True
    # What stands for a space within a value. Where phrases are compared word by word, a value is
    # one word.
    self.gap = " "
    self._table_nouns: dict[str, Noun] = {}
    self._column_nouns: dict[tuple[str, str], Noun] = {}
    self._synonym_rate = 0.22 if rng.random() < 0.6 else 0.0
    self.quote = "'" if rng.random() < 0.4 else '"'
    # Amounts of money carry their unit in some questions, where the schema tells it.
    chance = rng.random()
    self._currency = chance if chance < 0.12 else 0.0
    self._bare = rng.random() < 0.62
    self._long_dates = rng.random() < 0.4
    # What things are called is drawn apart: the first mention changes nothing else.
    self._naming = random.Random(rng.random())

  def maybe(self, probability: float) -> bool:
    """True with a probability, by the question's generator."""
    return self.rng.random() < probability

  def table_noun(self, table: Table) -> Noun:
    """The noun of a table's rows, the same throughout the question."""
    key = table.name.lower()
    if key not in self._table_nouns:
      nouns = self.names.table(table).nouns
      chosen = (
        self._naming.choice(nouns[1:])
        if len(nouns) > 1 and self._naming.random() < self._synonym_rate
        else nouns[0]
      )
      self._table_nouns[key] = chosen
    return self._table_nouns[key]

  def noun(self, query: Query, alias: str) -> Noun:
    """The noun of one table occurrence: the role that its foreign key gives it, or its table's."""
    table = query.sources[alias]
    for edge in query.edges:
      if edge.parent == alias and edge.same:
        return self.noun(query, edge.child)
      role = self.role(query, edge) if edge.parent == alias and edge.is_key else None
      if role is not None:
        return role
    uses = _uses(query, alias)
    if (
      len(uses) > 1
      and not any(e.child == alias for e in query.edges)
      and not self._are_told_apart(query, uses)
    ):
      raise UnsupportedQuery(f"two uses of table {table.name} that have no names of their own")
    noun = self.table_noun(table)
    parents = [e.parent for e in query.edges if e.child == alias and e.is_key and not e.same]
    beside = (self.beside(query, noun, alias, p) for p in parents if query.mentions(p))
    short = next((short for short in beside if short != noun), noun)
    # The lines of an invoice are not simply the lines of a product.
    return noun if len(parents) > 1 and short.singular in wordings.PARTS else short

  def beside(self, query: Query, noun: Noun, alias: str, parent: str) -> Noun:
    """What the rows of an alias are called beside those that they belong to."""
    short = self.names.beside(noun, query.sources[alias], query.sources[parent])
    # The friends of persons that are friends would be called as those are.
    return noun if short is noun or short == self.noun(query, parent) else short

  def _are_told_apart(self, query: Query, uses: list[str]) -> bool:
    """Whether names tell all uses of a table but one: films "with the actor Ann and with the actor
    Bob".
    """
    named = sum(is_single(query, self.names, alias) for alias in uses)
    return named >= len(uses) - 1 and all(edge.is_key for edge in query.edges)

  def one_of_several(self, query: Query, edge: Edge) -> bool:
    """Whether a join's table has other keys to the same table: a home team and an away team."""
    referred = query.sources[edge.parent].name.lower()
    keys = query.sources[edge.child].foreign_keys
    return sum(key.referred_table.lower() == referred for key in keys) > 1

  def role(self, query: Query, edge: Edge) -> Noun | None:
    """What a foreign key calls the row that it refers to, where that is not what all rows of its
    table are called.
    """
    table, child = query.sources[edge.parent], query.sources[edge.child]
    several = self.one_of_several(query, edge)
    role = role_of(edge.columns, table, self.names, several)
    if role is None:
      if several and tells_a_role(edge.columns[0], table, self.names):
        raise UnsupportedQuery(UNTOLD_KEY)
      return None
    thing = self.names.table(table).nouns[0].singular
    owner = role.singular.removesuffix(f" {thing}")
    if not several and any(owner in (n.singular, n.plural) for n in self.names.table(child).nouns):
      return None  # The customer address of a customer is the address.
    own = len(child.primary_key) == len(edge.columns) == 1
    if role.singular == self.names.table(child).nouns[0].singular or (
      own and child.primary_key[0].lower() == edge.columns[0].lower()
    ):
      return None  # A key that is also the child's own is named after the child.
    within = thing in role.singular.split()[:-1]
    return None if len(_uses(query, edge.parent)) == 1 and within else role

  def person(self, query: Query, alias: str) -> bool:
    """Whether the rows of an alias are people, so that they take who."""
    return self.names.table(query.sources[alias]).person or any(
      e.parent == alias and e.same and self.names.table(query.sources[e.child]).person
      for e in query.edges
    )

  def column_name(self, ref: Ref) -> ColumnName:
    """What a column is called in its schema."""
    return self.names.column(ref.table, ref.column)

  def short(self, ref: Ref) -> Noun:
    """A column's noun beside its entity, the same throughout the question.

    "Name" in "the name of the product".
    """
    key = (ref.table.name, ref.column.name)
    if key not in self._column_nouns:
      self._column_nouns[key] = self._choose_short(ref)
    return self._column_nouns[key]

  def _choose_short(self, ref: Ref) -> Noun:
    name = self.column_name(ref)
    options = name.short if self._naming.random() < 0.9 else name.nouns
    owner = self.names.table(ref.table).nouns[0]
    doubled = " " in owner.singular or self.table_noun(ref.table) != owner
    if doubled and name.nouns[0].singular.startswith(f"{owner.singular} "):
      options = name.short  # No "customer names of clients", no "shop owner names of shop owners".
    if (
      name.nouns[0].singular.split()[-1] in ("id", "code")
      and len(name.short[0].singular.split()) == 1
    ):
      options = name.short if self._naming.random() < 0.6 else name.nouns
    return (
      self._naming.choice(options[1:])
      if len(options) > 1 and self._naming.random() < self._synonym_rate
      else options[0]
    )

  def qualified(self, query: Query, ref: Ref) -> Noun:
    """A column's noun away from its entity: "product name"."""
    owner, name = self.noun(query, ref.alias), self.column_name(ref)
    full, short = name.nouns[0], name.short[0]
    if (
      owner.singular in full.singular
      or owner.singular.split()[-1] in full.singular.split()[:-1]
      or (owner.singular.split()[0] == full.singular.split()[0] and len(full.singular.split()) > 2)
      or name.nouns[0].singular == owner.singular
    ):
      return full
    if name.names_entity and self.maybe(0.3):
      return owner
    role = owner.singular != self.table_noun(ref.table).singular
    if " of " in short.singular or (role and " " in owner.singular):
      # "The city of the home address": "home address city" piles up nouns.
      return Noun(
        f"{short.singular} of the {owner.singular}", f"{short.plural} of the {owner.plural}"
      )
    return Noun(f"{owner.singular} {short.singular}", f"{owner.singular} {short.plural}")

  def value(self, node: exp.Expr, column: Column | None = None, date: bool = False) -> str:
    """A literal of a syntax tree as people write it. Raises UnsupportedQuery: it is none."""
    return self.literal(literal_of(node), column, date)

  def literal(self, value: Literal, column: Column | None = None, date: bool = False) -> str:
    """A value as people write it."""
    return self._literal(value, column, date).replace(" ", self.gap)

  def _literal(self, value: Literal, column: Column | None, date: bool) -> str:
    text, quoted = value.text, value.quoted
    if column is not None and not quoted and len(text) == 8 and day_numbers(column):
      text, quoted = f"{text[:4]}-{text[4:6]}-{text[6:]}", True
    elif (
      text.endswith(_MIDNIGHT)
      and column is not None
      and all(str(v).endswith(_MIDNIGHT) for v in column.samples)
    ):
      text = text.removesuffix(_MIDNIGHT)  # Days, of which no hour is told.
    if not quoted:
      return self._number(text, column, date)
    match = _DATE.fullmatch(text)
    if match and self._long_dates and 1 <= int(match[2]) <= 12:
      month, day = wordings.MONTHS[int(match[2]) - 1], int(match[3])
      return f"{month} {day}, {match[1]}" if self.maybe(0.7) else f"{day} {month} {match[1]}"
    if match or (date and re.fullmatch(r"[\d: .\-/T]+", text)):
      return text
    return self.text(text)

  def _number(self, text: str, column: Column | None, date: bool) -> str:
    if column is not None and self._currency and not date:
      unit = next((u for u in ("dollars", "euros") if u in column.comment), "")
      if unit:
        sign = "$" if unit == "dollars" else "€"
        return f"{text} {unit}" if self._currency > 0.06 else f"{sign}{text}"
    if (
      text.isdigit()
      and len(text) > 4
      and self.maybe(0.12)
      and not (column is not None and _names_rows(column))
    ):
      return f"{int(text):,}"
    return text

  def text(self, text: str) -> str:
    """A text value: bare where it cannot be mistaken, else in quotes that it does not contain."""
    if re.fullmatch(r"\d+(\.\d+)?", text) and self.maybe(0.7):
      return text
    proper = text[:1].isupper() or " " in text
    if (
      _PLAIN_TEXT.fullmatch(text)
      and len(text.split()) < 6
      and not (_RISKY_WORDS.search(text) and not text[:1].isupper())
    ):
      bare = self._bare if proper else self._bare and self.maybe(0.6)
      if bare and "'" not in text[-2:]:
        return text
    quote = self.quote
    if quote in text:
      quote = "'" if quote == '"' else '"'
    return f"{quote}{text}{quote}"

  def small(self, number: int) -> str:
    """A count: often in letters."""
    return (
      wordings.NUMBER_WORDS[number]
      if 0 <= number < len(wordings.NUMBER_WORDS) and self.maybe(0.4)
      else str(number)
    )

  def comparison(self, operator: str, value: str, style: str = "number") -> str:
    """ "more than 5", "5 or more", "before 2019". Styles: number, count, date."""
    return self._comparison(operator, value, style)[0]

  def compared(self, noun: str, operator: str, value: str, style: str = "number") -> Clause:
    """A noun compared with a value: "is at least 5", "a salary of at least 5"."""
    words, behind = self._comparison(operator, value, style)
    return Clause(noun, f"is {words}", f"{article(noun)} {behind}", compares=True)

  def _comparison(self, operator: str, value: str, style: str) -> tuple[str, str]:
    """How something stands to a value, alone and behind a noun: "at least 5", "of at least 5"."""
    features = {OPERATORS[operator], "timed"} if style == "date" else {OPERATORS[operator]}
    if value.startswith("the "):
      features.add("phrase")
    if value in _ONE:
      features.add("one")
    context = Context(features, {"value": value})
    section = "count compared" if style == "count" else "compared"
    row = self.grammar.pick(section, context, self.rng)
    words = self.grammar.fill(row, context, self.rng)
    return words, f"{row.mark} {words}" if row.mark else words

  def distinct_word(self, values: str = "") -> str:
    """ "different", of what is called `values`."""
    features = {"names"} if values.endswith(("name", "names")) else set()
    return self.grammar.say("distinct", Context(features, {}), self.rng)

  def superlative(self, tags: frozenset[str], descending: bool) -> str:
    """The adjective of a column's extreme: "highest", "most recent"."""
    for tag, (high, low) in wordings.NOUN_SUPERLATIVES.items():
      if tag in tags or tag == wordings.ANY_KIND:
        return pick(self.rng, high if descending else low)
    raise AssertionError("the table ends with a row for any column")

  def style(self, ref: Ref) -> str:
    """How values of a column are compared: as dates or as numbers."""
    return "date" if self.column_name(ref).tags & {"date", "year"} else "number"

  def belongs(self, query: Query, alias: str, head: str) -> bool:
    """Whether a column of `alias` is an attribute of the head: their rows are the same."""
    return belongs(query, alias, head)

  # What the layers above define.

  @abc.abstractmethod
  def clauses(self, query: Query, plan: Plan, alias: str, came_from: Edge | None) -> list[Clause]:
    """What is said of the rows of one alias."""

  @abc.abstractmethod
  def with_number(self, noun: Noun, clauses: list[Clause], person: bool, number: str) -> str:
    """A noun with its clauses; `number` is plural, singular, a or the."""

  @abc.abstractmethod
  def modified(self, noun: str, clauses: list[Clause], person: bool, plural: bool) -> str:
    """A noun with its clauses around it."""

  @abc.abstractmethod
  def verb(self, clause: Clause, plural: bool) -> str:
    """A clause as what follows who or that."""

  @abc.abstractmethod
  def plan(self, query: Query, head: str, spoken: set[str]) -> Plan:
    """Hands every condition to the table that it is about."""

  @abc.abstractmethod
  def condition(self, query: Query, node: exp.Expr, head: str) -> Clause:
    """Words one condition about the rows of `head`."""

  @abc.abstractmethod
  def _named(self, query: Query, plan: Plan, alias: str, came_from: Edge | None) -> str | None:
    """The value of the natural name, where that is the only thing said of a row."""

  @abc.abstractmethod
  def superlative_of(self, query: Query, head: str, top: Top) -> TopWords:
    """The first in an order."""

  @abc.abstractmethod
  def content(self, query: Query | SetQuery) -> str:
    """What a nested query returns, as one definite noun phrase."""
