"""What may be done with databases that is not done unless a person says so.

A launch script sets it for its whole process and those it starts (through the environment, which
worker processes and process pools inherit); `Executor` and `open_database` take it as an argument,
too.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterable, Iterator

_SUPERUSER, _FUNCTIONS = "SPFTSQL_ALLOW_SUPERUSER", "SPFTSQL_ALLOW_FUNCTIONS"
_superuser_here: contextvars.ContextVar[bool | None] = contextvars.ContextVar(
  "superuser_here", default=None
)


def allow(superuser: bool = False, functions: Iterable[str] = ()) -> None:
  """Sets what this process and its children may do; see `superuser_allowed` and
  `functions_allowed`.
  """
  os.environ.pop(_SUPERUSER, None)
  if superuser:
    os.environ[_SUPERUSER] = "1"
  os.environ[_FUNCTIONS] = ",".join(functions)


@contextlib.contextmanager
def allowing(superuser: bool | None) -> Iterator[None]:
  """Allows a superuser, or with False does not, within the block; None leaves it as it is."""
  token = _superuser_here.set(_superuser_here.get() if superuser is None else superuser)
  try:
    yield
  finally:
    _superuser_here.reset(token)


def environment(superuser: bool | None, functions: Iterable[str] | None) -> dict[str, str]:
  """The environment of a worker process that may do that; None is what this process may do."""
  variables = dict(os.environ)
  if superuser is not None:
    variables[_SUPERUSER] = "1" if superuser else "0"
  if functions is not None:
    variables[_FUNCTIONS] = ",".join(functions)
  return variables


def superuser_allowed() -> bool:
  """Whether PostgreSQL may be used as a superuser, or as a role with rights on the server
  itself.
  """
  here = _superuser_here.get()
  return os.environ.get(_SUPERUSER) == "1" if here is None else here


def functions_allowed() -> frozenset[str]:
  """Names of PostgreSQL functions that a query may call although they did not come with the
  server.
  """
  return frozenset(
    filter(None, (name.strip() for name in os.environ.get(_FUNCTIONS, "").split(",")))
  )
