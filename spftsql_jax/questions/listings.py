"""Columns of rows: "the names and ages of ...", "Which doctors ...?"."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.columns import vocabulary
from spftsql_jax.questions import wordings
from spftsql_jax.questions.aggregates import Aggregates
from spftsql_jax.questions.agreement import agree
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import (
  Clause,
  Message,
  Plan,
  Returned,
  Top,
  fold_adjectives,
  is_plural,
  join_words,
)
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery
from spftsql_jax.questions.syntax import bare, is_link, is_value, own_columns


class Listings(Aggregates):
  """Words queries that return columns."""

  def _listing(self, query: Query) -> Message:
    """Columns of rows, without aggregates."""
    head = self._head(query)
    refs = [query.ref(c) for i in query.items for c in own_columns(i)]
    order_refs = [query.ref(c) for e, _ in query.order for c in own_columns(e)]
    if any(isinstance(i, exp.Star) for i in query.items):
      head = query.finest() or head
    spoken = {r.alias for r in refs + order_refs if not r.outer}
    plan = self.plan(query, head, spoken)
    before, self.existential = self.existential, query.distinct
    clauses = self.clauses(query, plan, head, None)
    self.existential = before
    one = self.one_row or self._is_single(query, plan, head)
    self.one_row = False
    superlative = None
    if query.limit is not None:
      superlative = self._superlative(query, head, query.limit)
    return self._attributes(
      query,
      plan,
      head,
      clauses,
      one,
      superlative,
      "" if query.limit is not None else self._ordering(query, head),
    )

  def _head(self, query: Query) -> str:
    """The alias that the question is about."""
    finest = query.finest()
    aliases = [a for i in query.items for a in self._aliases(query, i)]
    if not aliases:
      return finest or next(iter(query.sources))
    if len(set(aliases)) > 1 and finest in aliases:
      return finest
    first = aliases[0]
    for edge in query.edges:
      if edge.same and edge.parent == first and len(set(aliases)) >= 1:
        return edge.child
    return first

  def _aliases(self, query: Query, item: exp.Expr) -> list[str]:
    return [r.alias for c in own_columns(item) if not (r := query.ref(c)).outer]

  def _is_single(self, query: Query, plan: Plan, head: str) -> bool:
    """Whether the conditions pick one row by its name or key."""
    for condition in plan.own.get(head, []):
      if (
        isinstance(condition, exp.EQ)
        and isinstance(condition.this, exp.Column)
        and is_value(condition.expression)
      ):
        ref = query.ref(condition.this)
        if self.column_name(ref).names_entity or (ref.column.name,) == tuple(ref.table.primary_key):
          return True
    return False

  def _attributes(
    self,
    query: Query,
    plan: Plan,
    head: str,
    clauses: list[Clause],
    one: bool,
    superlative: Top | None,
    tail: str,
    noun: Noun | None = None,
  ) -> Message:
    """ "the names and ages of ...": the columns returned, and the rows that they are of."""
    noun = noun or self.noun(query, head)
    person = self.person(query, head)
    single = (one and not query.distinct) or (superlative is not None and superlative.limit == 1)
    if superlative is not None:
      folded, clauses = fold_adjectives(noun, clauses)
      noun = folded
      clauses = clauses + superlative.clauses
      entity_noun = Noun(superlative.put(folded.singular), superlative.put(folded.plural))
    else:
      entity_noun = noun
    entity = self.with_number(entity_noun, clauses, person, "singular" if single else "plural")
    known = self._named(query, plan, head, None) if single and superlative is None else None
    if (
      known is not None
      and len(known.strip("'\"")) > 3
      and known.strip("'\"")[:1].isupper()
      and self.maybe(0.25)
    ):
      # "What is the salary of Ann Lee?": the name alone tells who is meant.
      entity = known
    elif single or superlative is not None or self.maybe(0.3):
      entity = f"the {entity}"
    elif self.maybe(0.25):
      entity = (
        f"all {entity}"
        if not entity.startswith(("the ", "all ")) and self.maybe(0.6)
        else f"all the {entity}"
      )
    each = (
      self.with_number(entity_noun, clauses, person, "singular")
      if not single and superlative is None
      else ""
    )
    if any(isinstance(i, exp.Star) for i in query.items):
      return self._everything(query, entity, tail)
    columns = self._columns(query, head, plan)
    distinct = query.distinct
    return self._attribute_message(
      columns, entity, each, noun, person, clauses, distinct, single, superlative, tail
    )

  def _columns(self, query: Query, head: str, plan: Plan) -> list[Returned]:
    columns: list[Returned] = []
    seen: set[str] = set()
    for item in query.items:
      node = bare(item.unalias())
      if isinstance(node, exp.Column):
        ref = query.ref(node)
        own = self.belongs(query, ref.alias, head)
        name = self.column_name(ref)
        word = self.short(ref) if own else self.qualified(query, ref)
        if word.singular in seen:
          word = self.qualified(query, ref)
        if word.singular in seen:
          raise UnsupportedQuery(f"two columns called {word.singular}")
        seen.add(word.singular)
        through = "" if own else self.through(query, head, ref.alias)
        path = [] if own or through else self.path(query, head, ref.alias)
        if (
          len(path) == 2
          and path[0].parent == head
          and path[1].parent == ref.alias
          and is_link(query.sources[path[0].child])
        ):
          word, through = self.short(ref), f"of their {self.noun(query, ref.alias).plural}"
        columns.append(Returned(word, own, own and name.names_entity, ref, through=through))
      elif is_value(node):
        raise UnsupportedQuery("a constant among the columns")
      else:
        word = self.item_noun(query, node, head)
        columns.append(Returned(word, True, False, None, len(word.singular.split()) > 5))
    return columns

  def _attribute_message(
    self,
    columns: list[Returned],
    entity: str,
    each: str,
    noun: Noun,
    person: bool,
    clauses: list[Clause],
    distinct: bool,
    single: bool,
    superlative: Top | None,
    tail: str,
  ) -> Message:
    own = [c for c in columns if c.own]
    natural = len(columns) == 1 and columns[0].natural
    different = f"{self.rng.choice(wordings.DISTINCT_WORDS)} " if distinct else ""
    if any(c.through for c in columns) and columns[0].own:
      return self._with_related(columns, entity, each, single, distinct, tail, person)
    long = any(c.long for c in columns)
    plural_words = join_words([c.noun.plural for c in columns])
    singular_words = join_words([c.noun.singular for c in columns])
    if len(columns) == 2 and not long and self.maybe(0.15):
      link = self.rng.choice(("as well as", "together with the", "along with the"))
      plural_words = f"{columns[0].noun.plural} {link} {columns[1].noun.plural}"
    if [c.noun.singular for c in columns] == ["first name", "last name"] and self.maybe(0.6):
      singular_words, plural_words = self.rng.choice(
        (("first and last name", "first and last names"), ("full name", "full names"))
      )
    sentences: list[str] = []
    if long:
      if single:
        return Message(f"the {singular_words} of {entity}", False, tail=tail)
      return Message(f"the {different}{singular_words}", True, f"for each {each}", False, tail)
    if single:
      content = f"the {singular_words} of {entity}"
      if natural:
        options = [content, entity] if superlative is not None else [content]
        content = self.rng.choice(options)
      plural = len(columns) > 1 or is_plural(columns[0].noun.singular)
      if superlative is not None:
        sentences += superlative.questions(noun, natural, person, clauses, self.with_number)
        if not natural and len(own) == len(columns):
          sentences += [
            f"What {agree('are', plural)} the {singular_words} of {entity}?",
            (
              f"Find {entity} and {self.rng.choice(('give', 'show', 'return'))} the "
              f"{singular_words}."
            ),
          ]
      elif len(columns) == 1 and columns[0].ref is not None:
        sentences += self._single_questions(columns[0], entity, person)
      if (
        superlative is None
        and entity[:1].isupper()
        and not entity.endswith("s")
        and self.maybe(0.4)
      ):
        content = f"{entity}'s {singular_words}"
      return Message(content, plural, tail=tail, sentences=() if tail else tuple(sentences))
    forms = [
      f"the {different}{plural_words} of {entity}",
      f"the {different}{plural_words} of {entity}",
      f"the {different}{plural_words} for {entity}",
    ]
    if not distinct and superlative is None:
      forms += [
        f"the {singular_words} of {self.rng.choice(('each', 'every', 'each'))} {each}",
        f"the {singular_words} for {self.rng.choice(('each', 'every'))} {each}",
      ]
    if natural and distinct and columns[0].noun.plural == noun.plural:
      forms = []  # Not "the different models of all models".
    if natural:
      plain = (
        f"{different}{entity.removeprefix('the ').removeprefix('all ').removeprefix('the ')}"
        if distinct
        else entity
      )
      if not forms:
        forms = [plain if plain.startswith(("the ", "all ")) else f"the {plain}"]
      if not distinct:
        forms += [plain, plain, plain]
        if not clauses and superlative is None:
          forms += [f"{noun.singular} names"] * 2 if columns[0].noun.singular == "name" else []
      if superlative is not None:
        sentences += superlative.questions(noun, natural, person, clauses, self.with_number)
      elif not distinct:
        sentences += self._which(noun, person, clauses)
    elif columns[0].natural and len(columns) > 1 and len(own) == len(columns) and not distinct:
      rest = join_words([c.noun.plural for c in columns[1:]])
      link = self.rng.choice(("and", "with", "along with", "together with"))
      forms += [f"{entity} {link} their {rest}"]
      if superlative is None and clauses:
        sentences += [
          (
            f"{q} {self.rng.choice(('Show', 'Give', 'List', 'Return', 'Include'))} their "
            f"{plural_words}."
          )
          for q in self._which(noun, person, clauses)
        ]
        verb = self.rng.choice(("show", "give", "list", "return"))
        sentences += [
          f"For {self.rng.choice(('each', 'every'))} {each}, {verb} the {singular_words}."
        ]
    if (
      distinct
      and superlative is None
      and len(columns) == 1
      and own
      and not clauses
      and columns[0].ref is not None
    ):
      sentences += self._kinds(columns[0], different, noun, entity, person, clauses)
    if superlative is not None and not natural and len(columns) == 1 and self.maybe(0.2):
      sentences += [f"What are the {different}{plural_words} of {entity}?"]
    if natural and not distinct and superlative is None and not clauses and not tail:
      sentences += [f"What {noun.plural} are there?", f"Which {noun.plural} do we have?"]
      if not columns[0].noun.singular.startswith(noun.singular):
        sentences += [f"What are the {noun.singular} {columns[0].noun.plural}?"]
    content = self.rng.choice(forms)
    one_by_one = any(f" {word} {each}" in content for word in ("each", "every"))
    plural_only = is_plural(columns[0].noun.singular)
    singular = one_by_one and len(columns) == 1 and not plural_only and content.startswith("the ")
    bare = (
      ""
      if content.startswith(("the " + plural_words, "the " + singular_words, "the " + different))
      or not natural
      else "who"
      if person
      else "what"
    )
    if len(columns) > 1 and columns[0].natural and content.startswith(entity):
      bare = "none"  # "What are the patients and their birth dates?" asks what patients are.
    if bare and not clauses and superlative is None:
      bare = "none"
    return Message(
      content,
      not singular,
      bare=bare,
      tail=tail,
      sentences=tuple(
        f"{s[:-1]}{',' if self.maybe(0.3) else ''} {tail.lstrip(', ')}{s[-1]}" if tail else s
        for s in sentences
      ),
    )

  def _with_related(
    self,
    columns: list[Returned],
    entity: str,
    each: str,
    single: bool,
    distinct: bool,
    tail: str,
    person: bool,
  ) -> Message:
    """Columns of the head, then of rows that belong to it.

    "The names of bands and the dates of their performances".
    """
    different = f"{self.rng.choice(wordings.DISTINCT_WORDS)} " if distinct else ""
    first = [c for c in columns if not c.through]
    rest = [c for c in columns if c.through]
    if columns != first + rest or len({c.through for c in rest}) > 1:
      raise UnsupportedQuery("columns of related rows before those of the rows themselves")
    related = f"the {join_words([c.noun.plural for c in rest])} {rest[0].through}"
    if single and not person:
      related = related.replace(" their ", " its ", 1)
    words = join_words([c.noun.singular if single else c.noun.plural for c in first])
    link = self.rng.choice(("and", "along with", "together with", "and"))
    if not single and not distinct and self.maybe(0.35):
      return Message(
        f"the {join_words([c.noun.singular for c in first])} and {related}",
        True,
        f"for each {each}",
        False,
        tail,
      )
    return Message(
      (
        f"the {different}{'combinations of the ' if distinct else ''}{words} of {entity} {link} "
        f"{related}"
      ),
      True,
      tail=tail,
    )

  def _which(self, noun: Noun, person: bool, clauses: list[Clause]) -> list[str]:
    """ "Which doctors are from Boston?" """
    if not clauses or not all(c.verbs or c.having for c in clauses):
      described = self.modified(noun.plural, clauses, person, True)
      return (
        [f"Who are the {described}?", f"Who are all the {described}?"] if person and clauses else []
      )
    said = join_words([self.verb(c, True) for c in clauses])
    sentences = [
      f"Which {noun.plural} {said}?",
      f"What {noun.plural} {said}?",
      f"Which {noun.plural} {said}?",
    ]
    if person:
      sentences += [f"Who are the {self.modified(noun.plural, clauses, person, True)}?"]
    return sentences

  def _kinds(
    self,
    column: Returned,
    different: str,
    noun: Noun,
    entity: str,
    person: bool,
    clauses: list[Clause],
  ) -> list[str]:
    """Questions for the values of a column: "Which different cities do the patients live in?"."""
    assert column.ref is not None, "a column, not an expression"
    tags = self.column_name(column.ref).tags
    words = f"{different}{column.noun.plural}"
    if (
      "place" in tags
      and "plain" in tags
      and column.noun.singular in ("city", "town", "country", "district", "state")
    ):
      verb = self.rng.choice(("come from", "live in")) if person else "come from"
      found = (
        [f"Which {words} do {entity} {verb}?", f"What {words} do {entity} {verb}?"]
        if person
        else []
      )
      return [*found, f"In which {words} are {entity} located?"] if not person else found
    if tags & {"type"} and not clauses:
      return [f"What {words} of {noun.plural} are there?", f"Which {words} of {noun.plural} exist?"]
    return [
      f"What {words} are there for {entity}?",
      f"What {words} do {entity.removeprefix('all ')} have?",
    ]

  def _single_questions(self, column: Returned, entity: str, person: bool) -> list[str]:
    """Questions with a word of their own: "How old is the patient Ann?"."""
    assert column.ref is not None, "a column, not an expression"
    name = self.column_name(column.ref)
    tags = name.tags
    word = column.noun.singular
    if column.own and name.event and column.ref.column.kind == "date":
      _, past = vocabulary.EVENTS_OF_COLUMNS[name.event]
      base = {
        "opened": "open",
        "joined": "join",
        "started": "start",
        "ended": "end",
        "died": "die",
        "enrolled": "enroll",
      }
      if past.startswith("were "):
        return [
          f"When was {entity} {name.event}?",
          f"On what date was {entity} {name.event}?",
          f"What is the {word} of {entity}?",
        ]
      if name.event in base:
        return [
          f"When did {entity} {base[name.event]}?",
          f"On which date did {entity} {base[name.event]}?",
        ]
    if column.own and word in ("birth date", "date of birth", "birthday") and person:
      return [
        f"When was {entity} born?",
        f"When was {entity} born?",
        f"What is the {word} of {entity}?",
      ]
    sentences = [
      f"What is the {word} of {entity}?",
      f"What's the {word} of {entity}?",
      f"What {word} does {entity} have?",
    ]
    if column.own and "plain" in tags:
      if "age" in tags:
        sentences += [f"How old is {entity}?"] * 2
      elif "price" in tags and word in ("price", "cost"):
        sentences += [f"How much does {entity} cost?"] * 2
      elif "pay" in tags:
        sentences += [f"How much does {entity} earn?"] * 2
      elif "height" in tags and person:
        sentences += [f"How tall is {entity}?"] * 2
      elif "place" in tags and word in ("city", "country", "state", "town"):
        if person and word in ("city", "town"):
          sentences += [
            f"Which {word} does {entity} live in?",
            f"In which {word} does {entity} live?",
          ]
        sentences += [
          f"Which {word} is {entity} {'from' if person else 'in'}?",
          f"In which {word} is {entity}?" if not person else f"What {word} is {entity} from?",
        ]
      elif "duration" in tags:
        sentences += [f"How long is {entity}?"]
    return sentences

  def _everything(self, query: Query, entity: str, tail: str) -> Message:
    if len(query.sources) > 1 or len(query.items) > 1:
      if len(query.items) > 1:
        raise UnsupportedQuery("* beside other columns")
      raise UnsupportedQuery("* over a join")
    what = self.rng.choice(
      (
        "all information about",
        "everything about",
        "all details of",
        "all columns of",
        "all the information on",
        "the complete records of",
        "full details of",
        "all the data on",
      )
    )
    if query.distinct:
      what = "the distinct complete records of"
    return Message(f"{what} {entity.removeprefix('all ')}", False, tail=tail)
