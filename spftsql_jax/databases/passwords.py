"""Showing locations of databases without their secrets.

Everything that prints or stores a location, or a message that may repeat one, goes through
`without_password` or `hide_passwords`.
"""

from __future__ import annotations

import re

from spftsql_jax.databases.urls import (
  FILE_SCHEMES,
  SCHEME,
  URL_BEGIN,
  is_key_value,
  split_user,
  unquote,
)

HIDDEN = "***"
# A folder between "scheme:" and the rest may have lost a slash, as pathlib does to a URL.
_URL = re.compile(rf"({SCHEME}):(/{{1,3}})((?:(?!,{SCHEME}:/)[^\s\"'`<>])*)")
# Parameters of libpq that are secrets or lead to them: password, passfile, sslpassword,
# oauth_client_secret, scram_client_key.
_SECRET_NAME = r"[A-Za-z_]*(?:pass|secret|token|scram)[A-Za-z_]*"
_SECRET_PARAMETER = re.compile(rf"({_SECRET_NAME})=([^&#\s]*)", re.IGNORECASE)
_SECRET_PAIR = re.compile(
  r"\b((?:ssl)?password|passfile|oauth_client_secret|scram_(?:client|server)_key)(\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&,'\"]+)",
  re.IGNORECASE,
)
# Shorter secrets are taken out where they stand alone: they may be a part of any word.
_SHORT = 6


def without_password(location: str) -> str:
  """The location as it may be shown: no password, nor what leads to one."""
  begin = URL_BEGIN.match(location)
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
  begin = URL_BEGIN.match(location)
  if not begin:
    pairs = _SECRET_PAIR.finditer(location) if is_key_value(location) else ()
    return {value for pair in pairs if (value := pair[3].strip("'")) and value != HIDDEN}
  if begin.group()[:-3].lower().partition("+")[0] in FILE_SCHEMES:
    return set()
  user, password, rest = split_user(location[begin.end() :])
  found = {password} if password else set()
  found |= {pair[2] for pair in _SECRET_PARAMETER.finditer(unquote(rest.partition("?")[2]))}
  found |= {pair[2] for pair in _SECRET_PARAMETER.finditer(rest.partition("?")[2])}
  found |= set(map(unquote, found))
  public = {user, unquote(user), *re.split(r"[/:,?]", rest.partition("?")[0])}
  return {each for each in found if each and each not in public}


def _without_secrets(scheme: str, rest: str) -> str:
  if scheme.lower().partition("+")[0] in FILE_SCHEMES:
    return rest
  user, password, host = split_user(rest)
  head, question, parameters = host.partition("?")
  shown = "&".join(map(_shown_parameter, parameters.split("&")))
  return (f"{user}@" if user else "") + head + question + shown


def _shown_parameter(text: str) -> str:
  name, equals, value = text.partition("=")
  is_secret = equals and value and re.fullmatch(_SECRET_NAME, unquote(name).strip(), re.IGNORECASE)
  return f"{name}={HIDDEN}" if is_secret else text


def _hide_pair(match: re.Match) -> str:
  return f"{match[1]}{match[2]}{HIDDEN}"
