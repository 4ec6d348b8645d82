"""Foreign keys as relations: "visits of patients from Boston", "clinics with a doctor who ..."."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.columns.inflection import plural_of
from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import conjugate
from spftsql_jax.questions.events import Events
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import (
  Clause,
  Plan,
  article,
  join_words,
  owned,
  related_by,
  relation_preposition,
  titled,
  without_article,
)
from spftsql_jax.questions.query_meaning import Edge, Query, UnsupportedQuery
from spftsql_jax.questions.syntax import is_value

# How often what is said of an owner is said as of its rows: "visits whose doctor is tall".
_OWNER_RATE = 0.6


class Relations(Events):
  """Words what a join says of the rows of its other side."""

  def _relation(self, query: Query, plan: Plan, alias: str, edge: Edge) -> Clause | None:
    """What the join to a neighbour says of the rows of `alias`.

    None where it says nothing that is not said elsewhere.
    """
    other = edge.other(alias)
    if not edge.is_key:
      return self._loose_relation(query, plan, alias, edge)
    if edge.parent == other:
      if other in plan.absent:
        noun = self.noun(query, other)
        one = article(noun.singular)
        verbs = (
          conjugate(f"have no {noun.singular}"),
          conjugate(f"do not have {one}"),
        )
        return Clause(verbs=verbs, posts=(f"without {one}", f"with no {noun.singular}"))
      clauses = self.clauses(query, plan, other, edge)
      if not clauses:
        return None
      return self.parent_relation(
        self.noun(query, other),
        clauses,
        self.person(query, other),
        self._named(query, plan, other, edge),
        self.noun(query, alias),
        self.role(query, edge) is not None,
      )
    event = self._event_relation(query, plan, alias, other, edge)
    if event is not None:
      return event
    if other in plan.absent:
      return self.child_relation(
        self._far_noun(query, alias, other).plural,
        True,
        self.person(query, alias),
        self.noun(query, other),
      )
    optional = edge.optional == other
    if self._subtree(query, other, edge) & plan.absent:
      far = self._far_alias(query, plan, other, edge)
      if far is None or far[0] not in plan.absent or not optional:
        raise UnsupportedQuery("rows without a match behind others")
      noun = self.noun(query, far[0])
      return self.child_relation(noun.plural, True, self.person(query, alias), noun)
    pair = self._pair_relation(query, plan, alias, other, edge)
    if pair is not None:
      return pair
    noun, clauses, person = self._through_link(query, plan, alias, other, edge)
    if not clauses and (optional or self._subtree(query, other, edge) & plan.spoken):
      return None
    if noun.singular == self.noun(query, alias).singular:
      raise UnsupportedQuery("rows that have others called as they are")
    far = self._far_alias(query, plan, other, edge)
    if (
      far is not None
      and not self.person(query, alias)
      and noun.singular.split()[-1] in wordings.MAKER_VERBS
      and clauses
    ):
      return self.parent_relation(
        noun,
        clauses,
        person,
        self._named(query, plan, far[0], far[1]),
        self.noun(query, alias),
      )
    if far is not None and clauses and self._only_associated(query, alias, noun, person):
      name = self._named(query, plan, far[0], far[1])
      said = [self.with_number(noun, clauses, person, number) for number in ("plural", "a")]
      if name is not None:
        said = [titled(noun, name), f"the {noun.singular} {name}"]
      return self._clause("associated", (), "", {"rows": self.rng.choice(said)})
    if far is not None and self.maybe(0.6):
      name = self._named(query, plan, far[0], far[1])
      if name is not None:
        called = self.rng.choice(
          (f"the {noun.singular} {name}", titled(noun, name), f"the {noun.singular} {name}")
        )
        posts = [f"with {called}"] + (
          [f"in {called}", f"in {name}"] if noun.singular.split()[-1] in wordings.PLACES else []
        )
        return Clause(verbs=(conjugate(f"have {called}"),), posts=tuple(posts))
    every = self.with_number(noun, clauses, person, "plural")
    one = self.with_number(noun, clauses, person, "a")
    return self.child_relation(
      every, False, self.person(query, alias), noun, one, bool(clauses), self.noun(query, alias)
    )

  def _only_associated(self, query: Query, alias: str, noun: Noun, person: bool) -> bool:
    """Whether of two rows that a link ties neither has the other: an enzyme has no medicine, nor
    does anyone have the company that employs them.
    """
    owner, had = self.noun(query, alias).singular.split()[-1], noun.singular.split()[-1]
    if self.person(query, alias) or person:
      return had in wordings.EMPLOYERS if not person else had in wordings.ANYBODY
    has = owner in wordings.HOLDERS | wordings.LISTS
    is_had = had in wordings.PARTS | wordings.SAYINGS | wordings.FEATURES
    return not (has or is_had)

  def parent_relation(
    self,
    noun: Noun,
    clauses: list[Clause],
    person: bool,
    name: str | None,
    child: Noun,
    role: bool = False,
  ) -> Clause:
    """Rows that point to one row of a parent: "visits of the patient Ann".

    They have those that play a `role` for them: departments belong to no manager.
    """
    clause = self._plain_parent_relation(noun, clauses, person, name, child, role)
    made = child.singular.split()[-1] in wordings.WORKS
    maker = wordings.MAKER_VERBS.get(noun.singular.split()[-1]) if made else None
    works = (
      child.singular.split()[-1] in wordings.WORKERS
      and noun.singular.split()[-1] in wordings.PLACES
    )
    if not (maker or works) or is_person(child.singular) != works:
      return clause
    if name is not None:
      called = [titled(noun, name), f"the {noun.singular} {name}"] + ([name, name] if maker else [])
    else:
      called = [
        self.with_number(noun, clauses, person, "plural"),
        self.with_number(noun, clauses, person, "a"),
      ]
    said = self.rng.choice(called)
    if maker:
      clause.verbs = (conjugate(f"were {maker[1]} by {said}"),)
      clause.posts = (*clause.posts, f"{maker[1]} by {said}", f"{maker[1]} by {said}")
    else:
      place = self.rng.choice(("at", "in", "for"))
      clause.verbs = (*clause.verbs, conjugate(f"work {place} {said}"))
      clause.posts = (*clause.posts, f"working {place} {said}", f"at {said}")
    return clause

  def _plain_parent_relation(
    self,
    noun: Noun,
    clauses: list[Clause],
    person: bool,
    name: str | None,
    child: Noun,
    role: bool,
  ) -> Clause:
    prepositions = relation_preposition(noun.singular, child.singular, person)
    first, belong = prepositions[0], owned(noun, child) and not role
    if role and not (person and first == "by"):  # Trips are not "in an end station".
      first, prepositions = "of", ("with",)
    direction, _, place = noun.singular.partition(" ")
    if place and direction in wordings.DIRECTIONS:
      return self._directed(
        wordings.DIRECTIONS[direction], Noun(place, plural_of(place)), clauses, person, name
      )
    if name is not None:
      called = self.rng.choice(
        (
          titled(noun, name),
          f"the {noun.singular} {name}",
          f"the {noun.singular} named {name}",
          f"the {noun.singular} called {name}",
          titled(noun, name),
        )
      )
      posts: tuple[str, ...] = (
        f"{self.rng.choice(prepositions)} {called}",
        f"{self.rng.choice(prepositions)} {called}",
      )
      if prepositions[0] in ("by", "in"):
        posts += (f"{prepositions[0]} {name}",)
      verbs = (
        conjugate(related_by("of", called, belong)),
        conjugate(related_by(first, called, belong)),
      )
      having = "" if belong else titled(noun, name)  # Purchases do not have their client.
      return Clause(noun.singular, f"is {name}", having, verbs, posts)
    every = self.with_number(noun, clauses, person, "plural")
    one = self.with_number(noun, clauses, person, "a")
    if role:
      every = one  # Each has one.
    if noun.singular.split()[-1] == "address":  # Nobody belongs to an address.
      return Clause(verbs=(conjugate(f"have {one}"),), posts=(f"with {one}",))
    posts = (
      f"{self.rng.choice(prepositions)} {every}",
      f"{self.rng.choice(prepositions)} {one}",
      f"{prepositions[0]} {every}",
    )
    # Photos have a camera lens, and belong to nobody but a person.
    part = person or child.singular.split()[-1] in wordings.PARTS
    belong = belong and (part or noun.singular.split()[-1] in wordings.HOLDERS | wordings.PLACES)
    if first == "by" and child.singular.split()[-1] not in wordings.WORKS:
      first = "of"  # Loans are not "by customers".
    many = every if belong or first != "of" else one
    verb = conjugate(related_by(first, many, belong), related_by(first, one, belong))
    predicate, owner = "", noun.singular
    if len(clauses) == 1 and self.maybe(_OWNER_RATE):
      clause = clauses[0]
      if clause.verbs and self.maybe(0.5):
        predicate = self.rng.choice(clause.verbs).singular
      elif clause.having:
        predicate = f"has {clause.had}"
      elif clause.noun and not clause.noun.startswith("the "):
        owner, predicate = f"{noun.singular}'s {clause.noun}", clause.predicate
    of_one = tuple(f"{preposition} {one}" for preposition in prepositions)
    return Clause(owner if predicate else "", predicate, "", (verb,), posts, posts_of_one=of_one)

  def _directed(
    self, preposition: str, noun: Noun, clauses: list[Clause], person: bool, name: str | None
  ) -> Clause:
    """ "flights to Boston", of a key that is called a destination."""
    said: tuple[str, ...]
    if name is not None:
      said = (
        f"{preposition} {name}",
        f"{preposition} {noun.singular} {name}",
        f"{preposition} the {noun.singular} {name}",
      )
    else:
      said = tuple(
        f"{preposition} {self.with_number(noun, clauses, person, number)}"
        for number in ("plural", "a")
      )
    verb = self.rng.choice(said)
    return Clause(verbs=(conjugate(f"are {verb}"),), posts=said)

  def child_relation(
    self,
    every: str,
    without: bool,
    person: bool,
    noun: Noun,
    one: str = "",
    specific: bool = False,
    owner: Noun | None = None,
  ) -> Clause:
    """Rows that others point to: "patients with visits", "patients who have never had a visit"."""
    deed = wordings.DEEDS.get(noun.singular.split()[-1]) if person else None
    if owner is not None and noun.singular.split()[-1] in wordings.WORKS:
      deed = wordings.MAKER_VERBS.get(owner.singular.split()[-1], deed)
    if without:
      verbs = [
        conjugate(f"have no {every}"),
        conjugate(f"do not have any {every}"),
        conjugate(f"don't have any {every}"),
      ]
      if deed:
        past, participle, base = deed
        verbs = verbs[:1] + [
          conjugate(f"have not {participle} any {every}"),
          conjugate(f"never {past} any {every}"),
          conjugate(f"did not {base} any {every}"),
          conjugate(f"have never {participle} any {every}"),
        ]
      return Clause(
        verbs=tuple(verbs), posts=(f"without any {every}", f"with no {every}", f"without {every}")
      )
    verbs = (
      [conjugate(f"have {every}"), conjugate(f"have {one}")]
      if one
      else [conjugate(f"have {every}")]
    )
    posts = [f"with {every}", f"with {one}"] if one else [f"with {every}"]
    if self.existential or not specific:
      verbs += [conjugate(f"have at least one {without_article(one)}")]
      posts += [f"with at least one {without_article(one)}"]
    if deed:
      past, participle, _ = deed
      verbs += [
        conjugate(f"{past} {every}"),
        conjugate(f"have {participle} {every}"),
        conjugate(f"{past} {one}"),
      ]
    return Clause(verbs=tuple(verbs), posts=tuple(posts))

  def _loose_relation(self, query: Query, plan: Plan, alias: str, edge: Edge) -> Clause | None:
    """Tables joined on columns that are no keys: they share a value."""
    other = edge.other(alias)
    if other in plan.absent:
      raise UnsupportedQuery("rows without a match on columns that are no keys")
    clauses = self.clauses(query, plan, other, edge)
    if not clauses and self._subtree(query, other, edge) & plan.spoken:
      return None
    noun, person = self.noun(query, other), self.person(query, other)
    every = self.with_number(noun, clauses, person, "plural")
    one = self.with_number(noun, clauses, person, "a")
    shared = self._shared(query, alias, edge)
    return Clause(
      verbs=(conjugate(f"share {shared} with {every}", f"share {shared} with {one}"),),
      posts=(f"with the same {shared} as {one}",),
    )

  def _shared(self, query: Query, alias: str, edge: Edge) -> str:
    columns = edge.columns if alias == edge.child else edge.referred
    table = query.sources[alias]
    return join_words(
      [self.names.column(table, table.column(c)).short[0].singular for c in columns]
    )

  def _named(self, query: Query, plan: Plan, alias: str, came_from: Edge | None) -> str | None:
    """The value of the natural name, where that is the only thing said of a row."""
    own = plan.own.get(alias, [])
    if (
      len(own) != 1
      or not isinstance(own[0], exp.EQ)
      or not is_value(own[0].expression)
      or not isinstance(own[0].this, exp.Column)
    ):
      return None
    ref = query.ref(own[0].this)
    if not self.column_name(ref).names_entity or any(
      e is not came_from and self._subtree_says(query, plan, alias, e)
      for e in query.neighbours(alias)
    ):
      return None
    return self.value(own[0].expression, ref.column)

  def _subtree_says(self, query: Query, plan: Plan, alias: str, edge: Edge) -> bool:
    other = edge.other(alias)
    return edge.child == other or bool(self._subtree(query, other, edge) & set(plan.own))
