"""Relations through an event, said with its verb: "members who borrowed ..."."""

from __future__ import annotations

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import Verb, conjugate
from spftsql_jax.questions.links import Links
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import Clause, Plan, article
from spftsql_jax.questions.query_meaning import Edge, Query
from spftsql_jax.schema import Table


class Events(Links):
  """Words relations through events."""

  def _event_relation(
    self, query: Query, plan: Plan, alias: str, event: str, edge: Edge
  ) -> Clause | None:
    """A relation through an event: "members who borrowed books by ..."."""
    table = query.sources[event]
    if event in plan.absent:
      return self.happening(
        self.person(query, alias), table, edge.columns, self.noun(query, event), True, query
      )
    onward = [e for e in query.neighbours(event) if e is not edge]
    if plan.own.get(event) or event in plan.spoken or edge.optional == event or self.maybe(0.4):
      return None
    verb = wordings.EVENT_VERBS.get(self.names.table(table).nouns[0].singular.split()[-1])
    if (
      verb is None
      or len(onward) > 1
      or (onward and (onward[0].child != event or not onward[0].is_key))
    ):
      return None
    if not onward:
      return self.happening(
        self.person(query, alias), table, edge.columns, self.noun(query, event), False, query
      )
    far = onward[0].parent
    doer, thing = self.person(query, alias), not self.person(query, far)
    if doer != thing or (far in plan.spoken and not plan.own.get(far)):
      return None
    noun, name = self.noun(query, far), self._named(query, plan, far, onward[0])
    if noun.singular.split()[-1] in wordings.PLACES and verb[0] != "visited":
      return None
    taken = self.noun(query, alias).singular.split()[-1]
    if not doer and taken in wordings.PLACES and verb[0] != "visited":
      return None  # Who registers or buys at a branch does not take or buy it.
    if name is not None:
      said = self.rng.choice((f"the {noun.singular} {name}", name, name))
      every = one = said
    else:
      clauses = self.clauses(query, plan, far, onward[0])
      if not clauses:
        return None
      every = self.with_number(noun, clauses, self.person(query, far), "plural")
      one = self.with_number(noun, clauses, self.person(query, far), "a")
    if doer:
      return Clause(
        verbs=(
          conjugate(f"{verb[0]} {every}"),
          conjugate(f"have {verb[0]} {one}")
          if verb[0] == verb[2]
          else conjugate(f"{verb[0]} {one}"),
        )
      )
    return Clause(
      verbs=(
        conjugate(f"were {verb[1]} {every}", f"were {verb[1]} {one}"),
        conjugate(f"have been {verb[1]} {every}", f"have been {verb[1]} {one}"),
      ),
      posts=(f"{verb[1]} {every}", f"{verb[1]} {one}"),
    )

  def happening(
    self, person: bool, event: Table, key: tuple[str, ...], noun: Noun, negative: bool, query: Query
  ) -> Clause | None:
    """Whether anything happened: "books that were never borrowed"."""
    verb = wordings.EVENT_VERBS.get(self.names.table(event).nouns[0].singular.split()[-1])
    if verb is None or self.maybe(0.35):
      return None
    if not person:
      if verb[0] in ("enrolled in", "registered for"):
        return None
      subjects = [
        self._referred_noun(query, k)
        for k in event.foreign_keys
        if {c.lower() for c in k.columns} == {c.lower() for c in key}
      ]
      if verb[0] != "visited" and any(n.singular.split()[-1] in wordings.PLACES for n in subjects):
        return None  # A purchase at a branch buys something, but not the branch.
      verbs: tuple[Verb, ...]
      if negative:
        verbs = (
          conjugate(f"were never {verb[2]}"),
          conjugate(f"have not been {verb[2]}"),
          conjugate(f"have never been {verb[2]}"),
        )
        return Clause(verbs=verbs, posts=(f"never {verb[2]}",))
      verbs = (
        conjugate(f"have been {verb[2]}"),
        conjugate(f"were {verb[2]} at least once"),
      )
      return Clause(verbs=verbs, posts=(f"{verb[2]} at least once",))
    things = [
      self._referred_noun(query, k)
      for k in event.foreign_keys
      if {c.lower() for c in k.columns} != {c.lower() for c in key}
    ]
    things = [
      n
      for n in things
      if not is_person(n.singular) and n.singular.split()[-1] not in wordings.PLACES
    ]
    if not things:
      return None
    thing = things[0]
    if negative:
      verbs = (
        conjugate(f"never {verb[0]} any {thing.plural}"),
        conjugate(f"never {verb[0]} {article(thing.singular)}"),
        conjugate(f"did not {verb[3]} any {thing.plural}"),
      )
      return Clause(verbs=verbs)
    return Clause(
      verbs=(
        conjugate(f"{verb[0]} at least one {thing.singular}"),
        conjugate(f"have {verb[0]} {article(thing.singular)}"),
      )
    )
