"""Noun phrases: an entity with its conditions and relations around it."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.columns.inflection import singular_of
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree
from spftsql_jax.questions.features import features_of
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import Clause, Plan, article, article_for, join_words
from spftsql_jax.questions.plan import Attribute
from spftsql_jax.questions.query_meaning import Edge, Query, UnsupportedQuery, read_nested
from spftsql_jax.questions.relations import Relations
from spftsql_jax.questions.syntax import is_value, merge_ranges, own_columns

# What is said of rows, where all ways fit: behind the noun, behind who, behind whose and behind
# where; else mixed. Each number is the share of its way and those before it. People seldom say
# "whose" (one question of 64 over Spider's training databases).
_BEHIND, _WHO, _WHOSE, _WHERE = 0.5, 0.82, 0.92, 0.95


class Entities(Relations):
  """Words the rows of a query."""

  def plan(self, query: Query, head: str, spoken: set[str]) -> Plan:
    """Hands every condition to the table that it is about."""
    plan = Plan(head, {}, [], set(), spoken)
    # Last what is compared with a query: "whose job is nurse and whose age is the lowest of such".
    for condition in sorted(
      query.conditions, key=lambda c: isinstance(c.args.get("expression"), exp.Subquery)
    ):
      aliases = query.aliases_in(condition)
      if (
        isinstance(condition, exp.Is)
        and isinstance(condition.expression, exp.Null)
        and len(aliases) == 1
      ):
        (alias,) = aliases
        optional = next((e for e in query.edges if e.optional == alias), None)
        if optional is not None:
          ref = query.ref(own_columns(condition)[0])
          joined = {
            name.lower() for name in (*optional.columns, *optional.referred, *ref.table.primary_key)
          }
          if ref.column.nullable and ref.column.name.lower() not in joined:
            raise UnsupportedQuery("a column that is NULL in a left join or without a match")
          plan.absent.add(alias)
          continue
      if not aliases:
        aliases = {self._correlated_alias(query, condition) or head}
      if len(aliases) == 1:
        plan.own.setdefault(next(iter(aliases)), []).append(condition)
      else:
        plan.mixed.append(condition)
    return plan

  def _correlated_alias(self, query: Query, condition: exp.Expr) -> str | None:
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

  def all_clauses(self, query: Query, alias: str) -> list[Clause]:
    """What a query says of the rows of one alias, of which it is."""
    return self.clauses(query, self.plan(query, alias, set()), alias, None)

  def rows_of(self, query: Query, alias: str) -> str:
    """The rows of one alias with all that a query says of them."""
    return self.phrase(query, self.plan(query, alias, set()), alias)

  def phrase(
    self,
    query: Query,
    plan: Plan,
    alias: str,
    number: str = "plural",
    came_from: Edge | None = None,
  ) -> str:
    """The noun phrase of one alias. `number`: plural, singular, a, the (singular)."""
    noun = self.noun(query, alias)
    clauses = self.clauses(query, plan, alias, came_from)
    return self.with_number(noun, clauses, self.person(query, alias), number)

  def with_number(self, noun: Noun, clauses: list[Clause], person: bool, number: str) -> str:
    """A noun with its clauses; `number` is plural, singular, a or the."""
    text = self.modified(
      noun.plural if number == "plural" else noun.singular, clauses, person, number == "plural"
    )
    if number == "a":
      return article_for(text, noun.singular)
    return f"the {text}" if number == "the" else text

  def clauses(self, query: Query, plan: Plan, alias: str, came_from: Edge | None) -> list[Clause]:
    """What is said of the rows of one alias: its own conditions first, then its relations."""
    result = self._own_clauses(query, merge_ranges(plan.own.get(alias, [])), alias)
    relations: list[Clause] = []
    for edge in query.neighbours(alias):
      if edge is came_from:
        continue
      if edge.same and edge.other(alias) not in plan.absent:
        other = edge.other(alias)
        said = self.clauses(query, plan, other, edge)
        if (
          not said
          and edge.child == other
          and not edge.optional
          and not self._subtree(query, other, edge) & plan.spoken
        ):
          # The join asks for a row there, and nothing else says so.
          noun = self.names.table(query.sources[other]).nouns[0]
          if noun.singular != self.noun(query, alias).singular:
            said = [
              self.child_relation(
                noun.plural, False, self.person(query, alias), noun, article(noun.singular)
              )
            ]
        result.extend(said)
      else:
        clause = self._relation(query, plan, alias, edge)
        if clause is not None:
          relations.append(clause)
    if alias == plan.head and came_from is None:
      relations.extend(self.condition(query, c, alias) for c in plan.mixed)
    return result + relations

  def _own_clauses(self, query: Query, own: list[exp.Expr], alias: str) -> list[Clause]:
    """What conditions say of rows: a town and its state together, "in Boston, Massachusetts"."""
    at: dict[str, exp.EQ] = {}
    for node in own:
      if isinstance(node, exp.EQ) and isinstance(node.this, exp.Column) and is_value(node.right):
        ref = query.ref(node.this)
        features = features_of(self.names, Attribute(ref, True))
        if ref.alias == alias and "place" in features:
          at[self.column_name(ref).short[0].singular] = node
    towns, around = ([w for w in words if w in at] for words in (wordings.TOWNS, wordings.AROUND))
    if len(towns) != 1 or len(around) != 1:
      return [self.condition(query, node, alias) for node in own]
    town, state = at[towns[0]], at[around[0]]
    values = {"town": self.value(town.right), "state": self.value(state.right)}
    told = features_of(self.names, Attribute(query.ref(town.this), True))
    rest = [self.condition(query, node, alias) for node in own if node not in (town, state)]
    return [self._clause("in a town", told, "", values), *rest]

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
    who = (
      ("who" if self.maybe(0.8) else "that") if person else ("that" if self.maybe(0.9) else "which")
    )
    style = self.rng.random()
    # "the model whose model is ...", "the medicine where the name is ...": nobody speaks of the
    # thing and its name like that.
    by_name = any(c.by_name for c in rest)
    same_word = any(
      c.noun and c.noun.split()[-1] in (noun.split()[-1], singular_of(noun.split()[-1]))
      for c in rest
    )
    if same_word and all(c.posts or c.having for c in rest):
      style = 0.0
    if style < _BEHIND and all(c.posts or c.having for c in rest):
      return f"{noun} {self._chain_posts(rest, plural)}"
    if style < _WHO and all(c.verbs or (c.having and not c.is_value) for c in rest):
      return f"{noun} {who} {join_words([self.verb(c, plural) for c in rest])}"
    if (style < _WHOSE or all(c.is_value for c in rest)) and all(c.noun for c in rest):
      separator = self.rng.choice(("and", "and whose", "and whose")) if len(rest) == 2 else "and"
      return f"{noun} whose " + join_words([c.said for c in rest], separator)
    if style < _WHERE and not by_name and not person and all(c.noun or c.sentence for c in rest):
      return f"{noun} where {join_words([c.sentence or f'the {c.said}' for c in rest])}"
    parts: list[str] = []
    before: list[Clause] = []
    for clause in rest:
      if (clause.posts or clause.having) and self.maybe(0.4) and len(rest) > 1 and not parts:
        before.append(clause)
      elif clause.verbs or (clause.having and not clause.is_value and self.maybe(0.6)):
        parts.append(f"{who} {self.verb(clause, plural)}")
      elif clause.noun:
        parts.append(f"whose {clause.said}")
      elif clause.having or clause.posts:
        parts.append(self._chain_posts([clause], plural))
      else:
        parts.append(f"where {clause.sentence}")
    chained = f" {self._chain_posts(before, plural)}" if before else ""
    return f"{noun}{chained}" + (f" {join_words(parts)}" if parts else "")

  def verb(self, clause: Clause, plural: bool) -> str:
    """A clause after who: "are older than 30", "have a salary above 100"."""
    if clause.verbs and (clause.is_value or not clause.having or self.maybe(0.7)):
      verb = self.rng.choice(clause.verbs)
      return verb.plural if plural else verb.singular
    if clause.having:
      return agree(f"have {clause.had}", plural)
    return agree(f"have {article(clause.noun)} that {clause.predicate}", plural)

  def _chain_posts(self, clauses: list[Clause], plural: bool) -> str:
    posts: list[str] = []
    havings: list[str] = []
    last: list[str] = []
    for clause in clauses:
      if clause.posts and (not clause.having or self.maybe(0.75)):
        said = self.rng.choice(not plural and clause.posts_of_one or clause.posts)
        (last if clause.extreme else posts).append(said)
      else:
        havings.append(clause.having)
    posts.sort(key=lambda p: len(p.split()) > 4)
    if havings:
      posts.insert(
        len([p for p in posts if len(p.split()) <= 4]),
        f"with {join_words(havings)}",
      )
    # Which of them it is goes last and is no further condition: no "and with the highest price".
    posts += last
    apart = any(not post.startswith("whose ") for post in last)
    return (" and " if len(posts) > 1 and not apart and self.maybe(0.5) else " ").join(posts)
