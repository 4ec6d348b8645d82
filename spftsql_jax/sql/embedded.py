"""SQL inside other text.

It stands in a fence, a code span, a string of JSON or of a program, behind a label or prose.

Of several fences the last one with SQL is read: models draft first and answer last. A fence of
another language, or one without a query, is not read where there is a better one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spftsql_jax.sql import prose
from spftsql_jax.sql.beginnings import QUERY
from spftsql_jax.sql.lexemes import lexemes

FENCE = re.compile(
  r"(?:(?<![`'\"\w])(?P<ticks>`{3,})|^[ \t]*(?P<tildes>~{3,}))"
  r"[ \t]*(?P<language>(?!(?:SELECT|WITH|VALUES|FROM|TABLE)\b)[A-Za-z][\w+#.]*)?(?:[ "
  r"\t]*(?:\{|\w+=)[^\n]*)?",
  re.MULTILINE | re.IGNORECASE,
)
_SQL_LANGUAGE = re.compile(r"sql|postgres|duckdb", re.IGNORECASE)
# A colon, an opening tag, or a first line with the language alone (where the prompt ends in an open
# fence).
_LABEL_END = re.compile(
  r"[:\uff1a][\s*_>#]*|<[A-Za-z_][\w-]*(?:\s+\w+=\"[^\"]*\")*>\s*"
  r"|\A\s*(?:\w*sql\w*|postgres|duckdb)[ \t]*\r?\n\s*",
  re.IGNORECASE,
)
# Where SQL may begin in other text: in quotation marks, behind a mark or a prompt, on a line of its
# own, or anywhere as the capitals SELECT and FROM.
_QUOTES = re.compile(r"(?P<quotes>\"{3}|'{3}|[\"'])(?:sql\b)?\s*(?=[\w(-])", re.IGNORECASE)
_LINE_BEGIN = re.compile(
  r"^[ \t\u200b\xa0]*(?:[-*\u2022>][ \t]+|\d+[.)][ \t]+|\[/?\w+\]\s*|\w*[=-]?\#?>\s*"
  r"|\w+[ ]*(?:[=-]>|=)\s*|(?:'{3}|\"{3})?[ \t]*sql\s+|[\"'\u201c\xab]+)?",
  re.MULTILINE | re.IGNORECASE,
)
_TABLE_NAMED = re.compile(r"\bFROM\s+\S", re.IGNORECASE)
_INSTRUCTION = re.compile(r"\[/\w+\]\s*")
_CAPITALS = re.compile(r"(?<![\w`'\"])(?=SELECT\s[^;]{0,2000}?\sFROM\s)")
_ANY_FENCE = re.compile(r"(?P<ticks>`{3,})\w*[ \t]*\r?\n(?P<inside>(?s:.*?))(?:(?P=ticks)|\Z)")
_LONGEST_LABEL = 2_000  # Characters before the SQL, an explanation among them.
_SPAN = re.compile(r"(?<![`\w])`{1,2}(?!`)")


def fenced(text: str, dialect: str) -> str | None:
  """The SQL in a text's fences, None where there is none."""
  found: list[tuple[int, str]] = []
  hidden = _hidden(text, dialect) if FENCE.search(text) and QUERY.match(text) else []
  at = 0
  while opening := FENCE.search(text, at):
    at = opening.end()
    if any(begin < opening.start() < end for begin, end in hidden):
      continue
    ticks, tildes = opening["ticks"], opening["tildes"]
    close = (
      rf"(?<!['\"])`{{{len(ticks)},}}(?=\s|\Z)" if ticks else rf"^[ \t]*~{{{len(tildes)},}}[ \t]*$"
    )
    # A fence inside a literal closes nothing, as far as it is SQL that stands here.
    start = opening.end()
    if QUERY.match(text, start):
      start = next(
        (p for p, lexeme in _marks(text, dialect, start) if lexeme.startswith(ticks or tildes)),
        start,
      )
    closing = re.compile(close, re.MULTILINE).search(text, start)
    content = text[opening.end() : closing.start() if closing else len(text)].strip()
    at = closing.end() if closing else len(text)
    named = bool(_SQL_LANGUAGE.search(opening["language"] or ""))
    query = QUERY.match(content) is not None
    if not query and (labelled := behind_label(content)):
      content, query = labelled, True
    if content and (named or query):
      found.append((2 * query + named, content))
  # `max` takes the first of equals.
  return max(reversed(found), key=lambda each: each[0])[1] if found else None


def behind_label(text: str) -> str | None:
  """The SQL in a code span, or behind a label that ends in a colon; None where the text begins with
  it or has none.
  """
  if QUERY.match(text):
    return None
  head = text[:_LONGEST_LABEL].partition(";")[0]
  places = sorted(
    {
      0,
      *(match.end() for match in _LABEL_END.finditer(head)),
      *(match.start() for match in _SPAN.finditer(head)),
    }
  )
  for place in places:
    if QUERY.match(text, place):
      return text[place:]
    ticks = _SPAN.match(text, place)
    if ticks and QUERY.match(text, ticks.end()):
      inside = _span(text, ticks.end(), ticks.group())
      # "We need a `SELECT` with ...": a word of the grammar, where the query itself begins a line.
      if _TABLE_NAMED.search(inside) or behind_prose(text) is None:
        return inside
  return None


def in_strings(text: str) -> str | None:
  """The last query in the strings of a text that is JSON, or of a fence that holds JSON or a
  program; None where none is.
  """
  places = [match["inside"] for match in _ANY_FENCE.finditer(text)] or [text]
  for place in reversed(places):
    if place.lstrip()[:1] in ("{", "["):
      found = [string for string in prose.strings_of_json(place.strip()) if QUERY.match(string)]
    else:
      found = []
    found = found or list(_quoted_queries(place))
    if found:
      return found[-1]
  return None


def behind_prose(text: str) -> str | None:
  """The query in a text that begins otherwise, from where a line or a mark before it says so; None
  where there is none.
  """
  for pattern in (_LINE_BEGIN, _INSTRUCTION, _CAPITALS):
    for match in pattern.finditer(text):
      if QUERY.match(text, match.end()):
        opened, behind = match.group().strip(), text[match.end() :]
        if opened.startswith("["):
          return re.split(r"\[/\w+\]", behind)[0]
        quotes = re.search(r"(?:'{3}|\"{3})(?:\s*sql)?\Z", opened, re.IGNORECASE)
        return behind.partition(quotes.group()[:3])[0] if quotes else behind
  return None


def _marks(text: str, dialect: str, start: int) -> Iterator[tuple[int, str]]:
  """The marks in a text from `start` on, and where they stand."""
  at = start
  for kind, lexeme in lexemes(text, dialect, start):
    if kind == "mark":
      yield at, lexeme
    at += len(lexeme)


def _hidden(text: str, dialect: str) -> list[tuple[int, int]]:
  """Where a query's literals and comments stand: a fence in one of them is none."""
  places, at = [], 0
  for kind, lexeme in lexemes(text, dialect):
    if kind in ("string", "comment"):
      places.append((at, at + len(lexeme)))
    at += len(lexeme)
  return places


def _quoted_queries(text: str) -> Iterator[str]:
  """The queries in a text's quotation marks, which stand behind =, ( or : or begin it."""
  at = 0
  while opening := _QUOTES.search(text, at):
    at = opening.end()
    before = text[: opening.start()].rstrip()
    if (before and before[-1] not in "=(:[{,") or not QUERY.match(text, at):
      continue
    quotes = opening["quotes"]
    behind = "" if len(quotes) == 3 else r"(?=\s*(?:[,;)\]}.]|\n|\Z))"
    close = re.compile(rf"(?<!\\){quotes}{behind}").search(text, at)
    inside = text[at : close.start() if close else len(text)]
    at = close.end() if close else len(text)
    yield inside if len(quotes) == 3 else inside.replace(f"\\{quotes}", quotes)


def _span(text: str, begin: int, ticks: str) -> str:
  """What stands in the code span whose inside begins at `begin`; quoted names in it come in pairs
  of backticks.
  """
  end = begin
  while (end := text.find(ticks, end)) >= 0:
    if (
      text.count("`", begin, end) % 2 == 0
      and not text[end + len(ticks) : end + len(ticks) + 1].isalnum()
    ):
      return text[begin:end]
    end += len(ticks)
  return text[begin:]
