"""Conditions of WHERE, of any form, as clauses about the rows of one table."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.questions.agreement import Verb, conjugate
from spftsql_jax.questions.column_conditions import clause_of_span
from spftsql_jax.questions.grammar import Context
from spftsql_jax.questions.nested import Nested
from spftsql_jax.questions.parts import Clause, article, join_words
from spftsql_jax.questions.plan import (
  Against,
  Alike,
  Both,
  Compare,
  Condition,
  Either,
  Member,
  Unmoved,
)
from spftsql_jax.questions.plan_conditions import plan_condition
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery
from spftsql_jax.questions.syntax import bare, flipped, is_value, operator_of


class Conditions(Nested):
  """Words single conditions and their combinations."""

  def condition(self, query: Query, node: exp.Expr, head: str) -> Clause:
    """Words one condition about the rows of `head`. Raises UnsupportedQuery."""
    return self.clause(query, plan_condition(query, node, head, self.names), head)

  def clause(self, query: Query, condition: Condition, head: str) -> Clause:
    """Words a condition that has been read."""
    match condition:
      case Either():
        return self._either(query, condition, head)
      case Both():
        return self._both(query, condition, head)
      case Member() | Against() | Alike():
        return self.nested(query, condition, head)
      case Unmoved():
        return self._unmoved(query, condition.node, head)
    return self.column_clause(query, condition)

  def _unmoved(self, query: Query, node: exp.Expr, head: str) -> Clause:
    """Conditions that compute, worded from their syntax."""
    negative = isinstance(node, exp.Not)
    if negative:
      node = bare(node.this)
    if isinstance(node, exp.Between):
      return self._computed_between(query, node, head, negative)
    return self._compare(query, node, head)

  def _compare(self, query: Query, node: exp.Expr, head: str) -> Clause:
    operator = operator_of(node)
    left, right = bare(node.this), bare(node.expression)
    if is_value(left):
      left, right, operator = right, left, flipped(operator)
    if is_value(right):
      return self._computed(query, left, operator, right, head)
    noun, ref, own = self._subject(query, left, head)
    other = self._subject(query, right, head)[0]
    style = self.style(ref) if ref is not None else "number"
    if operator in ("=", "!="):
      predicate = (
        f"is the same as the {other}" if operator == "=" else f"is different from the {other}"
      )
      return Clause(
        noun, predicate, f"the same {noun} and {other}" if operator == "=" and own else ""
      )
    compared = self.comparison(operator, f"the {other}", style if style == "date" else "number")
    return Clause(noun, f"is {compared}", f"{article(noun)} {compared}")

  def _computed(
    self, query: Query, left: exp.Expr, operator: str, right: exp.Expr, head: str
  ) -> Clause:
    """An expression compared with a literal."""
    noun = self.expression(query, left, head).singular
    if operator in ("=", "!="):
      value = self.value(right)
      return Clause(
        noun,
        f"is {value}" if operator == "=" else f"is not {value}",
        f"{article(noun)} of {value}" if operator == "=" else "",
      )
    return self.compared(noun, operator, self.value(right))

  def _computed_between(self, query: Query, node: exp.Between, head: str, negative: bool) -> Clause:
    low, high = node.args["low"], node.args["high"]
    if not is_value(low) or not is_value(high):
      raise UnsupportedQuery("BETWEEN without values")
    noun = self.expression(query, node.this, head).singular
    verb = "is not" if negative else "is"
    return Clause(noun, f"{verb} between {self.value(low)} and {self.value(high)}")

  def _spans(self, query: Query, condition: Either | Both, keeps_own: bool) -> list[Clause] | None:
    """The members as clauses of one noun, where all compare one column; else None."""
    members = [m for m in condition.members if isinstance(m, Compare)]
    if len(members) < len(condition.members):
      return None
    attribute = members[0].attribute
    if any(
      (m.attribute.ref.alias, m.attribute.ref.column.name)
      != (attribute.ref.alias, attribute.ref.column.name)
      for m in members
    ):
      return None
    word = self.short(attribute.ref) if attribute.own else self.qualified(query, attribute.ref)
    said = dataclasses.replace(attribute, own=attribute.own and keeps_own)
    clauses = [
      self.column_clause(query, dataclasses.replace(m, attribute=said), word.singular)
      for m in members
    ]
    return clauses if all(c.predicate.startswith("is ") for c in clauses) else None

  def _either(self, query: Query, condition: Either, head: str) -> Clause:
    """OR: over one column as a list of ranges, else "either ... or ..."."""
    spans = self._spans(query, condition, keeps_own=True)
    if spans is not None:
      clause = clause_of_span(spans, "or", "either " if self.maybe(0.5) else "")
      member = condition.members[0]
      if not (isinstance(member, Compare) and member.attribute.ref.column.kind == "number"):
        clause.having = ""
      return clause
    return self._together(query, condition, head, "or", "either ")

  def _both(self, query: Query, condition: Both, head: str) -> Clause:
    """AND below an OR, or of two bounds of one column."""
    spans = self._spans(query, condition, keeps_own=False)
    if spans is not None:
      clause = clause_of_span(spans, "and", "")
      member = condition.members[0]
      event = isinstance(member, Compare) and self.column_name(member.attribute.ref).event
      if isinstance(member, Compare) and member.attribute.own and event:
        when = {**self._when(member.attribute, clause.predicate.removeprefix("is "))}
        said = self.grammar.say("happened", Context((), when), self.rng)
        clause.verbs = (conjugate(said),)
      return clause
    return self._together(query, condition, head, "and", "both ")

  def _together(
    self, query: Query, condition: Either | Both, head: str, conjunction: str, start: str
  ) -> Clause:
    """Several conditions as one clause."""
    clauses = [self.clause(query, m, head) for m in condition.members]
    verbs: tuple[Verb, ...] = ()
    if all(c.verbs or c.having for c in clauses):
      lead = start if conjunction == "or" else ""
      verb = (
        f"{lead}{join_words([self.verb(c, plural) for c in clauses], conjunction)}"
        for plural in (True, False)
      )
      verbs = (Verb(*verb),)
    sentence = ""
    if not verbs or all(c.sentence or c.noun for c in clauses):
      parts = [
        c.sentence or (f"the {c.said}" if c.noun else f"they {self.verb(c, True)}") for c in clauses
      ]
      sentence = f"{start}{join_words(parts, conjunction)}"
    return Clause(verbs=verbs, sentence=sentence)
