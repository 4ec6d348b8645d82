"""The database engines, a folder for each.

Every one gives what `interface.Engine` asks for: a connection for readers of ours, a `Connection`
that runs a model's statements under limits inside a worker process, and what tells whether a
statement may be run at all. In each folder

- `connection` opens a database and runs one statement,
- `fence` says what is not run,
- `values` (where the driver alone does not do) makes the engine's values Python's.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # As in typing, which a worker for SQLite does not import.
if TYPE_CHECKING:
  from typing import Any

  from spftsql_jax.databases.engines.interface import Engine

# What other open databases may hold of a worker's memory while a statement runs, beside its own
# limit.
RESTING_BYTES = 64_000_000


def engine_module(name: str) -> Engine:
  """An engine by its name (see `locations.engine_of`).

  It is imported when it is first needed: a worker for SQLite never loads a driver.
  """
  module: Any = importlib.import_module(f"{__name__}.{name}")
  return module
