"""ORDER BY, with and without LIMIT: "the three oldest doctors", "sorted by name"."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree, conjugate
from spftsql_jax.questions.conditions import Conditions
from spftsql_jax.questions.grammar import Context
from spftsql_jax.questions.parts import Clause, TopWords, join_words
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
    by, descending = top.order[0].by, top.order[0].descending
    ties = self._ties(query, head, top.order[1:])
    if isinstance(by, Attribute):
      return self._top_by_column(query, head, by.ref, descending, limit, number, ties)
    noun = self.expression(query, by.node, head).singular
    extreme = self.superlative(frozenset(), descending)
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
      words.append(f"{noun}{' in descending order' if order.descending else ''}")
    if not words:
      return ""
    said = Context((), {"order": join_words(words, "then")})
    return f" {self.grammar.say('ties', said, self.rng)}"

  def _top_by_column(
    self,
    query: Query,
    head: str,
    ref: Ref,
    descending: bool,
    limit: int,
    number: str,
    ties: str,
  ) -> TopWords:
    own = self.belongs(query, ref.alias, head)
    name = self.column_name(ref)
    finer = not own and any(e.child == ref.alias and e.parent == head for e in query.edges)
    noun = (self.short(ref) if own or finer else self.qualified(query, ref)).singular
    tags = name.tags
    extreme = self.superlative(tags, descending)
    phrase = self._extreme(noun, ref, extreme, descending)
    if finer:
      other = self.noun(query, ref.alias)
      thing = self._thing_superlative(tags, descending, self.person(query, ref.alias))
      if thing and self.maybe(0.3):
        said = (
          f"the {thing} {other.singular}" if limit == 1 else f"the {number} {thing} {other.plural}"
        )
      elif limit == 1:
        said = f"the {other.singular} with {phrase}"
      else:
        said = f"the {number} {other.plural} with {phrase}"
      verbs = (conjugate(f"have {said}{ties}"),)
      return TopWords(
        limit,
        "",
        "",
        [Clause(verbs=verbs, posts=(f"with {said}{ties}", f"of {said}{ties}"))],
        f"has {said}{ties}",
      )
    if (
      not own
      and limit == 1
      and any(e.child == head and e.parent == ref.alias for e in query.edges)
      and self.maybe(0.8)
    ):
      # Of what the row belongs to: "the tweet whose author has the most followers".
      owner = self.noun(query, ref.alias).singular
      phrase = self._extreme(self.short(ref).singular, ref, extreme, descending)
      posts = (f"whose {owner} has {phrase}{ties}", f"of the {owner} with {phrase}{ties}")
      return TopWords(limit, "", "", [Clause(posts=posts)], f"has the {owner} with {phrase}{ties}")
    thing = (
      self._thing_superlative(tags, descending, self.person(query, head))
      if own and ("plain" in tags or "birth" in tags)
      else None
    )
    if thing is not None and self.maybe(0.85 if tags & {"age", "birth"} else 0.4) and not ties:
      # "The oldest doctor": for dates only where the table has one date, else it is not clear which
      # is meant.
      return TopWords(limit, number, thing, [], f"is the {thing}")
    by = (
      limit > 1 and not ties and not query.conditions and "date" not in tags and "year" not in tags
    )
    if by and ref.column.kind != "text" and self.maybe(0.35):
      word = "top" if descending else "bottom"
      return TopWords(
        limit,
        f"{word} {number}",
        "",
        [Clause(posts=(f"by {noun}", f"in terms of {noun}"))],
        "",
      )
    does = wordings.EARNED_OR_COST.get(noun) if own else None
    if does and not ties and self.maybe(0.4):
      most = "the most" if descending else "the least"
      clause = Clause(verbs=(conjugate(f"{does} {most}"),))
      return TopWords(limit, number, "", [clause], agree(f"{does} {most}", plural=limit > 1))
    clause = Clause(
      verbs=(conjugate(f"have {phrase}{ties}"),),
      posts=(f"with {phrase}{ties}", f"having {phrase}{ties}", f"with {phrase}{ties}"),
    )
    return TopWords(limit, number, "", [clause], agree(f"have {phrase}{ties}", plural=limit > 1))

  def _extreme(self, noun: str, ref: Ref, extreme: str, descending: bool) -> str:
    """ "the highest salary", "the most seats", "the first name alphabetically"."""
    if ref.column.kind == "text" and not self.column_name(ref).tags & {"date", "year"}:
      return (
        f"the {'last' if descending else 'first'} {noun} "
        f"{self.rng.choice(('alphabetically', 'in alphabetical order'))}"
      )
    if noun.startswith("number of ") and self.maybe(0.6):
      return f"the {'most' if descending else 'fewest'} {noun.removeprefix('number of ')}"
    return f"the {extreme} {noun}"

  def _thing_superlative(self, tags: frozenset[str], descending: bool, person: bool) -> str | None:
    order = ("birth", "age", "price", "pay", "height", "weight", "duration", "speed", "rating") + (
      () if person else ("date", "year")
    )
    for tag in order:
      if tag in tags:
        high, low = wordings.THING_SUPERLATIVES[tag]
        return high if descending else low
    return None

  def ordering(self, query: Query, head: str, orders: Sequence[Order]) -> str:
    """The orders of a listing, as said last; "" without any."""
    if not orders:
      return ""
    words = []
    for order in orders:
      ref = order.by.ref if isinstance(order.by, Attribute) else None
      noun = self._ordered_noun(query, head, order)
      words.append(self._one_order(noun, ref, order.descending, len(orders) > 1))
    if len(words) == 1:
      return words[0]
    first = self.grammar.say("first ordered", Context((), {}), self.rng)
    return f"{first} {', then by '.join(words)}"

  def _ordered_noun(self, query: Query, head: str, order: Order) -> str:
    if isinstance(order.by, Computed):
      return self.expression(query, order.by.node, head).singular
    ref = order.by.ref
    return (self.short(ref) if order.by.own else self.qualified(query, ref)).singular

  def _one_order(self, noun: str, ref: Ref | None, descending: bool, beside: bool) -> str:
    """One order; `beside` others."""
    kind = ref.column.kind if ref is not None else "number"
    tags = self.column_name(ref).tags if ref is not None else frozenset()
    features = {"down"} if descending else set()
    if tags & {"date", "year"}:
      features.add("timed")
    elif kind in ("text", "other"):
      features.add("lettered")
    if not tags:
      features.add("untagged")
    section = "ordered beside" if beside else "ordered"
    return self.grammar.say(section, Context(features, {"noun": noun}), self.rng)
