"""The text of URLs and of libpq's key=value form: users, passwords and parameters in it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
URL_BEGIN = re.compile(rf"{SCHEME}://")
FILE_SCHEMES = frozenset({"sqlite", "duckdb", "file"})
_DSN = re.compile(r"\s*(?:\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|\S*)\s*)+\Z")
_DSN_NAME = re.compile(
  r"(?:^|\s)(host|hostaddr|dbname|service|user|password|port)\s*=", re.IGNORECASE
)


def split_user(rest: str) -> tuple[str, str, str]:
  """User, password and what follows them, of a URL without its scheme.

  A password is often written as it is, though a URL wants some characters escaped: all up to the
  last @ before the parameters belongs to it.
  """
  head, question, parameters = rest.partition("?")
  if "@" in head:
    account, _, host = head.rpartition("@")
    host += question + parameters
  elif "@" in parameters and ":" in head and "=" not in parameters.partition("@")[0]:
    account, _, host = rest.rpartition("@")  # The question mark is the password's.
  else:
    return "", "", rest
  user, _, password = account.partition(":")
  return user, password, host


def is_key_value(location: str) -> bool:
  """Whether a location is given as libpq's other form, host=... dbname=..."""
  return bool(_DSN.match(location) and _DSN_NAME.search(location)) and not os.path.exists(location)


def with_parameter(location: str, name: str, values: Sequence[str]) -> str:
  """A URL with `name=value,value` among its parameters."""
  text = ",".join(quote(value) for value in values)
  return f"{location}{'&' if '?' in location else '?'}{name}={text}"


def take_parameter(location: str, name: str) -> tuple[str, tuple[str, ...]]:
  """A URL without a parameter of `with_parameter`, and the parameter's values."""
  match = re.search(rf"[?&]{name}=([^&#]*)", location)
  if not match or not URL_BEGIN.match(location):
    return location, ()
  rest = location[match.end() :]
  # The first parameter is behind a question mark, whichever it is.
  location = location[: match.start()] + (
    f"?{rest[1:]}" if match[0][0] == "?" and rest.startswith("&") else rest
  )
  return location, tuple(map(unquote, filter(None, match[1].split(","))))


def quote(text: str) -> str:
  import urllib.parse  # Not at the top: a worker for SQLite starts without it.

  return urllib.parse.quote(text, safe="")


def unquote(text: str) -> str:
  import urllib.parse

  return urllib.parse.unquote(text)
