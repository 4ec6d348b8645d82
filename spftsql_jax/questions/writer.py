"""The writer of whole questions: picks the layout that a query needs."""

from __future__ import annotations

import dataclasses

from spftsql_jax.questions.parts import Message
from spftsql_jax.questions.query_meaning import Query, SetQuery, UnsupportedQuery
from spftsql_jax.questions.sets import Sets
from spftsql_jax.questions.syntax import aggregate_in


class QuestionWriter(Sets):
  """Words whole queries."""

  def message(self, query: Query | SetQuery) -> Message:
    """What a query asks for. Raises UnsupportedQuery."""
    if isinstance(query, SetQuery):
      return self._combined(query)
    if query.derived is not None:
      return self._derived(query)
    aggregates = [aggregate_in(i) for i in query.items]
    if query.group:
      return self._grouped(query)
    if any(aggregates):
      if not all(aggregates) or query.having:
        raise UnsupportedQuery("a column beside an aggregate without GROUP BY")
      if query.order or query.limit is not None:
        query = dataclasses.replace(query, order=[], limit=None)
      return self._aggregated(query)
    if query.having:
      raise UnsupportedQuery("HAVING without GROUP BY")
    return self.listing(query)

  def content(self, query: Query | SetQuery) -> str:
    """What a nested query returns, as one definite noun phrase."""
    before, self.whole = self.whole, False
    message = self.message(query)
    self.whole = before
    if message.tail:
      raise UnsupportedQuery("an order inside a nested query")
    return f"{message.content} {message.lead}".strip().rstrip(",")
