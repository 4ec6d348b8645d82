"""Columns of rows in English: "the names and ages of ...", "Which doctors ...?"."""

from __future__ import annotations

import dataclasses
import itertools

from spftsql_jax.columns import vocabulary
from spftsql_jax.questions import wordings
from spftsql_jax.questions.aggregates import Aggregates
from spftsql_jax.questions.agreement import agree
from spftsql_jax.questions.features import features_of
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.naming import Noun, unchanging
from spftsql_jax.questions.parts import (
  Clause,
  Message,
  Plan,
  Returned,
  TopWords,
  fold_adjectives,
  is_plural,
  join_words,
)
from spftsql_jax.questions.plan import Attribute, Computed, Listing
from spftsql_jax.questions.plan_listings import aliases_of, is_single, plan_listing
from spftsql_jax.questions.query_meaning import Query, UnsupportedQuery

_TOWNS = ("city", "town", "country", "district", "state")
_SENTENCE_RATE = 0.4


class Listings(Aggregates):
  """Words queries that return columns."""

  def listing(self, query: Query) -> Message:
    """Columns of rows, without aggregates."""
    plan = plan_listing(query, self.names)
    head = plan.rows.head
    if self.one_row:
      plan = dataclasses.replace(plan, rows=dataclasses.replace(plan.rows, single=True))
      self.one_row = False
    said = [*query.items, *(e for e, _ in query.order)]
    placed = self.plan(query, head, {a for node in said for a in aliases_of(query, node)})
    before, self.existential = self.existential, plan.distinct
    clauses = self.clauses(query, placed, head, None)
    self.existential = before
    top = self.superlative_of(query, head, plan.top) if plan.top is not None else None
    tail = self.ordering(query, head, plan.order, plan.columns)
    return self.listing_of(placed, plan, clauses, top, tail)

  def listing_of(
    self,
    placed: Plan,
    plan: Listing,
    clauses: list[Clause],
    top: TopWords | None,
    tail: str,
    noun: Noun | None = None,
  ) -> Message:
    """A listing of rows of which `clauses` are said."""
    query, head = plan.rows.query, plan.rows.head
    noun = noun or self.noun(query, head)
    person = self.person(query, head)
    single = (plan.rows.single and not plan.distinct) or (top is not None and top.limit == 1)
    all_clauses, topped = clauses, noun
    if top is not None:
      noun_, clauses_ = fold_adjectives(noun, clauses)
      topped = Noun(top.put(noun_.singular), top.put(noun_.plural))
      all_clauses = [*clauses_, *top.clauses]
      noun, clauses = noun_, all_clauses
    number = "singular" if single else "plural"
    entity = self.with_number(topped, all_clauses, person, number)
    known = self._named(query, placed, head, None) if single and top is None else None
    # "All countries and the names of their teams" has those without a team.
    beside = any(isinstance(column, Attribute) and not column.own for column in plan.columns)
    entity = self._definite(entity, known, single or top is not None, not beside)
    values: dict[str, Value] = {
      "things": entity,
      "those": entity.removeprefix("all "),
      "plain things": entity.removeprefix("the ").removeprefix("all ").removeprefix("the "),
      "each": lambda: self.with_number(topped, all_clauses, person, "singular"),
      "noun": noun.singular,
      "nouns": noun.plural,
    }
    features = {
      *(("one",) if single else ()),
      *(("distinct",) if plan.distinct else ()),
      *(("person",) if person else ()),
      *(("said",) if clauses else ()),
      *(("ordered",) if tail else ()),
      *(("top",) if top is not None else ()),
      *(("whole",) if self.whole else ()),
    }
    if not plan.columns:
      content = self.grammar.say("everything", Context(features, values), self.rng)
      return Message(content, False, tail=tail, bare="none")
    return self._message(query, plan, features, values, clauses, top, tail, noun)

  def _definite(self, entity: str, known: str | None, definite: bool, whole: bool) -> str:
    """The rows with what goes before them: "the doctor", "all doctors", or a name alone."""
    bare_name = known.strip("'\"") if known is not None else ""
    if known is not None and len(bare_name) > 3 and bare_name[:1].isupper() and self.maybe(0.25):
      return known  # "What is the salary of Ann Lee?": the name alone tells who is meant.
    if definite or self.maybe(0.3):
      return f"the {entity}"
    if self.maybe(0.25) and whole:
      return f"all the {entity}" if self.maybe(0.4) else f"all {entity}"
    return entity

  def returned(
    self, query: Query, head: str, columns: tuple[Attribute | Computed, ...]
  ) -> list[Returned]:
    """The nouns of the returned columns. Raises UnsupportedQuery: two would be called the same."""
    found: list[Returned] = []
    seen: set[str] = set()
    for column in columns:
      if isinstance(column, Computed):
        word = self.item_noun(query, column.node, head)
        found.append(Returned(word, True, False, None, len(word.singular.split()) > 5))
        continue
      ref, own = column.ref, column.own
      word = self.short(ref) if own else self.qualified(query, ref)
      if word.singular in seen:
        word = self.qualified(query, ref)
      if word.singular in seen:
        raise UnsupportedQuery(f"two columns called {word.singular}")
      owner = self.noun(query, ref.alias)
      if not own and word == owner == self.noun(query, head):
        short = self.column_name(ref).short[0]  # "The school for each school" is its name.
        word = Noun(f"{owner.singular} {short.singular}", f"{owner.singular} {short.plural}")
      seen.add(word.singular)
      through = "" if own else self.through(query, head, ref.alias)
      if f"{through} ".startswith((f"of their {owner.plural} ", f"of those {owner.plural} ")):
        word = self.short(ref)  # No "student names of their students".
      path = [] if own or through else query.path(head, ref.alias)
      if (
        len(path) == 2
        and path[0].parent == head
        and path[1].parent == ref.alias
        and self.connects(query, query.sources[path[0].child])
      ):
        others = f"{self.whose(query, head, path)} {owner.plural}"
        word, through = self.short(ref), f"of {others}"
      named = own and self.column_name(ref).names_entity
      found.append(Returned(word, own, named, ref, through=through))
    return found

  def _message(
    self,
    query: Query,
    plan: Listing,
    features: set[str],
    values: dict[str, Value],
    clauses: list[Clause],
    top: TopWords | None,
    tail: str,
    noun: Noun,
  ) -> Message:
    columns = self.returned(query, plan.rows.head, plan.columns)
    columns = self._beside(query, plan, columns, "one" in features)
    self._tell_columns(columns, features, values, noun)
    if any(c.through for c in columns) and (columns[0].own or columns[-1].own):
      return self._with_related(columns, features, values, tail)
    if all(c.verbs or c.having for c in clauses) and clauses:
      features.add("verbal")
    first = plan.columns[0]
    if len(columns) == 1 and isinstance(first, Attribute):
      features |= self._tell_column(first, columns[0], features, values)
    person = "person" in features
    values |= {
      "do": lambda: join_words([self.verb(c, True) for c in clauses]),
      "described": lambda: self.modified(noun.plural, clauses, person, True),
      "different": f"{self.distinct_word(columns[0].noun.singular)} " if plan.distinct else "",
    }
    if self.grammar.has("which", features) and clauses and top is None:
      features.add("which")
    if top is not None and top.predicate:
      features.add("asked")
      values["top question"] = lambda: self.grammar.say(
        "top question", self.top_context(top, noun, clauses, person), self.rng
      )
    context = Context(features, values)
    if (
      self.whole
      and not (tail and "one" in features)
      and self.maybe(_SENTENCE_RATE)
      and self.grammar.has("listing question", features)
    ):
      sentence = self.grammar.say("listing question", context, self.rng)
      if tail:
        comma = "," if self.maybe(0.3) else ""
        sentence = f"{sentence[:-1]}{comma} {tail.lstrip(', ')}{sentence[-1]}"
      return Message(sentence, sentences=(sentence,), sentence_rate=1.0)
    return self._content(context, columns, tail)

  def _beside(
    self, query: Query, plan: Listing, columns: list[Returned], one: bool
  ) -> list[Returned]:
    """The returned columns, those of the one table next to the rows as columns of its rows.

    "The names of doctors and the dates of their visits".
    """
    head = plan.rows.head
    others = {c.ref.alias for c in columns if c.ref is not None and not c.own}
    sides = [c.own for c in columns]
    parts = sum(a is not b for a, b in itertools.pairwise(sides))
    if len(others) != 1 or parts != 1 or plan.distinct or any(c.ref is None for c in columns):
      return columns
    path = query.path(head, *others)
    noun = self.noun(query, *others)
    if len(path) != 1 or not path[0].is_key or path[0].optional or noun == self.noun(query, head):
      return columns
    owner = path[0].child == head
    # Who is spoken of already: "exhibitions by artists from Fiji, and the names of the artists".
    told = owner and any(query.aliases_in(condition) & others for condition in query.conditions)
    words = [self.column_name(c.ref).short[0].singular for c in columns if c.ref is not None]
    twice = len({*words}) < len(words)  # No "last names and last names of the managers".
    if owner and sides[0] and not (told or twice) and self.maybe(0.5):
      return columns
    one = one and owner
    the = not sides[0] or (told and not one and not is_single(query, self.names, *others))
    whose = "the" if the else "their" if owner else self.whose(query, head, path)
    through = f"of {whose} {noun.singular if one else noun.plural}"
    return [
      c
      if c.own or c.ref is None
      else dataclasses.replace(
        c,
        noun=unchanging(self.short(c.ref).singular) if one else self.short(c.ref),
        through=through,
      )
      for c in columns
    ]

  def _content(self, context: Context, columns: list[Returned], tail: str) -> Message:
    """What is asked for as a noun phrase, with what the sentence around it must know."""
    row = self.grammar.pick("listing", context, self.rng)
    content, _, lead = self.grammar.fill(row, context, self.rng).partition(" ~ ")
    features = context.features
    one = context.value("are") == "is"
    bare = ""
    if row.mark == "none" or (row.mark == "rows" and not features & {"said", "top"}):
      bare = "none"
    elif row.mark == "rows":
      bare = "who" if "person" in features else "what"
    singular = one and (row.mark == "single" or "one" in features)
    return Message(content, not singular, lead, row.mark != "first", tail, bare=bare)

  def _tell_columns(
    self, columns: list[Returned], features: set[str], values: dict[str, Value], noun: Noun
  ) -> None:
    """What guards and slots know of the returned columns, taken together."""
    plural = join_words([c.noun.plural for c in columns])
    singular = join_words([c.noun.singular for c in columns])
    if len(columns) > 1:
      features.add("several")
    elif not (columns[0].natural or "ordered" in features):
      features.add("one-by-one")
    if any(c.long for c in columns):
      features.add("long")
    if [c.noun.singular for c in columns] == ["first name", "last name"] and self.maybe(0.6):
      singular, plural = self.rng.choice(
        (("first and last name", "first and last names"), ("full name", "full names"))
      )
    own = all(c.own for c in columns)
    if own:
      features.add("all-own")
    if columns[0].natural:
      if len(columns) == 1:
        features.add("natural")
      elif own:
        features.add("first-named")
      if columns[0].noun.singular.startswith(noun.singular):
        features.add("begins-alike")
      if columns[0].noun.singular == "name":
        features.add("called-name")
    if {"natural", "distinct"} <= features and columns[0].noun.plural == noun.plural:
      features.add("same-noun")  # Not "the different models of all models".
    things = str(values["things"])
    if (
      {"one"} <= features
      and not features & {"top", "long"}
      and things[:1].isupper()
      and not things.endswith("s")
    ):
      features.add("possessive")
    alone = len(columns) == 1 or singular == "full name"
    verb = agree("are", not alone or is_plural(columns[0].noun.singular))
    rest = join_words([c.noun.plural for c in columns[1:]])
    values |= {"columns": plural, "column": singular, "rest": rest, "are": verb}

  def _tell_column(
    self, attribute: Attribute, column: Returned, features: set[str], values: dict[str, Value]
  ) -> set[str]:
    """What guards ask about the one column that is returned."""
    name, word = self.column_name(attribute.ref), column.noun.singular
    person = "person" in features
    # Of whom a question is, the row says, not the column's table.
    told = {*(features_of(self.names, attribute) - {"person"}), "column"}
    if word in _TOWNS and {"place", "plain"} <= name.tags:
      told |= {"place", "town"}
    if {"place", "plain"} <= name.tags and word in ("city", "country", "state", "town"):
      told |= {"place", "town-word"}
      if word in ("city", "town"):
        told.add("in-town")
    if word in wordings.COSTS:
      told.add("cost")
    if attribute.own and name.event and attribute.ref.column.kind == "date":
      past = vocabulary.EVENTS_OF_COLUMNS[name.event][1]
      base = vocabulary.EVENT_BASES.get(name.event, "")
      if past.startswith("were "):
        told |= {"event-date", "done"}
      elif base:
        told |= {"event-date", "when-only"}
      values |= {"event": name.event, "base": base}
    elif attribute.own and person and word in ("birth date", "date of birth", "birthday"):
      told.add("born")
    return told

  def _with_related(
    self, columns: list[Returned], features: set[str], values: dict[str, Value], tail: str
  ) -> Message:
    """Columns of the head, then of rows that belong to it.

    "The names of bands and the dates of their performances".
    """
    first = [c for c in columns if not c.through]
    rest = [c for c in columns if c.through]
    if columns not in (first + rest, rest + first) or len({c.through for c in rest}) > 1:
      raise UnsupportedQuery("columns of related rows before those of the rows themselves")
    if columns[0].through:
      features.add("first")
    related = f"the {join_words([c.noun.plural for c in rest])} {rest[0].through}"
    if "one" in features and "person" not in features:
      related = related.replace(" their ", " its ", 1)
    distinct = "distinct" in features
    different = self.distinct_word(first[0].noun.singular) if distinct else ""
    values |= {
      "different": f"{different} " if distinct else "",
      "combinations": "combinations of the " if distinct else "",
      "column": join_words(
        [c.noun.singular if "one" in features else c.noun.plural for c in first]
      ),
      "related": related,
    }
    context = Context(features, values)
    row = self.grammar.pick("related", context, self.rng)
    content, _, lead = self.grammar.fill(row, context, self.rng).partition(" ~ ")
    return Message(content, True, lead, row.mark != "first", tail)

  def top_context(self, top: TopWords, noun: Noun, clauses: list[Clause], person: bool) -> Context:
    """What a question for the first in an order is about: "Which doctor has ...?"."""
    others = [c for c in clauses if c not in top.clauses]
    number = "singular" if top.limit == 1 else "plural"
    put = Noun(top.put(noun.singular), top.put(noun.plural))
    of_topped = others if top.limit == 1 and top.adjective else clauses
    topped = put if top.adjective or top.limit > 1 else noun
    features = {
      *(("one",) if top.limit == 1 else ()),
      *(("adjective",) if top.adjective else ()),
      *(("ranked",) if top.before.startswith(("top", "bottom")) else ()),
      *(("person",) if person else ()),
      *(("others",) if others else ()),
    }
    values: dict[str, Value] = {
      "thing": lambda: self.with_number(noun, others, person, number),
      "topped": lambda: self.with_number(topped, of_topped, person, number),
      "predicate": top.predicate,
      "number": top.before,
    }
    return Context(features, values)
