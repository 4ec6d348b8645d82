"""Nouns of expressions: aggregates, arithmetic, parts of dates, CASE and window functions."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.inflection import plural_of
from spftsql_jax.questions import wordings
from spftsql_jax.questions.column_conditions import ColumnConditions
from spftsql_jax.questions.naming import Noun, unchanging
from spftsql_jax.questions.parts import join_words, pick, rounding, singular_head
from spftsql_jax.questions.query_meaning import Query, Ref, UnsupportedQuery, read_nested
from spftsql_jax.questions.syntax import aggregate_of, bare, date_part, is_value


class Expressions(ColumnConditions):
  """Words what a query computes."""

  def expression(self, query: Query, node: exp.Expr, head: str) -> Noun:
    """The noun of an expression: a column, an aggregate, arithmetic. Raises UnsupportedQuery."""
    node = bare(node)
    if isinstance(node, exp.Column):
      ref = query.ref(node)
      if ref.outer:
        raise UnsupportedQuery("a column of the enclosing query")
      return self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)
    function = aggregate_of(node)
    if function is not None and isinstance(bare(node.this), exp.Column):
      return self.aggregate_noun(query, node, head)
    part = date_part(node)
    if part is not None:
      kind, column = part
      event = self.column_name(query.ref(column)).event
      if event and kind in ("year", "month") and self.maybe(0.8):
        stem = vocabulary.EVENTS_OF_COLUMNS[event][0]
        return self.rng.choice(
          (
            Noun(f"{stem} {kind}", f"{stem} {kind}s"),
            Noun(f"{kind} of {stem}", f"{kind}s of {stem}"),
          )
        )
      inner = self.expression(query, column, head).singular
      if (
        kind == "year"
        and not inner.endswith("year")
        and self.maybe(0.4)
        and inner.endswith(" date")
      ):
        return Noun(f"{inner[:-5]} year", f"{inner[:-5]} years")
      return Noun(f"{kind} of the {inner}", f"{plural_of(kind)} of the {inner}")
    if isinstance(node, exp.Round):
      rounded = self.expression(query, node.this, head)
      places = rounding(node.args.get("decimals"))
      return Noun(f"{rounded.singular} {places}", f"{rounded.plural} {places}")
    if isinstance(node, exp.Cast):
      return self.expression(query, node.this, head)
    if isinstance(node, exp.Length):
      inner = self.expression(query, node.this, head).singular
      return Noun(f"number of characters in the {inner}", f"numbers of characters in the {inner}")
    if isinstance(node, (exp.Sub, exp.Add, exp.Mul, exp.Div)):
      return self._arithmetic(query, node, head)
    if isinstance(node, (exp.Lower, exp.Upper)):
      noun = self.expression(query, node.this, head)
      case = "lower" if isinstance(node, exp.Lower) else "upper"
      return Noun(f"{noun.singular} in {case} case", f"{noun.plural} in {case} case")
    raise UnsupportedQuery(f"the expression {type(node).__name__}")

  def _arithmetic(self, query: Query, node: exp.Expr, head: str) -> Noun:
    def side(part: exp.Expr) -> str:
      part = bare(part)
      if is_value(part):
        return self.value(part)
      if isinstance(part, exp.Subquery):
        return self.content(read_nested(part, query))
      return f"the {self.expression(query, part, head).singular}"

    parts = [bare(node.this), bare(node.expression)]
    if isinstance(node, (exp.Add, exp.Sub)) and all(isinstance(part, exp.Column) for part in parts):
      names = [self.column_name(query.ref(part)) for part in parts]
      words = [set(name.nouns[0].singular.split()) - {"of", "in", "number"} for name in names]
      if not words[0] & words[1] and not (names[0].tags & names[1].tags) - {"plain"}:
        raise UnsupportedQuery("a sum or difference of unlike things")
    left, right = side(node.this), side(node.expression)
    if isinstance(node, exp.Sub):
      return unchanging(
        self.rng.choice(
          (
            f"difference between {left} and {right}",
            f"difference of {left} and {right}",
            f"result of {left} minus {right}",
          )
        )
      )
    if isinstance(node, exp.Add):
      return unchanging(
        self.rng.choice(
          (
            f"sum of {left} and {right}",
            f"total of {left} and {right}",
            f"result of {left} plus {right}",
          )
        )
      )
    if isinstance(node, exp.Mul):
      return unchanging(
        self.rng.choice(
          (
            f"product of {left} and {right}",
            f"result of {left} times {right}",
            f"result of {left} multiplied by {right}",
          )
        )
      )
    return unchanging(
      self.rng.choice(
        (f"ratio of {left} to {right}", f"{left.removeprefix('the ')} divided by {right}")
      )
    )

  def aggregate_noun(self, query: Query, node: exp.Expr, head: str) -> Noun:
    """ "average salary", "latest visit date", "total number of seats"."""
    argument = bare(node.this)
    ref = query.ref(argument)
    if ref.outer:
      raise UnsupportedQuery("an aggregate of the enclosing query")
    inner = self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)
    function = aggregate_of(node)
    if function in ("avg", "sum") and inner.singular.startswith(("average ", "mean ")):
      raise UnsupportedQuery("an average or a sum of averages")
    if function == "count":
      return Noun(f"number of {inner.plural}", f"numbers of {inner.plural}")
    if function == "sum" and inner.singular.split()[0] == "total":
      return Noun(f"sum of the {inner.plural}", f"sums of the {inner.plural}")
    word = self.function_word(ref, function)
    return Noun(f"{word} {inner.singular}", f"{word} {inner.plural}")

  def function_word(self, ref: Ref, function: str | None) -> str:
    """What an aggregate of a column is called before its noun: "average", "latest"."""
    if function in ("avg", "sum"):
      return pick(self.rng, wordings.AGGREGATES[function])
    if ref.column.kind == "text":
      return "alphabetically last" if function == "max" else "alphabetically first"
    tags = self.column_name(ref).tags
    if self.ends and not tags & {"date", "year"}:
      return self.ends[function == "min"]
    if tags & {"date", "year"} or self.maybe(0.3):
      return self.superlative(tags, function == "max")
    return pick(self.rng, wordings.MAXIMUM if function == "max" else wordings.MINIMUM)

  def item_noun(self, query: Query, node: exp.Expr, head: str) -> Noun:
    """The noun of a computed column: window functions and CASE beside what `expression` knows."""
    if isinstance(node, exp.Window):
      return self._window(query, node, head)
    if isinstance(node, exp.Case):
      return self._case(query, node, head)
    return self.expression(query, node, head)

  def _window(self, query: Query, node: exp.Window, head: str) -> Noun:
    order, partition = node.args.get("order"), node.args.get("partition_by") or []
    if isinstance(node.this, (exp.Rank, exp.RowNumber, exp.DenseRank)):
      if order is None or len(order.expressions) != 1:
        raise UnsupportedQuery("a rank without one order")
      by, descending = order.expressions[0].this, bool(order.expressions[0].args.get("desc"))
      noun = self.expression(query, by, head).singular
      direction = (
        self.rng.choice(("from highest to lowest", "with the highest first", "in descending order"))
        if descending
        else self.rng.choice(
          ("from lowest to highest", "with the lowest first", "in ascending order")
        )
      )
      what = {"Rank": "rank", "RowNumber": "position", "DenseRank": "dense rank"}[
        type(node.this).__name__
      ]
      text = self.rng.choice(
        (
          f"{what} by {noun} {direction}",
          f"{what} by {noun}, {direction}",
          f"{what} when ordered by {noun} {direction}",
        )
      )
    elif (
      aggregate_of(node.this) is not None
      and not isinstance(node.this.this, exp.Star)
      and order is None
    ):
      text = self.expression(query, node.this, head).singular
    else:
      raise UnsupportedQuery(f"the window function {type(node.this).__name__}")
    if partition:
      within = join_words([self.expression(query, p, head).singular for p in partition])
      text = self.rng.choice(
        (
          f"{text} within each {within}",
          f"{text} inside every {within}",
          f"{text}, separately for each {within}",
        )
      )
    return unchanging(text)

  def _case(self, query: Query, node: exp.Case, head: str) -> Noun:
    if node.this is not None:
      raise UnsupportedQuery("CASE with an operand")
    parts = []
    for branch in node.args["ifs"]:
      clause = self.condition(query, branch.this, head)
      if not is_value(branch.args["true"]) or not (clause.noun or clause.sentence or clause.verbs):
        raise UnsupportedQuery("CASE with computed results")
      when = clause.sentence or (
        f"the {clause.said}" if clause.noun else f"it {self.verb(clause, False)}"
      )
      parts.append(
        f"'{bare(branch.args['true']).this}' {self.rng.choice(('if', 'when', 'where'))} {when}"
      )
    default = node.args.get("default")
    if default is not None:
      if not is_value(default):
        raise UnsupportedQuery("CASE with computed results")
      parts.append(
        f"'{bare(default).this}' {self.rng.choice(('otherwise', 'if not', 'in all other cases'))}"
      )
    word = self.rng.choice(("label", "category", "class", "flag"))
    return unchanging(f"{word} ({join_words(parts, 'and')})")

  def counted(self, operator: str, value: exp.Expr, noun: str) -> str:
    """ "more than three visits", "exactly 2 visits"."""
    number = bare(value).this
    if not str(number).isdigit():
      raise UnsupportedQuery(f"a count compared with {number}")
    if operator in ("=", "!="):
      exactly = pick(self.rng, wordings.EXACTLY)
      words = f"{exactly} {self.small(int(number))}".strip()
      words = words if operator == "=" else f"a number other than {number} of"
    else:
      words = self.comparison(operator, self.small(int(number)), "count")
    if int(number) == 1 and not words.endswith(("or more", "or fewer", "of")):
      return f"{words} {singular_head(noun)}"
    return f"{words} {noun}"

  def _column_subject(self, query: Query, node: exp.Expr, head: str) -> tuple[str, Ref, bool]:
    """The noun of a column on a condition's left side, the column, whether it belongs to the head.

    Raises:
      UnsupportedQuery: it is another expression, or a column of the enclosing query.
    """
    ref = query.ref(bare(node))
    if ref.outer:
      raise UnsupportedQuery("a condition on the enclosing query")
    own = self.belongs(query, ref.alias, head)
    return (self.short(ref) if own else self.qualified(query, ref)).singular, ref, own

  def _subject(self, query: Query, node: exp.Expr, head: str) -> tuple[str, Ref | None, bool]:
    """The noun of a condition's left side, its column if any, whether that belongs to the head."""
    if isinstance(bare(node), exp.Column):
      return self._column_subject(query, node, head)
    return self.expression(query, node, head).singular, None, False
