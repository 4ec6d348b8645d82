"""Conditions that hold a query in English, by `grammars/english/nested.txt`."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import conjugate
from spftsql_jax.questions.entities import Entities
from spftsql_jax.questions.features import OPERATORS, features_of
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.naming import Noun, role_of
from spftsql_jax.questions.parts import (
  Clause,
  article,
  parted_unit,
  pick,
  relation_preposition,
  things_counted,
  titled,
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
from spftsql_jax.questions.plan_nested import far_end, key_of
from spftsql_jax.questions.query_meaning import Query, Ref
from spftsql_jax.questions.syntax import is_pure_link, operator_of
from spftsql_jax.schema import Table

# How often one row is called by its name alone: "the track Despertar".
_TITLED_RATE = 0.6


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
        case "referred":
          referred, owner = plan.attribute.ref.table, self.noun(query, head)
          person = self.person(query, head)
          return self._with_others(nested, other, referred, plan.negated, person, owner)
        case "counted":
          counts = nested.having[0]
          end = self._other_end(nested, other) if not nested.conditions else None
          rows = end.plural if end else self.rows_of(nested, other.alias)
          counted = self.counted(operator_of(counts), counts.expression, rows)
          return self._clause("counted", told, "", {"counted": counted})
        case "refers":
          return self._refers(query, plan, nested, other, head)
        case "rows":
          return self._clause("in rows", told, "", {"rows": self.rows_of(nested, other.alias)})
        case "shared":
          return self._shared_row(query, plan, nested, other)
    noun = self._noun_of(query, plan.attribute)
    return self._clause("in values", told, noun, {"values": self.content(nested)})

  def _noun_of(self, query: Query, subject: Attribute | Computed, head: str = "") -> str:
    if isinstance(subject, Computed):
      return self.expression(query, subject.node, head).singular
    return (self.short(subject.ref) if subject.own else self.qualified(query, subject.ref)).singular

  def _with_others(
    self,
    nested: Query,
    other: Ref,
    referred: Table,
    negated: bool,
    person: bool,
    owner: Noun | None,
  ) -> Clause:
    """What is said of rows of `referred` that others refer to: that they have them, or none."""
    alias, table, edges = other.alias, other.table, nested.neighbours(other.alias)
    keys = [k for k in table.foreign_keys if k.referred_table.lower() == referred.name.lower()]
    role = role_of((other.column.name,), referred, self.names) if len(keys) > 1 else None
    if role is not None and (nested.conditions or nested.edges):
      end = far_end(nested, other)
      if end is not None:
        return self._in_a_role(nested, role, end[0], end[1], negated)
      role = None
    before, self.existential = self.existential, True
    plan = self.plan(nested, alias, set())
    noun = self.names.beside(self.noun(nested, alias), table, referred)
    clauses = self.clauses(nested, plan, alias, None)
    connects = self.connects(nested, table) and not plan.own.get(alias)
    if connects and len(edges) == 1 and edges[0].child == alias:
      far = edges[0].parent
      noun, clauses = self.noun(nested, far), self.clauses(nested, plan, far, edges[0])
    elif not nested.edges and is_pure_link(table) and not clauses:
      ends = [key for key in table.foreign_keys if other.column.name not in key.columns]
      noun = self._referred_noun(nested, ends[-1])
    every, one = (
      self.with_number(noun, clauses, is_person(noun.singular), n) for n in ("plural", "a")
    )
    clause = None
    if role is not None:  # "players without any match as a loser"
      every, one = (f"{words} as {article(role.singular)}" for words in (every, one))
    elif not clauses and not nested.edges:
      clause = self.happening(person, table, (other.column.name,), noun, negated, nested)
    clause = clause or self.child_relation(every, negated, person, noun, one, bool(clauses), owner)
    self.existential = before
    return clause

  def _in_a_role(
    self, nested: Query, role: Noun, alias: str, value: exp.Expr | None, negated: bool
  ) -> Clause:
    """ "states that are borders of the state Texas"."""
    if value is None:
      edge = nested.edges[0]
      noun, name = (
        self.noun(nested, alias),
        self._named(nested, self.plan(nested, alias, set()), alias, edge),
      )
      clauses = self.clauses(nested, self.plan(nested, alias, set()), alias, edge)
      whose = self.with_number(noun, clauses, self.person(nested, alias), "a")
    else:
      ref = nested.ref(nested.conditions[0].this)
      key = key_of(ref)
      assert key is not None
      noun, whose = self.table_noun(nested.schema.table(key.referred_table)), ""
      name = self.value(value, ref.column)
    told = {"denied"} if negated else set()
    values = {"whose": f"the {noun.singular} {name}" if name is not None else whose}
    said = (
      self.grammar.say("in a role: verb", Context(told, values | {"roles": roles}), self.rng)
      for roles in (role.plural, article(role.singular))
    )
    return Clause(verbs=(conjugate(*said),))

  def _refers(self, query: Query, plan: Member, nested: Query, other: Ref, head: str) -> Clause:
    """Rows that refer to others of which more is said."""
    noun, person = (
      self._role_or_noun(plan.attribute.ref, nested, other),
      self.person(nested, other.alias),
    )
    clauses = self.all_clauses(nested, other.alias)
    if plan.attribute.own and not plan.negated:
      return self.parent_relation(noun, clauses, person, None, self.noun(query, head))
    rows = self.with_number(noun, clauses, person, "plural")
    told = {"denied"} if plan.negated else set()
    return self._clause("not of", told, noun.singular, {"rows": rows})

  def _role_or_noun(self, ref: Ref, nested: Query, other: Ref) -> Noun:
    """What a foreign key calls the row that it points to."""
    return role_of((ref.column.name,), other.table, self.names) or self.noun(nested, other.alias)

  def _shared_row(self, query: Query, plan: Member, nested: Query, other: Ref) -> Clause:
    """Both refer to the same row: "reservations for books that have no loans"."""
    key = key_of(plan.attribute.ref)
    assert key is not None
    noun = self._referred_noun(query, key)
    person = is_person(noun.singular)
    referred = query.schema.table(key.referred_table)
    inner = self._with_others(nested, other, referred, plan.negated, person, None)
    clause = self._of_others(noun, self.modified(noun.plural, [inner], person, True))
    return dataclasses.replace(clause, noun=noun.singular, predicate=self.verb(inner, False))

  def _of_others(self, noun: Noun, others: str) -> Clause:
    preposition = relation_preposition(noun.singular, "", is_person(noun.singular))[0]
    told = {"of"} if preposition == "of" else set()
    return self._clause("of others", told, "", {"preposition": preposition, "others": others})

  def _row(self, nested: Query) -> str:
    """The one row of which a query returns a column: "the doctor with the highest salary"."""
    head = head_of(nested)
    noun, person = self.noun(nested, head), self.person(nested, head)
    clauses = self.all_clauses(nested, head)
    if nested.limit is None:
      name = self._named(nested, self.plan(nested, head, set()), head, None)
      if name is not None and self.maybe(_TITLED_RATE):
        return titled(noun, name)
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
        if operator not in ("equal", "unequal"):
          assert ref is not None
          told = {operator, "timed"} if self.style(ref) == "date" else {operator}
          ends = {word for ends, _ in wordings.EXTREMES for word in ends.split(", ")}
          told |= {"extreme"} if noun.split()[0] in ends else set()
          told |= {"counts"} if things_counted(noun) else set()
          values = {"row": self._row(nested), "counted": things_counted(noun)}
          return self._clause("than that of", told, noun, values)
        told = {"denied"} if operator == "unequal" else set()
        return self._clause("same as", told, noun, {"row": self._row(nested)})
      case "row" if operator == "equal":
        assert ref is not None
        role = self._role_or_noun(ref, nested, nested.ref(nested.items[0].unalias()))
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

  def _comparative_of(self, plan: Against, ref: Ref, noun: str, operator: str) -> str:
    """ "older", of what is said of the rows themselves; "" for what is not."""
    if not isinstance(plan.subject, Attribute) or ref.column.kind != "number":
      return ""
    features = features_of(self.names, plan.subject)
    if noun in wordings.COSTS:
      features |= {"cost"}
    return self._comparative(features, operator) if "own" in features else ""

  def _against_extreme(self, plan: Against, ref: Ref, noun: str, operator: str) -> Clause:
    """An average or extreme of the same column, over all rows or some."""
    nested, function = plan.others, plan.function
    average, highest = function == "avg", function == "max"
    told = {operator, "average"} if average else {operator}
    told |= {"counts"} if things_counted(noun) else set()
    values: dict[str, Value] = {"noun": noun, "counted": things_counted(noun)}
    within = ""
    if plan.how != "all":
      values["things"] = self.table_noun(ref.table).plural
      if plan.how == "rows":
        values["rows"] = self.rows_of(nested, next(iter(nested.sources)))
      elif plan.how == "alike":
        columns = nested.conditions[0].this, nested.conditions[0].expression
        inner = next(r for r in map(nested.ref, columns) if not r.outer)
        values["noun"] = self.short(inner).singular
      told |= {plan.how, "within"}
      within = f" {self.grammar.say('over rows', Context(told, values), self.rng)}"
    values |= {
      "noun": noun,
      "within": within,
      "mean": pick(self.rng, wordings.AVERAGE),
      "highest": self.superlative(self.column_name(ref).tags, highest),
    }
    if comparative := self._comparative_of(plan, ref, noun, operator):
      told.add("comparative")
      values["comparative"] = comparative
      values["other"] = self.table_noun(ref.table).singular
    if operator not in ("equal", "unequal"):
      extreme = self.grammar.say("extreme value", Context(told, values), self.rng)
      values["compared"], values["behind"] = self._comparison(
        plan.operator, extreme, self.style(ref)
      )
    return self._clause("against", told, noun, values)
