"""Locations of databases as text: showing them without their secrets, and taking a list of them
apart.

Everything that prints or stores a location, or a message that may repeat one, goes through
`without_password` or `hide_passwords`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

HIDDEN = "***"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
# A folder between "scheme:" and the rest may have lost a slash, as pathlib does to a URL.
_URL = re.compile(rf"({_SCHEME}):(/{{1,3}})((?:(?!,{_SCHEME}:/)[^\s\"'`<>])*)")
_URL_BEGIN = re.compile(rf"{_SCHEME}://")
_FILE_SCHEMES = frozenset({"sqlite", "duckdb", "file"})
# Parameters of libpq that are secrets or lead to them: password, passfile, sslpassword,
# oauth_client_secret, scram_client_key.
_SECRET_NAME = r"[A-Za-z_]*(?:pass|secret|token|scram)[A-Za-z_]*"
_SECRET_PARAMETER = re.compile(rf"({_SECRET_NAME})=([^&#\s]*)", re.IGNORECASE)
_SECRET_PAIR = re.compile(
  r"\b((?:ssl)?password|passfile|oauth_client_secret|scram_(?:client|server)_key)(\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&,'\"]+)",
  re.IGNORECASE,
)
_DSN = re.compile(r"\s*(?:\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|\S*)\s*)+\Z")
_DSN_NAME = re.compile(
  r"(?:^|\s)(host|hostaddr|dbname|service|user|password|port)\s*=", re.IGNORECASE
)
_BEGINS_PATH = ("/", "./", "../", "~/")
# Shorter secrets are taken out where they stand alone: they may be a part of any word.
_SHORT = 6


def without_password(location: str) -> str:
  """The location as it may be shown: no password, nor what leads to one."""
  begin = _URL_BEGIN.match(location)
  if not begin:
    return _SECRET_PAIR.sub(_hide_pair, location)
  return begin.group() + _without_secrets(begin.group()[:-3], location[begin.end() :])


def hide_passwords(text: str, *locations: str) -> str:
  """A text that may repeat locations, or parts of them, as it may be shown.

  Args:
    text: a message, of a driver say, which may cut a URL into pieces.
    locations: whose secrets are taken out in whatever form they come.
  """
  for location in locations:
    text = text.replace(location, without_password(location)) if location else text
  text = _URL.sub(
    lambda match: f"{match[1]}:{match[2]}{_without_secrets(match[1], match[3])}", text
  )
  text = _SECRET_PAIR.sub(_hide_pair, text)
  for secret in sorted(
    {secret for location in locations for secret in secrets_of(location)}, key=len, reverse=True
  ):
    pattern = (
      re.escape(secret) if len(secret) >= _SHORT else rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])"
    )
    text = re.sub(pattern, HIDDEN, text)
  return text


def hide_in(value: object) -> object:
  """A value of lists, dicts and texts (a config, a record) as it may be stored: without
  passwords."""
  if isinstance(value, str):
    return hide_passwords(value)
  if isinstance(value, dict):
    return {name: hide_in(each) for name, each in value.items()}
  return type(value)(map(hide_in, value)) if isinstance(value, (list, tuple)) else value


def secrets_of(location: str) -> set[str]:
  """The secrets in a location, as they stand there and decoded; none that is the user's or the
  database's name too."""
  begin = _URL_BEGIN.match(location)
  if not begin:
    pairs = _SECRET_PAIR.finditer(location) if is_key_value(location) else ()
    return {value for pair in pairs if (value := pair[3].strip("'")) and value != HIDDEN}
  if begin.group()[:-3].lower().partition("+")[0] in _FILE_SCHEMES:
    return set()
  user, password, rest = split_user(location[begin.end() :])
  found = {password} if password else set()
  found |= {pair[2] for pair in _SECRET_PARAMETER.finditer(_unquote(rest.partition("?")[2]))}
  found |= {pair[2] for pair in _SECRET_PARAMETER.finditer(rest.partition("?")[2])}
  found |= set(map(_unquote, found))
  public = {user, _unquote(user), *re.split(r"[/:,?]", rest.partition("?")[0])}
  return {each for each in found if each and each not in public}


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


def split_locations(values: Iterable[str]) -> list[str]:
  """The locations in the values of a flag that may be repeated and may hold several, with commas
  between them.

  A comma ends a location where another one begins behind it. A URL may hold commas itself (in a
  password, options, a list of
  hosts): it goes on, unless what follows is another URL, or a path that begins with a slash or is
    there.
  """
  found: list[str] = []
  for value in values:
    begins = len(found)
    for piece in [value] if os.path.exists(value) else value.split(","):
      in_url = len(found) > begins and _URL_BEGIN.match(found[-1])
      if in_url and not (
        _URL_BEGIN.match(piece)
        or piece.startswith(_BEGINS_PATH)
        or (piece and os.path.exists(piece))
      ):
        found[-1] += f",{piece}"
      elif piece.strip() or in_url:
        found.append(piece.strip())
  return found


def with_parameter(location: str, name: str, values: Sequence[str]) -> str:
  """A URL with `name=value,value` among its parameters."""
  text = ",".join(_quote(value) for value in values)
  return f"{location}{'&' if '?' in location else '?'}{name}={text}"


def take_parameter(location: str, name: str) -> tuple[str, tuple[str, ...]]:
  """A URL without a parameter of `with_parameter`, and the parameter's values."""
  match = re.search(rf"[?&]{name}=([^&#]*)", location)
  if not match or not _URL_BEGIN.match(location):
    return location, ()
  rest = location[match.end() :]
  # The first parameter is behind a question mark, whichever it is.
  location = location[: match.start()] + (
    f"?{rest[1:]}" if match[0][0] == "?" and rest.startswith("&") else rest
  )
  return location, tuple(map(_unquote, filter(None, match[1].split(","))))


def _quote(text: str) -> str:
  import urllib.parse  # Not at the top: a worker for SQLite starts without it.

  return urllib.parse.quote(text, safe="")


def _unquote(text: str) -> str:
  import urllib.parse

  return urllib.parse.unquote(text)


def _without_secrets(scheme: str, rest: str) -> str:
  if scheme.lower().partition("+")[0] in _FILE_SCHEMES:
    return rest
  user, password, host = split_user(rest)
  head, question, parameters = host.partition("?")
  shown = "&".join(map(_shown_parameter, parameters.split("&")))
  return (f"{user}@" if user else "") + head + question + shown


def _shown_parameter(text: str) -> str:
  name, equals, value = text.partition("=")
  is_secret = equals and value and re.fullmatch(_SECRET_NAME, _unquote(name).strip(), re.IGNORECASE)
  return f"{name}={HIDDEN}" if is_secret else text


def _hide_pair(match: re.Match) -> str:
  return f"{match[1]}{match[2]}{HIDDEN}"
