"""Aggregates over all rows: "How many ...?", "the average price of ...", percentages."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree
from spftsql_jax.questions.counts import Counts
from spftsql_jax.questions.grammar import Context
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import Clause, Message, is_plural, join_words, names_rows, pick
from spftsql_jax.questions.plan import Rows
from spftsql_jax.questions.plan_groups import named_after_ends
from spftsql_jax.questions.plan_listings import aliases_of, is_key, is_single, plan_count
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery, read_nested
from spftsql_jax.questions.syntax import aggregate_of, bare, is_pure_link, own_columns


class Aggregates(Counts):
  """Words queries that return aggregates alone."""

  def _aggregated(self, query: Query) -> Message:
    """Aggregates over all rows."""
    share = self._share(query)
    if share is not None:
      return share
    items = [bare(i.unalias()) for i in query.items]
    head = self._aggregate_head(query, items)
    spoken = {a for i in items for a in aliases_of(query, i)}
    plan = self.plan(query, head, spoken)
    before, self.existential = self.existential, any(i.find(exp.Distinct) for i in items)
    clauses = self.clauses(query, plan, head, None)
    self.existential = before
    noun, person = self.noun(query, head), self.person(query, head)
    one_row = is_single(query, self.names, head)
    if len(items) == 1:
      count = plan_count(query, items[0], Rows(query, head, one_row))
      if count is not None:
        return self.count(count, noun, clauses, person)
    entity = self.with_number(noun, clauses, person, "plural")
    if len(items) == 1:
      return self._one_aggregate(query, items[0], head, noun, entity, clauses, person)
    counts = [isinstance(i, exp.Count) and isinstance(i.this, exp.Star) for i in items]
    if counts[0] and not any(counts[1:]):
      rest = join_words([f"the {self.aggregate(query, i, head).singular}" for i in items[1:]])
      rest = rest.replace("the ", "their ", 1) if len(items) == 2 and self.maybe(0.6) else rest
      verb = agree("are", plural=len(items) > 2)
      sentences = (
        f"How many {entity} are there and what {verb} {rest}?",
        f"How many {entity} are there, and what {verb} {rest}?",
      )
      return Message(
        f"{self.grammar.say('count nouns', Context((), {}), self.rng)} {entity} and {rest}",
        True,
        sentences=sentences,
      )
    if any(counts):
      total = "total number" if any(self._conditional(query, i, head) for i in items) else "number"
      parts = [
        f"the {total} of {noun.plural}" if c else f"the {self.aggregate(query, i, head).singular}"
        for c, i in zip(counts, items, strict=True)
      ]
      return Message(f"{join_words(parts)} for {entity}" if clauses else join_words(parts), True)
    columns = {i.this.sql() for i in items if aggregate_of(i) and isinstance(i.this, exp.Column)}
    if len(columns) == 1 and all(aggregate_of(i) in ("avg", "max", "min", "sum") for i in items):
      words = [self._aggregate_word(query, i) for i in items]
      functions = [aggregate_of(i) for i in items]
      if {"max", "min"} <= set(functions) and not self.column_name(
        query.ref(items[0].this)
      ).tags & {"date", "year"}:
        # Both ends in words that belong together: "the highest and lowest", not "the largest and
        # minimum".
        ends = pick(self.rng, wordings.EXTREMES).split(", ")
        words = [
          ends[f == "min"] if f in ("max", "min") else w
          for f, w in zip(functions, words, strict=True)
        ]
      inner = query.ref(items[0].this)
      word = (
        self.short(inner)
        if self.belongs(query, inner.alias, head)
        else self.qualified(query, inner)
      )
      content = f"the {join_words(words)} {word.singular}"
      return Message(self._of(content, entity, clauses), True)
    parts = [self.aggregate(query, i, head).singular for i in items]
    the = self.rng.choice(("and", "and the"))
    return Message(
      self._of(f"the {join_words(parts, the)}", entity, clauses),
      True,
      sentence_rate=0.0 if one_row else 0.4,
    )

  def _aggregate_word(self, query: Query, node: exp.Expr) -> str:
    tags = self.column_name(query.ref(node.this)).tags
    function = aggregate_of(node)
    if tags & {"date", "year"} and function in ("max", "min"):
      return self.superlative(tags, function == "max")
    return pick(self.rng, wordings.AGGREGATES[function or ""])

  def _of(self, content: str, entity: str, clauses: list[Clause]) -> str:
    if not clauses and self.whole and names_rows(content, entity):
      return content
    if not clauses:
      return f"{content} {self.rng.choice(('of', 'of', 'of all', 'for all', 'of the'))} {entity}"
    return f"{content} {self.rng.choice(('of', 'of', 'of', 'of all', 'among'))} {entity}"

  def _aggregate_head(self, query: Query, items: list[exp.Expr]) -> str:
    counted = any(isinstance(n.this, exp.Star) for i in items for n in i.find_all(exp.Count))
    finest = query.finest()
    if counted or not any(own_columns(i) for i in items):
      if finest is None:
        raise UnsupportedQuery("a count over tables of which none is the finest")
      if is_pure_link(query.sources[finest]) and named_after_ends(
        query, query.sources[finest], self.names
      ):
        return self._counted_end(query, finest)
      return finest
    aliases = [a for i in items for a in aliases_of(query, i)]
    return aliases[0] if aliases else finest or next(iter(query.sources))

  def _counted_end(self, query: Query, link: str) -> str:
    """The end of a link table that its rows count where the other end is one row.

    "Bands of the genre Folk".
    """
    ends = [e.parent for e in query.neighbours(link) if e.child == link]
    for end in ends:
      others = [o for o in ends if o != end]
      if len(others) == 1 and len(ends) == 2 and is_single(query, self.names, others[0]):
        return end
    return link

  def aggregate(self, query: Query, node: exp.Expr, head: str) -> Noun:
    """The noun of an aggregate expression beside others."""
    node = bare(node.unalias())
    if isinstance(node, exp.Count):
      return self._count_noun(query, node, head)
    conditional = self._conditional(query, node, head)
    if conditional is not None:
      return Noun(f"number of {conditional}", f"numbers of {conditional}")
    return self.expression(query, node, head)

  def _conditional(self, query: Query, node: exp.Expr, head: str) -> str | None:
    """SUM(CASE WHEN c THEN 1 ELSE 0 END): the rows that satisfy c."""
    if not isinstance(node, exp.Sum) or not isinstance(bare(node.this), exp.Case):
      return None
    case = bare(node.this)
    branches, default = case.args["ifs"], case.args.get("default")
    if (
      len(branches) != 1
      or branches[0].args["true"].name != "1"
      or (default is not None and default.name != "0")
      or case.this is not None
    ):
      raise UnsupportedQuery("a sum over CASE other than a count")
    return self.with_number(
      self.noun(query, head),
      [self.condition(query, branches[0].this, head)],
      self.person(query, head),
      "plural",
    )

  def _count_noun(self, query: Query, node: exp.Count, head: str) -> Noun:
    argument = node.this
    if isinstance(argument, exp.Star):
      noun = self.noun(query, head)
      return Noun(f"number of {noun.plural}", f"numbers of {noun.plural}")
    if isinstance(argument, exp.Distinct):
      if len(argument.expressions) != 1 or not isinstance(
        bare(argument.expressions[0]), exp.Column
      ):
        raise UnsupportedQuery("COUNT(DISTINCT) of more than a column")
      ref = query.ref(bare(argument.expressions[0]))
      different = self.distinct_word()
      things = self.counted_things(query, ref, head)
      return Noun(f"number of {different} {things}", f"numbers of {different} {things}")
    if isinstance(bare(argument), exp.Column):
      ref = query.ref(bare(argument))
      if is_key(ref) or not ref.column.nullable:
        noun = self.noun(query, ref.alias) if is_key(ref) else self.noun(query, head)
        return Noun(f"number of {noun.plural}", f"numbers of {noun.plural}")
      things = (
        self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)
      ).plural
      return Noun(f"number of {things}", f"numbers of {things}")
    raise UnsupportedQuery("COUNT of an expression")

  def _one_aggregate(
    self,
    query: Query,
    item: exp.Expr,
    head: str,
    noun: Noun,
    entity: str,
    clauses: list[Clause],
    person: bool,
  ) -> Message:
    """A single aggregate: "How many ...?", "What is the average ...?"."""
    aggregate = self.aggregate(query, item, head)
    content = self._of(f"the {aggregate.singular}", entity, clauses)
    conditional = self._conditional(query, item, head)
    if conditional is not None:
      content = f"the number of {conditional}" + (f" among {entity}" if clauses else "")
      return Message(
        content, False, sentences=(f"How many {conditional} are there?",) if not clauses else ()
      )
    sentences = []
    if isinstance(item, exp.Avg) and isinstance(item.this, exp.Column):
      ref = query.ref(item.this)
      tags = self.column_name(ref).tags
      if ref.alias == head and "plain" in tags:
        every = entity if clauses else self.rng.choice((entity, f"the {entity}"))
        if "age" in tags:
          sentences += [f"How old are {every} on average?"]
        elif "pay" in tags:
          sentences += [f"How much do {every} earn on average?"]
        elif "price" in tags:
          sentences += [f"How much do {every} cost on average?"]
    if (
      isinstance(item, exp.Sum)
      and isinstance(item.this, exp.Column)
      and "price" in self.column_name(query.ref(item.this)).tags
      and query.ref(item.this).alias == head
      and "plain" in self.column_name(query.ref(item.this)).tags
    ):
      sentences += [
        f"How much do {entity} cost {self.rng.choice(('in total', 'altogether', 'all together'))}?"
      ]
    return Message(
      content, is_plural(aggregate.singular), sentences=tuple(sentences), sentence_rate=0.25
    )

  def _conditional_share(self, query: Query, node: exp.Div) -> Message | None:
    """The percentage of the rows that satisfy a condition.

    CAST(SUM(CASE WHEN c THEN 1 ELSE 0 END) AS REAL) * 100 / COUNT(*).
    """
    top = bare(node.this)
    factors = [bare(top.this), bare(top.expression)] if isinstance(top, exp.Mul) else []
    factors = [bare(f.this) if isinstance(f, exp.Cast) else f for f in factors]
    whole = bare(node.expression)
    sums = [f for f in factors if isinstance(f, exp.Sum) and isinstance(bare(f.this), exp.Case)]
    hundreds = [f for f in factors if isinstance(f, exp.Literal) and f.name in ("100", "100.0")]
    if (
      len(sums) != 1
      or len(hundreds) != 1
      or not isinstance(whole, exp.Count)
      or not isinstance(whole.this, exp.Star)
    ):
      return None
    head = self._aggregate_head(query, [whole])
    noun, person = self.noun(query, head), self.person(query, head)
    clauses = self.clauses(query, self.plan(query, head, set()), head, None)
    self._conditional(query, sums[0], head)  # Refuses sums of other things than 1 and 0.
    wanted = self.condition(query, bare(sums[0].this).args["ifs"][0].this, head)
    entity = self.with_number(noun, clauses, person, "plural")
    if not (wanted.verbs or wanted.having):
      raise UnsupportedQuery("a share of rows that no verb tells")
    said = self.verb(wanted, True)
    share = self.rng.choice(("percentage", "percent", "percentage"))
    every = self.rng.choice(("", "", "all " if not clauses else "the ", "the "))
    who = "who" if person and not clauses else "that"
    content = (
      f"the percentage of {entity} {who} {said}"
      if not clauses
      else f"the percentage that {said} among the {entity}"
    )
    return Message(
      content, False, sentences=(f"What {share} of {every}{entity} {said}?",), sentence_rate=0.7
    )

  def _share(self, query: Query) -> Message | None:
    """COUNT(*) * 100.0 / (SELECT COUNT(*) ...): a percentage."""
    if len(query.items) != 1:
      return None
    node = bare(query.items[0].unalias())
    if isinstance(node, exp.Div):
      conditional = self._conditional_share(query, node)
      if conditional is not None:
        return conditional
    if not isinstance(node, exp.Div) or not isinstance(bare(node.expression), exp.Subquery):
      return None
    top = bare(node.this)
    factors = [bare(top.this), bare(top.expression)] if isinstance(top, exp.Mul) else []
    if (
      len(factors) != 2
      or not any(isinstance(f, exp.Count) and isinstance(f.this, exp.Star) for f in factors)
      or not any(f.name in ("100", "100.0") for f in factors)
    ):
      return None
    nested = read_nested(node.expression, query)
    if (
      not isinstance(nested, Query)
      or nested.conditions
      or nested.edges
      or query.edges
      or len(nested.items) != 1
      or not isinstance(nested.items[0], exp.Count)
    ):
      return None
    head = next(iter(query.sources))
    if nested.sources[next(iter(nested.sources))] is not query.sources[head]:
      return None
    noun, person = self.noun(query, head), self.person(query, head)
    clauses = self.clauses(query, self.plan(query, head, set()), head, None)
    if not clauses:
      return None
    entity = self.with_number(noun, clauses, person, "plural")
    share = self.rng.choice(("percentage", "percent", "percentage"))
    sentences = (
      [
        (
          f"What {share} of {self.rng.choice(('', '', 'all ', 'the '))}{noun.plural} "
          f"{self.verb(clauses[0], True)}?"
        )
      ]
      if len(clauses) == 1 and (clauses[0].verbs or clauses[0].having)
      else []
    )
    who = "who" if person else "that"
    if all(c.verbs or c.having for c in clauses):
      entity = f"{noun.plural} {who} {join_words([self.verb(c, True) for c in clauses])}"
    else:
      entity = f"{noun.plural} that are {entity}"
    return Message(
      f"the percentage of {entity}", False, sentences=tuple(sentences), sentence_rate=0.7
    )
