"""Conditions that hold a query, as plans."""

from __future__ import annotations

from spftsql_jax.questions.query_meaning import Ref
from spftsql_jax.schema import ForeignKey


def key_between(child: Ref, parent: Ref) -> ForeignKey | None:
  """The one-column foreign key from `child` to `parent`.

  Declared, or plain to see: the same name, a primary key.
  """
  own, referred = child.column.name.lower(), parent.column.name.lower()
  for key in child.table.foreign_keys:
    if key.referred_table.lower() == parent.table.name.lower() and [
      c.lower() for c in key.columns
    ] == [own]:
      return key
  if (
    own == referred
    and child.table.name.lower() != parent.table.name.lower()
    and [c.lower() for c in parent.table.primary_key] == [referred]
    and [c.lower() for c in child.table.primary_key] != [own]
  ):
    return ForeignKey((child.column.name,), parent.table.name, (parent.column.name,), inferred=True)
  return None
