"""One question with its SQL."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Example:
  """A question, the database it is asked of, and the SQL that answers it.

  Attributes:
    db_id: name of the database.
    question: what a person asks.
    query: the gold SQL, in the database's own dialect.
    evidence: external knowledge given with the question (BIRD), or "".
    template: identifier of the query's template, or "" where it was not extracted.
    source: where the example comes from: "gold", "rules" (question by rule) or "model" (question by
      the SQL-to-text model).
  """

  db_id: str
  question: str
  query: str
  evidence: str = ""
  template: str = ""
  source: str = "gold"
