"""What the pool and its worker processes say to each other.

A message is a 4-byte little-endian length and a `marshal` value, on both sides of one machine and
one Python version. The pool sends batches of jobs, the worker answers each job in order, and in
between says how it is getting on (`READY`, `OPENING`, `WORKING`, `RETIRED`).

A job is a tuple (function, timeout_s, arguments):

- function `STATEMENT`: arguments (location, identity, sql, max_rows, max_bytes). Answered by
  (status, columns, packed rows, seconds, message, transient), as in `Result`.
- function "package.module:name": the worker imports it and calls it with a `Session` and the
  arguments. Answered by (CALLED, what it returned). Whoever sends such a job owns the function:
  the pool knows nothing of what is done there.

A worker is killed where it has been silent for longer than `timeout_s` and a grace.
"""

from __future__ import annotations

import marshal
import struct

STATEMENT = ""
# Beyond the time limit of a statement, for an engine that is slow to stop.
GRACE_S = 0.5
# For opening a database: loading the engine's library, or reaching its server.
OPEN_LIMIT_S = 20.0
# What a worker says first, where it ends by itself, before it opens a database, and now and then
# during a long job.
READY, RETIRED, OPENING, WORKING = "ready", "retired", "opening", "working"
# Begins the answer to a job that called a function.
CALLED = "called"

_LENGTH = struct.Struct("<I")
LENGTH_BYTES = _LENGTH.size
# How the rows of a result are packed; the first byte of each piece.
_MARSHAL, _PICKLE = b"m", b"p"

# (function, timeout_s, arguments)
Job = tuple[str, float, tuple]
# (status, columns, packed rows, seconds, message, transient)
Outcome = tuple[str, tuple[str, ...], list[bytes], float, str, bool]


def pack_rows(rows: list[tuple]) -> bytes:
  """Rows as bytes: marshal where it can (several times faster), pickle for dates and decimals."""
  try:
    return _MARSHAL + marshal.dumps(rows)
  except ValueError:
    import pickle  # rarely needed, and a worker should start at once

    return _PICKLE + pickle.dumps(rows, protocol=5)


def unpack_rows(pieces: list[bytes]) -> tuple[tuple, ...]:
  """The rows packed by `pack_rows`, of all pieces."""
  rows: list[tuple] = []
  for piece in pieces:
    if piece[:1] == _MARSHAL:
      rows += marshal.loads(memoryview(piece)[1:])
    else:
      import pickle

      rows += pickle.loads(piece[1:])
  return tuple(rows)


def frame(value: tuple | list | str) -> bytes:
  """`value` with its length in front."""
  payload = marshal.dumps(value)
  return _LENGTH.pack(len(payload)) + payload


def length_of(header: bytes) -> int:
  """The length of the value behind a message's first `LENGTH_BYTES`."""
  return _LENGTH.unpack(header)[0]


def unframe(buffer: bytearray) -> list:
  """Takes all complete values off the front of `buffer`."""
  values = []
  start = 0
  while len(buffer) - start >= LENGTH_BYTES:
    (length,) = _LENGTH.unpack_from(buffer, start)
    end = start + LENGTH_BYTES + length
    if len(buffer) < end:
      break
    values.append(marshal.loads(memoryview(buffer)[start + LENGTH_BYTES : end]))
    start = end
  del buffer[:start]
  return values
