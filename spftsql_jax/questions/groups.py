"""Groups of rows in English: what they are called, what is measured, asked and sorted of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping

from sqlglot import exp

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.inflection import plural_of
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import agree, conjugate
from spftsql_jax.questions.features import OPERATORS
from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.listings import Listings
from spftsql_jax.questions.naming import Noun, unchanging
from spftsql_jax.questions.parts import (
  Clause,
  Plan,
  TopWords,
  article,
  join_words,
  names_rows,
  pick,
  rounding,
  things_counted,
)
from spftsql_jax.questions.plan import (
  Amount,
  Attribute,
  Computed,
  GroupOrder,
  Key,
  Literal,
  Measure,
  MeasureCompare,
  PartOfDate,
  PerGroup,
  RowCount,
  Unmoved,
)
from spftsql_jax.questions.plan_groups import is_amount
from spftsql_jax.questions.plan_listings import aliases_of
from spftsql_jax.questions.query_meaning import Query, Ref, UnsupportedQuery, read_nested
from spftsql_jax.questions.syntax import aggregate_of, bare, is_pure_link, own_columns

# Longer names of groups are said once.
_LONGEST = 8
# Columns that say too little of a group away from their rows: "types with two interactions".
_SAYS_LITTLE = frozenset(("id", "type", "kind"))
# "More than 3 titles" is said of groups with any, "less than 3" may be of others too.
_SO_MANY = frozenset((">", ">=", "="))


@dataclasses.dataclass
class Group:
  """The words of one group, and of the rows that are grouped, seen from it.

  Attributes:
    placed: where each condition is spoken.
    noun, person, clauses: of one group, and what is said of it.
    row_noun, row_clauses: of the rows.
    features: what guards ask about the group and its rows.
    rows: the rows with all that is said of them. counted: the same with how many there must be, ""
      where nothing asks for it.
  """

  plan: PerGroup
  placed: Plan
  noun: Noun
  person: bool
  clauses: list[Clause]
  row_noun: Noun
  row_clauses: list[Clause]
  rows: str
  features: set[str] = dataclasses.field(default_factory=set)
  counted: str = ""


def _is_action(noun: Noun) -> bool:
  """Whether a word is of no thing: nobody counts qualifyings, but buildings."""
  last = noun.singular.split()[-1]
  return last.endswith("ing") and last not in vocabulary.LEXICON


def holding(told: Mapping[str, object]) -> set[str]:
  """The features that hold."""
  return {name for name, holds in told.items() if holds}


class Groups(Listings):
  """Words GROUP BY, HAVING and aggregates of groups."""

  def group_of(self, plan: PerGroup) -> Group:
    """The words of the groups of a plan."""
    query, rows, entity = plan.query, plan.rows, plan.entity
    spoken = {a for node in (*query.group, *query.items) for a in aliases_of(query, node)}
    placed = self.plan(query, rows, spoken)
    clauses: list[Clause] = []
    if entity:
      noun, person = self.noun(query, entity), self.person(query, entity)
      path = query.path(entity, rows)
      clauses = self.clauses(query, placed, entity, path[0])
      row_noun, row_clauses, row_person = self._rows_of_entity(plan, placed)
    else:
      nouns = [self.key_noun(plan, key) for key in plan.keys]
      noun = Noun(join_words([n.singular for n in nouns]), join_words([n.plural for n in nouns]))
      person = False
      row_noun, row_clauses, row_person = self._rows_of_values(plan, placed)
    if plan.beside:
      other = self.noun(query, plan.beside)
      one = article(other.singular)
      row_clauses.append(Clause(verbs=(conjugate(f"have {one}"),), posts=(f"with {one}",)))
    said = self.with_number(row_noun, row_clauses, row_person, "plural")
    group = Group(plan, placed, noun, person, clauses, row_noun, row_clauses, said)
    group.features |= self._features(group)
    return group

  def _rows_of_entity(self, plan: PerGroup, placed: Plan) -> tuple[Noun, list[Clause], bool]:
    """The rows as seen from a group that is a row: the way back to it is not spoken."""
    query, rows, entity = plan.query, plan.rows, plan.entity
    path = query.path(entity, rows)
    back = self._subtree(query, entity, path[0])
    seen = dataclasses.replace(
      placed, own={a: c for a, c in placed.own.items() if a == rows or a not in back}
    )
    if len(path) == 1:
      return self._through_link(query, seen, entity, rows, path[0], counted=True)
    seen.spoken = seen.spoken | set(query.sources)
    clauses = self.clauses(query, seen, rows, None)
    return self.noun(query, rows), clauses, self.person(query, rows)

  def _rows_of_values(self, plan: PerGroup, placed: Plan) -> tuple[Noun, list[Clause], bool]:
    """What is grouped by values. Pairs of rows, by one of the two, are the other rows."""
    query, rows = plan.query, plan.rows
    if plan.pairs:
      return self._through_link(query, placed, "", rows, None)
    clauses = self.clauses(query, placed, rows, None)
    noun = self._row_noun_of_values(plan, bool(clauses))
    return noun, clauses, self.person(query, rows)

  def _row_noun_of_values(self, plan: PerGroup, described: bool) -> Noun:
    """What is grouped by values; the rows of a table that only links others are those others."""
    query, rows = plan.query, plan.rows
    refs = [key.ref for key in plan.keys if isinstance(key, Attribute)]
    owners = {ref.alias for ref in refs}
    measured = {a for n in query.tree.find_all(exp.AggFunc) for a in aliases_of(query, n)}
    end = None
    if len(owners) == 1 and len(refs) == len(plan.keys) and not described:
      table = query.sources[rows]
      if is_pure_link(table) and rows not in owners | measured and not self.has_noun(query, table):
        end = self._far_noun(query, next(iter(owners)), rows)
      elif owners == {rows} and len(query.sources) == len(refs) == 1 and measured <= {rows}:
        end = self._other_end(query, refs[0])
    return end or self.noun(query, rows)

  def _features(self, group: Group) -> set[str]:
    """What guards ask about a group and its rows."""
    plan, noun = group.plan, group.noun.singular
    last, row = noun.split()[-1], group.row_noun.singular.split()[-1]
    values = not plan.entity
    told = {
      "values": values,
      "person": group.person,
      "several": len(plan.keys) > 1,
      "rows-said": group.row_clauses,
      "optional": plan.optional,
      "partial": plan.partial,
      "lacking": plan.lacking,
      "deed": group.person and row in wordings.DEEDS,
      # Nobody is enrolled by another; what people do is said of them.
      "happens": not group.person
      and not values
      and not group.row_clauses
      and row in wordings.EVENT_VERBS
      and wordings.EVENT_VERBS[row][0] not in ("enrolled in", "registered for"),
      "long": noun.startswith("label") or len(noun.split()) > _LONGEST,
    }
    if values:
      told |= {
        "holder": last in wordings.PLACES | wordings.MAKERS | wordings.HOLDERS,
        "in": last in (wordings.PLACES | wordings.HOLDERS) - wordings.MAKERS | wordings.PERIODS,
        "period": noun in wordings.PERIODS,
        "day": last in ("day", "date"),
        "called": all(self._is_called(plan, key) for key in plan.keys),
        "action": _is_action(group.noun),
        "amount": any(isinstance(k, Attribute) and is_amount(k.ref, self.names) for k in plan.keys),
      }
    return holding(told)

  def _is_called(self, plan: PerGroup, key: Key) -> bool:
    """Whether a group is what its rows are called or say: they do not belong to their name."""
    if not isinstance(key, Attribute) or key.ref.alias != plan.rows:
      return False
    name = self.column_name(key.ref)
    named = "name" in name.tags and "place" not in name.tags
    says = named or name.nouns[0].singular.split()[-1] in wordings.SAYINGS
    return says and key.ref.column.kind == "text"

  def key_noun(self, plan: PerGroup, key: Key) -> Noun:
    """What values are called that rows are grouped by, or a column of groups that are rows."""
    if isinstance(key, PartOfDate):
      return self._part_noun(plan.query, key)
    if isinstance(key, Computed):
      return self.item_noun(plan.query, key.node, plan.entity or plan.rows)
    name = self.column_name(key.ref)
    named = {"name", "plain"} <= name.tags or name.names_entity or self._is_called(plan, key)
    if named and not plan.entity:  # "The names with two products" may be anyone's.
      return self._full_name(plan.query, key.ref)
    noun = self.short(key.ref) if key.own else self.qualified(plan.query, key.ref)
    if noun.singular in _SAYS_LITTLE and not plan.entity:
      return name.nouns[0]
    return Noun(noun.singular, f"values of {noun.singular}") if _is_action(noun) else noun

  def _full_name(self, query: Query, ref: Ref) -> Noun:
    """What a name is called away from what it names: "product name", never "product"."""
    owner, name = self.noun(query, ref.alias), self.column_name(ref).nouns[0]
    if " " in name.singular:
      return name
    return Noun(f"{owner.singular} {name.singular}", f"{owner.singular} {name.plural}")

  def _part_noun(self, query: Query, key: PartOfDate) -> Noun:
    """The year, month or day of rows; of which date only where they have several."""
    ref, part = key.attribute.ref, key.part
    dates = [c for c in ref.table.columns if "date" in self.names.column(ref.table, c).tags]
    event = self.column_name(ref).event
    if key.attribute.own and dates == [ref.column] and not (event or self.person(query, ref.alias)):
      return Noun(part, f"{part}s")
    noun = self.short(ref) if key.attribute.own else self.qualified(query, ref)
    if noun.singular == "date":
      noun = self.column_name(ref).nouns[0]  # "The year of the claim date".
    before, _, of = noun.singular.partition("date of ")
    behind = noun.singular.endswith(" date")
    stem = vocabulary.EVENTS_OF_COLUMNS[event][0] if event else ""
    told = {"event": event, "date-of": of and not before, "date-behind": behind}
    told["bound"] = stem in ("start", "end")
    values: dict[str, Value] = {
      "part": part,
      "stem": stem,
      "date": noun.singular,
      "of": of,
      "before": noun.singular.removesuffix(" date"),
    }
    context = Context(holding(told), values)
    said = self.grammar.say("part of date", context, self.rng)
    return Noun(said, plural_of(said))

  def context_of(
    self, group: Group, values: dict[str, Value], features: Iterable[str] = ()
  ) -> Context:
    """What a phrase about a group may ask for."""
    row = group.row_noun.singular.split()[-1]
    known: dict[str, Value] = {
      "noun": group.noun.singular,
      "nouns": group.noun.plural,
      "rows": group.rows,
      "row plural": group.row_noun.plural,
    }
    if "deed" in group.features:
      known |= dict(zip(("past", "participle", "base"), wordings.DEEDS[row], strict=True))
    if "happens" in group.features:
      known["happened"] = wordings.EVENT_VERBS[row][2]
    return Context({*group.features, *features}, known | values)

  def measured(
    self,
    group: Group,
    measure: Measure,
    described: bool,
    alone: bool = True,
    features: Collection[str] = (),
  ) -> str:
    """What is measured of a group: "number of visits". `described` says whether what is said of the
    rows is said here, `alone` whether the rows are not named beside it.
    """
    if isinstance(measure, RowCount):
      return f"number of {group.rows if described else group.row_noun.plural}"
    query, node = group.plan.query, bare(measure.node.unalias())
    if isinstance(node, exp.Round) and aggregate_of(bare(node.this)):
      rounded = self.measured(group, Amount(bare(node.this)), described, alone, features)
      return f"{rounded} {rounding(node.args.get('decimals'))}"
    noun = self.aggregate(query, node, group.plan.rows).singular
    refs = [query.ref(c) for c in own_columns(node)]
    of_ends = f" of the {group.row_noun.singular}"
    if noun.endswith(of_ends) and not (group.row_clauses and described):
      # Of all rows on the other side of a link, each of which has its own.
      whose = "their" if group.plan.entity else "the"
      return f"{noun.removesuffix(of_ends)} of {whose} {group.row_noun.plural}"
    own = [self.belongs(query, ref.alias, group.plan.rows) for ref in refs]
    clauses = bool(group.row_clauses) and described
    if not alone or not own or not (all(own) or clauses):
      return noun
    row = group.row_noun if not group.plan.entity else self.noun(query, group.plan.rows)
    if not clauses and names_rows(noun, row.singular):
      return noun  # No "degrees of degrees".
    inner = bare(node.this) if aggregate_of(node) else None
    short = self.short(refs[0]).singular
    if not clauses and self._counts_for_group(group.plan, refs[0]):
      return noun
    told = {
      "rows-said": clauses,
      "plain": isinstance(inner, exp.Column) and aggregate_of(node) != "count",
      "of": " of " in short or {*short.split()} & {*row.singular.split()},
    }
    values: dict[str, Value] = {
      "measure": noun,
      "rows": group.rows if described else group.row_noun.plural,
      "function": lambda: self.function_word(refs[0], aggregate_of(node)),
      "row": row.singular,
      "column": short,
    }
    # "The average cost" of a doctor is not clear, "the average visit cost" is.
    return self.grammar.say("measure", Context({*holding(told), *features}, values), self.rng)

  def _counts_for_group(self, plan: PerGroup, ref: Ref) -> bool:
    """Whether what the rows count is at once that of the group that they belong to: a movie has
    the stars of its ratings, and none of its own.
    """
    counted = self.column_name(ref).short[0]
    refs = [key.ref for key in plan.keys if isinstance(key, Attribute)]
    if not things_counted(counted.singular) or len(refs) != len(plan.keys):
      return False
    return all(
      key.alias != plan.rows
      and all(counted not in self.names.column(key.table, c).short for c in key.table.columns)
      for key in refs
    )

  def having(self, group: Group) -> list[Clause]:
    """What a query says of its groups, behind their own conditions."""
    return [
      self.condition(group.plan.query, said.node, group.plan.entity)
      if isinstance(said, Unmoved)
      else self._has_rows(group, said, said.value)
      if isinstance(said.measure, RowCount) and isinstance(said.value, Literal)
      else self._has_amount(group, said)
      for said in group.plan.having
    ]

  def _has_rows(self, group: Group, said: MeasureCompare, value: Literal) -> Clause:
    """So many rows: "cities with more than 3 airports", "books borrowed more than once"."""
    if group.plan.partial and (said.operator, value.text) in (("<", "2"), ("<=", "1")):
      # At least one, since the join leaves out those without any.
      said, value = dataclasses.replace(said, operator="="), Literal("1", False)
    features = {OPERATORS.get(said.operator, said.operator)}
    values: dict[str, Value] = {}
    if said.high is not None:
      between = f"between {self.literal(value)} and {self.literal(said.high)}"
      values |= {"counted": f"{between} {group.rows}", "times": f"{between} times"}
    else:
      number = exp.Literal.number(value.text)
      values["counted"] = self.counted(said.operator, number, group.rows)
      if value.text == "1":
        features.add("one")
      if value.text != "1" or not features & {"more", "equal", "at-least"}:
        values["times"] = lambda: self.counted(said.operator, number, "times")
    context = self.context_of(group, values, features)
    group.counted = self.grammar.say("counted rows", context, self.rng)
    context.values["counted rows"] = group.counted
    return self._clause_of("group has", context)

  def some_rows(self, group: Group) -> Clause:
    """That groups have any rows at all: "teachers with lessons"."""
    one = Literal("1", False)
    clause = self._has_rows(group, MeasureCompare(RowCount(), ">=", one), one)
    group.counted = ""  # Nothing asks for it.
    return clause

  def _clause_of(self, construct: str, context: Context) -> Clause:
    """Verbs and what stands behind the noun, all that rows have of them."""
    verbs = self.grammar.every(f"{construct}: verb", context, self.rng)
    posts = self.grammar.every(f"{construct}: post", context, self.rng)
    return Clause(verbs=tuple(map(conjugate, verbs)), posts=tuple(posts))

  def _has_amount(self, group: Group, said: MeasureCompare) -> Clause:
    """Something measured and a value."""
    noun = self.measured(group, said.measure, True, features=("compared",))
    things = things_counted(noun)
    if things and isinstance(said.value, Literal) and said.operator in _SO_MANY:
      number = exp.Literal.number(said.value.text)
      counted = self.counted(said.operator, number, things)
      return self._clause("counted", (), "", {"counted": counted})
    match said.value:
      case Literal():
        value = self.literal(said.value)
      case exp.Subquery():
        value = self.content(read_nested(said.value, group.plan.query))
      case _:
        value = f"the {self.measured(group, said.value, False)}"
    if said.high is not None:
      between = f"between {value} and {self.literal(said.high)}"
      return Clause(noun, f"is {between}", f"{article(noun)} {between}")
    if said.operator == "!=":
      return Clause(noun, f"is not {value}")
    if said.operator == "=":
      return Clause(noun, f"is {value}", f"{article(noun)} of {value}")
    dated = self._dates(group, said.measure)
    clause = self.compared(noun, said.operator, value, "date" if dated else "number")
    # No "total price of purchases in May of more than 5".
    return dataclasses.replace(clause, having="") if " of " in noun else clause

  def _dates(self, group: Group, measure: Key | Measure) -> bool:
    """Whether dates are compared, or their first or last."""
    return (
      isinstance(measure, PartOfDate)
      or isinstance(measure, Attribute)
      and self.style(measure.ref) == "date"
      or isinstance(measure, Amount)
      and isinstance(measure.node, exp.Max | exp.Min)
      and any(self.style(group.plan.query.ref(c)) == "date" for c in own_columns(measure.node))
    )

  def group_top(self, group: Group) -> TopWords | None:
    """The first groups in an order: "the city with the most doctors"; None where all are asked."""
    plan, limit = group.plan, group.plan.limit
    if limit is None:
      return None
    number = "" if limit == 1 else self.small(limit)
    if not plan.order:
      return TopWords(limit, f"first {number}".strip() if limit > 1 else "first", "", [], "")
    by, descending = plan.order[0].by, plan.order[0].descending
    ties = self.ties([(self._order_noun(group, o), o.descending) for o in plan.order[1:]])
    if isinstance(by, Attribute) and plan.entity:
      return self.top_by_column(plan.query, plan.entity, by, descending, limit, ties)
    told = {
      "down": descending,
      "one": limit == 1,
      "tied": ties,
      "said": group.clauses,
      "summed": isinstance(by, Amount) and isinstance(by.node, exp.Sum),
      "timed": self._dates(group, by),
    }
    context = self.context_of(group, {"number": number, "ties": ties}, holding(told))
    if isinstance(by, RowCount):
      return self._top_by_rows(group, limit, number, context)
    if not isinstance(by, Amount):
      end = self.grammar.say("end in order", context, self.rng)
      end = self.superlative(frozenset({"date"}), descending) if told["timed"] else end
      return TopWords(limit, f"{end} {number}".strip(), "", [], "")
    extreme = self.superlative(frozenset({"date" if told["timed"] else "count"}), descending)
    left_out = self._left_out(context) if told["summed"] else ""
    phrase = f"the {extreme} {self.measured(group, by, True)}{left_out}{ties}"
    had = agree(f"have {phrase}", plural=limit > 1)
    return TopWords(limit, number, "", [Clause(having=phrase)], had)

  def _top_by_rows(self, group: Group, limit: int, number: str, context: Context) -> TopWords:
    """The groups with most rows or fewest."""
    context.values["ties"] = f"{self._left_out(context)}{context.value('ties')}"
    group.features |= context.features & {"tied", "down"} | {"most"}
    row = self.grammar.pick("group top", context, self.rng)
    said = self.grammar.fill(row, context, self.rng)
    marked = Context({*context.features, row.mark}, context.values | {"said": said})
    clause = self._clause_of("group top", marked)
    if row.mark == "ranked":
      return TopWords(limit, said, "", [clause], "")
    if row.mark == "adjective":
      behind = [clause] if clause.posts else []
      return TopWords(limit, number, said, behind, agree(f"are the {said}", limit > 1))
    verb = self.rng.choice(clause.verbs)
    return TopWords(limit, number, "", [clause], verb.singular if limit == 1 else verb.plural)

  def _left_out(self, context: Context) -> str:
    """That an inner join leaves out groups without rows, where they would come first."""
    said = self.grammar.say_if("left out", context, self.rng)
    return f" {said}" if said else ""

  def _order_noun(self, group: Group, order: GroupOrder) -> str:
    if isinstance(order.by, Measure):
      return self.measured(group, order.by, False)
    return self.key_noun(group.plan, order.by).singular

  def group_order(self, group: Group) -> str:
    """How groups are sorted, as said last; "" where they are not."""
    if group.plan.limit is not None or not group.plan.order:
      return ""
    return self.ordered_by(
      [
        (
          self._order_noun(group, o),
          o.by.ref if isinstance(o.by, Attribute) else None,
          o.descending,
        )
        for o in group.plan.order
      ],
      {"told"} if group.plan.order[0].by in group.plan.returned else set(),
    )

  def columns_of(self, group: Group) -> list[Noun]:
    """The words of what is returned. Raises UnsupportedQuery: two would be called the same."""
    found: list[Noun] = []
    described = True
    functions = {type(bare(r.node)) for r in group.plan.returned if isinstance(r, Amount)}
    if functions >= {exp.Max, exp.Min}:
      self.ends = pick(self.rng, wordings.EXTREMES).split(", ")
    for value in group.plan.returned:
      if isinstance(value, Measure):
        noun = unchanging(self.measured(group, value, described, bool(group.plan.entity)))
        described = False
      else:
        noun = self.key_noun(group.plan, value)
        if noun in found and isinstance(value, Attribute):
          noun = self.qualified(group.plan.query, value.ref)
      found.append(noun)
    if len({noun.singular for noun in found}) < len(found):
      raise UnsupportedQuery("two columns of the same name")
    return found
