"""Set operations in English, by `grammars/english/sets.txt`: "who have X but not Y"."""

from __future__ import annotations

import dataclasses
import random
import re

from sqlglot import exp

from spftsql_jax.columns.kinds import is_person
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import Verb, agree, conjugate
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.group_questions import GroupQuestions
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.pairs import denied_features, noun_pair, verb_pair
from spftsql_jax.questions.parts import (
  Clause,
  Message,
  article_for,
  is_plural,
  join_words,
  without_article,
)
from spftsql_jax.questions.plan import Combined, Listing, Lists, Related, Rows, SameRows, Values
from spftsql_jax.questions.plan_sets import plan_set
from spftsql_jax.questions.query_meaning import Query, SetQuery, UnsupportedQuery

# What is denied of one is denied of any: "do not have 2 pieces for any performance".
_IN_ONE = re.compile(r"\b(for|in) an? ")
# How often a whole question is said.
_RATE = 0.4
# Rows of more words are too long to stand between a question word and its verb.
_LONG = 5


@dataclasses.dataclass
class _Half:
  """One side of a set operation in words: the rows, and what follows who of each condition, if
  all can."""

  noun: Noun
  person: bool
  said: list[str] | None
  every: str
  each: str


class Sets(GroupQuestions):
  """Words set operations, and counts over nested queries."""

  def _derived(self, query: Query) -> Message:
    """COUNT(*) over a nested query; nothing else is worded."""
    items = [i.unalias() for i in query.items]
    if (
      query.derived is None
      or len(items) != 1
      or not isinstance(items[0], exp.Count)
      or not isinstance(items[0].this, exp.Star)
      or query.tree.args.get("where")
      or query.group
    ):
      raise UnsupportedQuery("a derived table")
    if isinstance(query.derived, Query) and any(
      isinstance(i, exp.Star) for i in query.derived.items
    ):
      raise UnsupportedQuery("a count over *")
    values: dict[str, Value] = {"content": self.content(query.derived).removeprefix("the ")}
    if self.whole and self.maybe(_RATE):
      sentence = self.grammar.say("count of asked", Context((), values), self.rng)
      return Message(sentence, False, sentences=(sentence,), sentence_rate=1.0)
    return Message(self.grammar.say("count of", Context((), values), self.rng), False)

  def _combined(self, query: SetQuery) -> Message:
    plan, base, orders = plan_set(query, self.names)
    tail = self.ordering(base.query, base.head, orders)
    message = self._combination(plan, tail)
    message.tail = tail
    return message

  def _combination(self, plan: Combined, tail: str) -> Message:
    match plan:
      case Values():
        return self._values(plan)
      case SameRows():
        return self._same_rows(plan, tail)
      case Related():
        return self._with_related_rows(plan, tail)
      case Lists():
        return self._lists(plan)

  def _lists(self, plan: Lists) -> Message:
    """What two queries return, put together."""
    values: dict[str, Value] = {"left": self.content(plan.left), "right": self.content(plan.right)}
    return Message(self.grammar.say(f"lists: {plan.operator}", Context((), values), self.rng))

  def _halves(self, plan: SameRows) -> list[_Half]:
    """Both sides, worded with the same chances: halves that are alike are worded alike."""
    kept, seed, before = self.rng, self.rng.random(), self.existential
    self.gap, self.existential, found = "\0", True, []
    for rows in (plan.left, plan.right):
      self.rng = random.Random(seed)
      found.append(self._half(rows))
    self.rng, self.gap, self.existential = kept, " ", before
    return found

  def _half(self, rows: Rows) -> _Half:
    query, head = rows.query, rows.head
    clauses = self.all_clauses(query, head)
    noun, person = self.noun(query, head), self.person(query, head)
    told = all(c.verbs or c.having or c.noun for c in clauses)
    said = [self.verb(c, True) for c in clauses] if told else None
    every, each = (self.with_number(noun, clauses, person, n) for n in ("plural", "singular"))
    return _Half(noun, person, said, every, each)

  def _nouns(self, plan: SameRows) -> list[Noun]:
    """What the rows are called that those that are asked for are related to."""
    return [
      self.noun(rows.query, alias)
      for rows in (plan.left, plan.right)
      for alias in rows.query.sources
      if alias != rows.head
    ]

  def _same_rows(self, plan: SameRows, tail: str) -> Message:
    """ "doctors who have X but not Y"."""
    rows, operator = plan.left, plan.operator
    left, right = self._halves(plan)
    renamed = self._renamed(plan, left.noun.singular, right.noun.singular)
    if left.said is None or right.said is None or (renamed and operator == "union"):
      return self._lists(Lists(operator, plan.left.query, plan.right.query))
    common = [said for said in left.said if said in right.said]
    first = [said for said in left.said if said not in common]
    second = [said for said in right.said if said not in common]
    who = "who" if left.person else "that"
    clauses = [Clause(verbs=(conjugate(said),)) for said in (left.said if renamed else common)]
    if renamed:
      if any(half.person and not is_person(half.noun.singular) for half in (left, right)):
        raise UnsupportedQuery("people that have a role on one side only")
      others = Context({operator}, {"others": right.every})
      clauses.append(Clause(verbs=(conjugate(self.grammar.say("in the role", others, self.rng)),)))
    elif (operator == "except" and not second) or (operator == "union" and not (first and second)):
      raise UnsupportedQuery("a set operation between rows and some of them")
    elif first and second:
      clauses.append(self._joined(plan, first, second, who))
    elif operator == "except":
      verbs = (conjugate(self._denied("denied", second, plan, who)),) if len(second) == 1 else ()
      clauses.append(Clause(verbs=verbs, posts=(self._denied("half left out", second, plan, who),)))
    else:
      clauses += [Clause(verbs=(conjugate(said),)) for said in first + second]
    for clause in clauses:
      clause.verbs = tuple(Verb(*(said.replace("\0", " ") for said in v)) for v in clause.verbs)
      clause.posts = tuple(said.replace("\0", " ") for said in clause.posts)
    placed = self.plan(rows.query, rows.head, set())
    listing = Listing(rows, plan.columns, operator == "union")
    return self.listing_of(placed, listing, clauses, None, tail)

  def _renamed(self, plan: SameRows, left: str, right: str) -> bool:
    """Whether rows have a role on one side that tells more than that others refer to them: the
    branches of customers are all banks, but contact staff is not all staff.
    """
    told = (
      edge.same or (edge.parent == side.head and self.one_of_several(side.query, edge))
      for side in (plan.left, plan.right)
      for edge in side.query.edges
    )
    return left != right and (left.split()[-1] == right.split()[-1] or any(told))

  def _joined(self, plan: SameRows, first: list[str], second: list[str], who: str) -> Clause:
    """What is said of the rows on both sides, as one clause."""
    features: set[str] = set()
    values: dict[str, str] = {}
    if len(first) == len(second) == 1:
      words = {said for noun in self._nouns(plan) for said in (noun.singular, noun.plural)}
      features, values = verb_pair(first[0], second[0], words)
    values |= {"a": join_words(first), "b": join_words(second)}
    of_one = {"a": join_words(_of_one(first)), "b": join_words(_of_one(second))}
    values["denied"] = self._denied("denied", second, plan, who)
    of_one |= {slot: agree(values[slot], False) for slot in ("lead", "denied") if slot in values}
    row = self.grammar.pick(plan.operator, Context(features, values), self.rng)
    said = (
      self.grammar.fill(row, Context(features, v), self.rng) for v in (values, values | of_one)
    )
    return Clause(verbs=(Verb(*said),))

  def _denied(self, section: str, second: list[str], plan: SameRows, who: str) -> str:
    """The contrary of what is said of the rows on the second side."""
    said = join_words(second)
    if section == "denied":
      said = _IN_ONE.sub(r"\1 any ", said)
    verb, _, rest = said.partition(" ")
    features = denied_features(said, self._nouns(plan)) if len(second) == 1 else {"other"}
    if features & {"did", "done"}:  # "Never made any purchase", not "at least one".
      said, rest = (text.replace("at least one ", "any ", 1) for text in (said, rest))
    thing = without_article(rest.removeprefix("at least one "))
    values: dict[str, Value] = {"said": said, "verb": verb, "rest": rest, "who": who}
    values |= {"thing": thing, "one": article_for(thing, "thing")}
    return self.grammar.say(section, Context(features, values), self.rng)

  def _values(self, plan: Values) -> Message:
    """Values of two sets of rows: "the cities shared by old doctors and young doctors"."""
    left, right = self._halves(plan)
    columns = self.returned(plan.left.query, plan.left.head, plan.columns)
    features, pair = noun_pair(left.every, right.every, left.noun.plural)
    if plan.same:
      features.add("same")
    if left.said:
      features.add("said")
    if left.said or right.said:
      features.add("told")
    last = columns[0].noun.singular.split()[-1]
    if len(columns) == 1 and last in wordings.PLACES | wordings.HOLDERS | wordings.MAKERS:
      features.add("holds")
    if max(len(half.every.split()) for half in (left, right)) > _LONG:
      features.add("long")  # The verb does not wait behind it.
    first = columns[0].noun
    plural = len(columns) > 1 or first.plural != first.singular or is_plural(first.plural)
    values = {
      **pair,
      "do": agree("do", plural),
      "are": agree("are", plural),
      "columns": join_words([c.noun.plural for c in columns]),
      "nouns": left.noun.plural,
      "every": left.every,
      "other": right.every,
      "one other": right.each,
    }
    asked = self.whole and self.maybe(_RATE)
    section = "values asked" if asked else "values"
    context = Context(features, values)
    said = self.grammar.say(f"{section}: {plan.operator}", context, self.rng).replace("\0", " ")
    return Message(said, sentences=(said,) if asked else (), sentence_rate=1.0)

  def _with_related_rows(self, plan: Related, tail: str) -> Message:
    """Rows with others that refer to them, or without."""
    query, head = plan.rows.query, plan.rows.head
    placed = self.plan(query, head, set())
    clauses = [*self.all_clauses(query, head), self.member(query, plan.related, head)]
    return self.listing_of(placed, Listing(plan.rows, plan.columns, False), clauses, None, tail)


def _of_one(said: list[str]) -> list[str]:
  return [agree(one, plural=False) for one in said]
