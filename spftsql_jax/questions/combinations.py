"""Two queries combined: "who have X but not Y", "shared by"."""

from __future__ import annotations

from sqlglot import exp

from spftsql_jax.questions.group_questions import GroupQuestions
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import Clause, Message, join_words
from spftsql_jax.questions.plan import Listing, Rows
from spftsql_jax.questions.plan_listings import head_of, is_key, plan_columns
from spftsql_jax.questions.query_meaning import Query, Ref, SetQuery, UnsupportedQuery


class Combinations(GroupQuestions):
  """Words set operations and counts over nested queries."""

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
    content = self.content(query.derived).removeprefix("the ")
    return Message(f"the number of {content}", False, sentences=(f"How many {content} are there?",))

  def _combined(self, query: SetQuery) -> Message:
    """Set operations: one entity under two conditions, else two phrases.

    The former where both sides return the same columns of it.
    """
    if query.limit is not None:
      raise UnsupportedQuery("LIMIT on a set operation")
    message = self._same_entity(query)
    if message is None:
      left, right = self.content(query.left), self.content(query.right)
      if query.operator == "intersect":
        content = self.rng.choice(
          (
            f"{left} that are also among {right}",
            f"what is common to both {left} and {right}",
            f"the overlap between {left} and {right}",
          )
        )
      elif query.operator == "except":
        content = self.rng.choice(
          (
            f"{left} that are not among {right}",
            f"{left}, excluding {right}",
            f"{left} except for {right}",
            f"{left} but without {right}",
          )
        )
      elif query.operator == "union":
        content = self.rng.choice(
          (
            f"{left} and {right}, without duplicates",
            f"{left} together with {right}, each only once",
            f"the combined list of {left} and {right} without duplicates",
            f"{left} and also {right}, without repeats",
          )
        )
      else:
        content = self.rng.choice(
          (
            f"{left} and {right}, keeping duplicates",
            f"{left} followed by {right}, with duplicates",
          )
        )
      message = Message(content, True)
    if query.order:
      base = query.left
      while isinstance(base, SetQuery):
        base = base.left
      head = head_of(base)
      words = [
        self._one_order(self.expression(base, e, head).singular, None, d, False)
        for e, d in query.order[:1]
      ]
      message.tail, message.sentences = words[0], ()
    return message

  def _same_entity(self, query: SetQuery) -> Message | None:
    """ "doctors who have X but not Y"."""
    left, right = query.left, query.right
    if query.operator == "union all" or not isinstance(left, Query) or not isinstance(right, Query):
      return None
    for side in (left, right):
      if (
        side.group
        or side.having
        or side.order
        or side.limit is not None
        or side.derived
        or not all(isinstance(i.unalias(), exp.Column) for i in side.items)
      ):
        return None
    if len(left.items) != len(right.items):
      return None
    pairs = list(
      zip(
        [left.ref(i.unalias()) for i in left.items],
        [right.ref(i.unalias()) for i in right.items],
        strict=True,
      )
    )
    head, other_head = head_of(left), head_of(right)
    if left.sources[head] is not right.sources[other_head]:
      return self._key_difference(query, left, right, pairs)
    if any(a.table is not b.table or a.column is not b.column for a, b in pairs):
      return self._key_difference(query, left, right, pairs)
    if any(a.outer or b.outer for a, b in pairs):
      return None
    first = self.clauses(left, self.plan(left, head, set()), head, None)
    before, self.existential = self.existential, True
    second = self.clauses(right, self.plan(right, other_head, set()), other_head, None)
    self.existential = before
    noun, person = self.noun(left, head), self.person(left, head)
    if self.noun(right, other_head).singular != noun.singular and not any(
      edge.same for edge in (*left.edges, *right.edges)
    ):
      raise UnsupportedQuery("rows that have a role on one side only")
    who = "who" if person else "that"
    columns = self.returned(left, head, plan_columns(left, head))
    natural = len(columns) == 1 and columns[0].natural
    named = any(
      c.ref is not None and (c.natural or is_key(c.ref) or "name" in self.column_name(c.ref).tags)
      for c in columns
    )
    listed = join_words([c.noun.plural for c in columns])
    if not second or not all(c.verbs or c.having for c in first + second):
      return None
    if not named:
      return self._values_combined(query, listed, noun, first, second, person)
    a = " and ".join(self.verb(c, True) for c in first)
    b = " and ".join(self.verb(c, True) for c in second)
    # A name can belong to several rows: the set is over names, which is how people mean it.
    if query.operator == "intersect":
      if not first:
        return None
      said = self.rng.choice(
        (f"{who} both {a} and {b}", f"{who} {a} and also {b}", f"{who} {a} and {b} as well")
      )
      which = [f"Which {noun.plural} {a} and also {b}?", f"Which {noun.plural} both {a} and {b}?"]
    elif query.operator == "union":
      if not first:
        return None
      said = self.rng.choice(
        (f"{who} {a} or {b}", f"{who} either {a} or {b}", f"{who} {a}, as well as those {who} {b}")
      )
      said += self.rng.choice((", without duplicates", ", each listed once", ", without repeats"))
      which = []
    else:
      denied = " or ".join(self._deny(c) for c in second) if len(second) == 1 else ""
      if not first:
        said = f"{who} {denied}" if denied else f"except those {who} {b}"
        if self.maybe(0.4) or not denied:
          said = self.rng.choice(
            (f"except those {who} {b}", f"excluding those {who} {b}", f"other than those {who} {b}")
          )
        which = [f"Which {noun.plural} {denied}?"] if denied else []
      else:
        said = self.rng.choice(
          (
            f"{who} {a} but {denied}" if denied else f"{who} {a} except those {who} {b}",
            f"{who} {a}, except those {who} {b}",
            f"{who} {a}, excluding those {who} {b}",
          )
        )
        which = [f"Which {noun.plural} {a} but {denied}?"] if denied else []
    forms = [
      f"the {listed} of {noun.plural} {said}",
      f"the {listed} of {self.rng.choice(('all ', 'the '))}{noun.plural} {said}",
    ]
    if natural:
      forms += [f"{self.rng.choice(('the ', '', 'all '))}{noun.plural} {said}"]
    content = self.rng.choice(forms)
    bare = ("who" if person else "what") if natural and content == forms[-1] else ""
    return Message(
      content, True, sentences=tuple(which) if natural else (), sentence_rate=0.4, bare=bare
    )

  def _deny(self, clause: Clause) -> str:
    """The contrary of a clause: "have visits" -> "do not have any visits"."""
    said = self.verb(clause, True)
    if said.startswith("have ") and not said.startswith(("have no ", "have not ", "have never ")):
      rest = said[5:]
      if rest.startswith(("at least one ", "any ")):
        rest = rest.removeprefix("at least one ").removeprefix("any ")
        none = self.rng.choice(("do not have any", "have no", "don't have any"))
        return f"{none} {rest}"
      return f"do not have {rest}"
    if said.startswith("are "):
      return f"are not {said[4:]}"
    return (
      f"do not {said}"
      if said.split()[0] in ("belong", "cost", "costs", "earn", "make", "live", "share")
      else f"are not among those that {said}"
    )

  def _values_combined(
    self,
    query: SetQuery,
    listed: str,
    noun: Noun,
    first: list[Clause],
    second: list[Clause],
    person: bool,
  ) -> Message | None:
    """Values shared by two sets of rows: "the cities shared by old doctors and young doctors"."""
    every, other = (
      self.with_number(noun, first, person, "plural"),
      self.with_number(noun, second, person, "plural"),
    )
    if query.operator == "intersect":
      content = self.rng.choice(
        (
          f"the {listed} shared by {every} and {other}",
          f"the {listed} that {every} and {other} have in common",
          f"the {listed} that have both {every} and {other}",
        )
      )
    elif query.operator == "except":
      content = self.rng.choice(
        (
          f"the {listed} of {every} that are not {listed} of {other}",
          f"the {listed} {'of ' + every + ' ' if first else ''}without any {other}",
        )
      )
    else:
      content = f"the different {listed} of {every} or of {other}"
    return Message(content, True)

  def _key_difference(
    self, query: SetQuery, left: Query, right: Query, pairs: list[tuple[Ref, Ref]]
  ) -> Message | None:
    """SELECT key ... EXCEPT SELECT foreign key ...: rows without related rows."""
    if (
      len(pairs) != 1
      or query.operator not in ("except", "intersect")
      or pairs[0][0].alias not in left.sources
    ):
      return None
    own, other = pairs[0]
    if self._key_between(other, own) is None:
      return None
    head = own.alias
    clause = self._key_member(left, own, other, right, head, query.operator == "except")
    if clause is None:
      return None
    plan = self.plan(left, head, set())
    clauses = self.clauses(left, plan, head, None) + [clause]
    listing = Listing(Rows(left, head), plan_columns(left, head), False)
    return self.listing_of(plan, listing, clauses, None, "")
