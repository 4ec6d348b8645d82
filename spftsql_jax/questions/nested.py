"""Conditions that hold a nested query: membership, comparison with an aggregate, correlation."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import conjugate
from spftsql_jax.questions.entities import Entities
from spftsql_jax.questions.naming import role_of
from spftsql_jax.questions.parts import (
  Clause,
  article,
  parted_unit,
  related_by,
  relation_preposition,
)
from spftsql_jax.questions.plan_nested import key_between
from spftsql_jax.questions.query_meaning import (
  Edge,
  Query,
  Ref,
  SetQuery,
  UnsupportedQuery,
  mentions_outer,
  read_nested,
)
from spftsql_jax.questions.syntax import (
  aggregate_of,
  is_link,
  is_pure_link,
  is_value,
  operator_of,
)

_SIMPLE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


class Nested(Entities):
  """Words nested queries."""

  def _exists(self, query: Query, node: exp.Exists, head: str, negative: bool) -> Clause:
    nested = read_nested(node.this, query)
    if not isinstance(nested, Query) or nested.group or nested.having or nested.limit is not None:
      raise UnsupportedQuery("EXISTS over more than one plain SELECT")
    for i, condition in enumerate(nested.conditions):
      if (
        isinstance(condition, exp.EQ)
        and isinstance(condition.this, exp.Column)
        and isinstance(condition.expression, exp.Column)
      ):
        left, right = nested.ref(condition.this), nested.ref(condition.expression)
        if left.outer != right.outer:
          inner, outer = (condition.expression, left) if left.outer else (condition.this, right)
          rest = dataclasses.replace(
            nested,
            conditions=nested.conditions[:i] + nested.conditions[i + 1 :],
            items=[inner],
            order=[],
          )
          return self._member(query, dataclasses.replace(outer, outer=False), rest, head, negative)
    raise UnsupportedQuery("EXISTS that does not refer to the outer query")

  def _member(
    self, query: Query, left: Ref, nested: Query | SetQuery, head: str, negative: bool
  ) -> Clause:
    """`left` IN (nested): a relation where the two are keys of each other, else "is among"."""
    if (
      isinstance(nested, Query)
      and len(nested.items) == 1
      and isinstance(nested.items[0].unalias(), exp.Column)
      and nested.limit is None
      and not nested.derived
    ):
      right = nested.ref(nested.items[0].unalias())
      if right.outer:
        raise UnsupportedQuery("a subquery that returns a column of the outer query")
      clause = self._key_member(query, left, right, nested, head, negative)
      if clause is not None:
        return clause
    sibling = self._sibling_member(query, left, nested, negative)
    if sibling is not None and self.belongs(query, left.alias, head):
      return sibling
    noun = (
      self.short(left) if self.belongs(query, left.alias, head) else self.qualified(query, left)
    ).singular
    among = self.content(nested)
    if negative:
      predicate = self.rng.choice(
        (f"is not among {among}", f"is not one of {among}", f"does not appear among {among}")
      )
    else:
      predicate = self.rng.choice(
        (f"is among {among}", f"is one of {among}", f"appears among {among}")
      )
    return Clause(noun, predicate)

  def _sibling_member(
    self, query: Query, left: Ref, nested: Query | SetQuery, negative: bool
  ) -> Clause | None:
    """Both sides point to the same table: "reservations for books that have no loans"."""
    if (
      not isinstance(nested, Query)
      or len(nested.items) != 1
      or nested.group
      or nested.limit is not None
      or nested.derived
    ):
      return None
    item = nested.items[0].unalias()
    right = nested.ref(item) if isinstance(item, exp.Column) else None
    if right is None or right.outer:
      return None
    ours = [
      k
      for k in left.table.foreign_keys
      if tuple(c.lower() for c in k.columns) == (left.column.name.lower(),)
    ]
    theirs = [
      k
      for k in right.table.foreign_keys
      if tuple(c.lower() for c in k.columns) == (right.column.name.lower(),)
    ]
    if not ours or not theirs or ours[0].referred_table.lower() != theirs[0].referred_table.lower():
      return None
    noun = self._referred_noun(query, ours[0])
    clauses = self.clauses(nested, self.plan(nested, right.alias, set()), right.alias, None)
    other, person = self.noun(nested, right.alias), self.person(nested, right.alias)
    if is_pure_link(right.table) and not clauses and not nested.edges:
      for key in right.table.foreign_keys:
        if key is not theirs[0]:
          other = self._referred_noun(nested, key)
          person = is_person(other.singular)
    every = self.with_number(other, clauses, person, "plural")
    inner = None
    if not clauses:
      inner = self.happening(
        is_person(noun.singular), right.table, (right.column.name,), other, negative, nested
      )
    inner = inner or self.child_relation(
      every,
      negative,
      is_person(noun.singular),
      other,
      self.with_number(other, clauses, person, "a"),
      bool(clauses),
    )
    described = self.modified(noun.plural, [inner], is_person(noun.singular), True)
    preposition = relation_preposition(noun.singular, "", is_person(noun.singular))[0]
    return Clause(
      noun.singular,
      self.verb(inner, False),
      "",
      (conjugate(related_by(preposition, described)),),
      (f"{preposition} {described}",),
    )

  def _key_member(
    self, query: Query, left: Ref, right: Ref, nested: Query, head: str, negative: bool
  ) -> Clause | None:
    own = self.belongs(query, left.alias, head)
    refers = key_between(right, left)
    if refers is not None and own:
      person = self.person(query, head)
      if nested.group or nested.having:
        return self._counted_member(right, nested, negative)
      alias = right.alias
      plan = self.plan(nested, alias, set())
      noun, clauses = self.noun(nested, alias), self.clauses(nested, plan, alias, None)
      table = nested.sources[alias]
      if is_link(table) and not plan.own.get(alias):
        for edge in nested.neighbours(alias):
          if edge.child == alias and len(nested.neighbours(alias)) == 1:
            noun, clauses = (
              self.noun(nested, edge.parent),
              self.clauses(nested, plan, edge.parent, edge),
            )
        if not nested.edges and is_pure_link(table):
          for end in table.foreign_keys:
            if right.column.name.lower() not in (c.lower() for c in end.columns):
              noun = self._referred_noun(nested, end)
      every = self.with_number(noun, clauses, is_person(noun.singular), "plural")
      one = self.with_number(noun, clauses, is_person(noun.singular), "a")
      keys = [k for k in table.foreign_keys if k.referred_table.lower() == left.table.name.lower()]
      role = role_of((right.column.name,), left.table, self.names) if len(keys) > 1 else None
      if role is not None:  # "players without any match as a loser"
        if clauses:
          raise UnsupportedQuery("conditions on rows that refer in one of several roles")
        every, one = (f"{words} as {article(role.singular)}" for words in (every, one))
      before, self.existential = self.existential, True
      clause = None
      if not clauses and not nested.edges and role is None:
        clause = self.happening(person, table, (right.column.name,), noun, negative, nested)
      clause = clause or self.child_relation(
        every, negative, person, noun, one, bool(clauses), self.noun(query, head)
      )
      self.existential = before
      return clause
    if nested.group or nested.having:
      return None
    key = key_between(left, right)
    if key is not None and right.alias in nested.sources:
      plan = self.plan(nested, right.alias, set())
      clauses = self.clauses(nested, plan, right.alias, None)
      noun = role_of(key.columns, right.table, self.names) or self.noun(nested, right.alias)
      if not clauses:
        return None
      if own and not negative:
        edge = Edge(left.alias, right.alias, key.columns, key.referred_columns, True, False)
        return self.parent_relation(
          noun, clauses, self.person(nested, right.alias), None, self.noun(query, head)
        )
      every = self.with_number(noun, clauses, self.person(nested, right.alias), "plural")
      return Clause(noun.singular, f"is {'not ' if negative else ''}one of the {every}")
    if (
      left.table.name.lower() == right.table.name.lower()
      and left.column.name.lower() == right.column.name.lower()
      and own
    ):
      if (left.column.name,) != tuple(left.table.primary_key):
        return None
      plan = self.plan(nested, right.alias, set())
      every = self.phrase(nested, plan, right.alias)
      said = f"among the {every}"
      return Clause(
        verbs=(conjugate(f"are {'not ' if negative else ''}{said}"),),
        posts=(f"not {said}" if negative else said,),
      )
    return None

  def _counted_member(self, right: Ref, nested: Query, negative: bool) -> Clause | None:
    """IN (SELECT key ... GROUP BY key HAVING COUNT(*) > n)."""
    if (
      len(nested.having) != 1
      or negative
      or not isinstance(nested.having[0], _SIMPLE)
      or nested.edges
    ):
      return None
    comparison = nested.having[0]
    if (
      not isinstance(comparison.this, exp.Count)
      or not isinstance(comparison.this.this, exp.Star)
      or not is_value(comparison.expression)
    ):
      return None
    plan = self.plan(nested, right.alias, set())
    noun = self.phrase(nested, plan, right.alias)
    counted = self.counted(operator_of(comparison), comparison.expression, noun)
    return Clause(verbs=(conjugate(f"have {counted}"),), posts=(f"with {counted}",))

  def _against_query(
    self, query: Query, left: exp.Expr, operator: str, right: exp.Subquery, head: str
  ) -> Clause:
    """A column compared with what one nested query returns."""
    nested = read_nested(right, query)
    if not isinstance(nested, Query) or len(nested.items) != 1 or nested.derived:
      raise UnsupportedQuery("a comparison with a set operation")
    item = nested.items[0].unalias()
    noun, ref, own = self._subject(query, left, head)
    function = aggregate_of(item)
    style = self.style(ref) if ref is not None else "number"
    if (
      ref is not None
      and function is None
      and isinstance(item, exp.Column)
      and operator in ("=", "!=")
    ):
      clause = (
        self._key_member(query, ref, nested.ref(item), nested, head, operator == "!=")
        if nested.limit is None
        else None
      )
      if clause is not None:
        return clause
    if function in ("avg", "max", "min") and isinstance(item.this, exp.Column) and ref is not None:
      inner = nested.ref(item.this)
      same = inner.table is ref.table and inner.column is ref.column and not nested.edges
      if same and not nested.group:
        within = self._within(nested)
        if within is not None:
          return self._against_extreme(ref, parted_unit(noun)[0], operator, function, within)
    # Compared with one value, so what it is of is one row.
    before, self.one_row = self.one_row, function is None
    value = self.content(nested)
    self.one_row = before
    if operator in ("=", "!="):
      return Clause(
        noun,
        f"is {'not ' if operator == '!=' else ''}the same as {value}"
        if function is None
        else f"is {'not ' if operator == '!=' else ''}equal to {value}",
      )
    return self.compared(noun, operator, value, style)

  def _within(self, nested: Query) -> str | None:
    """The rows that a nested aggregate runs over: "" for all, "of female doctors".

    None where that needs more words.
    """
    if not nested.conditions:
      return ""
    if len(nested.conditions) == 1 and isinstance(nested.conditions[0], exp.EQ):
      left, right = nested.conditions[0].this, nested.conditions[0].expression
      if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        a, b = nested.ref(left), nested.ref(right)
        if a.outer != b.outer and a.column is b.column:
          if self.column_name(a).property:
            raise UnsupportedQuery("rows alike in a yes or no")
          noun = self.short(a).singular
          things = self.table_noun(a.table).plural
          return self.rng.choice(
            (
              f"within the same {noun}",
              f"among {things} with the same {noun}",
              f"for their {noun}",
              f"of all {things} with the same {noun}",
            )
          )
    alias = next(iter(nested.sources))
    if any(mentions_outer(nested, c) for c in nested.conditions):
      return None
    return f"of {self.phrase(nested, self.plan(nested, alias, set()), alias)}"

  def _against_extreme(
    self, ref: Ref, noun: str, operator: str, function: str, within: str
  ) -> Clause:
    tags = self.column_name(ref).tags
    tail = f" {within}" if within else ""
    if function == "avg":
      word = self.rng.choice(wordings.AVERAGE)
      named = "" if not within and self.maybe(0.4) else f" {noun}"
      average = f"the {word}{named}{tail}"
      if operator in "><" and not within and self.maybe(0.4):
        word = self.rng.choice(
          ("above", "higher than", "greater than")
          if operator == ">"
          else ("below", "lower than", "less than")
        )
        average = "average"
        return Clause(
          noun,
          f"is {word} {average}",
          self.rng.choice(
            (
              f"{article(noun)} {word} {average}",
              f"{'an above' if operator == '>' else 'a below'}-average {noun}",
            )
          ),
        )
      if operator not in ("=", "!="):
        return self.compared(noun, operator, average, self.style(ref))
      equal = f"{'not ' if operator == '!=' else ''}equal to {average}"
      clause = Clause(noun, f"is {equal}", f"{article(noun)} {equal}")
    elif operator == "=":
      extreme = f"{self.superlative(tags, function == 'max')} {noun}{tail}"
      if self.maybe(0.3):
        extreme = f"{'maximum' if function == 'max' else 'minimum'} {noun}{tail}"
      clause = Clause(noun, f"is the {extreme.replace(' ' + noun, '', 1)}", f"the {extreme}")
    else:
      extreme = f"the {self.superlative(tags, function == 'max')} {noun}{tail}"
      if operator != "!=":
        return self.compared(noun, operator, extreme, self.style(ref))
      clause = Clause(noun, f"is not {extreme}")
    return clause

  def _same_as_outer(self, query: Query, left: exp.Expr, right: exp.Expr, operator: str) -> Clause:
    """A correlated comparison: the same attribute as the row of the enclosing query."""
    if operator != "=" or not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
      raise UnsupportedQuery("a correlated condition other than equality")
    inner = next((r for r in (query.ref(left), query.ref(right)) if not r.outer), None)
    if inner is None or query.ref(left).column.name.lower() != query.ref(right).column.name.lower():
      raise UnsupportedQuery("a correlated condition over different columns")
    if self.column_name(inner).property:
      raise UnsupportedQuery("rows alike in a yes or no")
    noun = self.short(inner).singular
    return Clause(
      noun,
      "is the same",
      f"the same {noun}",
      (conjugate(f"share the {noun}"),),
      (f"with the same {noun}",),
    )
