"""ORDER BY, with and without LIMIT: "the three oldest doctors", "sorted by name"."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree, conjugate
from spftsql_jax.questions.conditions import Conditions
from spftsql_jax.questions.parts import Clause, Top, join_words
from spftsql_jax.questions.query_meaning import Query, Ref, UnsupportedQuery
from spftsql_jax.questions.syntax import bare


class Superlatives(Conditions):
  """Words orders."""

  def _superlative(self, query: Query, head: str, limit: int) -> Top:
    """ORDER BY ... LIMIT: "the oldest doctor", "the 3 doctors with the highest salary"."""
    number = "" if limit == 1 else self.small(limit)
    if not query.order:
      return Top(limit, f"first {number}".strip() if limit > 1 else "first", "", [], "")
    expression, descending = query.order[0]
    ties = self._ties(query, head)
    expression = bare(expression)
    if isinstance(expression, exp.Column):
      ref = query.ref(expression)
      if ref.outer:
        raise UnsupportedQuery("an order by the enclosing query")
      return self._top_by_column(query, head, ref, descending, limit, number, ties)
    noun = self.expression(query, expression, head).singular
    extreme = self.superlative(frozenset(), descending)
    return Top(
      limit,
      number,
      "",
      [Clause(having=f"the {extreme} {noun}{ties}")],
      f"has the {extreme} {noun}",
    )

  def _ties(self, query: Query, head: str) -> str:
    if len(query.order) < 2:
      return ""
    words = []
    for expression, descending in query.order[1:]:
      noun = (
        "number of rows"
        if isinstance(expression, exp.Count)
        else self.expression(query, expression, head).singular
      )
      words.append(f"{noun}{' in descending order' if descending else ''}")
    return (
      f" ({self.rng.choice(('ties broken by', 'breaking ties by', 'in case of a tie by'))} "
      f"{join_words(words, 'then')})"
    )

  def _top_by_column(
    self,
    query: Query,
    head: str,
    ref: Ref,
    descending: bool,
    limit: int,
    number: str,
    ties: str,
  ) -> Top:
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
      return Top(
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
      return Top(limit, "", "", [Clause(posts=posts)], f"has the {owner} with {phrase}{ties}")
    thing = (
      self._thing_superlative(tags, descending, self.person(query, head))
      if own and ("plain" in tags or "birth" in tags)
      else None
    )
    if thing is not None and self.maybe(0.85 if tags & {"age", "birth"} else 0.4) and not ties:
      # "The oldest doctor": for dates only where the table has one date, else it is not clear which
      # is meant.
      return Top(limit, number, thing, [], f"is the {thing}")
    by = (
      limit > 1 and not ties and not query.conditions and "date" not in tags and "year" not in tags
    )
    if by and ref.column.kind != "text" and self.maybe(0.35):
      word = "top" if descending else "bottom"
      return Top(
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
      return Top(limit, number, "", [clause], agree(f"{does} {most}", plural=limit > 1))
    clause = Clause(
      verbs=(conjugate(f"have {phrase}{ties}"),),
      posts=(f"with {phrase}{ties}", f"having {phrase}{ties}", f"with {phrase}{ties}"),
    )
    return Top(limit, number, "", [clause], agree(f"have {phrase}{ties}", plural=limit > 1))

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

  def _ordering(self, query: Query, head: str) -> str:
    """ORDER BY without LIMIT."""
    if not query.order:
      return ""
    words = []
    several = len(query.order) > 1
    for expression, descending in query.order:
      expression = bare(expression)
      ref = query.ref(expression) if isinstance(expression, exp.Column) else None
      noun = self.expression(query, expression, head).singular
      words.append(self._one_order(noun, ref, descending, several))
    if not several:
      return words[0]
    verb = self.rng.choice(("sorted by", "ordered by", "sorted first by", "arranged by"))
    return f"{verb} {', then by '.join(words)}"

  def _one_order(self, noun: str, ref: Ref | None, descending: bool, bare: bool) -> str:
    kind = ref.column.kind if ref is not None else "number"
    tags = self.column_name(ref).tags if ref is not None else frozenset()
    if tags & {"date", "year"}:
      directions = wordings.DESCENDING_DATE if descending else wordings.ASCENDING_DATE
    elif kind in ("text", "other"):
      directions = wordings.DESCENDING_TEXT if descending else wordings.ASCENDING_TEXT
    else:
      directions = wordings.DESCENDING if descending else wordings.ASCENDING
    direction = self.rng.choice(directions)
    if bare:
      if descending:
        return f"{noun} in descending order"
      return f"{noun} {self.rng.choice(('', 'in ascending order'))}".strip()
    verb = self.rng.choice(wordings.SORTED)
    if not descending and self.maybe(0.4):
      return f"{verb} {noun}"
    if not (descending or tags) and kind in ("text", "other") and self.maybe(0.3):
      return (
        f"in alphabetical order of {noun}"
        if self.maybe(0.6)
        else f"in alphabetical order by {noun}"
      )
    if (
      self.maybe(0.3)
      and direction.startswith("in ")
      and "alphabetical" not in direction
      and "chronological" not in direction
    ):
      return f"{direction} of {noun}"
    return (
      f"{verb} {noun} {direction}"
      if not direction.endswith("first")
      else f"{verb} {noun}, {direction}"
    )
