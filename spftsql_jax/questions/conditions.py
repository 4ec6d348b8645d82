"""Conditions of WHERE, of any form, as clauses about the rows of one table."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import Verb
from spftsql_jax.questions.nested import Nested
from spftsql_jax.questions.parts import Clause, article, join_words
from spftsql_jax.questions.query_meaning import Query, Ref, UnsupportedQuery, read_nested
from spftsql_jax.questions.syntax import (
  bare,
  conjuncts,
  date_part,
  disjuncts,
  flipped,
  is_value,
  operator_of,
  own_columns,
)

_SIMPLE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


class Conditions(Nested):
  """Words single conditions and their combinations."""

  def condition(self, query: Query, node: exp.Expr, head: str) -> Clause:
    """Words one condition about the rows of `head`."""
    node = bare(node)
    if isinstance(node, exp.Or):
      return self._either(query, disjuncts(node), head)
    if isinstance(node, exp.And):
      return self._both(query, conjuncts(node), head)
    if isinstance(node, exp.Not):
      return self._not(query, bare(node.this), head)
    if isinstance(node, _SIMPLE):
      return self._compare(query, node, head)
    if isinstance(node, exp.Between):
      noun, ref, own = self._subject(query, node.this, head)
      if not is_value(node.args["low"]) or not is_value(node.args["high"]):
        raise UnsupportedQuery("BETWEEN without values")
      if ref is None:
        return Clause(
          noun, f"is between {self.value(node.args['low'])} and {self.value(node.args['high'])}"
        )
      return self.between_clause(ref, noun, node.args["low"], node.args["high"], own)
    if isinstance(node, exp.Like):
      return self._like(query, node, head, bool(node.args.get("negate")))
    if isinstance(node, exp.In):
      return self._in(query, node, head, False)
    if isinstance(node, exp.Is):
      return self._is(query, node, head, False)
    if isinstance(node, exp.Exists):
      return self._exists(query, node, head, False)
    if isinstance(node, exp.Column):
      return self._compare(query, exp.EQ(this=node, expression=exp.Literal.number(1)), head)
    raise UnsupportedQuery(f"the condition {type(node).__name__}")

  def _not(self, query: Query, node: exp.Expr, head: str) -> Clause:
    if isinstance(node, exp.In):
      return self._in(query, node, head, True)
    if isinstance(node, exp.Like):
      return self._like(query, node, head, not node.args.get("negate"))
    if isinstance(node, exp.Is):
      return self._is(query, node, head, True)
    if isinstance(node, exp.Exists):
      return self._exists(query, node, head, True)
    if isinstance(node, exp.Between):
      clause = self.condition(query, node, head)
      return Clause(clause.noun, clause.predicate.replace("is ", "is not ", 1))
    if isinstance(node, _SIMPLE):
      opposite = {
        exp.EQ: exp.NEQ,
        exp.NEQ: exp.EQ,
        exp.GT: exp.LTE,
        exp.GTE: exp.LT,
        exp.LT: exp.GTE,
        exp.LTE: exp.GT,
      }[type(node)]
      return self._compare(query, opposite(this=node.this, expression=node.expression), head)
    if isinstance(node, exp.Column):
      return self._compare(query, exp.EQ(this=node, expression=exp.Literal.number(0)), head)
    raise UnsupportedQuery(f"NOT {type(node).__name__}")

  def _compare(self, query: Query, node: exp.Expr, head: str) -> Clause:
    operator = operator_of(node)
    left, right = bare(node.this), bare(node.expression)
    if is_value(left) or (isinstance(left, exp.Subquery) and not isinstance(right, exp.Subquery)):
      left, right, operator = right, left, flipped(operator)
    if is_value(right):
      if isinstance(left, exp.Column):
        noun, column, own = self._column_subject(query, left, head)
        return self.compare_clause(column, noun, operator, right, own)
      return self._computed(query, left, operator, right, head)
    if isinstance(right, exp.Subquery):
      return self._against_query(query, left, operator, right, head)
    columns = own_columns(left) + own_columns(right)
    if len(columns) >= 2 and any(query.ref(c).outer for c in columns):
      return self._same_as_outer(query, left, right, operator)
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
    if compared.startswith("the ") and not compared.startswith("the same"):
      compared = {">=": "at least ", "<=": "at most "}[operator] + f"the {other}"
    return Clause(noun, f"is {compared}", f"{article(noun)} {compared}")

  def _computed(
    self, query: Query, left: exp.Expr, operator: str, right: exp.Expr, head: str
  ) -> Clause:
    """A function of a column compared with a literal: mostly parts of dates."""
    part = date_part(left)
    if part is not None:
      kind, column = part
      noun, ref, own = self._column_subject(query, column, head)
      return self._date_part(kind, ref, noun, operator, right, own)
    if (
      isinstance(left, (exp.Lower, exp.Upper))
      and isinstance(left.this, exp.Column)
      and operator in ("=", "!=")
    ):
      noun, ref, own = self._column_subject(query, left.this, head)
      return self.compare_clause(ref, noun, operator, right, own)
    noun = self.expression(query, left, head).singular
    if operator in ("=", "!="):
      value = self.value(right)
      return Clause(
        noun,
        f"is {value}" if operator == "=" else f"is not {value}",
        f"{article(noun)} of {value}" if operator == "=" else "",
      )
    compared = self.comparison(operator, self.value(right))
    return Clause(noun, f"is {compared}", f"{article(noun)} {compared}")

  def _date_part(
    self, kind: str, ref: Ref, noun: str, operator: str, value: exp.Expr, own: bool
  ) -> Clause:
    text = (
      bare(value).this
      if not isinstance(bare(value), (exp.Cast, exp.Neg))
      else bare(value).this.this
    )
    if kind == "month" and str(text).isdigit() and 1 <= int(text) <= 12:
      spoken = wordings.MONTHS[int(text) - 1]
    elif kind == "year and month" and len(str(text)) == 7 and 1 <= int(text[5:]) <= 12:
      spoken = f"{wordings.MONTHS[int(text[5:]) - 1]} {text[:4]}"
    else:
      spoken = str(text)
    if kind in ("year", "month", "year and month") and not (
      kind == "month" and operator not in ("=", "!=")
    ):
      when = {
        "=": (f"in {spoken}",),
        "!=": (f"not in {spoken}", f"in any {kind} except {spoken}"),
        ">": (f"after {spoken}",),
        "<": (f"before {spoken}",),
        ">=": (f"in {spoken} or later", f"since {spoken}", f"from {spoken} on"),
        "<=": (f"in {spoken} or earlier", f"up to and including {spoken}"),
      }[operator]
      said = self.rng.choice(when)
      clause = Clause(noun, f"is {said}", f"{article(noun)} {said}")
      if own and self.column_name(ref).event:
        return self.happened(self.column_name(ref), clause, said)
      if own and self.only_of_tag(ref, "date"):
        clause.verbs = self.took_place(ref, noun, said)
        clause.posts = (
          said,
          f"from {spoken}" if operator == "=" else said,
          f"from the year {spoken}" if operator == "=" and kind == "year" else said,
        )
        if operator == "=" and kind == "year":
          clause.posts += (f"in the year {spoken}",)
      return clause
    noun = f"{kind} of the {noun}"
    if operator in ("=", "!="):
      return Clause(noun, f"is {'' if operator == '=' else 'not '}{spoken}")
    return Clause(noun, f"is {self.comparison(operator, spoken)}")

  def _like(self, query: Query, node: exp.Like, head: str, negative: bool) -> Clause:
    subject = bare(node.this)
    if isinstance(subject, (exp.Lower, exp.Upper)):
      subject = subject.this
    noun, ref, own = self._subject(query, subject, head)
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
      raise UnsupportedQuery("LIKE without a value")
    if "%" not in pattern.this and "_" not in pattern.this and ref is not None:
      return self.compare_clause(ref, noun, "!=" if negative else "=", pattern, own)
    return self.like_clause(noun, pattern.this, negative)

  def _is(self, query: Query, node: exp.Is, head: str, negative: bool) -> Clause:
    if isinstance(node.expression, exp.Not):
      negative, value = not negative, node.expression.this
    else:
      value = node.expression
    noun, ref, own = self._subject(query, node.this, head)
    if not isinstance(value, exp.Null):
      return self._compare(
        query, (exp.NEQ if negative else exp.EQ)(this=node.this, expression=value), head
      )
    if ref is None:
      return Clause(noun, "is known" if negative else "is missing")
    return self.null_clause(ref, noun, not negative, own)

  def _in(self, query: Query, node: exp.In, head: str, negative: bool) -> Clause:
    nested = node.args.get("query")
    if nested is None:
      if not all(is_value(v) for v in node.expressions) or not isinstance(
        bare(node.this), exp.Column
      ):
        raise UnsupportedQuery("IN over something other than values")
      noun, ref, own = self._column_subject(query, node.this, head)
      return self.in_clause(ref, noun, node.expressions, negative, own)
    if not isinstance(bare(node.this), exp.Column):
      raise UnsupportedQuery("IN with an expression")
    return self._member(
      query, query.ref(bare(node.this)), read_nested(nested, query), head, negative
    )

  def _either(self, query: Query, members: list[exp.Expr], head: str) -> Clause:
    """OR: over one column as a list of values or ranges, else "either ... or ..."."""
    columns = {
      query.ref(m.this).alias + "." + m.this.name.lower()
      if isinstance(m, _SIMPLE) and isinstance(m.this, exp.Column) and is_value(m.expression)
      else str(i)
      for i, m in enumerate(members)
    }
    if len(columns) == 1 and len(members) > 1:
      noun, ref, own = self._column_subject(query, members[0].this, head)
      if all(isinstance(m, exp.EQ) for m in members):
        return self.in_clause(ref, noun, [m.expression for m in members], False, own)
      if len({m.expression.sql() for m in members}) < len(members):
        raise UnsupportedQuery("below or above the same value")
      clauses = [self.compare_clause(ref, noun, operator_of(m), m.expression, own) for m in members]
      predicates = [c.predicate.removeprefix("is ") for c in clauses]
      if all(c.predicate.startswith("is ") for c in clauses):
        either = self.rng.choice(("either ", ""))
        return Clause(
          noun,
          f"is {either}{join_words(predicates, 'or')}",
          f"{article(noun)} {either}{join_words(predicates, 'or')}"
          if ref.column.kind == "number"
          else "",
        )
    clauses = [self.condition(query, m, head) for m in members]
    verbs: tuple[Verb, ...] = ()
    if all(c.verbs or c.having for c in clauses):
      plural, singular = (
        [self.verb(c, True) for c in clauses],
        [self.verb(c, False) for c in clauses],
      )
      verbs = (Verb(f"either {join_words(plural, 'or')}", f"either {join_words(singular, 'or')}"),)
    sentence = ""
    if all(c.sentence or c.noun for c in clauses):
      sentence = f"either {join_words([c.sentence or f'the {c.said}' for c in clauses], 'or')}"
    if not verbs and not sentence:
      parts = [
        c.sentence or (f"the {c.said}" if c.noun else f"they {self.verb(c, True)}") for c in clauses
      ]
      sentence = f"either {join_words(parts, 'or')}"
    return Clause(verbs=verbs, sentence=sentence)

  def _both(self, query: Query, members: list[exp.Expr], head: str) -> Clause:
    """AND below an OR, or of two bounds of one column."""
    if all(
      isinstance(m, _SIMPLE) and isinstance(m.this, exp.Column) and is_value(m.expression)
      for m in members
    ) and (len({m.this.sql() for m in members}) == 1):
      noun, ref, own = self._column_subject(query, members[0].this, head)
      said = [
        self.compare_clause(ref, noun, operator_of(m), m.expression, False).predicate
        for m in members
      ]
      if all(words.startswith("is ") for words in said):
        span = " and ".join(words.removeprefix("is ") for words in said)
        clause = Clause(noun, f"is {span}", f"{article(noun)} {span}")
        return (
          self.happened(self.column_name(ref), clause, span)
          if own and self.column_name(ref).event
          else clause
        )
    clauses = [self.condition(query, m, head) for m in members]
    verbs: tuple[Verb, ...] = ()
    if all(c.verbs or c.having for c in clauses):
      verbs = (
        Verb(
          " and ".join(self.verb(c, True) for c in clauses),
          " and ".join(self.verb(c, False) for c in clauses),
        ),
      )
    sentence = " and ".join(
      c.sentence or (f"the {c.said}" if c.noun else f"they {self.verb(c, True)}") for c in clauses
    )
    return Clause(verbs=verbs, sentence=f"both {sentence}")
