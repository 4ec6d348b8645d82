"""A synthesized example: a question, its query, and what they were made of."""

from __future__ import annotations

import dataclasses
from typing import Any

from spftsql_jax.examples.example import Example


@dataclasses.dataclass(frozen=True)
class SyntheticExample:
  """A question and its query, with what they were made of.

  `template` is the template's id, `skeleton` its text; `columns` are written "table.column";
  `attempt` orders the examples of a database; `repaired` says what was done to a query that failed
  at first, or "".
  """

  db_id: str
  question: str
  query: str
  template: str
  skeleton: str
  tables: tuple[str, ...]
  columns: tuple[str, ...]
  source: str = "rules"
  attempt: int = 0
  repaired: str = ""

  def example(self) -> Example:
    return Example(
      self.db_id, self.question, self.query, template=self.template, source=self.source
    )

  def to_json(self) -> dict[str, object]:
    record = dataclasses.asdict(self)
    record["tables"], record["columns"] = list(self.tables), list(self.columns)
    return record

  @classmethod
  def from_json(cls, record: dict[str, Any]) -> SyntheticExample:
    return cls(**record | {"tables": tuple(record["tables"]), "columns": tuple(record["columns"])})
