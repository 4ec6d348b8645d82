"""Ways through tables that only connect others."""

from __future__ import annotations

from spftsql_jax.columns import kinds, vocabulary
from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import conjugate
from spftsql_jax.questions.expressions import Expressions
from spftsql_jax.questions.naming import Noun, SchemaNames, role_of
from spftsql_jax.questions.parts import Clause, Plan, join_words, titled
from spftsql_jax.questions.plan_groups import named_after_ends
from spftsql_jax.questions.query_meaning import Edge, Query, Ref
from spftsql_jax.questions.syntax import is_link, is_pure_link, merge_ranges, own_columns
from spftsql_jax.schema import ForeignKey, Table


def _own_words(query: Query, table: Table, names: SchemaNames) -> frozenset[str] | None:
  """The words of a link's noun beside those of its two ends; None where it is named after none of
  them, or has not two.
  """
  referred = [query.schema.table(key.referred_table) for key in table.foreign_keys]
  ends = [set(names.table(end).nouns[0].singular.split()) for end in referred]
  words = {singular_of(word) for word in names.table(table).nouns[0].singular.split()}
  if len(ends) != 2 or not any(end <= words for end in ends):
    return None
  return frozenset(words - ends[0] - ends[1] - vocabulary.PREPOSITIONS)


class Links(Expressions):
  """Looks through link tables to the rows on their other side."""

  def _through_link(
    self,
    query: Query,
    plan: Plan,
    alias: str,
    link: str,
    edge: Edge | None,
    counted: bool = False,
  ) -> tuple[Noun, list[Clause], bool]:
    """The rows on the other side of a link table, where the link itself has nothing to say.

    Where its rows are `counted`, those on the other side must be as many.
    """
    table = query.sources[link]
    linking = self._only_links(query, table) or (not counted and self.connects(query, table))
    if linking and not plan.own.get(link):
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
        return noun, [], kinds.is_person(noun.singular)
    noun = self.noun(query, link)
    if noun == self.table_noun(table):
      noun = self.beside(query, noun, link, alias)
    return noun, self.clauses(query, plan, link, edge), self.person(query, link)

  def connects(self, query: Query, table: Table) -> bool:
    """Whether a table only connects two others, by its columns or as its name says: resident
    services are services of residents.
    """
    return self._only_links(query, table) or not self.has_noun(query, table)

  def _only_links(self, query: Query, table: Table) -> bool:
    """Whether a link is the only one of its ends: who has purchases at branches and is registered
    at others does not have branches.
    """
    ends = {key.referred_table.lower() for key in table.foreign_keys}
    return is_link(table) and not any(
      ends <= {key.referred_table.lower() for key in other.foreign_keys}
      for other in query.schema.tables
      if other is not table
    )

  def has_noun(self, query: Query, table: Table) -> bool:
    """Whether the rows of a link are called by more than its ends: "member attendances"."""
    return _own_words(query, table, self.names) != frozenset()

  def _pair_relation(
    self, query: Query, plan: Plan, alias: str, link: str, edge: Edge
  ) -> Clause | None:
    """What is said of a pair whose link has no name of its own, seen from one of its rows.

    "Members with more than 2 pieces in a performance"; None where that cannot be said.
    """
    table, own = query.sources[link], plan.own.get(link, [])
    words = _own_words(query, table, self.names)
    if not own or edge.optional or words is None:
      return None
    keys = {name.lower() for key in table.foreign_keys for name in key.columns}
    if any(column.name.lower() in keys for node in own for column in own_columns(node)):
      return None  # That says which pair it is, not what it holds.
    if self.person(query, alias):
      words -= kinds.words_of("person")  # A member of a club is what the student is.
    if words - set(vocabulary.DEEDS.values()):
      return None
    onward = [e for e in query.neighbours(link) if e is not edge]
    if any(e.child != link or not e.is_key or e.optional for e in onward) or len(onward) > 1:
      return None
    name = None
    if onward:
      far = onward[0].parent
      if self._subtree(query, link, edge) & plan.spoken:
        return None
      noun, person = self.noun(query, far), self.person(query, far)
      clauses = self.clauses(query, plan, far, onward[0])
      name = self._named(query, plan, far, onward[0])
    else:
      end = self._other_referred(query, table, edge)
      if end is None:
        return None
      noun, clauses, person = end, [], kinds.is_person(end.singular)
    said = [self.condition(query, condition, link) for condition in merge_ranges(own)]
    if not all(c.having and noun.singular not in c.having for c in said):
      return None
    at = noun.singular.split()[-1] in wordings.OCCASIONS | wordings.PLACES
    one = self.with_number(noun, clauses, person, "a") if name is None else titled(noun, name)
    having = f"{join_words([clause.having for clause in said])} {'in' if at else 'for'} {one}"
    return Clause(verbs=(conjugate(f"have {having}"),), posts=(f"with {having}",))

  def _subtree(self, query: Query, alias: str, came_from: Edge) -> set[str]:
    found = {alias}
    for edge in query.neighbours(alias):
      if edge is not came_from:
        found |= self._subtree(query, edge.other(alias), edge)
    return found

  def _other_referred(self, query: Query, table: Table, edge: Edge) -> Noun | None:
    """What the one other key of a link table refers to."""
    own = [column.lower() for column in edge.columns]
    others = [key for key in table.foreign_keys if [c.lower() for c in key.columns] != own]
    return self._referred_noun(query, others[0]) if len(others) == 1 else None

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
      if middle and not self.connects(query, query.sources[here]):
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
    if not self.connects(query, query.sources[link]) or plan.own.get(link):
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
