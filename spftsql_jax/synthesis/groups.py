"""Questions over groups and over two queries combined: "for each city", "with more than three visits", "but not"."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.synthesis import wordings
from spftsql_jax.synthesis.descriptions import Plan, aggregate_of, date_part, fold_adjectives, is_pure_link, rounding
from spftsql_jax.synthesis.messages import Message, Messages, _Column, _Top, aggregate_in
from spftsql_jax.synthesis.naming import Noun
from spftsql_jax.synthesis.phrases import Clause, article, flipped, is_value, join_words, operator_of, pick
from spftsql_jax.synthesis.query_meaning import Edge, Query, Ref, SetQuery, UnsupportedQuery, bare, own_columns, read_nested


@dataclasses.dataclass
class _Group:
  """What a query groups by, and the rows that it groups.

  Attributes:
    alias: the table whose rows are the groups ("each doctor"), or None where the groups are values of a column ("each city").
    noun: of one group; clauses: conditions on the groups.
    rows: alias of the grouped rows; row_noun, row_clauses, row_person: their words, seen from the group.
  """

  alias: str | None
  noun: Noun
  clauses: list[Clause]
  person: bool
  rows: str
  row_noun: Noun
  row_clauses: list[Clause]
  row_person: bool
  plan: Plan
  optional: bool = False
  words: str = ""
  said: bool = False


class QuestionWriter(Messages):
  """Words every query that the parts below can describe."""

  def _grouped(self, query: Query) -> Message:
    if any(isinstance(i, exp.Star) for i in query.items):
      raise UnsupportedQuery("* with GROUP BY")
    group = self._group(query)
    items = [bare(i.unalias()) for i in query.items]
    aggregates = [aggregate_in(i) for i in items]
    for item, aggregated in zip(items, aggregates, strict=True):
      if not aggregated and not self._is_group_column(query, group, item):
        raise UnsupportedQuery(f"{item.sql()} is neither grouped by nor an aggregate")
    group.clauses = group.clauses + [self._having(query, group, h) for h in query.having]
    top = self._group_top(query, group) if query.limit is not None else None
    tail = "" if query.limit is not None else self._group_order(query, group)
    if group.alias is not None:
      return self._per_entity(query, group, items, aggregates, top, tail)
    return self._per_value(query, group, items, aggregates, top, tail)

  # ------------------------------------------------------------------------------------------------- finding the group

  def _group(self, query: Query) -> _Group:
    rows = self._rows_alias(query)
    refs = [query.ref(g) if isinstance(g, exp.Column) else None for g in query.group]
    alias = self._group_alias(query, refs, rows) if all(r is not None for r in refs) else None
    spoken = {r.alias for r in refs if r is not None} | {query.ref(c).alias for i in query.items for c in own_columns(i)}
    plan = self.plan(query, rows, spoken)
    if alias is None:
      row_clauses = self.clauses(query, plan, rows, None)
      noun, row_noun, row_person = self._key_noun(query, query.group, rows), self.noun(query, rows), self.person(query, rows)
      owners = {r.alias for r in refs if r is not None}
      if is_pure_link(query.sources[rows]) and not row_clauses and len(owners) == 1 and rows not in owners:
        row_noun = self._far_noun(query, next(iter(owners)), rows)
      return _Group(None, noun, [], False, rows, row_noun, row_clauses, row_person, plan)
    path = self.path(query, alias, rows)
    if plan.mixed:
      raise UnsupportedQuery("a condition over both the groups and their rows")
    clauses = self._clauses_without(query, plan, alias, path[0]) if path else self.clauses(query, plan, alias, None)
    if not path:
      return _Group(alias, self.noun(query, alias), clauses, self.person(query, alias), rows, self.noun(query, rows), [], self.person(query, rows), plan)
    # The rows are described from the side of the group: the way back to it is not spoken.
    blocked = dataclasses.replace(plan, own={a: c for a, c in plan.own.items() if a == rows or a not in self._beyond(query, alias, path[0])})
    if len(path) == 1:
      row_noun, row_clauses, row_person = self._through_link(query, blocked, alias, rows, path[0])
    else:
      before = blocked.spoken
      blocked.spoken = before | set(query.sources)
      row_noun, row_clauses, row_person = self.noun(query, rows), self.clauses(query, blocked, rows, None), self.person(query, rows)
    optional = any(e.optional for e in path)
    return _Group(alias, self.noun(query, alias), clauses, self.person(query, alias), rows, row_noun, row_clauses, row_person, plan, optional)

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
    """The table whose rows are the groups: grouped by its key, by the key that points to it, or by its natural name."""
    for ref in refs:
      if tuple(c.lower() for c in ref.table.primary_key) == (ref.column.name.lower(),) and ref.alias != rows:
        return self._specific(query, ref.alias, rows)
      for edge in query.edges:
        if edge.child == ref.alias and edge.is_key and tuple(c.lower() for c in edge.columns) == (ref.column.name.lower(),) and not edge.same:
          return edge.parent
    if len(refs) == 1 and refs[0].alias != rows and self.column_name(refs[0]).names_entity:
      return refs[0].alias
    return None

  def _specific(self, query: Query, alias: str, rows: str) -> str | None:
    for edge in query.edges:
      if edge.same and edge.parent == alias:
        return edge.child if edge.child != rows else None
    return alias

  def _beyond(self, query: Query, alias: str, edge: Edge) -> set[str]:
    """The aliases on the side of `alias` when `edge` is cut."""
    return self._subtree(query, alias, edge)

  def _clauses_without(self, query: Query, plan: Plan, alias: str, edge: Edge) -> list[Clause]:
    return self.clauses(query, plan, alias, edge)

  def _key_noun(self, query: Query, keys: list[exp.Expression], rows: str) -> Noun:
    nouns = [self._one_key(query, k, rows) for k in keys]
    return Noun(join_words([n.singular for n in nouns]), join_words([n.plural for n in nouns]))

  def _one_key(self, query: Query, key: exp.Expression, rows: str) -> Noun:
    part = date_part(key)
    if part is not None and part[0] in ("year", "month", "day"):
      ref = query.ref(part[1])
      if self.belongs(query, ref.alias, rows) and self.only_of_tag(ref, "date"):
        return Noun(part[0], f"{part[0]}s")
    if isinstance(key, exp.Case):
      return self._case(query, key, rows)
    return self.expression(query, key, rows)

  def _is_group_column(self, query: Query, group: _Group, item: exp.Expression) -> bool:
    if item in query.group:
      return True
    if not isinstance(item, exp.Column):
      return False
    ref = query.ref(item)
    if group.alias is None:
      return any(isinstance(g, exp.Column) and query.ref(g).alias == ref.alias and query.ref(g).column is ref.column for g in query.group)
    if ref.alias == group.alias or self.belongs(query, ref.alias, group.alias):
      return True
    if any(isinstance(g, exp.Column) and query.ref(g).column is ref.column and query.ref(g).alias == ref.alias for g in query.group):
      return True
    # The key that points to the group, or a row that the group points to.
    return any(e.child == ref.alias and e.parent == group.alias and ref.column.name in e.columns for e in query.edges) or self._above(query, group.alias, ref.alias)

  def _above(self, query: Query, start: str, goal: str) -> bool:
    return any(e.child == start and e.is_key and (e.parent == goal or self._above(query, e.parent, goal)) for e in query.edges)

  # ----------------------------------------------------------------------------------------------- aggregates of groups

  def _row_words(self, group: _Group) -> str:
    """The grouped rows with their conditions, in the same words throughout the question."""
    if not group.words:
      group.words = self.with_number(group.row_noun, group.row_clauses, group.row_person, "plural")
    return group.words

  def _happens(self, group: _Group) -> tuple[str, str, str, str] | None:
    """The verb of what is counted, where the groups are the things that it happens to: a book is borrowed."""
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
    head = "most recent" if noun.singular.startswith("most recent ") else noun.singular.split(" ", 1)[0]
    rest = noun.singular.removeprefix("sum of the ").removeprefix(head + " ")
    return ("total" if head == "sum" else head), rest

  def _group_aggregate(self, query: Query, group: _Group, node: exp.Expression, described: bool = True, inside: bool = False) -> Noun:
    """The noun of one aggregate per group; `described` says whether conditions on the rows are to be spoken."""
    node = bare(node.unalias())
    if isinstance(node, exp.Count) and self._counts_rows(query, group, node):
      rows = self._row_words(group) if described else group.row_noun.plural
      return Noun(f"number of {rows}", f"numbers of {rows}")
    if isinstance(node, exp.Round) and aggregate_of(bare(node.this)):
      inner = self._group_aggregate(query, group, bare(node.this), described)
      digits = node.args.get("decimals")
      places = rounding(digits)
      return Noun(f"{inner.singular} {places}", f"{inner.plural} {places}")
    noun = self.aggregate(query, node, group.rows if group.alias is None or group.rows != group.alias else group.alias)
    columns = [query.ref(c) for c in own_columns(node)]
    if group.alias is None and inside and columns and all(self.belongs(query, r.alias, group.rows) for r in columns):
      group.said = True
      if group.row_clauses:
        return Noun(f"{noun.singular} of {self._row_words(group)}", f"{noun.plural} of {self._row_words(group)}")
      word = group.row_noun.singular
      if isinstance(node, (exp.Avg, exp.Max, exp.Min, exp.Sum)) and isinstance(node.this, exp.Column) and word.split()[-1] not in noun.singular.split():
        head, inner = self._split_aggregate(noun, self.short(columns[0]))
        if inner.startswith(("number of ", "date of ", "year of ")):
          return Noun(f"{noun.singular} of {group.row_noun.plural}", f"{noun.plural} of {group.row_noun.plural}")
        return Noun(f"{head} {word} {inner}", f"{head} {word} {inner}")
      return noun
    if group.alias is not None and columns and all(self.belongs(query, r.alias, group.rows) for r in columns):
      # "the average cost" of a doctor is not clear, "the average visit cost" is.
      row = group.row_noun.singular if group.row_noun.plural == self.noun(query, group.rows).plural else self.noun(query, group.rows).singular
      if row.split()[-1] not in noun.singular.split():
        rows = self._row_words(group)
        if (group.row_clauses and described) or self.maybe(0.4):
          rows = rows if described else group.row_noun.plural
          return Noun(f"{noun.singular} of {rows}", f"{noun.plural} of {rows}")
        if isinstance(node, (exp.Avg, exp.Max, exp.Min, exp.Sum)) and isinstance(node.this, exp.Column):
          qualified = self.qualified(query, query.ref(node.this)).singular
          head = noun.singular.split(" ")[0] if not noun.singular.startswith(("sum of", "most recent", "alphabetically")) else " ".join(noun.singular.split(" ")[:2])
          if head == "sum of":
            return Noun(f"total {qualified}", f"total {qualified}")
          return Noun(f"{head} {qualified}", f"{head} {qualified}")
    return noun

  def _counts_rows(self, query: Query, group: _Group, node: exp.Count) -> bool:
    argument = node.this
    if isinstance(argument, exp.Star):
      return True
    if isinstance(argument, exp.Distinct):
      return False
    if isinstance(bare(argument), exp.Column):
      ref = query.ref(bare(argument))
      grouped = any(isinstance(g, exp.Column) and query.ref(g).column is ref.column and query.ref(g).alias == ref.alias for g in query.group)
      keys = {c.lower() for k in ref.table.foreign_keys for c in k.columns}
      return grouped or self._is_key(ref) or not ref.column.nullable or ref.column.name.lower() in keys or ref.column.name.lower() in (c.lower() for c in ref.table.primary_key)
    return False

  def _having(self, query: Query, group: _Group, node: exp.Expression) -> Clause:
    """HAVING as something said of the groups."""
    if isinstance(node, exp.Between) and aggregate_in(node.this):
      noun = self._group_aggregate(query, group, node.this)
      low, high = self.value(node.args["low"]), self.value(node.args["high"])
      if isinstance(node.this, exp.Count) and self._counts_rows(query, group, node.this):
        rows = self._row_words(group)
        return Clause(f"number of {rows}", f"is between {low} and {high}", f"between {low} and {high} {rows}")
      return Clause(noun.singular, f"is between {low} and {high}", f"{article(noun.singular)} between {low} and {high}")
    if operator_of(node) is None:
      raise UnsupportedQuery(f"HAVING {type(node).__name__}")
    left, right, operator = bare(node.this), bare(node.expression), operator_of(node)
    if is_value(left):
      left, right, operator = right, left, flipped(operator)
    if not aggregate_in(left):
      if group.alias is not None:
        return self.condition(query, node, group.alias)
      raise UnsupportedQuery("HAVING without an aggregate")
    if isinstance(left, exp.Count) and self._counts_rows(query, group, left) and is_value(right):
      rows = self._row_words(group)
      counted = self.counted(operator, right, rows)
      if operator == ">" and right.name == "1" and self.maybe(0.2):
        counted = f"multiple {rows}"
      verbs = [(f"have {counted}", f"has {counted}")]
      posts = [f"with {counted}", f"having {counted}"]
      deed = wordings.DEEDS.get(group.row_noun.singular.split()[-1]) if group.person else None
      if deed:
        verbs += [(f"{deed[0]} {counted}", f"{deed[0]} {counted}"), (f"have {deed[1]} {counted}", f"has {deed[1]} {counted}")]
      happens = self._happens(group)
      if happens:
        times = self.counted(operator, right, "times").replace("one time", "once") if right.name != "1" or operator != ">" else "more than once"
        verbs += [(f"were {happens[2]} {times}", f"was {happens[2]} {times}"), (f"have been {happens[2]} {times}", f"has been {happens[2]} {times}")]
        posts += [f"{happens[2]} {times}"]
      if group.alias is None:
        verbs += [(f"are shared by {counted}", f"is shared by {counted}")] if not group.row_clauses and self.maybe(0.3) else []
      words = counted[: -len(rows)].strip() if counted.endswith(rows) else ""
      if words and operator not in ("=", "!="):
        return Clause(f"number of {rows}", f"is {words}", counted, tuple(verbs), tuple(posts))
      return Clause("", "", counted, tuple(verbs), tuple(posts))
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
      return Clause(noun.singular, f"is {'not ' if operator == '!=' else ''}{value}", f"{article(noun.singular)} of {value}" if operator == "=" else "")
    style = "date" if any(self.style(query.ref(c)) == "date" for c in own_columns(left)) and isinstance(left, (exp.Max, exp.Min)) else "number"
    compared = self.comparison(operator, value, style)
    return Clause(noun.singular, f"is {compared}", f"{article(noun.singular)} {compared}")

  def _group_top(self, query: Query, group: _Group) -> _Top:
    """ORDER BY an aggregate LIMIT n: "the city with the most doctors"."""
    limit = query.limit
    number = "" if limit == 1 else self.small(limit)
    if not query.order:
      return _Top(limit, f"first {number}".strip() if limit > 1 else "first", "", [], "")
    expression, descending = query.order[0]
    expression = bare(expression)
    ties = self._group_ties(query, group)
    if not aggregate_in(expression):
      if group.alias is not None and isinstance(expression, exp.Column):
        return self._top_by_column(query, group.plan, group.alias, query.ref(expression), descending, limit, number, ties)
      noun = self._one_key(query, expression, group.rows).singular
      style = frozenset(("year",)) if noun in ("year", "month") else frozenset()
      return _Top(limit, f"{'last' if descending else 'first'} {number}".strip() if not style else f"{'latest' if descending else 'earliest'} {number}".strip(), "", [], "")
    if isinstance(expression, exp.Count) and self._counts_rows(query, group, expression):
      rows = self._row_words(group)
      most = self.rng.choice(("the most", "the most", "the largest number of", "the highest number of", "the greatest number of")) if descending else self.rng.choice(
        ("the fewest", "the least number of", "the smallest number of", "the lowest number of", "the fewest"))  # fmt: skip
      phrase = f"{most} {rows}"
      if group.alias is None and len(query.group) == 1 and not ties and self.maybe(0.3):
        word = self.rng.choice(("most common", "most frequent")) if descending else self.rng.choice(("least common", "least frequent", "rarest"))
        clause = Clause("", "", "", (), (f"among {rows}", f"of {rows}", f"among all {rows}"))
        return _Top(limit, number, word, [clause], "")
      verbs = [(f"have {phrase}{ties}", f"has {phrase}{ties}")]
      deed = wordings.DEEDS.get(group.row_noun.singular.split()[-1]) if group.person else None
      if deed:
        verbs += [(f"{deed[0]} {phrase}{ties}", f"{deed[0]} {phrase}{ties}"), (f"have {deed[1]} {phrase}{ties}", f"has {deed[1]} {phrase}{ties}")]
      posts = (f"with {phrase}{ties}",)
      happens = self._happens(group)
      if happens and not ties and self.maybe(0.5):
        if self.maybe(0.5):
          return _Top(limit, number, self.rng.choice((f"{'most' if descending else 'least'} {happens[2]}", f"{'most' if descending else 'least'} often {happens[2]}")), [], "")
        often = "most often" if descending else "least often"
        return _Top(limit, number, "", [Clause("", "", "", ((f"were {happens[2]} {often}", f"was {happens[2]} {often}"),))], f"{'was' if limit == 1 else 'were'} {happens[2]} {often}")
      if limit > 1 and descending and not ties and self.maybe(0.25):
        return _Top(limit, f"top {number}", "", [Clause("", "", "", (), (f"by number of {rows}", f"by the number of {rows}"))], "")
      had = self.rng.choice(verbs)
      return _Top(limit, number, "", [Clause("", "", "", tuple(verbs), posts)], had[1 if limit == 1 else 0])
    noun = self._group_aggregate(query, group, expression, inside=True).singular
    extreme = "highest" if descending else "lowest"
    columns = [query.ref(c) for c in own_columns(expression)]
    if columns and self.style(columns[0]) == "date":
      extreme = "latest" if descending else "earliest"
    elif self.maybe(0.3):
      extreme = "largest" if descending else "smallest"
    phrase = f"the {extreme} {noun}{ties}"
    return _Top(limit, number, "", [Clause("", "", phrase)], f"{'has' if limit == 1 else 'have'} {phrase}")

  def _group_ties(self, query: Query, group: _Group) -> str:
    if len(query.order) < 2:
      return ""
    words = [f"{self._order_word(query, group, e)}{' in descending order' if d else ''}" for e, d in query.order[1:]]
    return f" ({self.rng.choice(('ties broken by', 'breaking ties by', 'in case of a tie by'))} {join_words(words, 'then')})"

  def _order_word(self, query: Query, group: _Group, node: exp.Expression) -> str:
    if aggregate_in(node):
      return self._group_aggregate(query, group, node, False).singular
    return self.expression(query, node, group.alias).singular if group.alias is not None else self._one_key(query, node, group.rows).singular

  def _group_order(self, query: Query, group: _Group) -> str:
    words = []
    for node, descending in query.order:
      node = bare(node)
      ref = query.ref(node) if isinstance(node, exp.Column) else None
      words.append(self._one_order(self._order_word(query, group, node), ref, descending, len(query.order) > 1))
    if len(words) > 1:
      return f"{self.rng.choice(('sorted by', 'ordered by', 'arranged by'))} {', then by '.join(words)}"
    return "".join(words)

  # -------------------------------------------------------------------------------------------------- the two layouts

  def _per_entity(self, query: Query, group: _Group, items: list[exp.Expression], aggregates: list[bool], top: _Top | None, tail: str) -> Message:
    """Groups that are the rows of a table: "the name of each doctor and the number of visits"."""
    if not any(aggregates):
      return self._attributes(query, group.plan, group.alias, group.clauses, False, top, tail, group.noun)
    plain, conditions = fold_adjectives(group.noun, group.clauses) if top is not None else (group.noun, group.clauses)
    clauses = conditions + (top.clauses if top is not None else [])
    noun = Noun(top.put(plain.singular), top.put(plain.plural)) if top is not None else group.noun
    single = top is not None and top.limit == 1
    words, plurals, columns = self._group_items(query, group, items, aggregates)
    listed, listed_plural = join_words(words), join_words(plurals)
    one = self.with_number(noun, clauses, group.person, "singular")
    many = self.with_number(noun, clauses, group.person, "plural")
    rows = self._row_words(group)
    if single:
      which = [q[:-1] for q in top.questions(group.noun, True, group.person, clauses, self)]
      sentences = [f"{w}? {self.rng.choice(('Show', 'Give', 'Return', 'List', 'Tell me'))} the {listed}." for w in which]
      counts = [isinstance(i, exp.Count) and self._counts_rows(query, group, i) for i in items]
      if len(items) == 2 and columns[0] is not None and columns[0].natural and counts[1] and not group.row_clauses:
        sentences += [f"{w}, and how many?" for w in which if "most" in w or "number" in w or "fewest" in w]
      return Message(f"the {listed} of the {one}", len(items) > 1, sentences=tuple(sentences))
    zero = self.rng.choice((", including those without any", " (including those with none)", ", even if there are none")) if group.optional else ""
    if top is not None:
      return Message(f"the {listed_plural} of the {many}", True, sentences=tuple(self._with_show(top.questions(group.noun, True, group.person, clauses, self), listed_plural)))
    forms = [
      (f"the {listed} of {self.rng.choice(('each', 'every', 'each'))} {one}", ""),
      (f"the {listed}", f"for {self.rng.choice(('each', 'every', 'each'))} {one}"),
      (f"the {listed}", f"for {self.rng.choice(('each', 'every', 'each'))} {one}"),
    ]
    sentences: list[str] = []
    natural = [i for i, a in enumerate(aggregates) if not a]
    if len(items) == 2 and columns[0] is not None and columns[0].natural and aggregates[1]:
      forms += [
        (f"{self.rng.choice(('each', 'every', 'each'))} {one} {self.rng.choice(('and', 'with', 'along with', 'together with'))} the {words[1]}", ""),
        (f"the {words[1]} {self.rng.choice(('of', 'for', 'of'))} {self.rng.choice(('each', 'every', 'each'))} {one}", ""),
        (f"the {words[1]} per {group.noun.singular}" if not clauses else f"the {words[1]} for each {one}", ""),
      ]
      if isinstance(items[1], exp.Count) and self._counts_rows(query, group, items[1]):
        have = wordings.DEEDS[group.row_noun.singular.split()[-1]][0 if False else 2] if group.person and group.row_noun.singular.split()[-1] in wordings.DEEDS and not group.row_clauses else "have"
        verb = f"does {self.rng.choice(('each', 'every', 'each'))} {one} {have}"
        if have not in ("have",):
          verb = f"did {self.rng.choice(('each', 'every', 'each'))} {one} {have}"
        sentences += [f"How many {rows} {verb}{zero}?"] * 3
        happens = self._happens(group)
        if happens and not zero:
          sentences += [f"How {self.rng.choice(('many times', 'often'))} was each {one} {happens[2]}?"] * 2
        sentences += [f"How many {rows} {verb}{zero}? {self.rng.choice(('Show', 'Give', 'List', 'Return'))} the {group.noun.singular} {self.rng.choice(('name', 'name')) if columns[0].noun.singular == 'name' else columns[0].noun.singular} and the {self.rng.choice(('count', 'number'))}."]
        if not group.row_clauses:
          sentences += [f"How many {rows} are there {self.rng.choice(('for each', 'per', 'for every'))} {one}{zero}?"]
      elif isinstance(items[1], (exp.Sum, exp.Avg, exp.Max, exp.Min)):
        sentences += [f"What is the {words[1]} {self.rng.choice(('of', 'for'))} each {one}?"]
    elif natural and aggregates[-1] and len(natural) == len(items) - 1 and len(natural) > 1:
      plain = join_words([plurals[i] for i in natural])
      forms += [(f"the {plain} of {self.rng.choice(('', 'all ', 'the '))}{many}, {self.rng.choice(('along with', 'together with', 'and also'))} the {words[-1]} {self.rng.choice(('for each', 'of each'))}", "")]
    content, lead = self.rng.choice(forms)
    if sentences and tail:
      sentences = [f"{s[:-1]}, {tail}{s[-1]}" for s in sentences]
    message = Message(f"{content}{zero}" if not lead else content, len(items) > 1, lead, True, f"{zero} {tail}".strip() if lead and zero else tail, tuple(sentences), 0.45)
    if lead and zero:
      message.after = False
    return message

  def _with_show(self, questions: list[str], listed: str) -> list[str]:
    return [f"{q} {self.rng.choice(('Show', 'Give', 'Return', 'List'))} the {listed}." for q in questions]

  def _group_items(self, query: Query, group: _Group, items: list[exp.Expression], aggregates: list[bool]) -> tuple[list[str], list[str], list[_Column | None]]:
    """The words of the returned columns, singular and plural."""
    words: list[str] = []
    plurals: list[str] = []
    columns: list[_Column | None] = []
    described = False
    for item, aggregated in zip(items, aggregates, strict=True):
      if aggregated:
        noun = self._group_aggregate(query, group, item, group.alias is not None and not described)
        described = True
        columns.append(None)
        words.append(noun.singular)
        plurals.append(noun.singular)
        continue
      if group.alias is None:
        noun = self._one_key(query, item, group.rows)
        columns.append(None)
      else:
        ref = query.ref(item)
        own = self.belongs(query, ref.alias, group.alias)
        key = any(e.child == ref.alias and e.parent == group.alias and ref.column.name in e.columns for e in query.edges)
        noun = Noun("id", "ids") if key and self.maybe(0.5) and ref.column.name.lower().endswith("id") else self.short(ref) if own else self.qualified(query, ref)
        columns.append(_Column(noun, own, own and self.column_name(ref).names_entity, ref))
      if noun.singular in words:
        noun = self.qualified(query, query.ref(item)) if isinstance(item, exp.Column) else noun
      words.append(noun.singular)
      plurals.append(noun.plural)
    if len(set(words)) < len(words):
      raise UnsupportedQuery("two columns of the same name")
    # "the name and the number of visits" is easier to follow than "the name and number of visits".
    words = [w if i == 0 or not a or self.maybe(0.25) else f"the {w}" for i, (w, a) in enumerate(zip(words, aggregates, strict=True))]
    return words, plurals, columns

  def _per_value(self, query: Query, group: _Group, items: list[exp.Expression], aggregates: list[bool], top: _Top | None, tail: str) -> Message:
    """Groups that are values of columns: "the number of doctors in each city"."""
    keys = [i for i, a in zip(items, aggregates, strict=True) if not a]
    whole = len({k.sql() for k in keys}) == len({g.sql() for g in query.group})
    rows = self._row_words(group)
    if not any(aggregates):
      return self._values_only(query, group, items, whole, top, tail, rows)
    words, _, _ = self._group_items(query, group, items, aggregates)
    listed = join_words(words)
    clauses = group.clauses + (top.clauses if top is not None else [])
    aggregate_words = [w.removeprefix("the ") for w, a in zip(words, aggregates, strict=True) if a]
    counts = [isinstance(i, exp.Count) and self._counts_rows(query, group, i) for i in items]
    if top is not None:
      noun = Noun(top.put(group.noun.singular), top.put(group.noun.plural))
      described = self.with_number(noun, clauses, False, "singular" if top.limit == 1 else "plural")
      extra = join_words([f"the {w}" for w in aggregate_words])
      among = "" if rows in described or group.said else f" among {rows}"
      sentences = []
      if top.limit == 1:
        for question in top.questions(group.noun, True, False, clauses, self):
          sentences.append(f"{question} {self.rng.choice(('Show', 'Give', 'Return', 'List'))} the {listed}{among}.")
          if counts[-1] and not aggregates[0] and self.maybe(0.6):
            sentences.append(f"{question[:-1]}, and how many {self.rng.choice(('are there', 'does it have'))}?")
        return Message(f"the {described}{among} and {extra}" if not aggregates[0] else f"the {listed} of the {described}{among}", True, sentences=tuple(sentences))
      return Message(f"the {described}{among} and {extra}", True)
    each = self.with_number(group.noun, clauses, False, "singular")
    each_word = self.rng.choice(("each", "every", "each", "each", "each" if clauses or len(query.group) > 1 else "each different"))
    place = self._place_word(query, group)
    if group.noun.singular.startswith("label") or len(group.noun.singular.split()) > 8:
      return Message(f"the {join_words(aggregate_words)} of {rows}" if not all(counts[i] for i, a in enumerate(aggregates) if a) else f"the number of {rows}", False, f"for each {each}", True, tail)
    of_rows = "" if all(c for c, a in zip(counts, aggregates, strict=True) if a) and not group.row_clauses else f" of {rows}"
    forms: list[tuple[str, str]] = []
    sentences = []
    simple_order = whole and not any(aggregates[: len(keys)])
    if sum(aggregates) == 1 and counts[aggregates.index(True)]:
      if simple_order:
        forms += [
          (f"the number of {rows}", f"{self.rng.choice((place, 'for'))} {each_word} {each}"),
          (f"the number of {rows}", f"{self.rng.choice((place, 'for'))} {each_word} {each}"),
          (f"the number of {rows} {pick(self.rng, wordings.EACH[2:4]) if not clauses else 'for each'} {each}", ""),
          (f"{self.rng.choice(('each', 'every'))} {each} and the number of {rows}{self.rng.choice((' in it', ' it has', '')) if not group.row_clauses else ''}", ""),
          (f"the number of {rows}", f"for {each_word} {each}") if clauses or len(keys) > 1 else (f"the {listed_keys(words, aggregates)} and the number of {rows}", f"for {each_word} {each}"),
          (f"the number of {rows}{self.rng.choice((' grouped by', ' broken down by', ', grouped by', ' split by'))} {each}" if not clauses else f"the number of {rows} for each {each}", ""),
        ]
        have = f"does {each_word} {each} have" if not group.row_clauses else f"are there {place} {each_word} {each}"
        sentences += [f"How many {rows} are there {self.rng.choice((place, 'for', place))} {each_word} {each}?", f"How many {rows} are there {self.rng.choice((place, 'for'))} {each_word} {each}?",
                      f"How many {rows} {have}?", f"How many {rows} are there per {each}?" if not clauses else f"How many {rows} are there for each {each}?",
                      f"Count the {rows} {self.rng.choice(('in', 'for', 'per', 'by')) if not clauses else 'for each'} {each}." if clauses or self.maybe(0.5) else f"Count the {rows} for each {each}."]  # fmt: skip
        sentences = [s.replace(f"Count the {rows} in {each}", f"Count the {rows} in each {each}").replace(f"Count the {rows} for {each}", f"Count the {rows} for each {each}") for s in sentences]
      else:
        forms += [(f"the {self._row_listed(words, counts, rows)}", f"for {each_word} {each}"), (f"the {self._row_listed(words, counts, rows)} {place} {each_word} {each}", "")]
    else:
      described = self._row_listed(words, counts, rows)
      only = self._row_listed([w for w, a in zip(words, aggregates, strict=True) if a], [c for c, a in zip(counts, aggregates, strict=True) if a], rows)
      if simple_order:
        forms += [
          (f"the {only}{of_rows}", f"for {each_word} {each}"), (f"the {only}{of_rows}", f"{self.rng.choice((place, 'for'))} {each_word} {each}"),
          (f"the {only}{of_rows} {self.rng.choice(('per', 'by', 'by', 'for each')) if not clauses else 'for each'} {each}", ""),
          (f"{self.rng.choice(('each', 'every'))} {each} {self.rng.choice(('and', 'with', 'along with'))} the {only}{of_rows}", ""),
          (f"the {only}{of_rows}{', grouped by' if not clauses else ' for each'} {each}", ""),
        ]  # fmt: skip
        if sum(aggregates) == 1:
          sentences += [f"What is the {only}{of_rows} {self.rng.choice((place, 'for', 'of'))} each {each}?"]
      else:
        forms += [(f"the {described}{of_rows}", f"for {each_word} {each}")]
    if not keys or not whole:
      forms = [(f"the {self._row_listed(words, counts, rows)}{of_rows if not any(counts) else ''}", f"for {each_word} {each}")]
      sentences = []
    content, lead = self.rng.choice(forms)
    if tail:
      sentences = [f"{s[:-1]}, {tail}{s[-1]}" for s in sentences]
    return Message(content, sum(aggregates) > 1 or "and the" in content, lead, True, tail, tuple(sentences), 0.4)

  def _row_listed(self, words: list[str], counts: list[bool], rows: str) -> str:
    """The columns, with the counted rows described where they are counted."""
    said = [f"{'the ' if i and w.startswith('the ') else ''}number of {rows}" if c else w for i, (w, c) in enumerate(zip(words, counts, strict=True))]
    return join_words(said).removeprefix("the ")

  def _values_only(self, query: Query, group: _Group, items: list[exp.Expression], whole: bool, top: _Top | None, tail: str, rows: str) -> Message:
    """Only the grouped columns are returned."""
    if not whole:
      raise UnsupportedQuery("part of the grouped columns alone")
    nouns = [self._one_key(query, i, group.rows) for i in items]
    noun = Noun(join_words([n.singular for n in nouns]), join_words([n.plural for n in nouns]))
    clauses = list(group.clauses)
    if top is not None:
      said = Noun(top.put(noun.singular), top.put(noun.plural))
      single = top.limit == 1
      described = self.with_number(said, clauses + top.clauses, False, "singular" if single else "plural")
      among = "" if rows in described or group.said else f" {self.rng.choice(('of', 'among', 'for'))} {rows}"
      sentences = [f"{q[:-1]}{'' if rows in q else among}?" for q in top.questions(noun, True, False, clauses + top.clauses, self)]
      if top.adjective:
        sentences = [f"Which {noun.singular if single else noun.plural} {'is' if single else 'are'} the {top.put('').strip()}{among or f' among {rows}'}?"]
      return Message(f"the {described}{among}", not single, sentences=tuple(sentences))
    if not clauses:
      different = self.rng.choice(wordings.DISTINCT_WORDS)
      return Message(f"the {different} {noun.plural} of {rows}", True, tail=tail)
    described = self.with_number(noun, clauses, False, "plural")
    among = "" if rows in described or group.said else f" of {rows}"
    sentences = []
    if all(c.verbs or c.having for c in clauses):
      said_verbs = join_words([self.verb(c, True) for c in clauses])
      suffix = "" if rows in said_verbs else among
      sentences = [f"Which {noun.plural} {said_verbs}{suffix}?", f"What {noun.plural} {said_verbs}{suffix}?"]
    if tail:
      sentences = [f"{s[:-1]}, {tail}?" for s in sentences]
    return Message(f"{self.rng.choice(('the ', 'the ', 'all '))}{described}{among}", True, tail=tail, sentences=tuple(sentences))

  def _place_word(self, query: Query, group: _Group) -> str:
    """ "in each city", "for each type"."""
    last = group.noun.singular.split()[-1]
    if last in wordings.PLACES or last in ("year", "month", "category", "class", "group", "genre", "department"):
      return "in"
    return self.rng.choice(("for", "with", "of")) if last in ("type", "status", "kind", "gender", "sex", "age", "color", "grade") else "for"

  # ----------------------------------------------------------------------------------------------------- combinations

  def _derived(self, query: Query) -> Message:
    """COUNT(*) over a nested query; nothing else is worded."""
    items = [i.unalias() for i in query.items]
    if len(items) != 1 or not isinstance(items[0], exp.Count) or not isinstance(items[0].this, exp.Star) or query.tree.args.get("where") or query.group:
      raise UnsupportedQuery("a derived table")
    if isinstance(query.derived, Query) and any(isinstance(i, exp.Star) for i in query.derived.items):
      raise UnsupportedQuery("a count over *")
    content = self.content(query.derived).removeprefix("the ")
    return Message(f"the number of {content}", False, sentences=(f"How many {content} are there?",))

  def _combined(self, query: SetQuery) -> Message:
    """Set operations: one entity under two conditions where both sides return the same columns of it, else two phrases."""
    if query.limit is not None:
      raise UnsupportedQuery("LIMIT on a set operation")
    message = self._same_entity(query)
    if message is None:
      left, right = self.content(query.left), self.content(query.right)
      if query.operator == "intersect":
        content = self.rng.choice((f"{left} that are also among {right}", f"what is common to both {left} and {right}", f"the overlap between {left} and {right}"))
      elif query.operator == "except":
        content = self.rng.choice((f"{left} that are not among {right}", f"{left}, excluding {right}", f"{left} except for {right}", f"{left} but without {right}"))
      elif query.operator == "union":
        content = self.rng.choice((f"{left} and {right}, without duplicates", f"{left} together with {right}, each only once", f"the combined list of {left} and {right} without duplicates", f"{left} and also {right}, without repeats"))
      else:
        content = self.rng.choice((f"{left} and {right}, keeping duplicates", f"{left} followed by {right}, with duplicates"))
      message = Message(content, True)
    if query.order:
      base = query.left
      while isinstance(base, SetQuery):
        base = base.left
      head = self._head(base)
      words = [self._one_order(self.expression(base, e, head).singular, None, d, False) for e, d in query.order[:1]]
      message.tail, message.sentences = words[0], ()
    return message

  def _same_entity(self, query: SetQuery) -> Message | None:
    """ "doctors who have X but not Y"."""
    left, right = query.left, query.right
    if query.operator == "union all" or not isinstance(left, Query) or not isinstance(right, Query):
      return None
    for side in (left, right):
      if side.group or side.having or side.order or side.limit is not None or side.derived or not all(isinstance(i.unalias(), exp.Column) for i in side.items):
        return None
    if len(left.items) != len(right.items):
      return None
    pairs = list(zip([left.ref(i.unalias()) for i in left.items], [right.ref(i.unalias()) for i in right.items], strict=True))
    head, other_head = self._head(left), self._head(right)
    if left.sources[head] is not right.sources[other_head]:
      return self._key_difference(query, left, right, pairs)
    if any(a.table is not b.table or a.column is not b.column for a, b in pairs):
      return self._key_difference(query, left, right, pairs)
    if any(a.outer or b.outer for a, b in pairs):
      return None
    first = self.clauses(left, self.plan(left, head, set()), head, None)
    before, self.existential = self.existential, True
    second = self.clauses(right, self.plan(right, other_head, set()), other_head, None)
    self.existential = before
    noun, person = self.noun(left, head), self.person(left, head)
    who = "who" if person else "that"
    columns = self._columns(left, head, first, self.plan(left, head, set()))
    natural = len(columns) == 1 and columns[0].natural
    named = any(c.natural for c in columns) or any(self._is_key(c.ref) for c in columns if c.ref is not None)
    listed = join_words([c.noun.plural for c in columns])
    if not second or not all(c.verbs or c.having for c in first + second):
      return None
    if not named:
      return self._values_combined(query, listed, noun, first, second, person)
    a = " and ".join(self.verb(c, True) for c in first)
    b = " and ".join(self.verb(c, True) for c in second)
    # A name can belong to several rows: the set is over names, which is how people mean it.
    if query.operator == "intersect":
      if not first:
        return None
      said = self.rng.choice((f"{who} both {a} and {b}", f"{who} {a} and also {b}", f"{who} {a} and {b} as well"))
      which = [f"Which {noun.plural} {a} and also {b}?", f"Which {noun.plural} both {a} and {b}?"]
    elif query.operator == "union":
      if not first:
        return None
      said = self.rng.choice((f"{who} {a} or {b}", f"{who} either {a} or {b}", f"{who} {a}, as well as those {who} {b}"))
      said += self.rng.choice((", without duplicates", ", each listed once", ", without repeats"))
      which = []
    else:
      denied = " or ".join(self._deny(c) for c in second) if len(second) == 1 else ""
      if not first:
        said = f"{who} {denied}" if denied else f"except those {who} {b}"
        if self.maybe(0.4) or not denied:
          said = self.rng.choice((f"except those {who} {b}", f"excluding those {who} {b}", f"other than those {who} {b}"))
        which = [f"Which {noun.plural} {denied}?"] if denied else []
      else:
        said = self.rng.choice((f"{who} {a} but {denied}" if denied else f"{who} {a} except those {who} {b}", f"{who} {a}, except those {who} {b}", f"{who} {a}, excluding those {who} {b}"))
        which = [f"Which {noun.plural} {a} but {denied}?"] if denied else []
    forms = [f"the {listed} of {noun.plural} {said}", f"the {listed} of {self.rng.choice(('all ', 'the '))}{noun.plural} {said}"]
    if natural:
      forms += [f"{self.rng.choice(('the ', '', 'all '))}{noun.plural} {said}"]
    return Message(self.rng.choice(forms), True, sentences=tuple(which) if natural else (), sentence_rate=0.4)

  def _deny(self, clause: Clause) -> str:
    """The contrary of a clause: "have visits" -> "do not have any visits"."""
    said = self.verb(clause, True)
    if said.startswith("have ") and not said.startswith(("have no ", "have not ", "have never ")):
      rest = said[5:]
      if rest.startswith(("at least one ", "any ")):
        rest = rest.removeprefix("at least one ").removeprefix("any ")
        return f"{self.rng.choice(('do not have any', 'have no', 'don’t have any'.replace('’', chr(39))))} {rest}"
      return f"do not have {rest}"
    if said.startswith("are "):
      return f"are not {said[4:]}"
    return f"do not {said}" if said.split()[0] in ("belong", "cost", "costs", "earn", "make", "live", "share") else f"are not among those that {said}"

  def _values_combined(self, query: SetQuery, listed: str, noun: Noun, first: list[Clause], second: list[Clause], person: bool) -> Message | None:
    """Values shared by two sets of rows: "the cities of doctors older than 50 that are also cities of doctors younger than 30"."""
    every, other = self.with_number(noun, first, person, "plural"), self.with_number(noun, second, person, "plural")
    if query.operator == "intersect":
      content = self.rng.choice((f"the {listed} shared by {every} and {other}", f"the {listed} of {every} that are also {listed} of {other}",
                                 f"the {listed} that have both {every} and {other}"))  # fmt: skip
    elif query.operator == "except":
      content = self.rng.choice((f"the {listed} of {every} that are not {listed} of {other}", f"the {listed} of {every} but not of {other}", f"the {listed} {'of ' + every + ' ' if first else ''}without any {other}"))
    else:
      content = f"the different {listed} of {every} or of {other}"
    return Message(content, True)

  def _key_difference(self, query: SetQuery, left: Query, right: Query, pairs: list[tuple[Ref, Ref]]) -> Message | None:
    """SELECT key ... EXCEPT SELECT foreign key ...: rows without related rows."""
    if len(pairs) != 1 or query.operator not in ("except", "intersect") or pairs[0][0].alias not in left.sources:
      return None
    own, other = pairs[0]
    if self._key_between(other, own) is None:
      return None
    head = own.alias
    clause = self._key_member(left, own, other, right, head, query.operator == "except")
    if clause is None:
      return None
    plan = self.plan(left, head, set())
    clauses = self.clauses(left, plan, head, None) + [clause]
    return self._attributes(dataclasses.replace(left, distinct=False), plan, head, clauses, False, None, "")


def listed_keys(words: list[str], aggregates: list[bool]) -> str:
  return join_words([w.removeprefix("the ") for w, a in zip(words, aggregates, strict=True) if not a])
