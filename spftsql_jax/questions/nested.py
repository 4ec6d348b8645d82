"""Conditions that hold a query in English, by `grammars/english/nested.txt`."""

from __future__ import annotations

import dataclasses

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import conjugate
from spftsql_jax.questions.entities import Entities
from spftsql_jax.questions.features import OPERATORS
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.naming import Noun, role_of
from spftsql_jax.questions.parts import (
  Clause,
  article,
  parted_unit,
  relation_preposition,
)
from spftsql_jax.questions.plan import (
  Against,
  Alike,
  Attribute,
  Computed,
  Member,
  NestedCondition,
  Top,
)
from spftsql_jax.questions.plan_listings import head_of, plan_orders
from spftsql_jax.questions.plan_nested import far_end, key_between, key_of
from spftsql_jax.questions.query_meaning import Query, Ref
from spftsql_jax.questions.syntax import is_link, is_pure_link, operator_of


class Nested(Entities):
  """Words nested queries."""

  def nested(self, query: Query, condition: NestedCondition, head: str) -> Clause:
    """A condition that holds a query."""
    match condition:
      case Member():
        return self.member(query, condition, head)
      case Against():
        return self._against(query, condition, head)
      case Alike():
        noun = self.short(condition.attribute.ref).singular
        return self._clause("alike", (), noun, {})

  def member(self, query: Query, plan: Member, head: str) -> Clause:
    """A column among what a query returns."""
    told = {"denied"} if plan.negated else set()
    nested, other = plan.others, plan.other
    if isinstance(nested, Query) and other is not None:
      match plan.how:
        case "referred" | "role":
          return self._referred(query, plan, nested, other, head, told)
        case "counted":
          return self._counted_rows(nested, other)
        case "refers":
          return self._refers(query, plan, nested, other, head, told)
        case "rows":
          rows = self.phrase(nested, self.plan(nested, other.alias, set()), other.alias)
          return self._clause("in rows", told, "", {"rows": rows})
        case "shared":
          return self._shared_row(query, plan, nested, other)
    noun = self._noun_of(query, plan.attribute)
    return self._clause("in values", told, noun, {"values": self.content(nested)})

  def _noun_of(self, query: Query, subject: Attribute | Computed, head: str = "") -> str:
    if isinstance(subject, Computed):
      return self.expression(query, subject.node, head).singular
    return (self.short(subject.ref) if subject.own else self.qualified(query, subject.ref)).singular

  def _rows(self, nested: Query, alias: str) -> tuple[Noun, list[Clause], str, str]:
    """Rows of a nested query: their noun, what is said of them, all of them, and one of them."""
    plan = self.plan(nested, alias, set())
    noun, clauses = self.noun(nested, alias), self.clauses(nested, plan, alias, None)
    table, edges = nested.sources[alias], nested.neighbours(alias)
    if is_link(table) and not plan.own.get(alias) and len(edges) == 1 and edges[0].child == alias:
      far = edges[0].parent
      noun, clauses = self.noun(nested, far), self.clauses(nested, plan, far, edges[0])
    return noun, clauses, *self._told(noun, clauses)

  def _told(self, noun: Noun, clauses: list[Clause]) -> tuple[str, str]:
    every, one = (
      self.with_number(noun, clauses, is_person(noun.singular), n) for n in ("plural", "a")
    )
    return every, one

  def _linked(self, nested: Query, other: Ref) -> Noun | None:
    """What a link table without more to say stands for: the rows of its other key."""
    if nested.edges or not is_pure_link(other.table):
      return None
    ends = [k for k in other.table.foreign_keys if other.column.name not in k.columns]
    return self._referred_noun(nested, ends[-1]) if ends else None

  def _referred(
    self, query: Query, plan: Member, nested: Query, other: Ref, head: str, told: set[str]
  ) -> Clause:
    """Rows that others refer to, or none does."""
    person, table = self.person(query, head), other.table
    role = role_of((other.column.name,), plan.attribute.ref.table, self.names)
    end = far_end(nested, other) if plan.how == "role" else None
    if role is not None and end is not None:
      return self._in_a_role(nested, role, end, told)
    noun, clauses, every, one = self._rows(nested, other.alias)
    linked = self._linked(nested, other)
    if linked is not None:
      noun = linked
      every, one = self._told(noun, clauses)
    if role is not None and plan.how == "role":  # "players without any match as a loser"
      every, one = (f"{words} as {article(role.singular)}" for words in (every, one))
    before, self.existential = self.existential, True
    clause = None
    if not clauses and not nested.edges and plan.how != "role":
      clause = self.happening(person, table, (other.column.name,), noun, plan.negated, nested)
    clause = clause or self.child_relation(
      every, plan.negated, person, noun, one, bool(clauses), self.noun(query, head)
    )
    self.existential = before
    return clause

  def _in_a_role(
    self, nested: Query, role: Noun, end: tuple[str, object], told: set[str]
  ) -> Clause:
    """ "states that are borders of the state Texas"."""
    alias, value = end
    if value is None:
      edge = nested.edges[0]
      plan = self.plan(nested, alias, set())
      noun, name = self.noun(nested, alias), self._named(nested, plan, alias, edge)
      clauses = self.clauses(nested, plan, alias, edge)
      whose = self.with_number(noun, clauses, self.person(nested, alias), "a")
    else:
      condition = nested.conditions[0]
      ref = nested.ref(condition.this)
      key = key_of(ref)
      assert key is not None
      noun = self.table_noun(nested.schema.table(key.referred_table))
      name, whose = self.value(condition.expression, ref.column), ""
    if name is not None:
      whose = f"the {noun.singular} {name}"
    said = (
      self.grammar.say("in a role: verb", Context(told, {"roles": roles, "whose": whose}), self.rng)
      for roles in (role.plural, article(role.singular))
    )
    return Clause(verbs=(conjugate(*said),))

  def _counted_rows(self, nested: Query, other: Ref) -> Clause:
    """IN (SELECT key ... GROUP BY key HAVING COUNT(*) > n)."""
    rows = self.phrase(nested, self.plan(nested, other.alias, set()), other.alias)
    comparison = nested.having[0]
    counted = self.counted(operator_of(comparison), comparison.expression, rows)
    return self._clause("counted", (), "", {"counted": counted})

  def _refers(
    self, query: Query, plan: Member, nested: Query, other: Ref, head: str, told: set[str]
  ) -> Clause:
    """Rows that refer to others of which more is said."""
    key = key_between(plan.attribute.ref, other)
    assert key is not None
    person = self.person(nested, other.alias)
    clauses = self.clauses(nested, self.plan(nested, other.alias, set()), other.alias, None)
    noun = role_of(key.columns, other.table, self.names) or self.noun(nested, other.alias)
    if plan.attribute.own and not plan.negated:
      return self.parent_relation(noun, clauses, person, None, self.noun(query, head))
    rows = self.with_number(noun, clauses, person, "plural")
    return self._clause("not of", told, noun.singular, {"rows": rows})

  def _shared_row(self, query: Query, plan: Member, nested: Query, other: Ref) -> Clause:
    """Both refer to the same row: "reservations for books that have no loans"."""
    key, theirs = key_of(plan.attribute.ref), key_of(other)
    assert key is not None and theirs is not None
    noun = self._referred_noun(query, key)
    person = is_person(noun.singular)
    clauses = self.clauses(nested, self.plan(nested, other.alias, set()), other.alias, None)
    others = self.noun(nested, other.alias)
    if not clauses:
      others = self._linked(nested, other) or others
    every, one = self._told(others, clauses)
    inner = None
    if not clauses:
      inner = self.happening(
        person, other.table, (other.column.name,), others, plan.negated, nested
      )
    inner = inner or self.child_relation(every, plan.negated, person, others, one, bool(clauses))
    described = self.modified(noun.plural, [inner], person, True)
    clause = self._of_others(noun, described)
    return dataclasses.replace(clause, noun=noun.singular, predicate=self.verb(inner, False))

  def _of_others(self, noun: Noun, others: str) -> Clause:
    preposition = relation_preposition(noun.singular, "", is_person(noun.singular))[0]
    told = {"of"} if preposition == "of" else set()
    return self._clause("of others", told, "", {"preposition": preposition, "others": others})

  def _row(self, nested: Query) -> str:
    """The one row of which a query returns a column: "the doctor with the highest salary"."""
    head = head_of(nested)
    clauses = self.clauses(nested, self.plan(nested, head, set()), head, None)
    noun, person = self.noun(nested, head), self.person(nested, head)
    if nested.limit is None:
      return self.with_number(noun, clauses, person, "the")
    top = self.superlative_of(nested, head, Top(plan_orders(nested, nested.order, head), 1))
    put = Noun(top.put(noun.singular), top.put(noun.plural))
    return self.with_number(put, [*clauses, *top.clauses], person, "the")

  def _against(self, query: Query, plan: Against, head: str) -> Clause:
    """What is compared with the value that a query returns."""
    noun = self._noun_of(query, plan.subject, head)
    operator, nested = OPERATORS[plan.operator], plan.others
    ref = plan.subject.ref if isinstance(plan.subject, Attribute) else None
    match plan.how:
      case "same":
        told = {"denied"} if operator == "unequal" else set()
        return self._clause("same as", told, noun, {"row": self._row(nested)})
      case "row" if operator == "equal":
        other = nested.ref(nested.items[0].unalias())
        assert ref is not None
        key = key_between(ref, other)
        assert key is not None
        role = role_of(key.columns, other.table, self.names) or self.noun(nested, other.alias)
        return self._of_others(role, self._row(nested))
      case "all" | "alike" | "rows" | "such":
        assert ref is not None
        return self._against_extreme(plan, ref, parted_unit(noun)[0], operator)
    before, self.one_row = self.one_row, plan.function is None
    value = self.content(nested)
    self.one_row = before
    if operator in ("equal", "unequal"):
      told = {operator, "computed"} if plan.function is not None else {operator}
      return self._clause("same value", told, noun, {"value": value})
    return self.compared(noun, plan.operator, value, self.style(ref) if ref else "number")

  def _against_extreme(self, plan: Against, ref: Ref, noun: str, operator: str) -> Clause:
    """An average or extreme of the same column, over all rows or some."""
    nested, function = plan.others, plan.function
    average, highest = function == "avg", function == "max"
    told = {operator, "average"} if average else {operator}
    values: dict[str, Value] = {"noun": noun}
    within = ""
    if plan.how != "all":
      alias = next(iter(nested.sources))
      values["things"] = self.table_noun(ref.table).plural
      if plan.how == "rows":
        values["rows"] = self.phrase(nested, self.plan(nested, alias, set()), alias)
      elif plan.how == "alike":
        columns = nested.conditions[0].this, nested.conditions[0].expression
        inner = next(r for r in map(nested.ref, columns) if not r.outer)
        values["noun"] = self.short(inner).singular
      told |= {plan.how, "within"}
      within = f" {self.grammar.say('over rows', Context(told, values), self.rng)}"
    values |= {
      "noun": noun,
      "within": within,
      "mean": self.rng.choice(wordings.AVERAGE),
      "highest": self.superlative(self.column_name(ref).tags, highest),
    }
    if operator not in ("equal", "unequal"):
      extreme = self.grammar.say("extreme value", Context(told, values), self.rng)
      values["compared"], values["behind"] = self._comparison(
        plan.operator, extreme, self.style(ref)
      )
    return self._clause("against", told, noun, values)
