"""Counts in English: "How many doctors are there?", "the number of different cities of ..."."""

from __future__ import annotations

from spftsql_jax.questions.grammar import Context, Value
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import Clause, Message, join_words
from spftsql_jax.questions.plan import Count, Counted, CountKnown, CountValues
from spftsql_jax.questions.plan_listings import is_key
from spftsql_jax.questions.query_meaning import Query, Ref
from spftsql_jax.questions.superlatives import Superlatives

# How often a whole question or command is said.
_COUNT_RATE = 0.8
_VALUES_RATE = 0.55
_KNOWN_RATE = 0.4


class Counts(Superlatives):
  """Words queries that return one count."""

  def count(
    self,
    plan: Counted,
    noun: Noun,
    clauses: list[Clause],
    person: bool,
  ) -> Message:
    """One count over rows of which `clauses` are said."""
    entity = self.with_number(noun, clauses, person, "plural")
    features = {"said"} if clauses else set()
    if clauses and all(c.verbs or c.having for c in clauses):
      features.add("verbal")
    values: dict[str, Value] = {
      "things": entity,
      "nouns": noun.plural,
      "do": lambda: join_words([self.verb(c, True) for c in clauses]),
    }
    match plan:
      case Count():
        if plan.distinct and (not clauses or self.maybe(0.5)):
          different = self.distinct_word()
          values |= {"things": f"{different} {entity}", "nouns": f"{different} {noun.plural}"}
        return self._counted("count", "count question", _COUNT_RATE, Context(features, values))
      case CountValues():
        return self._different(plan, features, values)
      case CountKnown():
        ref = plan.attribute.ref
        word = self.short(ref) if plan.attribute.own else self.qualified(plan.rows.query, ref)
        values |= {"values": word.plural, "value": self.short(ref).singular}
        return self._counted("known", "known question", _KNOWN_RATE, Context(features, values))

  def _different(self, plan: CountValues, features: set[str], values: dict[str, Value]) -> Message:
    query, head, ref = plan.rows.query, plan.rows.head, plan.attribute.ref
    values |= {
      "values": self.counted_things(query, ref, head),
      "different": self.distinct_word(),
    }
    alone = ref.alias == head and len(query.sources) == 1 and "said" not in features
    end = self._other_end(query, ref) if alone else None
    if end is not None:
      of_end = Context((), {"noun": end.singular, "nouns": end.plural})
      values["end"] = self.grammar.say("some", of_end, self.rng)
      return self._counted("linked", "linked question", 0.5, Context(features, values))
    if self._shared_word(query, ref):
      features.add("shared")
    return self._counted(
      "different values", "different values question", _VALUES_RATE, Context(features, values)
    )

  def _counted(self, section: str, question: str, rate: float, context: Context) -> Message:
    if self.whole and self.maybe(rate):
      sentence = self.grammar.say(question, context, self.rng)
      return Message(sentence, False, sentences=(sentence,), sentence_rate=1.0)
    return Message(self.grammar.say(section, context, self.rng), False)

  def counted_things(self, query: Query, ref: Ref, head: str) -> str:
    """What COUNT(DISTINCT column) counts: rows of the table a key points to, or values."""
    if is_key(ref):
      return self.noun(query, ref.alias).plural
    for key in ref.table.foreign_keys:
      if len(key.columns) == 1 and key.columns[0].lower() == ref.column.name.lower():
        return self._referred_noun(query, key).plural
    if self.column_name(ref).names_entity and self.maybe(0.3):
      return f"{self.noun(query, ref.alias).singular} {self.short(ref).plural}"
    return (
      self.short(ref) if self.belongs(query, ref.alias, head) else self.qualified(query, ref)
    ).plural

  def _shared_word(self, query: Query, ref: Ref) -> bool:
    """Whether another table has a column of the same name: then the table must be said."""
    said = {noun.singular for noun in self.column_name(ref).short}
    return any(
      said.intersection(noun.singular for noun in self.names.column(t, c).short)
      for t in query.schema.tables
      for c in t.columns
      if t is not ref.table
    )
