"""What a query groups by, and what it says of the groups."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree, conjugate
from spftsql_jax.questions.grammar import Context
from spftsql_jax.questions.links import shares_a_parent
from spftsql_jax.questions.listings import Listings
from spftsql_jax.questions.naming import Noun, unchanging
from spftsql_jax.questions.parts import Clause, Group, TopWords, article, join_words, rounding
from spftsql_jax.questions.plan_conditions import attribute_of
from spftsql_jax.questions.plan_listings import aliases_of, is_key
from spftsql_jax.questions.query_meaning import Query, Ref, UnsupportedQuery, read_nested
from spftsql_jax.questions.syntax import (
  aggregate_in,
  aggregate_of,
  bare,
  date_part,
  flipped,
  is_pure_link,
  is_value,
  operator_of,
  own_columns,
)


class Groups(Listings):
  """Words GROUP BY, HAVING and aggregates of groups."""

  def _group(self, query: Query) -> Group:
    rows = self._rows_alias(query)
    refs = [query.ref(g) if isinstance(g, exp.Column) else None for g in query.group]
    known = [r for r in refs if r is not None]
    alias = self._group_alias(query, known, rows) if len(known) == len(refs) else None
    spoken = {r.alias for r in known} | {
      query.ref(c).alias for i in query.items for c in own_columns(i)
    }
    plan = self.plan(query, rows, spoken)
    if alias is None:
      if (query.having or query.limit) and any(self.column_name(r).property for r in known):
        raise UnsupportedQuery("which of those with and those without")
      row_clauses = self.clauses(query, plan, rows, None)
      noun, row_noun, row_person = (
        self._key_noun(query, query.group, rows),
        self.noun(query, rows),
        self.person(query, rows),
      )
      owners = {r.alias for r in known}
      measured = {a for n in query.tree.find_all(exp.AggFunc) for a in aliases_of(query, n)}
      if (
        is_pure_link(query.sources[rows])
        and not row_clauses
        and len(owners) == 1
        and rows not in owners | measured
      ):
        row_noun = self._far_noun(query, next(iter(owners)), rows)
      elif (
        not row_clauses
        and owners == {rows}
        and len(query.sources) == len(refs) == 1
        and measured <= {rows}
      ):
        row_noun = self._other_end(query, known[0]) or row_noun
      return Group(None, noun, [], False, rows, row_noun, row_clauses, row_person, plan)
    path = self.path(query, alias, rows)
    if shares_a_parent(alias, path):
      raise UnsupportedQuery("rows that are not those of the groups, but have the same parent")
    if plan.mixed:
      raise UnsupportedQuery("a condition over both the groups and their rows")
    clauses = (
      self.clauses(query, plan, alias, path[0]) if path else self.clauses(query, plan, alias, None)
    )
    if not path:
      return Group(
        alias,
        self.noun(query, alias),
        clauses,
        self.person(query, alias),
        rows,
        self.noun(query, rows),
        [],
        self.person(query, rows),
        plan,
      )
    # The rows are described from the side of the group: the way back to it is not spoken.
    blocked = dataclasses.replace(
      plan,
      own={
        a: c
        for a, c in plan.own.items()
        if a == rows or a not in self._subtree(query, alias, path[0])
      },
    )
    if len(path) == 1:
      row_noun, row_clauses, row_person = self._through_link(query, blocked, alias, rows, path[0])
    else:
      if is_pure_link(query.sources[rows]) and self._named_after_ends(query, query.sources[rows]):
        raise UnsupportedQuery("a count of pairs that have no name of their own")
      before = blocked.spoken
      blocked.spoken = before | set(query.sources)
      row_noun, row_clauses, row_person = (
        self.noun(query, rows),
        self.clauses(query, blocked, rows, None),
        self.person(query, rows),
      )
    optional = any(e.optional for e in path)
    return Group(
      alias,
      self.noun(query, alias),
      clauses,
      self.person(query, alias),
      rows,
      row_noun,
      row_clauses,
      row_person,
      plan,
      optional,
    )

  def _rows_alias(self, query: Query) -> str:
    finest = query.finest()
    if finest is not None:
      return finest
    for node in [*query.items, *query.having, *(e for e, _ in query.order)]:
      for function in node.find_all(exp.AggFunc):
        for column in own_columns(function):
          if not isinstance(function, exp.Count):
            return query.ref(column).alias
    raise UnsupportedQuery("groups over tables of which none is the finest")

  def _group_alias(self, query: Query, refs: list[Ref], rows: str) -> str | None:
    """The table whose rows are the groups.

    Grouped by its key, by the key that points to it, or by its natural name.
    """
    for ref in refs:
      key = tuple(c.lower() for c in ref.table.primary_key) == (ref.column.name.lower(),)
      key = key or any(  # Keys that nothing declares are known by what refers to them.
        e.parent == ref.alias
        and e.is_key
        and tuple(c.lower() for c in e.referred) == (ref.column.name.lower(),)
        for e in query.edges
      )
      if key and ref.alias != rows:
        return self._specific(query, ref.alias, rows)
      for edge in query.edges:
        if (
          edge.child == ref.alias
          and edge.is_key
          and tuple(c.lower() for c in edge.columns) == (ref.column.name.lower(),)
          and not edge.same
        ):
          return edge.parent
    if len(refs) == 1 and refs[0].alias != rows and self.column_name(refs[0]).names_entity:
      return refs[0].alias
    return None

  def _specific(self, query: Query, alias: str, rows: str) -> str | None:
    for edge in query.edges:
      if edge.same and edge.parent == alias:
        return edge.child if edge.child != rows else None
    return alias

  def _key_noun(self, query: Query, keys: list[exp.Expr], rows: str) -> Noun:
    nouns = [self._one_key(query, k, rows) for k in keys]
    return Noun(join_words([n.singular for n in nouns]), join_words([n.plural for n in nouns]))

  def _one_key(self, query: Query, key: exp.Expr, rows: str) -> Noun:
    part = date_part(key)
    if part is not None and part[0] in ("year", "month", "day"):
      ref = query.ref(part[1])
      if self.belongs(query, ref.alias, rows) and self.only_of_tag(ref, "date"):
        return Noun(part[0], f"{part[0]}s")
    if isinstance(key, exp.Case):
      return self._case(query, key, rows)
    if isinstance(key, exp.Column):
      ref = query.ref(key)
      if {"name", "plain"} <= self.column_name(ref).tags:
        return self.qualified(query, ref)  # "The names with two products" may be anyone's.
    return self.expression(query, key, rows)

  def _is_group_column(self, query: Query, group: Group, item: exp.Expr) -> bool:
    if item in query.group:
      return True
    if not isinstance(item, exp.Column):
      return False
    ref = query.ref(item)
    if group.alias is None:
      return any(
        isinstance(g, exp.Column)
        and query.ref(g).alias == ref.alias
        and query.ref(g).column is ref.column
        for g in query.group
      )
    if ref.alias == group.alias or self.belongs(query, ref.alias, group.alias):
      return True
    if any(
      isinstance(g, exp.Column)
      and query.ref(g).column is ref.column
      and query.ref(g).alias == ref.alias
      for g in query.group
    ):
      return True
    # The key that points to the group, or a row that the group points to.
    return any(
      e.child == ref.alias and e.parent == group.alias and ref.column.name in e.columns
      for e in query.edges
    ) or self._above(query, group.alias, ref.alias)

  def _above(self, query: Query, start: str, goal: str) -> bool:
    return any(
      e.child == start and e.is_key and (e.parent == goal or self._above(query, e.parent, goal))
      for e in query.edges
    )

  def _row_words(self, group: Group) -> str:
    """The grouped rows with their conditions, in the same words throughout the question."""
    if not group.words:
      group.words = self.with_number(group.row_noun, group.row_clauses, group.row_person, "plural")
    return group.words

  def _happens(self, group: Group) -> tuple[str, ...] | None:
    """The verb of what is counted, where it happens to the groups: a book is borrowed."""
    if group.person or group.alias is None or group.row_clauses:
      return None
    verb = wordings.EVENT_VERBS.get(group.row_noun.singular.split()[-1])
    return verb if verb is not None and verb[0] not in ("enrolled in", "registered for") else None

  def _split_aggregate(self, noun: Noun, inner: Noun) -> tuple[str, str]:
    """ "average", "salary" of "average salary"."""
    for words in (inner.singular, inner.plural):
      if noun.singular.endswith(" " + words):
        head = noun.singular[: -len(words) - 1]
        return ("total" if head.startswith("sum of") else head), inner.singular
    head = (
      "most recent" if noun.singular.startswith("most recent ") else noun.singular.split(" ", 1)[0]
    )
    rest = noun.singular.removeprefix("sum of the ").removeprefix(head + " ")
    return ("total" if head == "sum" else head), rest

  def _group_aggregate(
    self,
    query: Query,
    group: Group,
    node: exp.Expr,
    described: bool = True,
    inside: bool = False,
  ) -> Noun:
    """The noun of one aggregate per group.

    `described` says whether conditions on the rows are to be spoken.
    """
    node = bare(node.unalias())
    if isinstance(node, exp.Count) and self._counts_rows(query, node):
      rows = self._row_words(group) if described else group.row_noun.plural
      return Noun(f"number of {rows}", f"numbers of {rows}")
    if isinstance(node, exp.Round) and aggregate_of(bare(node.this)):
      inner = self._group_aggregate(query, group, bare(node.this), described)
      digits = node.args.get("decimals")
      places = rounding(digits)
      return Noun(f"{inner.singular} {places}", f"{inner.plural} {places}")
    noun = self.aggregate(
      query, node, group.rows if group.alias is None or group.rows != group.alias else group.alias
    )
    columns = [query.ref(c) for c in own_columns(node)]
    if (
      group.alias is None
      and inside
      and columns
      and all(self.belongs(query, r.alias, group.rows) for r in columns)
    ):
      group.said = True
      if group.row_clauses:
        return Noun(
          f"{noun.singular} of {self._row_words(group)}",
          f"{noun.plural} of {self._row_words(group)}",
        )
      word = group.row_noun.singular
      if (
        isinstance(node, (exp.Avg, exp.Max, exp.Min, exp.Sum))
        and isinstance(node.this, exp.Column)
        and word.split()[-1] not in noun.singular.split()
      ):
        head, measured = self._split_aggregate(noun, self.short(columns[0]))
        if measured.startswith(("number of ", "date of ", "year of ")):
          return Noun(
            f"{noun.singular} of {group.row_noun.plural}",
            f"{noun.plural} of {group.row_noun.plural}",
          )
        return unchanging(f"{head} {word} {measured}")
      return noun
    if (
      group.alias is not None
      and columns
      and all(self.belongs(query, r.alias, group.rows) for r in columns)
    ):
      # "the average cost" of a doctor is not clear, "the average visit cost" is.
      row = (
        group.row_noun.singular
        if group.row_noun.plural == self.noun(query, group.rows).plural
        else self.noun(query, group.rows).singular
      )
      if row.split()[-1] not in noun.singular.split():
        rows = self._row_words(group)
        if (group.row_clauses and described) or self.maybe(0.4):
          rows = rows if described else group.row_noun.plural
          return Noun(f"{noun.singular} of {rows}", f"{noun.plural} of {rows}")
        if isinstance(node, (exp.Avg, exp.Max, exp.Min, exp.Sum)) and isinstance(
          node.this, exp.Column
        ):
          qualified = self.qualified(query, query.ref(node.this)).singular
          head = (
            noun.singular.split(" ")[0]
            if not noun.singular.startswith(("sum of", "most recent", "alphabetically"))
            else " ".join(noun.singular.split(" ")[:2])
          )
          if head == "sum of":
            return unchanging(f"total {qualified}")
          return unchanging(f"{head} {qualified}")
    return noun

  def _counts_rows(self, query: Query, node: exp.Count) -> bool:
    argument = node.this
    if isinstance(argument, exp.Star):
      return True
    if isinstance(argument, exp.Distinct):
      return False
    if isinstance(bare(argument), exp.Column):
      ref = query.ref(bare(argument))
      grouped = any(
        isinstance(g, exp.Column)
        and query.ref(g).column is ref.column
        and query.ref(g).alias == ref.alias
        for g in query.group
      )
      keys = {c.lower() for k in ref.table.foreign_keys for c in k.columns}
      return (
        grouped
        or is_key(ref)
        or not ref.column.nullable
        or ref.column.name.lower() in keys
        or ref.column.name.lower() in (c.lower() for c in ref.table.primary_key)
      )
    return False

  def _having(self, query: Query, group: Group, node: exp.Expr) -> Clause:
    """HAVING as something said of the groups."""
    if isinstance(node, exp.Between) and aggregate_in(node.this):
      noun = self._group_aggregate(query, group, node.this)
      low, high = self.value(node.args["low"]), self.value(node.args["high"])
      if isinstance(node.this, exp.Count) and self._counts_rows(query, node.this):
        rows = self._row_words(group)
        return Clause(
          f"number of {rows}", f"is between {low} and {high}", f"between {low} and {high} {rows}"
        )
      return Clause(
        noun.singular,
        f"is between {low} and {high}",
        f"{article(noun.singular)} between {low} and {high}",
      )
    if not operator_of(node):
      raise UnsupportedQuery(f"HAVING {type(node).__name__}")
    left, right, operator = bare(node.this), bare(node.expression), operator_of(node)
    if is_value(left):
      left, right, operator = right, left, flipped(operator)
    if not aggregate_in(left):
      if group.alias is not None:
        return self.condition(query, node, group.alias)
      raise UnsupportedQuery("HAVING without an aggregate")
    if isinstance(left, exp.Count) and self._counts_rows(query, left) and is_value(right):
      rows = self._row_words(group)
      counted = self.counted(operator, right, rows)
      if (
        operator in ("<", "<=")
        and group.alias is not None
        and group.alias != group.rows
        and not group.optional
      ):
        counted = f"at least one but {counted}"  # The join leaves out those without any.
      if operator == ">" and right.name == "1" and self.maybe(0.2):
        counted = f"multiple {rows}"
      verbs = [conjugate(f"have {counted}")]
      posts = [f"with {counted}", f"having {counted}"]
      deed = wordings.DEEDS.get(group.row_noun.singular.split()[-1]) if group.person else None
      if deed:
        verbs += [
          conjugate(f"{deed[0]} {counted}"),
          conjugate(f"have {deed[1]} {counted}"),
        ]
      happens = self._happens(group)
      if happens:
        times = (
          self.counted(operator, right, "times").replace("one time", "once")
          if right.name != "1" or operator != ">"
          else "more than once"
        )
        verbs += [
          conjugate(f"were {happens[2]} {times}"),
          conjugate(f"have been {happens[2]} {times}"),
        ]
        posts += [f"{happens[2]} {times}"]
      if group.alias is None:
        verbs += (
          [conjugate(f"are shared by {counted}")]
          if not group.row_clauses and self.maybe(0.3)
          else []
        )
      words = counted[: -len(rows)].strip() if counted.endswith(rows) else ""
      if words and operator not in ("=", "!="):
        return Clause(f"number of {rows}", f"is {words}", counted, tuple(verbs), tuple(posts))
      return Clause(having=counted, verbs=tuple(verbs), posts=tuple(posts))
    noun = self._group_aggregate(query, group, left, inside=True)
    if is_value(right):
      value = self.value(right)
    elif isinstance(right, exp.Subquery):
      value = self.content(read_nested(right, query))
    elif aggregate_in(right):
      value = f"the {self._group_aggregate(query, group, right).singular}"
    else:
      raise UnsupportedQuery("HAVING compared with an expression")
    if operator in ("=", "!="):
      return Clause(
        noun.singular,
        f"is {'not ' if operator == '!=' else ''}{value}",
        f"{article(noun.singular)} of {value}" if operator == "=" else "",
      )
    dated = isinstance(left, (exp.Max, exp.Min)) and any(
      self.style(query.ref(c)) == "date" for c in own_columns(left)
    )
    return self.compared(noun.singular, operator, value, "date" if dated else "number")

  def _group_top(self, query: Query, group: Group, limit: int) -> TopWords:
    """ORDER BY an aggregate LIMIT n: "the city with the most doctors"."""
    number = "" if limit == 1 else self.small(limit)
    if not query.order:
      return TopWords(limit, f"first {number}".strip() if limit > 1 else "first", "", [], "")
    expression, descending = query.order[0]
    expression = bare(expression)
    ties = self._group_ties(query, group)
    if not aggregate_in(expression):
      if group.alias is not None and isinstance(expression, exp.Column):
        by = attribute_of(query, query.ref(expression), group.alias)
        return self.top_by_column(query, group.alias, by, descending, limit, ties)
      noun = self._one_key(query, expression, group.rows).singular
      dated = noun in ("year", "month")
      last, first = ("latest", "earliest") if dated else ("last", "first")
      return TopWords(limit, f"{last if descending else first} {number}".strip(), "", [], "")
    if isinstance(expression, exp.Count) and self._counts_rows(query, expression):
      rows = self._row_words(group)
      most = (
        self.rng.choice(
          (
            "the most",
            "the most",
            "the largest number of",
            "the highest number of",
            "the greatest number of",
          )
        )
        if descending
        else self.rng.choice(
          (
            "the fewest",
            "the least number of",
            "the smallest number of",
            "the lowest number of",
            "the fewest",
          )
        )
      )
      phrase = f"{most} {rows}"
      if (
        not descending
        and group.alias is not None
        and group.alias != group.rows
        and not group.optional
      ):
        # The join leaves out those without any.
        left_out = (" (but at least one)", ", not counting those without any,", " (at least one)")
        ties = f"{self.rng.choice(left_out)}{ties}"
      if group.alias is None and len(query.group) == 1 and not ties and self.maybe(0.3):
        word = (
          self.rng.choice(("most common", "most frequent"))
          if descending
          else self.rng.choice(("least common", "least frequent", "rarest"))
        )
        clause = Clause(posts=(f"among {rows}", f"of {rows}", f"among all {rows}"))
        return TopWords(limit, number, word, [clause], "")
      verbs = [conjugate(f"have {phrase}{ties}")]
      deed = wordings.DEEDS.get(group.row_noun.singular.split()[-1]) if group.person else None
      if deed:
        verbs += [
          conjugate(f"{deed[0]} {phrase}{ties}"),
          conjugate(f"have {deed[1]} {phrase}{ties}"),
        ]
      posts = (f"with {phrase}{ties}",)
      happens = self._happens(group)
      if happens and not ties and self.maybe(0.5):
        if self.maybe(0.5):
          return TopWords(
            limit,
            number,
            self.rng.choice(
              (
                f"{'most' if descending else 'least'} {happens[2]}",
                f"{'most' if descending else 'least'} often {happens[2]}",
              )
            ),
            [],
            "",
          )
        often = "most often" if descending else "least often"
        return TopWords(
          limit,
          number,
          "",
          [Clause(verbs=(conjugate(f"were {happens[2]} {often}"),))],
          agree(f"were {happens[2]} {often}", plural=limit > 1),
        )
      if limit > 1 and descending and not ties and not group.clauses and self.maybe(0.25):
        return TopWords(
          limit,
          f"top {number}",
          "",
          [Clause(posts=(f"by number of {rows}", f"by the number of {rows}"))],
          "",
        )
      had = self.rng.choice(verbs)
      return TopWords(
        limit,
        number,
        "",
        [Clause(verbs=tuple(verbs), posts=posts)],
        had.singular if limit == 1 else had.plural,
      )
    noun = self._group_aggregate(query, group, expression, inside=True).singular
    extreme = "highest" if descending else "lowest"
    columns = [query.ref(c) for c in own_columns(expression)]
    if columns and self.style(columns[0]) == "date":
      extreme = "latest" if descending else "earliest"
    elif self.maybe(0.3):
      extreme = "largest" if descending else "smallest"
    phrase = f"the {extreme} {noun}{ties}"
    return TopWords(
      limit, number, "", [Clause(having=phrase)], agree(f"have {phrase}", plural=limit > 1)
    )

  def _group_ties(self, query: Query, group: Group) -> str:
    if len(query.order) < 2:
      return ""
    words = [
      f"{self._order_word(query, group, e)}{' in descending order' if d else ''}"
      for e, d in query.order[1:]
    ]
    said = Context((), {"order": join_words(words, "then")})
    return f" {self.grammar.say('ties', said, self.rng)}"

  def _order_word(self, query: Query, group: Group, node: exp.Expr) -> str:
    if aggregate_in(node):
      return self._group_aggregate(query, group, node, False).singular
    return (
      self.expression(query, node, group.alias).singular
      if group.alias is not None
      else self._one_key(query, node, group.rows).singular
    )

  def _group_order(self, query: Query, group: Group) -> str:
    words = []
    for node, descending in query.order:
      node = bare(node)
      ref = query.ref(node) if isinstance(node, exp.Column) else None
      words.append(
        self._one_order(self._order_word(query, group, node), ref, descending, len(query.order) > 1)
      )
    if len(words) > 1:
      return (
        f"{self.rng.choice(('sorted by', 'ordered by', 'arranged by'))} {', then by '.join(words)}"
      )
    return "".join(words)
