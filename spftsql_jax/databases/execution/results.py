"""What running a statement gave."""

from __future__ import annotations

import dataclasses
from typing import Literal

from spftsql_jax.databases.cells import Rows

Status = Literal["ok", "error", "timeout", "refused", "resource"]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
  """What running one statement gave.

  Attributes:
    status: "ok"; "error" (the engine says the statement is wrong); "timeout"; "refused" (not a
      single SELECT, or not allowed); "resource" (memory, rows, bytes or another limit, or the
      worker died of it).
    columns: names of the result's columns, empty unless ok.
    rows: the rows in the engine's order, empty unless ok.
    seconds: time the engine took, the transfer between processes not counted.
    transient: it is not ok for a reason that is no property of the statement (a lock, a lost
      connection, a database that cannot be opened, a full disk, a worker that was killed), so that
      it may well run another time.
    message: why it is not ok, or `engines.sqlite.NOT_UTF8` where text was decoded with bytes left
      out, else "".
  """

  status: Status
  columns: tuple[str, ...] = ()
  rows: Rows = ()
  seconds: float = 0.0
  message: str = ""
  transient: bool = False

  @property
  def ok(self) -> bool:
    return self.status == "ok"
