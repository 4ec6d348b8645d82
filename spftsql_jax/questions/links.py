"""Ways through tables that only connect others."""

from __future__ import annotations

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions.expressions import Expressions
from spftsql_jax.questions.naming import Noun, role_of
from spftsql_jax.questions.parts import Clause, Plan
from spftsql_jax.questions.plan_groups import named_after_ends
from spftsql_jax.questions.query_meaning import Edge, Query, Ref
from spftsql_jax.questions.syntax import is_link, is_pure_link
from spftsql_jax.schema import ForeignKey


class Links(Expressions):
  """Looks through link tables to the rows on their other side."""

  def _through_link(
    self, query: Query, plan: Plan, alias: str, link: str, edge: Edge | None
  ) -> tuple[Noun, list[Clause], bool]:
    """The rows on the other side of a link table, where the link itself has nothing to say."""
    table = query.sources[link]
    if is_link(table) and not plan.own.get(link):
      onward = [e for e in query.neighbours(link) if e is not edge]
      if len(onward) == 1 and onward[0].child == link and onward[0].is_key:
        far = onward[0].parent
        return (
          self.noun(query, far),
          self.clauses(query, plan, far, onward[0]),
          self.person(query, far),
        )
      if not onward and is_pure_link(table):
        noun = self._far_noun(query, alias, link)
        return noun, [], is_person(noun.singular)
    return self.noun(query, link), self.clauses(query, plan, link, edge), self.person(query, link)

  def through(self, query: Query, head: str, alias: str) -> str:
    """How a row of `alias` is reached from the head through rows that point to it; else "".

    "Of the loans of their books".
    """
    path = query.path(head, alias)
    nouns: list[Noun] = []
    here, down = head, False
    for i, edge in enumerate(path):
      before, here = here, edge.other(here)
      down = down or (edge.child == here and not edge.same)
      middle = here != alias
      if middle and not is_link(query.sources[here]):
        if edge.child == before and not down:
          continue
        nouns.append(self.noun(query, here))
      if not middle and i == 0:
        return ""
    if not down or not nouns:
      return ""
    chain = f"{self.whose(query, head, path)} {nouns[0].plural}"
    for noun in nouns[1:]:
      chain = f"the {noun.plural} of {chain}"
    return f"of {chain}"

  def whose(self, query: Query, head: str, path: list[Edge]) -> str:
    """ "Their" rows; "those" where a condition on the way says that not all of theirs are meant."""
    passed = {alias for edge in path for alias in (edge.child, edge.parent)} - {head}
    narrowed = any(query.aliases_in(condition) & passed for condition in query.conditions)
    return "those" if narrowed else "their"

  def _far_alias(self, query: Query, plan: Plan, link: str, edge: Edge) -> tuple[str, Edge] | None:
    """The alias on the other side of a link table, where `_through_link` goes there."""
    if not is_link(query.sources[link]) or plan.own.get(link):
      return None
    onward = [e for e in query.neighbours(link) if e is not edge]
    return (
      (onward[0].parent, onward[0])
      if len(onward) == 1 and onward[0].child == link and onward[0].is_key
      else None
    )

  def _far_noun(self, query: Query, alias: str, link: str) -> Noun:
    """What a link table's rows stand for, seen from one of its ends.

    Enrolments of a student are courses.
    """
    table = query.sources[link]
    if is_pure_link(table) and (named_after_ends(query, table, self.names) or self.maybe(0.5)):
      for edge in query.neighbours(link):
        if edge.child == link and edge.parent == alias:
          for key in table.foreign_keys:
            if tuple(c.lower() for c in key.columns) != tuple(c.lower() for c in edge.columns):
              return self._referred_noun(query, key)
    return self.noun(query, link)

  def _other_end(self, query: Query, ref: Ref) -> Noun | None:
    """What the rows of a link table without a name of its own are, for each value of one key.

    The rows of the other key.
    """
    keys = ref.table.foreign_keys
    if (
      not is_pure_link(ref.table)
      or len(keys) != 2
      or not named_after_ends(query, ref.table, self.names)
    ):
      return None
    others = [key for key in keys if [c.lower() for c in key.columns] != [ref.column.name.lower()]]
    return self._referred_noun(query, others[0]) if len(others) == 1 else None

  def _referred_noun(self, query: Query, key: ForeignKey) -> Noun:
    referred = query.schema.table(key.referred_table)
    return role_of(key.columns, referred, self.names) or self.table_noun(referred)
