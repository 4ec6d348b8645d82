"""Noun phrases for the rows of a query: an entity with its conditions and its relations to other entities.

"visits of patients from Boston that cost more than 100": foreign keys become relations ("of", "with", "that have"), link tables are
skipped, nested queries become phrases of their own.
"""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.databases.schema import ForeignKey, Table
from spftsql_jax.synthesis import wordings
from spftsql_jax.synthesis.naming import Noun, is_person, plural_of, role_of
from spftsql_jax.synthesis.phrases import (
  Clause,
  Phrases,
  article,
  flipped,
  is_value,
  join_words,
  negated,
  operator_of,
  pick,
  relation_preposition,
)
from spftsql_jax.synthesis.query_meaning import Edge, Query, Ref, SetQuery, UnsupportedQuery, bare, conjuncts, disjuncts, own_columns, read_nested

_AGGREGATES = {exp.Avg: "avg", exp.Max: "max", exp.Min: "min", exp.Sum: "sum", exp.Count: "count"}
_SIMPLE = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)


@dataclasses.dataclass
class Plan:
  """Where each condition of a query is spoken, once its head is chosen.

  Attributes:
    head: the alias whose rows the phrase names.
    own: conditions by the one alias that they are about.
    mixed: conditions over several aliases.
    absent: aliases that a LEFT JOIN with IS NULL says to be missing.
    spoken: aliases mentioned elsewhere in the question (returned, ordered by): their join alone says nothing new.
  """

  head: str
  own: dict[str, list[exp.Expression]]
  mixed: list[exp.Expression]
  absent: set[str]
  spoken: set[str]


def aggregate_of(node: exp.Expression) -> str | None:
  return _AGGREGATES.get(type(node))


def is_link(table: Table) -> bool:
  """Whether a table only connects two others: two foreign keys, and at most one column besides keys."""
  if len(table.foreign_keys) != 2:
    return False
  keys = {c.lower() for k in table.foreign_keys for c in k.columns} | {c.lower() for c in table.primary_key}
  return sum(c.name.lower() not in keys for c in table.columns) <= 1


def is_pure_link(table: Table) -> bool:
  """Whether each row of the table is one pair of the two rows that it connects."""
  if not is_link(table):
    return False
  keys = {c.lower() for k in table.foreign_keys for c in k.columns}
  others = [c.name.lower() for c in table.columns if c.name.lower() not in keys]
  return {c.lower() for c in table.primary_key} == keys or not others or others == [c.lower() for c in table.primary_key]


class Descriptions(Phrases):
  """Words the FROM and WHERE of queries."""

  # ---------------------------------------------------------------------------------------------------- noun phrases

  def plan(self, query: Query, head: str, spoken: set[str]) -> Plan:
    """Hands every condition to the table that it is about."""
    plan = Plan(head, {}, [], set(), spoken)
    for condition in query.conditions:
      aliases = query.aliases_in(condition)
      if isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null) and len(aliases) == 1:
        (alias,) = aliases
        if any(e.optional == alias for e in query.edges):
          plan.absent.add(alias)
          continue
      if not aliases:
        aliases = {self._correlated_alias(query, condition) or head}
      if len(aliases) == 1:
        plan.own.setdefault(next(iter(aliases)), []).append(condition)
      else:
        plan.mixed.append(condition)
    return plan

  def phrase(self, query: Query, plan: Plan, alias: str, number: str = "plural", came_from: Edge | None = None) -> str:
    """The noun phrase of one alias. `number`: plural, singular, a, the (singular)."""
    noun = self.noun(query, alias)
    clauses = self.clauses(query, plan, alias, came_from)
    return self.with_number(noun, clauses, self.person(query, alias), number)

  def with_number(self, noun: Noun, clauses: list[Clause], person: bool, number: str) -> str:
    text = self.modified(noun.plural if number == "plural" else noun.singular, clauses, person, number == "plural")
    if number == "a":
      return article_for(text, noun.singular)
    return f"the {text}" if number == "the" else text

  def clauses(self, query: Query, plan: Plan, alias: str, came_from: Edge | None) -> list[Clause]:
    """What is said of the rows of one alias: its own conditions first, then its relations."""
    result = [self.condition(query, c, alias) for c in self._merge_ranges(plan.own.get(alias, []))]
    relations: list[Clause] = []
    for edge in query.neighbours(alias):
      if edge is came_from:
        continue
      if edge.same and edge.other(alias) not in plan.absent:
        result.extend(self.clauses(query, plan, edge.other(alias), edge))
      else:
        clause = self._relation(query, plan, alias, edge)
        if clause is not None:
          relations.append(clause)
    if alias == plan.head and came_from is None:
      relations.extend(self.condition(query, c, alias) for c in plan.mixed)
    return result + relations

  def modified(self, noun: str, clauses: list[Clause], person: bool, plural: bool) -> str:
    """A noun with its clauses around it."""
    if not clauses:
      return noun
    rest: list[Clause] = []
    for clause in clauses:
      only = not (clause.posts or clause.verbs or clause.having or clause.noun or clause.sentence)
      if clause.adjectives and (only or self.maybe(0.6)):
        noun = f"{clause.adjectives[0]} {noun}"
      else:
        rest.append(clause)
    if not rest:
      return noun
    who = ("who" if self.maybe(0.8) else "that") if person else ("that" if self.maybe(0.8) else "which")
    style = self.rng.random()
    if style < 0.42 and all(c.posts or c.having for c in rest):
      return f"{noun} {self._chain_posts(rest)}"
    if style < 0.68 and all(c.verbs or c.having for c in rest):
      return f"{noun} {who} {join_words([self.verb(c, plural) for c in rest])}"
    if style < 0.88 and all(c.noun and c.predicate for c in rest):
      separator = self.rng.choice(("and", "and whose"))
      return f"{noun} whose " + join_words([f"{c.noun} {c.predicate}" for c in rest], separator)
    if style < 0.94 and all(c.noun or c.sentence for c in rest):
      return f"{noun} where {join_words([c.sentence or f'the {c.noun} {c.predicate}' for c in rest])}"
    parts: list[str] = []
    before: list[Clause] = []
    for clause in rest:
      if (clause.posts or clause.having) and self.maybe(0.4) and len(rest) > 1 and not parts:
        before.append(clause)
      elif clause.verbs or (clause.having and self.maybe(0.6)):
        parts.append(f"{who} {self.verb(clause, plural)}")
      elif clause.noun:
        parts.append(f"whose {clause.noun} {clause.predicate}")
      elif clause.having or clause.posts:
        parts.append(self._chain_posts([clause]))
      else:
        parts.append(f"where {clause.sentence}")
    chained = f" {self._chain_posts(before)}" if before else ""
    return f"{noun}{chained}" + (f" {join_words(parts)}" if parts else "")

  def verb(self, clause: Clause, plural: bool) -> str:
    """A clause after who: "are older than 30", "have a salary above 100"."""
    if clause.verbs and (not clause.having or self.maybe(0.7)):
      return self.rng.choice(clause.verbs)[0 if plural else 1]
    if clause.having:
      return f"{'have' if plural else 'has'} {clause.having}"
    return f"{'have' if plural else 'has'} {article(clause.noun)} that {clause.predicate}"

  def _chain_posts(self, clauses: list[Clause]) -> str:
    posts: list[str] = []
    havings: list[str] = []
    for clause in clauses:
      if clause.posts and (not clause.having or self.maybe(0.75)):
        posts.append(self.rng.choice(clause.posts))
      else:
        havings.append(clause.having)
    posts.sort(key=lambda p: len(p.split()) > 4)
    if havings:
      posts.insert(len([p for p in posts if len(p.split()) <= 4]), f"{'with' if self.maybe(0.8) else 'having'} {join_words(havings)}")
    return " and ".join(posts) if len(posts) > 1 and self.maybe(0.5) else " ".join(posts)

  # -------------------------------------------------------------------------------------------------------- relations

  def _relation(self, query: Query, plan: Plan, alias: str, edge: Edge) -> Clause | None:
    """What the join to a neighbour says of the rows of `alias`; None where it says nothing that is not said elsewhere."""
    other = edge.other(alias)
    if not edge.is_key:
      return self._loose_relation(query, plan, alias, edge)
    if edge.parent == other:
      clauses = self.clauses(query, plan, other, edge)
      if not clauses:
        return None
      return self.parent_relation(edge, self.noun(query, other), clauses, self.person(query, other), self._named(query, plan, other, edge), self.noun(query, alias))
    event = self._event_relation(query, plan, alias, other, edge)
    if event is not None:
      return event
    if other in plan.absent:
      return self.child_relation(self._far_noun(query, alias, other).plural, True, self.person(query, alias), self.noun(query, other))
    optional = edge.optional == other
    noun, clauses, person = self._through_link(query, plan, alias, other, edge)
    if not clauses and (optional or self._subtree(query, other, edge) & plan.spoken):
      return None
    far = self._far_alias(query, plan, other, edge)
    if far is not None and not self.person(query, alias) and noun.singular.split()[-1] in wordings.MAKER_VERBS and clauses:
      return self.parent_relation(far[1], noun, clauses, person, self._named(query, plan, far[0], far[1]), self.noun(query, alias))
    if far is not None and self.maybe(0.6):
      name = self._named(query, plan, far[0], far[1])
      if name is not None:
        called = self.rng.choice((f"the {noun.singular} {name}", f"{noun.singular} {name}", f"the {noun.singular} {name}"))
        posts = [f"with {called}"] + ([f"in {called}", f"in {name}"] if noun.singular.split()[-1] in wordings.PLACES else [])
        return Clause("", "", "", ((f"have {called}", f"has {called}"),), tuple(posts))
    every = self.with_number(noun, clauses, person, "plural")
    one = self.with_number(noun, clauses, person, "a")
    return self.child_relation(every, False, self.person(query, alias), noun, one, bool(clauses), self.noun(query, alias))

  def parent_relation(self, edge: Edge, noun: Noun, clauses: list[Clause], person: bool, name: str | None, child: Noun) -> Clause:
    """Rows that point to one row of a parent: "visits of the patient Ann", "visits whose patient is from Boston"."""
    clause = self._plain_parent_relation(edge, noun, clauses, person, name, child)
    maker = wordings.MAKER_VERBS.get(noun.singular.split()[-1])
    works = child.singular.split()[-1] in wordings.WORKERS and noun.singular.split()[-1] in wordings.PLACES
    if not (maker or works) or is_person(child.singular) != works:
      return clause
    if name is not None:
      called = [f"{noun.singular} {name}", f"the {noun.singular} {name}"] + ([name, name] if maker else [])
    else:
      called = [self.with_number(noun, clauses, person, "plural"), self.with_number(noun, clauses, person, "a")]
    said = self.rng.choice(called)
    if maker:
      clause.verbs = ((f"were {maker[1]} by {said}", f"was {maker[1]} by {said}"),)
      clause.posts = (*clause.posts, f"{maker[1]} by {said}", f"{maker[1]} by {said}")
    else:
      place = self.rng.choice(("at", "in", "for"))
      clause.verbs = (*clause.verbs, (f"work {place} {said}", f"works {place} {said}"))
      clause.posts = (*clause.posts, f"working {place} {said}", f"at {said}")
    return clause

  def _plain_parent_relation(self, edge: Edge, noun: Noun, clauses: list[Clause], person: bool, name: str | None, child: Noun) -> Clause:
    prepositions = relation_preposition(noun.singular, child.singular, person)
    if name is not None:
      called = self.rng.choice((f"{noun.singular} {name}", f"the {noun.singular} {name}", f"the {noun.singular} named {name}", f"the {noun.singular} called {name}", f"{noun.singular} {name}"))
      posts = [f"{self.rng.choice(prepositions)} {called}", f"{self.rng.choice(prepositions)} {called}"]
      if prepositions[0] in ("by", "in"):
        posts.append(f"{prepositions[0]} {name}")
      verbs = ((f"belong to {called}", f"belongs to {called}"), (f"have {called}", f"has {called}") if self.maybe(0.3) else (f"are {prepositions[0]} {called}", f"is {prepositions[0]} {called}"))
      return Clause(noun.singular, f"is {name}", f"{noun.singular} {name}", verbs, tuple(posts))
    every = self.with_number(noun, clauses, person, "plural")
    one = self.with_number(noun, clauses, person, "a")
    posts = (f"{self.rng.choice(prepositions)} {every}", f"{self.rng.choice(prepositions)} {one}", f"belonging to {every}" if self.maybe(0.3) else f"{prepositions[0]} {every}")
    verbs = ((f"belong to {every}", f"belongs to {one}"), (f"are {prepositions[0]} {every}", f"is {prepositions[0]} {one}"))
    predicate, owner = "", noun.singular
    if len(clauses) == 1:
      clause = clauses[0]
      if clause.verbs and self.maybe(0.5):
        predicate = self.rng.choice(clause.verbs)[1]
      elif clause.having:
        predicate = f"has {clause.having}"
      elif clause.noun and not clause.noun.startswith("the "):
        owner, predicate = f"{noun.singular}'s {clause.noun}", clause.predicate
    return Clause(owner if predicate else "", predicate, "", verbs, posts)

  def _event_relation(self, query: Query, plan: Plan, alias: str, event: str, edge: Edge) -> Clause | None:
    """A relation through an event: "members who borrowed books by ...", "books borrowed by members from ...", "books never borrowed"."""
    table = query.sources[event]
    if event in plan.absent:
      return self.happening(self.person(query, alias), table, edge.columns, self.noun(query, event), True, query)
    onward = [e for e in query.neighbours(event) if e is not edge]
    if plan.own.get(event) or event in plan.spoken or edge.optional == event or self.maybe(0.4):
      return None
    verb = wordings.EVENT_VERBS.get(self.names.table(table).nouns[0].singular.split()[-1])
    if verb is None or len(onward) > 1 or (onward and (onward[0].child != event or not onward[0].is_key)):
      return None
    if not onward:
      return self.happening(self.person(query, alias), table, edge.columns, self.noun(query, event), False, query)
    far = onward[0].parent
    doer, thing = self.person(query, alias), not self.person(query, far)
    if doer != thing or (far in plan.spoken and not plan.own.get(far)):
      return None
    noun, name = self.noun(query, far), self._named(query, plan, far, onward[0])
    if noun.singular.split()[-1] in wordings.PLACES and verb[0] != "visited":
      return None
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
      return Clause("", "", "", ((f"{verb[0]} {every}", f"{verb[0]} {every}"), (f"have {verb[0]} {one}", f"has {verb[0]} {one}") if verb[0] == verb[2] else (f"{verb[0]} {one}", f"{verb[0]} {one}")))
    return Clause("", "", "", ((f"were {verb[1]} {every}", f"was {verb[1]} {one}"), (f"have been {verb[1]} {every}", f"has been {verb[1]} {one}")), (f"{verb[1]} {every}", f"{verb[1]} {one}"))

  def happening(self, person: bool, event: Table, key: tuple[str, ...], noun: Noun, negative: bool, query: Query) -> Clause | None:
    """Whether anything happened: "books that were never borrowed", "members who borrowed at least one book"."""
    verb = wordings.EVENT_VERBS.get(self.names.table(event).nouns[0].singular.split()[-1])
    if verb is None or self.maybe(0.35):
      return None
    if not person:
      if verb[0] in ("enrolled in", "registered for"):
        return None
      if negative:
        verbs = ((f"were never {verb[2]}", f"was never {verb[2]}"), (f"have not been {verb[2]}", f"has not been {verb[2]}"), (f"have never been {verb[2]}", f"has never been {verb[2]}"))
        return Clause("", "", "", verbs, (f"never {verb[2]}",))
      verbs = ((f"have been {verb[2]}", f"has been {verb[2]}"), (f"were {verb[2]} at least once", f"was {verb[2]} at least once"))
      return Clause("", "", "", verbs, (f"{verb[2]} at least once",))
    things = [self._referred_noun(query, k) for k in event.foreign_keys if {c.lower() for c in k.columns} != {c.lower() for c in key}]
    things = [n for n in things if not is_person(n.singular) and n.singular.split()[-1] not in wordings.PLACES]
    if not things:
      return None
    thing = things[0]
    if negative:
      verbs = ((f"never {verb[0]} any {thing.plural}", f"never {verb[0]} any {thing.plural}"), (f"never {verb[0]} {article(thing.singular)}", f"never {verb[0]} {article(thing.singular)}"),
               (f"did not {verb[3]} any {thing.plural}", f"did not {verb[3]} any {thing.plural}"))  # fmt: skip
      return Clause("", "", "", verbs)
    return Clause("", "", "", ((f"{verb[0]} at least one {thing.singular}", f"{verb[0]} at least one {thing.singular}"), (f"have {verb[0]} {article(thing.singular)}", f"has {verb[0]} {article(thing.singular)}")))

  def child_relation(self, every: str, without: bool, person: bool, noun: Noun, one: str = "", specific: bool = False, owner: Noun | None = None) -> Clause:
    """Rows that others point to: "patients with visits", "patients who have never had a visit"."""
    deed = wordings.DEEDS.get(noun.singular.split()[-1]) if person else None
    if owner is not None and not is_person(noun.singular):
      deed = wordings.MAKER_VERBS.get(owner.singular.split()[-1], deed)
    if without:
      verbs = [(f"have no {every}", f"has no {every}"), (f"do not have any {every}", f"does not have any {every}"), (f"don't have any {every}", f"doesn't have any {every}")]
      if deed:
        past, participle, base = deed
        verbs = verbs[:1] + [(f"have not {participle} any {every}", f"has not {participle} any {every}"), (f"never {past} any {every}", f"never {past} any {every}"),
                             (f"did not {base} any {every}", f"did not {base} any {every}"), (f"have never {participle} any {every}", f"has never {participle} any {every}")]  # fmt: skip
      return Clause("", "", "", tuple(verbs), (f"without any {every}", f"with no {every}", f"without {every}"))
    verbs = [(f"have {every}", f"has {every}"), (f"have {one}", f"has {one}")] if one else [(f"have {every}", f"has {every}")]
    posts = [f"with {every}", f"with {one}"] if one else [f"with {every}"]
    if self.existential or not specific:
      verbs += [(f"have at least one {without_article(one)}", f"has at least one {without_article(one)}"), (f"have any {every}", f"has any {every}")]
      posts += [f"with at least one {without_article(one)}", f"with any {every}"]
    if deed:
      past, participle, _ = deed
      verbs += [(f"{past} {every}", f"{past} {every}"), (f"have {participle} {every}", f"has {participle} {every}"), (f"{past} {one}", f"{past} {one}")]
    return Clause("", "", "", tuple(verbs), tuple(posts))

  existential = False

  def _loose_relation(self, query: Query, plan: Plan, alias: str, edge: Edge) -> Clause | None:
    """Tables joined on columns that are no keys: they share a value."""
    other = edge.other(alias)
    clauses = self.clauses(query, plan, other, edge)
    if not clauses and self._subtree(query, other, edge) & plan.spoken:
      return None
    noun, person = self.noun(query, other), self.person(query, other)
    every = self.with_number(noun, clauses, person, "plural")
    one = self.with_number(noun, clauses, person, "a")
    return Clause("", "", "", ((f"share {self._shared(query, alias, edge)} with {every}", f"shares {self._shared(query, alias, edge)} with {one}"),),
                  (f"with the same {self._shared(query, alias, edge)} as {one}",))  # fmt: skip

  def _shared(self, query: Query, alias: str, edge: Edge) -> str:
    columns = edge.columns if alias == edge.child else edge.referred
    table = query.sources[alias]
    return join_words([self.names.column(table, table.column(c)).short[0].singular for c in columns])

  def _named(self, query: Query, plan: Plan, alias: str, came_from: Edge) -> str | None:
    """The value of the natural name, where that is the only thing said of a row."""
    own = plan.own.get(alias, [])
    if len(own) != 1 or not isinstance(own[0], exp.EQ) or not is_value(own[0].expression) or not isinstance(own[0].this, exp.Column):
      return None
    ref = query.ref(own[0].this)
    if not self.column_name(ref).names_entity or any(e is not came_from and self._subtree_says(query, plan, alias, e) for e in query.neighbours(alias)):
      return None
    return self.value(own[0].expression, ref.column)

  def _subtree(self, query: Query, alias: str, came_from: Edge) -> set[str]:
    found = {alias}
    for edge in query.neighbours(alias):
      if edge is not came_from:
        found |= self._subtree(query, edge.other(alias), edge)
    return found

  def _subtree_says(self, query: Query, plan: Plan, alias: str, edge: Edge) -> bool:
    other = edge.other(alias)
    return edge.child == other or bool(self._subtree(query, other, edge) & set(plan.own))

  def _through_link(self, query: Query, plan: Plan, alias: str, link: str, edge: Edge) -> tuple[Noun, list[Clause], bool]:
    """The rows on the other side of a link table, where the link itself has nothing to say."""
    table = query.sources[link]
    if is_link(table) and not plan.own.get(link):
      onward = [e for e in query.neighbours(link) if e is not edge]
      if len(onward) == 1 and onward[0].child == link and onward[0].is_key:
        far = onward[0].parent
        return self.noun(query, far), self.clauses(query, plan, far, onward[0]), self.person(query, far)
      if not onward and is_pure_link(table):
        noun = self._far_noun(query, alias, link)
        return noun, [], is_person(noun.singular)
    return self.noun(query, link), self.clauses(query, plan, link, edge), self.person(query, link)

  def through(self, query: Query, head: str, alias: str) -> str:
    """How a row of `alias` is reached from the head where that goes through rows that point to it: "of the loans of their books"; else ""."""
    path = self.path(query, head, alias)
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
    chain = f"their {nouns[0].plural}"
    for noun in nouns[1:]:
      chain = f"the {noun.plural} of {chain}"
    return f"of {chain}"

  def path(self, query: Query, start: str, goal: str) -> list[Edge]:
    """The edges from one alias to another."""
    todo: list[tuple[str, list[Edge]]] = [(start, [])]
    seen = {start}
    while todo:
      alias, path = todo.pop()
      if alias == goal:
        return path
      for edge in query.neighbours(alias):
        if edge.other(alias) not in seen:
          seen.add(edge.other(alias))
          todo.append((edge.other(alias), [*path, edge]))
    return []

  def _far_alias(self, query: Query, plan: Plan, link: str, edge: Edge) -> tuple[str, Edge] | None:
    """The alias on the other side of a link table, where `_through_link` goes there."""
    if not is_link(query.sources[link]) or plan.own.get(link):
      return None
    onward = [e for e in query.neighbours(link) if e is not edge]
    return (onward[0].parent, onward[0]) if len(onward) == 1 and onward[0].child == link and onward[0].is_key else None

  def _far_noun(self, query: Query, alias: str, link: str) -> Noun:
    """What a link table's rows stand for, seen from one of its ends: enrolments of a student are courses."""
    table = query.sources[link]
    if is_pure_link(table) and (self._named_after_ends(query, table) or self.maybe(0.5)):
      for edge in query.neighbours(link):
        if edge.child == link and edge.parent == alias:
          for key in table.foreign_keys:
            if tuple(c.lower() for c in key.columns) != tuple(c.lower() for c in edge.columns):
              return self._referred_noun(query, key)
    return self.noun(query, link)

  def _named_after_ends(self, query: Query, table: Table) -> bool:
    """Whether a link table has no name of its own: "book_author"."""
    words = self.names.table(table).nouns[0].singular
    return any(self.names.table(query.schema.table(k.referred_table)).nouns[0].singular in words for k in table.foreign_keys)

  def _referred_noun(self, query: Query, key: ForeignKey) -> Noun:
    referred = query.schema.table(key.referred_table)
    return role_of(key.columns, referred, self.names) or self.table_noun(referred)

  # ------------------------------------------------------------------------------------------------------- conditions

  def condition(self, query: Query, node: exp.Expression, head: str) -> Clause:
    """Words one condition about the rows of `head`."""
    node = bare(node)
    if isinstance(node, exp.Or):
      return self._either(query, disjuncts(node), head)
    if isinstance(node, exp.And):
      return self._both(query, conjuncts(node), head)
    if isinstance(node, exp.Not):
      return self._not(query, bare(node.this), head)
    if isinstance(node, _SIMPLE):
      return self._compare(query, node, head)
    if isinstance(node, exp.Between):
      noun, ref, own = self._subject(query, node.this, head)
      if not is_value(node.args["low"]) or not is_value(node.args["high"]):
        raise UnsupportedQuery("BETWEEN without values")
      if ref is None:
        return Clause(noun, f"is between {self.value(node.args['low'])} and {self.value(node.args['high'])}")
      return self.between_clause(ref, noun, node.args["low"], node.args["high"], own)
    if isinstance(node, exp.Like):
      return self._like(query, node, head, bool(node.args.get("negate")))
    if isinstance(node, exp.In):
      return self._in(query, node, head, False)
    if isinstance(node, exp.Is):
      return self._is(query, node, head, False)
    if isinstance(node, exp.Exists):
      return self._exists(query, node, head, False)
    if isinstance(node, exp.Column):
      return self._compare(query, exp.EQ(this=node, expression=exp.Literal.number(1)), head)
    raise UnsupportedQuery(f"the condition {type(node).__name__}")

  def _not(self, query: Query, node: exp.Expression, head: str) -> Clause:
    if isinstance(node, exp.In):
      return self._in(query, node, head, True)
    if isinstance(node, exp.Like):
      return self._like(query, node, head, not node.args.get("negate"))
    if isinstance(node, exp.Is):
      return self._is(query, node, head, True)
    if isinstance(node, exp.Exists):
      return self._exists(query, node, head, True)
    if isinstance(node, exp.Between):
      clause = self.condition(query, node, head)
      return Clause(clause.noun, clause.predicate.replace("is ", "is not ", 1))
    if isinstance(node, _SIMPLE):
      opposite = {exp.EQ: exp.NEQ, exp.NEQ: exp.EQ, exp.GT: exp.LTE, exp.GTE: exp.LT, exp.LT: exp.GTE, exp.LTE: exp.GT}[type(node)]
      return self._compare(query, opposite(this=node.this, expression=node.expression), head)
    if isinstance(node, exp.Column):
      return self._compare(query, exp.EQ(this=node, expression=exp.Literal.number(0)), head)
    raise UnsupportedQuery(f"NOT {type(node).__name__}")

  def _subject(self, query: Query, node: exp.Expression, head: str) -> tuple[str, Ref | None, bool]:
    """The noun of a condition's left side, its column where it is one, and whether that belongs to the head."""
    node = bare(node)
    if isinstance(node, exp.Column):
      ref = query.ref(node)
      if ref.outer:
        raise UnsupportedQuery("a condition on the enclosing query")
      own = self.belongs(query, ref.alias, head)
      return (self.short(ref) if own else self.qualified(query, ref)).singular, ref, own
    return self.expression(query, node, head).singular, None, False

  def belongs(self, query: Query, alias: str, head: str) -> bool:
    """Whether a column of `alias` is an attribute of the head: the same rows, or rows that are one and the same."""
    if alias == head:
      return True
    return any(e.same and {e.child, e.parent} == {alias, head} for e in query.edges)

  def _compare(self, query: Query, node: exp.Expression, head: str) -> Clause:
    operator = operator_of(node)
    left, right = bare(node.this), bare(node.expression)
    if is_value(left) or (isinstance(left, exp.Subquery) and not isinstance(right, exp.Subquery)):
      left, right, operator = right, left, flipped(operator)
    if is_value(right):
      if isinstance(left, exp.Column):
        noun, ref, own = self._subject(query, left, head)
        return self.compare_clause(ref, noun, operator, right, own)
      return self._computed(query, left, operator, right, head)
    if isinstance(right, exp.Subquery):
      return self._against_query(query, left, operator, right, head)
    columns = own_columns(left) + own_columns(right)
    if len(columns) >= 2 and any(query.ref(c).outer for c in columns):
      return self._same_as_outer(query, left, right, operator, head)
    noun, ref, own = self._subject(query, left, head)
    other = self._subject(query, right, head)[0]
    style = self.style(ref) if ref is not None else "number"
    if operator in ("=", "!="):
      predicate = f"is the same as the {other}" if operator == "=" else f"is different from the {other}"
      return Clause(noun, predicate, f"the same {noun} and {other}" if operator == "=" and own else "")
    compared = self.comparison(operator, f"the {other}", style if style == "date" else "number")
    if compared.startswith("the ") and not compared.startswith("the same"):
      compared = {">=": "at least ", "<=": "at most "}[operator] + f"the {other}"
    return Clause(noun, f"is {compared}", f"{article(noun)} {compared}")

  def _computed(self, query: Query, left: exp.Expression, operator: str, right: exp.Expression, head: str) -> Clause:
    """A function of a column compared with a literal: mostly parts of dates."""
    part = date_part(left)
    if part is not None:
      kind, column = part
      noun, ref, own = self._subject(query, column, head)
      return self._date_part(kind, ref, noun, operator, right, own)
    if isinstance(left, (exp.Lower, exp.Upper)) and isinstance(left.this, exp.Column) and operator in ("=", "!="):
      noun, ref, own = self._subject(query, left.this, head)
      return self.compare_clause(ref, noun, operator, right, own)
    noun = self.expression(query, left, head).singular
    if operator in ("=", "!="):
      value = self.value(right)
      return Clause(noun, f"is {value}" if operator == "=" else f"is not {value}", f"{article(noun)} of {value}" if operator == "=" else "")
    compared = self.comparison(operator, self.value(right))
    return Clause(noun, f"is {compared}", f"{article(noun)} {compared}")

  def _date_part(self, kind: str, ref: Ref, noun: str, operator: str, value: exp.Expression, own: bool) -> Clause:
    text = bare(value).this if not isinstance(bare(value), (exp.Cast, exp.Neg)) else bare(value).this.this
    if kind == "month" and str(text).isdigit() and 1 <= int(text) <= 12:
      spoken = wordings.MONTHS[int(text) - 1]
    elif kind == "year and month" and len(str(text)) == 7 and 1 <= int(text[5:]) <= 12:
      spoken = f"{wordings.MONTHS[int(text[5:]) - 1]} {text[:4]}"
    elif kind == "year":
      spoken = str(text)
    else:
      spoken = str(text)
    if kind in ("year", "month", "year and month") and not (kind == "month" and operator not in ("=", "!=")):
      when = {"=": (f"in {spoken}",), "!=": (f"not in {spoken}", f"in any {kind} except {spoken}"), ">": (f"after {spoken}",), "<": (f"before {spoken}",),
              ">=": (f"in {spoken} or later", f"since {spoken}", f"from {spoken} on"), "<=": (f"in {spoken} or earlier", f"up to and including {spoken}")}[operator]  # fmt: skip
      said = self.rng.choice(when)
      clause = Clause(noun, f"is {said}", f"{article(noun)} {said}")
      if own and self.column_name(ref).event:
        return self.happened(self.column_name(ref), clause, said)
      if own and self.only_of_tag(ref, "date"):
        clause.posts = (said, f"from {spoken}" if operator == "=" else said, f"from the year {spoken}" if operator == "=" and kind == "year" else said)
        if operator == "=" and kind == "year":
          clause.posts += (f"in the year {spoken}",)
      return clause
    noun = f"{kind} of the {noun}"
    if operator in ("=", "!="):
      return Clause(noun, f"is {'' if operator == '=' else 'not '}{spoken}")
    return Clause(noun, f"is {self.comparison(operator, spoken)}")

  def _like(self, query: Query, node: exp.Like, head: str, negative: bool) -> Clause:
    subject = bare(node.this)
    if isinstance(subject, (exp.Lower, exp.Upper)):
      subject = subject.this
    noun, ref, own = self._subject(query, subject, head)
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
      raise UnsupportedQuery("LIKE without a value")
    if "%" not in pattern.this and "_" not in pattern.this and ref is not None:
      return self.compare_clause(ref, noun, "!=" if negative else "=", pattern, own)
    return self.like_clause(noun, pattern.this, negative)

  def _is(self, query: Query, node: exp.Is, head: str, negative: bool) -> Clause:
    if isinstance(node.expression, exp.Not):
      negative, value = not negative, node.expression.this
    else:
      value = node.expression
    noun, ref, own = self._subject(query, node.this, head)
    if not isinstance(value, exp.Null):
      return self._compare(query, (exp.NEQ if negative else exp.EQ)(this=node.this, expression=value), head)
    if ref is None:
      return Clause(noun, "is known" if negative else "is missing")
    return self.null_clause(ref, noun, not negative, own)

  def _in(self, query: Query, node: exp.In, head: str, negative: bool) -> Clause:
    nested = node.args.get("query")
    if nested is None:
      if not all(is_value(v) for v in node.expressions) or not isinstance(bare(node.this), exp.Column):
        raise UnsupportedQuery("IN over something other than values")
      noun, ref, own = self._subject(query, node.this, head)
      return self.in_clause(ref, noun, node.expressions, negative, own)
    if not isinstance(bare(node.this), exp.Column):
      raise UnsupportedQuery("IN with an expression")
    return self._member(query, query.ref(bare(node.this)), read_nested(nested, query), head, negative)

  def _exists(self, query: Query, node: exp.Exists, head: str, negative: bool) -> Clause:
    nested = read_nested(node.this, query)
    if not isinstance(nested, Query) or nested.group or nested.having or nested.limit is not None:
      raise UnsupportedQuery("EXISTS over more than one plain SELECT")
    for i, condition in enumerate(nested.conditions):
      if isinstance(condition, exp.EQ) and isinstance(condition.this, exp.Column) and isinstance(condition.expression, exp.Column):
        left, right = nested.ref(condition.this), nested.ref(condition.expression)
        if left.outer != right.outer:
          inner, outer = (condition.expression, left) if left.outer else (condition.this, right)
          rest = dataclasses.replace(nested, conditions=nested.conditions[:i] + nested.conditions[i + 1 :], items=[inner], order=[])
          return self._member(query, dataclasses.replace(outer, outer=False), rest, head, negative)
    raise UnsupportedQuery("EXISTS that does not refer to the outer query")

  def _member(self, query: Query, left: Ref, nested: Query | SetQuery, head: str, negative: bool) -> Clause:
    """`left` IN (nested): a relation where the two are keys of each other, else "is among"."""
    if isinstance(nested, Query) and len(nested.items) == 1 and isinstance(nested.items[0].unalias(), exp.Column) and nested.limit is None and not nested.derived:
      right = nested.ref(nested.items[0].unalias())
      if right.outer:
        raise UnsupportedQuery("a subquery that returns a column of the outer query")
      clause = self._key_member(query, left, right, nested, head, negative)
      if clause is not None:
        return clause
    sibling = self._sibling_member(query, left, nested, negative)
    if sibling is not None and self.belongs(query, left.alias, head):
      return sibling
    noun = (self.short(left) if self.belongs(query, left.alias, head) else self.qualified(query, left)).singular
    among = self.content(nested)
    if negative:
      predicate = self.rng.choice((f"is not among {among}", f"is not one of {among}", f"does not appear among {among}"))
    else:
      predicate = self.rng.choice((f"is among {among}", f"is one of {among}", f"appears among {among}"))
    return Clause(noun, predicate)

  def _sibling_member(self, query: Query, left: Ref, nested: Query | SetQuery, negative: bool) -> Clause | None:
    """Both sides point to the same table: "reservations for books that have no loans"."""
    if not isinstance(nested, Query) or len(nested.items) != 1 or nested.group or nested.limit is not None or nested.derived:
      return None
    item = nested.items[0].unalias()
    right = nested.ref(item) if isinstance(item, exp.Column) else None
    if right is None or right.outer:
      return None
    ours = [k for k in left.table.foreign_keys if tuple(c.lower() for c in k.columns) == (left.column.name.lower(),)]
    theirs = [k for k in right.table.foreign_keys if tuple(c.lower() for c in k.columns) == (right.column.name.lower(),)]
    if not ours or not theirs or ours[0].referred_table.lower() != theirs[0].referred_table.lower():
      return None
    noun = self._referred_noun(query, ours[0])
    clauses = self.clauses(nested, self.plan(nested, right.alias, set()), right.alias, None)
    other, person = self.noun(nested, right.alias), self.person(nested, right.alias)
    if is_pure_link(right.table) and not clauses and not nested.edges:
      for key in right.table.foreign_keys:
        if key is not theirs[0]:
          other = self._referred_noun(nested, key)
          person = is_person(other.singular)
    every = self.with_number(other, clauses, person, "plural")
    inner = None
    if not clauses:
      inner = self.happening(is_person(noun.singular), right.table, (right.column.name,), other, negative, nested)
    inner = inner or self.child_relation(every, negative, is_person(noun.singular), other, self.with_number(other, clauses, person, "a"), bool(clauses))
    described = self.modified(noun.plural, [inner], is_person(noun.singular), True)
    preposition = relation_preposition(noun.singular, "", is_person(noun.singular))[0]
    return Clause(noun.singular, self.verb(inner, False), "", ((f"are {preposition} {described}", f"is {preposition} {described}"),), (f"{preposition} {described}",))

  def _key_member(self, query: Query, left: Ref, right: Ref, nested: Query, head: str, negative: bool) -> Clause | None:
    own = self.belongs(query, left.alias, head)
    refers = self._key_between(right, left)
    if refers is not None and own:
      person = self.person(query, head)
      if nested.group or nested.having:
        return self._counted_member(query, left, right, nested, head, negative)
      alias = right.alias
      plan = self.plan(nested, alias, set())
      noun, clauses = self.noun(nested, alias), self.clauses(nested, plan, alias, None)
      table = nested.sources[alias]
      if is_link(table) and not plan.own.get(alias):
        for edge in nested.neighbours(alias):
          if edge.child == alias and len(nested.neighbours(alias)) == 1:
            noun, clauses = self.noun(nested, edge.parent), self.clauses(nested, plan, edge.parent, edge)
        if not nested.edges and is_pure_link(table):
          for key in table.foreign_keys:
            if right.column.name.lower() not in (c.lower() for c in key.columns):
              noun = self._referred_noun(nested, key)
      every = self.with_number(noun, clauses, is_person(noun.singular), "plural")
      one = self.with_number(noun, clauses, is_person(noun.singular), "a")
      before, self.existential = self.existential, True
      clause = None
      if not clauses and not nested.edges:
        clause = self.happening(person, table, (right.column.name,), noun, negative, nested)
      clause = clause or self.child_relation(every, negative, person, noun, one, bool(clauses), self.noun(query, head))
      self.existential = before
      return clause
    if nested.group or nested.having:
      return None
    if self._key_between(left, right) is not None and right.alias in nested.sources:
      plan = self.plan(nested, right.alias, set())
      clauses = self.clauses(nested, plan, right.alias, None)
      key = self._key_between(left, right)
      noun = role_of(key.columns, right.table, self.names) or self.noun(nested, right.alias)
      if not clauses:
        return None
      if own and not negative:
        edge = Edge(left.alias, right.alias, key.columns, key.referred_columns, True, False)
        return self.parent_relation(edge, noun, clauses, self.person(nested, right.alias), None, self.noun(query, head))
      every = self.with_number(noun, clauses, self.person(nested, right.alias), "plural")
      return Clause(noun.singular, f"is {'not ' if negative else ''}one of the {every}")
    if left.table.name.lower() == right.table.name.lower() and left.column.name.lower() == right.column.name.lower() and own:
      if (left.column.name,) != tuple(left.table.primary_key):
        return None
      plan = self.plan(nested, right.alias, set())
      every = self.phrase(nested, plan, right.alias)
      said = f"among the {every}"
      return Clause("", "", "", ((f"are {'not ' if negative else ''}{said}", f"is {'not ' if negative else ''}{said}"),), (f"not {said}" if negative else said,))
    return None

  def _counted_member(self, query: Query, left: Ref, right: Ref, nested: Query, head: str, negative: bool) -> Clause | None:
    """IN (SELECT key ... GROUP BY key HAVING COUNT(*) > n)."""
    if len(nested.having) != 1 or negative or not isinstance(nested.having[0], _SIMPLE) or nested.edges:
      return None
    comparison = nested.having[0]
    if not isinstance(comparison.this, exp.Count) or not isinstance(comparison.this.this, exp.Star) or not is_value(comparison.expression):
      return None
    plan = self.plan(nested, right.alias, set())
    noun = self.phrase(nested, plan, right.alias)
    counted = self.counted(operator_of(comparison), comparison.expression, noun)
    return Clause("", "", "", ((f"have {counted}", f"has {counted}"),), (f"with {counted}",))

  def counted(self, operator: str, value: exp.Expression, noun: str) -> str:
    """ "more than three visits", "exactly 2 visits"."""
    number = bare(value).this
    if not str(number).isdigit():
      raise UnsupportedQuery(f"a count compared with {number}")
    if operator in ("=", "!="):
      exactly = pick(self.rng, wordings.EXACTLY)
      words = f"{exactly} {self.small(int(number))}".strip()
      words = words if operator == "=" else f"a number other than {number} of"
    else:
      words = self.comparison(operator, self.small(int(number)), "count")
    if int(number) == 1 and not words.endswith(("or more", "or fewer", "of")):
      return f"{words} {singular_head(noun)}"
    return f"{words} {noun}"

  def _key_between(self, child: Ref, parent: Ref) -> ForeignKey | None:
    """The one-column foreign key from `child` to `parent`, declared or plain to see (same name, primary key)."""
    for key in child.table.foreign_keys:
      if key.referred_table.lower() == parent.table.name.lower() and len(key.columns) == 1 and key.columns[0].lower() == child.column.name.lower():
        return key
    same_table = child.table.name.lower() == parent.table.name.lower()
    is_primary = tuple(c.lower() for c in parent.table.primary_key) == (parent.column.name.lower(),)
    child_primary = tuple(c.lower() for c in child.table.primary_key) == (child.column.name.lower(),)
    if is_primary and not same_table and not child_primary and child.column.name.lower() == parent.column.name.lower():
      return ForeignKey((child.column.name,), parent.table.name, (parent.column.name,), inferred=True)
    return None

  def _against_query(self, query: Query, left: exp.Expression, operator: str, right: exp.Subquery, head: str) -> Clause:
    """A column compared with what one nested query returns."""
    nested = read_nested(right, query)
    if not isinstance(nested, Query) or len(nested.items) != 1 or nested.derived:
      raise UnsupportedQuery("a comparison with a set operation")
    item = nested.items[0].unalias()
    noun, ref, own = self._subject(query, left, head)
    function = aggregate_of(item)
    style = self.style(ref) if ref is not None else "number"
    if ref is not None and function is None and isinstance(item, exp.Column) and operator in ("=", "!="):
      clause = self._key_member(query, ref, nested.ref(item), nested, head, operator == "!=") if nested.limit is None else None
      if clause is not None:
        return clause
    if function in ("avg", "max", "min") and isinstance(item.this, exp.Column) and ref is not None:
      inner = nested.ref(item.this)
      same = inner.table is ref.table and inner.column is ref.column and not nested.edges
      if same and not nested.group:
        within = self._within(query, nested, head)
        if within is not None:
          return self._against_extreme(ref, noun, operator, function, within, own)
    value = self.content(nested)
    if operator in ("=", "!="):
      return Clause(noun, f"is {'not ' if operator == '!=' else ''}the same as {value}" if function is None else f"is {'not ' if operator == '!=' else ''}equal to {value}")
    compared = self.comparison(operator, value, style)
    return Clause(noun, f"is {compared}", f"{article(noun)} {compared}")

  def _within(self, query: Query, nested: Query, head: str) -> str | None:
    """The rows over which a nested aggregate runs: "" for all, "of female doctors", "in their city"; None where that needs more words."""
    if not nested.conditions:
      return ""
    if len(nested.conditions) == 1 and isinstance(nested.conditions[0], exp.EQ):
      left, right = nested.conditions[0].this, nested.conditions[0].expression
      if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        a, b = nested.ref(left), nested.ref(right)
        if a.outer != b.outer and a.column is b.column:
          noun = self.short(a).singular
          things = self.table_noun(a.table).plural
          return self.rng.choice((f"within the same {noun}", f"among {things} with the same {noun}", f"for their {noun}", f"of all {things} with the same {noun}"))
    alias = next(iter(nested.sources))
    if any(query_outer(nested, c) for c in nested.conditions):
      return None
    return f"of {self.phrase(nested, self.plan(nested, alias, set()), alias)}"

  def _against_extreme(self, ref: Ref, noun: str, operator: str, function: str, within: str, own: bool) -> Clause:
    tags = self.column_name(ref).tags
    tail = f" {within}" if within else ""
    if function == "avg":
      average = f"the {self.rng.choice(wordings.AVERAGE)}{'' if not within and self.maybe(0.4) else ' ' + noun}{tail}"
      if operator in "><" and not within and self.maybe(0.4):
        word = self.rng.choice(("above", "higher than", "greater than") if operator == ">" else ("below", "lower than", "less than"))
        average = "average" if word in ("above", "below") else "average"
        return Clause(noun, f"is {word} {average}", self.rng.choice((f"{article(noun)} {word} {average}", f"{'an above' if operator == '>' else 'a below'}-average {noun}")))
      compared = self.comparison(operator, average, self.style(ref)) if operator not in ("=", "!=") else f"{'not ' if operator == '!=' else ''}equal to {average}"
      clause = Clause(noun, f"is {compared}", f"{article(noun)} {compared}")
    elif operator == "=":
      extreme = f"{self.superlative(tags, function == 'max')} {noun}{tail}"
      if self.maybe(0.3):
        extreme = f"{'maximum' if function == 'max' else 'minimum'} {noun}{tail}"
      clause = Clause(noun, f"is the {extreme.replace(' ' + noun, '', 1)}", f"the {extreme}")
    else:
      extreme = f"the {self.superlative(tags, function == 'max')} {noun}{tail}"
      compared = self.comparison(operator, extreme, self.style(ref)) if operator != "!=" else f"not {extreme}"
      clause = Clause(noun, f"is {compared}", f"{article(noun)} {compared}" if operator != "!=" else "")
    return clause

  def _same_as_outer(self, query: Query, left: exp.Expression, right: exp.Expression, operator: str, head: str) -> Clause:
    """A correlated comparison: the same attribute as the row of the enclosing query."""
    if operator != "=" or not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
      raise UnsupportedQuery("a correlated condition other than equality")
    inner = next((r for r in (query.ref(left), query.ref(right)) if not r.outer), None)
    if inner is None or query.ref(left).column.name.lower() != query.ref(right).column.name.lower():
      raise UnsupportedQuery("a correlated condition over different columns")
    noun = self.short(inner).singular
    return Clause(noun, "is the same", f"the same {noun}", ((f"share the {noun}", f"shares the {noun}"),), (f"with the same {noun}",))

  def _either(self, query: Query, members: list[exp.Expression], head: str) -> Clause:
    """OR: over one column as a list of values or ranges, else "either ... or ..."."""
    columns = {query.ref(m.this).alias + "." + m.this.name.lower() if isinstance(m, _SIMPLE) and isinstance(m.this, exp.Column) and is_value(m.expression) else str(i)
               for i, m in enumerate(members)}  # fmt: skip
    if len(columns) == 1 and len(members) > 1:
      noun, ref, own = self._subject(query, members[0].this, head)
      if all(isinstance(m, exp.EQ) for m in members):
        return self.in_clause(ref, noun, [m.expression for m in members], False, own)
      clauses = [self.compare_clause(ref, noun, operator_of(m), m.expression, own) for m in members]
      predicates = [c.predicate.removeprefix("is ") for c in clauses]
      if all(c.predicate.startswith("is ") for c in clauses):
        either = self.rng.choice(("either ", ""))
        return Clause(noun, f"is {either}{join_words(predicates, 'or')}", f"{article(noun)} {either}{join_words(predicates, 'or')}" if ref.column.kind == "number" else "")
    clauses = [self.condition(query, m, head) for m in members]
    verbs: tuple[tuple[str, str], ...] = ()
    if all(c.verbs or c.having for c in clauses):
      plural, singular = [self.verb(c, True) for c in clauses], [self.verb(c, False) for c in clauses]
      either = "either "
      verbs = ((f"{either}{join_words(plural, 'or')}", f"{either}{join_words(singular, 'or')}"),)
    sentence = ""
    if all(c.sentence or c.noun for c in clauses):
      sentence = f"either {join_words([c.sentence or f'the {c.noun} {c.predicate}' for c in clauses], 'or')}"
    if not verbs and not sentence:
      parts = [c.sentence or (f"the {c.noun} {c.predicate}" if c.noun else f"they {self.verb(c, True)}") for c in clauses]
      sentence = f"either {join_words(parts, 'or')}"
    return Clause("", "", "", verbs, (), (), sentence)

  def _both(self, query: Query, members: list[exp.Expression], head: str) -> Clause:
    """AND below an OR."""
    clauses = [self.condition(query, m, head) for m in members]
    verbs: tuple[tuple[str, str], ...] = ()
    if all(c.verbs or c.having for c in clauses):
      verbs = ((" and ".join(f"{self.verb(c, True)}" for c in clauses), " and ".join(f"{self.verb(c, False)}" for c in clauses)),)
    sentence = " and ".join(c.sentence or (f"the {c.noun} {c.predicate}" if c.noun else f"they {self.verb(c, True)}") for c in clauses)
    return Clause("", "", "", verbs, (), (), f"both {sentence}")

  def _merge_ranges(self, conditions: list[exp.Expression]) -> list[exp.Expression]:
    """x >= a AND x <= b, which people say as one range, becomes BETWEEN."""
    result: list[exp.Expression] = []
    for condition in conditions:
      previous = result[-1] if result else None
      if (isinstance(condition, exp.LTE) and isinstance(previous, exp.GTE) and isinstance(condition.this, exp.Column) and condition.this == previous.this
          and is_value(condition.expression) and is_value(previous.expression)):  # fmt: skip
        result[-1] = exp.Between(this=condition.this, low=previous.expression, high=condition.expression)
      else:
        result.append(condition)
    return result

  def _correlated_alias(self, query: Query, condition: exp.Expression) -> str | None:
    """The alias that an EXISTS is about."""
    exists = condition.find(exp.Exists)
    if exists is None:
      return None
    try:
      nested = read_nested(exists.this, query)
    except UnsupportedQuery:
      return None
    if isinstance(nested, Query):
      for inner in nested.conditions:
        for column in own_columns(inner):
          ref = nested.ref(column)
          if ref.outer and ref.alias in query.sources:
            return ref.alias
    return None

  # -------------------------------------------------------------------------------------------------- to be defined by

  def content(self, query: Query | SetQuery) -> str:
    """What a query returns, as a definite noun phrase. Defined by the writer of whole questions."""
    raise NotImplementedError

  def expression(self, query: Query, node: exp.Expression, head: str) -> Noun:
    """The noun of an expression: a column, an aggregate, arithmetic. Raises UnsupportedQuery."""
    node = bare(node)
    if isinstance(node, exp.Column):
      ref = query.ref(node)
      if ref.outer:
        raise UnsupportedQuery("a column of the enclosing query")
      return self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)
    function = aggregate_of(node)
    if function is not None and isinstance(bare(node.this), exp.Column):
      return self.aggregate_noun(query, node, head)
    part = date_part(node)
    if part is not None:
      kind, column = part
      event = self.column_name(query.ref(column)).event
      if event and kind in ("year", "month") and self.maybe(0.8):
        stem = wordings.EVENTS_OF_COLUMNS[event][0]
        return self.rng.choice((Noun(f"{stem} {kind}", f"{stem} {kind}s"), Noun(f"{kind} of {stem}", f"{kind}s of {stem}")))
      inner = self.expression(query, column, head).singular
      if kind == "year" and not inner.endswith("year") and self.maybe(0.4) and inner.endswith(" date"):
        return Noun(f"{inner[:-5]} year", f"{inner[:-5]} years")
      return Noun(f"{kind} of the {inner}", f"{plural_of(kind)} of the {inner}")
    if isinstance(node, exp.Round):
      inner = self.expression(query, node.this, head)
      places = rounding(node.args.get("decimals"))
      return Noun(f"{inner.singular} {places}", f"{inner.plural} {places}")
    if isinstance(node, exp.Cast):
      return self.expression(query, node.this, head)
    if isinstance(node, exp.Length):
      inner = self.expression(query, node.this, head).singular
      return Noun(f"number of characters in the {inner}", f"numbers of characters in the {inner}")
    if isinstance(node, (exp.Sub, exp.Add, exp.Mul, exp.Div)):
      return self._arithmetic(query, node, head)
    if isinstance(node, (exp.Lower, exp.Upper)):
      inner = self.expression(query, node.this, head)
      case = "lower" if isinstance(node, exp.Lower) else "upper"
      return Noun(f"{inner.singular} in {case} case", f"{inner.plural} in {case} case")
    raise UnsupportedQuery(f"the expression {type(node).__name__}")

  def _arithmetic(self, query: Query, node: exp.Expression, head: str) -> Noun:
    def side(part: exp.Expression) -> str:
      part = bare(part)
      if is_value(part):
        return self.value(part)
      if isinstance(part, exp.Subquery):
        return self.content(read_nested(part, query))
      return f"the {self.expression(query, part, head).singular}"

    left, right = side(node.this), side(node.expression)
    if isinstance(node, exp.Sub):
      return _fixed(self.rng.choice((f"difference between {left} and {right}", f"difference of {left} and {right}", f"result of {left} minus {right}")))
    if isinstance(node, exp.Add):
      return _fixed(self.rng.choice((f"sum of {left} and {right}", f"total of {left} and {right}", f"result of {left} plus {right}")))
    if isinstance(node, exp.Mul):
      return _fixed(self.rng.choice((f"product of {left} and {right}", f"result of {left} times {right}", f"result of {left} multiplied by {right}")))
    return _fixed(self.rng.choice((f"ratio of {left} to {right}", f"result of {left} divided by {right}")))

  def aggregate_noun(self, query: Query, node: exp.Expression, head: str) -> Noun:
    """ "average salary", "latest visit date", "total number of seats"."""
    argument = bare(node.this)
    ref = query.ref(argument)
    if ref.outer:
      raise UnsupportedQuery("an aggregate of the enclosing query")
    inner = self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)
    function = aggregate_of(node)
    if function == "count":
      return Noun(f"number of {inner.plural}", f"numbers of {inner.plural}")
    if function == "avg":
      word = self.rng.choice(wordings.AVERAGE)
    elif function == "sum":
      word = self.rng.choice(wordings.TOTAL)
      if word == "sum of the":
        return Noun(f"sum of the {inner.plural}", f"sums of the {inner.plural}")
      if inner.singular.startswith("total "):
        word = "sum of the"
        return Noun(f"sum of the {inner.plural}", f"sums of the {inner.plural}")
    else:
      tags = self.column_name(ref).tags
      plain = wordings.MAXIMUM if function == "max" else wordings.MINIMUM
      word = self.superlative(tags, function == "max") if tags & {"date", "year"} or self.maybe(0.5) else self.rng.choice(plain)
      if ref.column.kind == "text":
        word = "alphabetically last" if function == "max" else "alphabetically first"
    return Noun(f"{word} {inner.singular}", f"{word} {inner.plural}")


def date_part(node: exp.Expression) -> tuple[str, exp.Column] | None:
  """STRFTIME('%Y', x), YEAR(x), EXTRACT(year FROM x), possibly cast: the part's name and the column."""
  node = bare(node)
  while isinstance(node, exp.Cast):
    node = bare(node.this)
  formats = {"%Y": "year", "%m": "month", "%d": "day", "%Y-%m": "year and month", "%H": "hour", "%w": "weekday"}
  if isinstance(node, exp.TimeToStr):
    argument, spelled = node.this, node.args.get("format")
    while isinstance(argument, (exp.Cast, exp.TsOrDsToTimestamp, exp.TsOrDsToDate)):
      argument = argument.this
    if isinstance(argument, exp.Column) and isinstance(spelled, exp.Literal) and spelled.this in formats:
      return formats[spelled.this], argument
    return None
  for kind, name in ((exp.Year, "year"), (exp.Month, "month"), (exp.Day, "day")):
    if isinstance(node, kind) and isinstance(node.this, exp.Column):
      return name, node.this
  if isinstance(node, exp.Extract) and isinstance(node.expression, exp.Column):
    return node.name.lower(), node.expression
  if isinstance(node, exp.Substring) and isinstance(node.this, exp.Column):
    start, length = node.args.get("start"), node.args.get("length")
    if start is not None and length is not None and (start.name, length.name) == ("1", "4"):
      return "year", node.this
  return None


def article_for(text: str, noun: str) -> str:
  """Puts a or an before a modified noun; nothing before what cannot be counted."""
  if article(noun) == noun:
    return text
  return f"{article(text.split(' ', 1)[0] + ' thing').split(' ', 1)[0]} {text}"


def without_article(phrase: str) -> str:
  """ "a female doctor" -> "female doctor"."""
  return phrase.removeprefix("an ") if phrase.startswith("an ") else phrase.removeprefix("a ")


def fold_adjectives(noun: Noun, clauses: list[Clause]) -> tuple[Noun, list[Clause]]:
  """Puts the adjectives of clauses into the noun, so that what follows ("the oldest ...") stands before them."""
  rest = []
  for clause in clauses:
    if clause.adjectives:
      noun = Noun(f"{clause.adjectives[0]} {noun.singular}", f"{clause.adjectives[0]} {noun.plural}")
    else:
      rest.append(clause)
  return noun, rest


def singular_head(phrase: str) -> str:
  """ "visits from Boston" -> "visit from Boston"."""
  from spftsql_jax.synthesis.naming import singular_of

  first, separator, rest = phrase.partition(" ")
  single = singular_of(first)
  return phrase if single == first and separator else f"{single}{separator}{rest}"


def rounding(digits: exp.Expression | None) -> str:
  """ "(rounded to 2 decimals)"."""
  if digits is None or digits.name == "0":
    return "(rounded to a whole number)"
  return f"(rounded to {'one decimal' if digits.name == '1' else digits.name + ' decimals'})"


def query_outer(query: Query, node: exp.Expression) -> bool:
  return any(query.ref(c).outer for c in own_columns(node))


def _fixed(text: str) -> Noun:
  return Noun(text, text)


__all__ = ["Descriptions", "Plan", "aggregate_of", "date_part", "is_link", "is_pure_link", "negated"]
