"""Questions over groups: "the number of doctors in each city"."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from spftsql_jax.questions.agreement import agree
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.groups import Group, Groups, holding
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import (
  Clause,
  Message,
  TopWords,
  fold_adjectives,
  is_plural,
  join_words,
  singular_head,
  told_once,
)
from spftsql_jax.questions.plan import (
  Amount,
  Attribute,
  Computed,
  Listing,
  Measure,
  RowCount,
  Rows,
)
from spftsql_jax.questions.plan_groups import plan_groups
from spftsql_jax.questions.query_meaning import Query
from spftsql_jax.questions.syntax import aggregate_in, aggregate_of, bare

# How often a whole question or command is said.
_QUESTION_RATE = 0.45
# How often groups without rows are left out where the groups are named, not at the end.
_NARROWED_RATE = 0.6


class GroupQuestions(Groups):
  """Puts groups and their aggregates into questions."""

  def _grouped(self, query: Query) -> Message:
    plan = plan_groups(query, self.names)
    group = self.group_of(plan)
    orders = () if query.limit is None else (e for e, _ in query.order)
    if plan.entity and not any(map(aggregate_in, [*query.items, *query.having, *orders])):
      # Nothing else says what the join asks for.
      group.clauses = self._clauses_of_joined(group)
    group.clauses = group.clauses + self.having(group)
    top, tail = self.group_top(group), self.group_order(group)
    measured = any(isinstance(r, Measure) for r in plan.returned)
    if plan.entity and not measured:
      columns = tuple(r for r in plan.returned if isinstance(r, Attribute | Computed))
      listing = Listing(Rows(query, plan.entity), columns, query.distinct)
      return self.listing_of(group.placed, listing, group.clauses, top, tail, group.noun)
    section = ("per row", "first rows") if plan.entity else ("per value", "first values")
    if not measured:
      section = ("values", "first value")
    apart = plan.lacking and plan.limit is None and not plan.having
    plain = not (group.row_clauses or group.clauses)
    if apart and plain and self.maybe(_NARROWED_RATE):
      group.clauses, apart = [*group.clauses, self.some_rows(group)], False
    features, values = self._told(group)
    features |= {"left-out"} if apart else set()
    if top is not None:
      self._tell_top(group, top, features, values)
    return self._put(section[top is not None], self.context_of(group, values, features), tail)

  def _clauses_of_joined(self, group: Group) -> list[Clause]:
    """What is said of groups that are rows, and of the rows that belong to them."""
    entity = group.plan.entity
    before, self.existential = self.existential, True
    placed = dataclasses.replace(group.placed, head=entity, spoken={entity})
    clauses = self.clauses(group.plan.query, placed, entity, None)
    self.existential = before
    return clauses

  def _told(self, group: Group) -> tuple[set[str], dict[str, Value]]:
    """What guards and slots know of groups and of what is returned of them."""
    plan, clauses = group.plan, group.clauses
    columns = list(zip(plan.returned, self.columns_of(group), strict=True))
    measures = [r for r in plan.returned if isinstance(r, Measure)]
    amounts = [c.singular for r, c in columns if isinstance(r, Measure)]
    others = [c for r, c in columns if not isinstance(r, Measure)]
    several = plan.entity and plan.limit is not None and plan.limit > 1
    names = [c.plural if several else c.singular for c in others]
    noun, many = group.noun.singular, self.with_number(group.noun, clauses, group.person, "plural")
    # SUM(CASE ...) counts rows too, and says which.
    rows = any(
      isinstance(m, RowCount) or (m.node.find(exp.Case) and not group.row_clauses) for m in measures
    )
    plural_amounts = len(amounts) > 1 or any(map(is_plural, amounts))
    amounts = told_once(amounts) if all(isinstance(m, Amount) for m in measures) else amounts
    words = [*names, *amounts]
    values: dict[str, Value] = {
      "columns": join_words([words[0], *(f"the {word}" for word in words[1:])]),
      "amounts": join_words(amounts, "and the"),
      "are": agree("are", plural_amounts),
      "names": join_words([c.plural for c in others]),
      "name": f"{noun} {''.join(names[:1]).removeprefix(f'{noun} ')}",
      "of rows": "" if plan.entity or rows else f" of {group.rows}",
      "different": self.distinct_word,
      "one": lambda: self.with_number(group.noun, clauses, group.person, "singular"),
      "many": many,
      "among": lambda: self._among(group, many),
      "do": lambda: join_words([self.verb(c, True) for c in clauses]),
      "so many": group.counted,
    }
    told: dict[str, object] = {
      "said": clauses,
      "verbal": all(c.verbs or c.having for c in clauses),
      "numbered": group.counted and len(clauses) == 1,
      "keyless": not plan.whole,
      "one-column": len(columns) == 1 and not is_plural(columns[0][1].singular),
    }
    if len(measures) == 1:
      (measure,) = measures
      function = aggregate_of(bare(measure.node)) if isinstance(measure, Amount) else None
      told |= {
        "counted": isinstance(measure, RowCount),
        "measured": isinstance(measure, Amount),
        "one-amount": not is_plural(amounts[0]),
        "named": len(others) == 1
        and any(
          isinstance(r, Attribute) and r.own and self.column_name(r.ref).names_entity
          for r in plan.returned
        ),
        "many-names": len(others) > 1 and plan.returned[-1] is measure,
        "same": plan.order and plan.order[0].by == measure,
        str(function): True,
      }
    return holding(told), values

  def _tell_top(
    self, group: Group, top: TopWords, features: set[str], values: dict[str, Value]
  ) -> None:
    """What guards and slots know of the first groups in an order."""
    noun, clauses = fold_adjectives(group.noun, group.clauses)
    put = Noun(top.put(noun.singular), top.put(noun.plural))
    clauses = clauses + top.clauses
    number = "singular" if top.limit == 1 else "plural"
    topped = self.with_number(put, clauses, group.person, number)
    features |= {"one"} if top.limit == 1 else set()
    values |= {"topped": topped, "among": lambda: self._among(group, topped)}
    if top.predicate:
      features.add("asked")
      said = self.top_context(top, noun, clauses, group.person)
      question = self.grammar.say("top question", said, self.rng)[:-1]
      values["asked"] = f"{question}{self._among(group, question, asked=True)}"

  def _among(self, group: Group, text: str, asked: bool = False) -> str:
    """Of which rows values are, where a text does not name them: "cities with more than one doctor"
    needs no "of doctors".
    """
    if group.plan.entity or group.rows in text or singular_head(group.rows) in text:
      return ""
    context = self.context_of(group, {}, {"asked"} if asked else set())
    return f" {self.grammar.say('rows of group', context, self.rng)}"

  def _put(self, section: str, context: Context, tail: str) -> Message:
    """A whole question or command, or what is asked for as a noun phrase."""
    features = context.features
    question, content = (f"{section}: {form}" for form in ("question", "content"))
    if self.whole and self.maybe(_QUESTION_RATE) and self.grammar.has(question, features):
      said = self.grammar.say(question, context, self.rng)
      said = f"{said[:-1]}, {tail}{said[-1]}" if tail else said
      return Message(said, sentences=(said,), sentence_rate=1.0)
    row = self.grammar.pick(content, context, self.rng)
    said, _, lead = self.grammar.fill(row, context, self.rng).partition(" ~ ")
    after = section != "per row" or not features & {"optional", "rows-said", "left-out"}
    said += "," if tail and "left-out" in features else ""  # What is left out is not sorted.
    alone = {"single": "one-amount", "rows": "one"}.get(row.mark, "one-column")
    bare_of = "none" if row.mark == "none" else ""
    return Message(said, alone not in features, lead, after, tail, bare=bare_of)
