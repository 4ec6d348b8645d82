"""How PostgreSQL's values become Python's: by the driver's loaders, and where Python has no such
value, as the server's text.

Dates of PostgreSQL reach from 4713 BC to 5874897 and on to infinity, a time may be 24:00, a number
in JSON may have any number of digits. One such value in a column shall make neither a table nor a
right query unreadable.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import re

import psycopg
from psycopg import adapt, pq
from psycopg.abc import AdaptContext, Buffer
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader

from spftsql_jax.databases.cells import ServerText

# Loaders that never fail are left alone: most values are of these types, and the driver's own code
# is fast.
_NEVER_FAIL = frozenset(
  [
    "bool",
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "text",
    "varchar",
    "bpchar",
    "name",
    '"char"',
    "uuid",
  ]
)
_TEXT_TYPES = ("text", "varchar", "bpchar", "name", '"char"')
# What the driver's loaders raise for a value that Python's type does not have.
_NO_SUCH_VALUE = (psycopg.Error, ValueError, ArithmeticError, NotImplementedError, RecursionError)
_INTERVAL = re.compile(
  rb"(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? "
  rb"?)?(?:([+-]?)(\d+):(\d+):(\d+)(\.\d+)?)?"
)
# What PostgreSQL takes them for when it compares intervals.
_DAYS_OF_YEAR, _DAYS_OF_MONTH = 360, 30


def register_loaders(connection: psycopg.Connection) -> None:
  """Lets `connection` (autocommit) give the server's text for each value that Python has none for.

  Text that is not UTF-8, of a server that does not say how it is encoded, is read without the bytes
  that cannot be.
  """
  # The forms that the loaders know; a role or database may be set to others.
  connection.execute("SET datestyle = ISO; SET intervalstyle = postgres")
  set_json_loads(_load_json, connection)
  connection.adapters.register_loader("interval", _Interval)
  for oid in _oids_that_may_fail():
    loader = connection.adapters.get_loader(oid, pq.Format.TEXT)
    if loader is not None:
      connection.adapters.register_loader(oid, _lenient(loader, str))
  if _undeclared(connection):
    # Text in any encoding would be refused otherwise.
    connection.execute("SET client_encoding = 'SQL_ASCII'")
    _register_text(connection, _TextWithoutBadBytes)


def mark_undecodable(connection: psycopg.Connection) -> None:
  """For readers of ours: tells text from what is only written as text.

  Text that is not UTF-8 comes with U+FFFD where it cannot be read; the server's text for values
  that Python does not have, as ServerText, except of types that the server counts among strings and
  enumerations.
  """
  for oid in _oids_that_may_fail():
    own = getattr(connection.adapters.get_loader(oid, pq.Format.TEXT), "replaced", None)
    if own is not None:
      connection.adapters.register_loader(oid, _lenient(own, ServerText))
  if _undeclared(connection):
    _register_text(connection, _TextWithMarks)
  textual = connection.execute(
    "SELECT oid, typname FROM pg_catalog.pg_type WHERE typcategory IN ('S', 'E')"
  ).fetchall()
  connection.rollback()
  text = connection.adapters.get_loader(psycopg.adapters.types["text"].oid, pq.Format.TEXT)
  assert text is not None
  for oid, name in textual:
    if name not in _TEXT_TYPES:
      connection.adapters.register_loader(oid, text)
  connection.adapters.register_loader(0, _ServerText)


def _undeclared(connection: psycopg.Connection) -> bool:
  return connection.info.parameter_status("server_encoding") == "SQL_ASCII"


def _register_text(connection: psycopg.Connection, loader: type[TextLoader]) -> None:
  for name in _TEXT_TYPES:
    connection.adapters.register_loader(name, loader)
  # Of types that the driver does not know, say enumerations.
  connection.adapters.register_loader(0, loader)


class _TextWithoutBadBytes(TextLoader):
  def load(self, data: Buffer) -> str:
    return bytes(data).decode(errors="ignore")


class _TextWithMarks(TextLoader):
  def load(self, data: Buffer) -> str:
    return bytes(data).decode(errors="replace")


class _ServerText(TextLoader):
  def load(self, data: Buffer) -> ServerText:
    return ServerText(bytes(data).decode(errors="replace"))


@functools.cache
def _oids_that_may_fail() -> tuple[int, ...]:
  """The types that the driver knows, but for those whose loaders never fail; arrays of these
  may.
  """
  known = [
    (info.array_oid, 0 if info.name in _NEVER_FAIL else info.oid) for info in psycopg.adapters.types
  ]
  return tuple(oid for pair in known for oid in pair if oid)


@functools.cache
def _lenient(own: type[adapt.Loader], text: type[str]) -> type[adapt.Loader]:
  """A loader that gives the server's text, as a `text`, where the loader `own` finds no value."""

  class Lenient(adapt.Loader):
    replaced = own

    def __init__(self, oid: int, context: AdaptContext | None = None):
      super().__init__(oid, context)
      self._own = own(oid, context)

    def load(self, data: Buffer) -> object:
      try:
        return self._own.load(data)
      except _NO_SUCH_VALUE:
        return text(bytes(data).decode(errors="replace"))

  return Lenient


class _Interval(adapt.Loader):
  """Intervals that are equal where PostgreSQL finds them equal (the driver's years are longer, and
  overflow).
  """

  def load(self, data: Buffer) -> datetime.timedelta:
    found = _INTERVAL.fullmatch(data)
    if found is None:
      raise ValueError("an interval in another style")
    years, months, days = (int(found[i] or 0) for i in (1, 2, 3))
    hours, minutes, seconds = (int(found[i] or 0) for i in (5, 6, 7))
    time = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds + float(found[8] or 0))
    whole = datetime.timedelta(days=years * _DAYS_OF_YEAR + months * _DAYS_OF_MONTH + days)
    return whole - time if found[4] == b"-" else whole + time


def _load_json(data: str | bytes) -> object:
  """JSON with its numbers exact and all its members in order, as pairs. Raises ValueError for what
  is no Unicode text.
  """
  value = json.loads(data, parse_float=_exact_number, object_pairs_hook=tuple)
  if "\\u" in data if isinstance(data, str) else b"\\u" in data:
    # Half a surrogate pair, which no UTF-8 file can take.
    json.dumps(value, ensure_ascii=False, default=str).encode()
  return value


def _exact_number(text: str) -> float | decimal.Decimal:
  exact, value = decimal.Decimal(text), float(text)
  return value if abs(value) != float("inf") and decimal.Decimal(repr(value)) == exact else exact
