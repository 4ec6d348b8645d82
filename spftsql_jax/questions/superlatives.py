"""ORDER BY, with and without LIMIT: "the three oldest doctors", "sorted by name"."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlglot import exp

from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree, conjugate
from spftsql_jax.questions.conditions import Conditions
from spftsql_jax.questions.features import features_of
from spftsql_jax.questions.grammar import Context
from spftsql_jax.questions.parts import Clause, TopWords, join_words, parted_unit
from spftsql_jax.questions.plan import Attribute, Computed, Order, Top
from spftsql_jax.questions.query_meaning import Query, Ref


class Superlatives(Conditions):
  """Words orders."""

  def superlative_of(self, query: Query, head: str, top: Top) -> TopWords:
    """The first in an order: "the oldest doctor", "the 3 doctors with the highest salary"."""
    limit = top.limit
    number = "" if limit == 1 else self.small(limit)
    if not top.order:
      return TopWords(limit, f"first {number}".strip() if limit > 1 else "first", "", [], "")
    first = top.order[0]
    ties = self._ties(query, head, top.order[1:])
    if isinstance(first.by, Attribute):
      return self.top_by_column(query, head, first.by, first.descending, limit, ties)
    noun = self.expression(query, first.by.node, head).singular
    extreme = self.superlative(frozenset(), first.descending)
    return TopWords(
      limit,
      number,
      "",
      [Clause(having=f"the {extreme} {noun}{ties}")],
      f"has the {extreme} {noun}",
    )

  def _ties(self, query: Query, head: str, orders: Sequence[Order]) -> str:
    words = []
    for order in orders:
      counts = isinstance(order.by, Computed) and isinstance(order.by.node, exp.Count)
      noun = "number of rows" if counts else self._ordered_noun(query, head, order)
      words.append((noun, order.descending))
    return self.ties(words)

  def ties(self, words: Sequence[tuple[str, bool]]) -> str:
    """What decides between rows that are alike: nouns, and whether they descend."""
    if not words:
      return ""
    order = [f"{noun}{' in descending order' if down else ''}" for noun, down in words]
    said = Context((), {"order": join_words(order, "then")})
    return f" {self.grammar.say('ties', said, self.rng)}"

  def top_by_column(
    self,
    query: Query,
    head: str,
    by: Attribute,
    descending: bool,
    limit: int,
    ties: str = "",
  ) -> TopWords:
    """The first `limit` rows of the head in the order of a column, `ties` said behind it."""
    ref, tags = by.ref, self.column_name(by.ref).tags
    edges = [] if by.own else query.edges
    finer = any(e.child == ref.alias and e.parent == head for e in edges)
    owned = limit == 1 and any(e.child == head and e.parent == ref.alias for e in edges)
    # The unit says nothing of which is the largest: "assets in billion".
    said = self.short(ref) if by.own or finer or owned else self.qualified(query, ref)
    noun = parted_unit(said.singular)[0]
    other = self.noun(query, ref.alias)
    thing = self._thing_superlative(tags, descending, self.person(query, ref.alias))
    earned = wordings.EARNED_OR_COST.get(noun)
    of_number = noun.removeprefix("number of ")
    told = {
      "one": limit == 1,
      "down": descending,
      "tied": bool(ties),
      "finer": finer,
      "owned": owned,
      "thing": thing is not None,
      # "The lowest broadcast share", not "the share with the lowest share".
      "echoed": noun == other.singular.split()[-1],
      "earned": earned is not None,
      "counted": of_number != noun,
      "limited": bool(query.conditions),
    }
    number = "" if limit == 1 else self.small(limit)
    values = {
      "noun": noun,
      "counted": of_number,
      "superlative": lambda: self.superlative(tags, descending),
      "thing": thing,
      "earned": earned,
      "number": number,
      "other": other.singular,
      "others": other.plural,
      **self._event(by),
    }
    features = features_of(self.names, by) | {name for name, holds in told.items() if holds}
    context = Context(features, values)
    row = self.grammar.pick("top", context, self.rng)
    extreme = f"{self.grammar.fill(row, context, self.rng)}{ties}"
    if row.mark == "adjective":
      return TopWords(limit, number, extreme, [], f"is the {extreme}")
    behind = Context({*features, row.mark}, values | {"said": extreme})
    posts = tuple(self.grammar.every("top behind", behind, self.rng))
    if row.mark == "ranked":
      return TopWords(limit, extreme, "", [Clause(posts=posts)], "")
    does = self.grammar.say("top does", behind, self.rng)
    clause = Clause(verbs=() if row.mark == "owned" else (conjugate(does),), posts=posts)
    # A number of related rows is theirs, not that of the rows that are asked for.
    before = "" if row.mark in ("finer", "owned") else number
    return TopWords(limit, before, "", [clause], agree(does, plural=limit > 1))

  def _thing_superlative(self, tags: frozenset[str], descending: bool, person: bool) -> str | None:
    """What rows with the highest or lowest value of a column are called: "oldest"."""
    order = ("birth", "age", "price", "pay", "height", "weight", "duration", "speed", "rating") + (
      () if person else ("date", "year")
    )
    for tag in order:
      if tag in tags:
        high, low = wordings.THING_SUPERLATIVES[tag]
        return high if descending else low
    return None

  def ordering(
    self, query: Query, head: str, orders: Sequence[Order], columns: Sequence[object] = ()
  ) -> str:
    """The orders of a listing of `columns`, as said last; "" without any."""
    words = []
    for order in orders:
      ref = order.by.ref if isinstance(order.by, Attribute) else None
      words.append((self._ordered_noun(query, head, order), ref, order.descending))
    itself = len(columns) == 1 and [order.by for order in orders] == [*columns]
    return self.ordered_by(words, {"itself"} if itself else set())

  def ordered_by(
    self, orders: Sequence[tuple[str, Ref | None, bool]], features: Collection[str]
  ) -> str:
    """The same of nouns, the columns that they are, and whether they descend."""
    words = [self._one_order(*order, len(orders) > 1, features) for order in orders]
    if len(words) < 2:
      return "".join(words)
    first = self.grammar.say("first ordered", Context((), {}), self.rng)
    return f"{first} {', then by '.join(words)}"

  def _ordered_noun(self, query: Query, head: str, order: Order) -> str:
    if isinstance(order.by, Computed):
      return self.expression(query, order.by.node, head).singular
    ref = order.by.ref
    noun = self.short(ref) if order.by.own else self.qualified(query, ref)
    return parted_unit(noun.singular)[0]

  def _one_order(
    self, noun: str, ref: Ref | None, descending: bool, beside: bool, told: Collection[str]
  ) -> str:
    """One order, maybe `beside` others; `told` are features of what is sorted."""
    kind = ref.column.kind if ref is not None else "number"
    tags = self.column_name(ref).tags if ref is not None else frozenset()
    features = {*told}
    if descending:
      features.add("down")
    if tags & {"date", "year"}:
      features.add("timed")
    elif kind in ("text", "other"):
      features.add("lettered")
    if not tags:
      features.add("untagged")
    section = "ordered beside" if beside else "ordered"
    return self.grammar.say(section, Context(features, {"noun": noun}), self.rng)
