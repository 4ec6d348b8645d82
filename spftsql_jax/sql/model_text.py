r"""From text to one SQL statement, and from a statement to one line: the only reader of what models
and people write.

Text of a model, a gold query of a benchmark file and a line of a log all pass through
`read_statement`, so that what is scored, trained on, voted over and run is cut by the same rules:

1. A thought up to `</think>` and the marks of a conversation (`<|im_end|>`, `</s>`, tags) are left
  out.
2. SQL stands in a fence (three or more backticks or tildes; the last one may be open), in a code
   span, behind a label that ends in a colon ("SQL:"), in a string of JSON or of a program, behind
   prose, or is the text itself. Of several fences the last one with SQL is read: models draft first
   and answer last. A fence of another language, or one without a query, is not read where there is
   a better one.
3. The statement goes to the first semicolon that stands in no literal, no quoted name and no
   comment, as the database's dialect has them, or to a line with which no query can go on
   (`prose.begins_prose`). What follows is left out, whoever wrote it. Line breaks and comments
   inside the statement stay.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from spftsql_jax.sql import embedded, prose
from spftsql_jax.sql.beginnings import QUERY, begins_another, is_statement
from spftsql_jax.sql.lexemes import lexemes

# Text without any of these is one statement as it stands.
_RARE = re.compile(r"[;`~]|--|/\*|<\||<\uff5c|</|<end_of")
_PERHAPS_RARE = re.compile(r"[;`~\-/<]")  # Several times faster to look for.
_SPACE_AND_ENDS = re.compile(r"[\s;]*")
_THOUGHT = re.compile(
  r"\A\s*<think>(?s:.*?)(?:</think>|\Z)|\A(?s:.*)^[ \t]*</think>[ \t]*$", re.MULTILINE
)
# Thoughts under other names, where something follows.
_OTHER_THOUGHT = re.compile(
  r"\A\s*<(?P<name>thinking|thoughts?|reason(?:ing)?|analysis|scratchpad|reflection|plan)>(?s:.*)</(?P=name)>(?=\s*\S)"
  r"|\A(?s:.*)(?:(?<!['\"])</think(?:ing)?>|<\|channel\|>final[^<\n]*<\|message\|>|<\|end_of_thought\|>)",
  re.IGNORECASE,
)
_OPENING_MARKS = re.compile(
  r"\A(?:\ufeff|\s|<\|[A-Za-z_][\w "
  r"]*\|>(?:assistant\b)?|<s>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|<start_of_turn>(?:model\b)?)+"
)
_CLOSING_MARKS = re.compile(
  r"(?:\s|<\|[A-Za-z_][\w "
  r"]*\|>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|</s>|<end_of_turn>|<(?:eos|pad|unk)>|\[/INST\])+\Z"
)
# What closes what was opened before SQL in other text.
_CLOSERS = re.compile(r"\s*(?:\*{2,3}|[\u201d\xbb]|\]\]>)[.\s]*\Z")
# A fence without SQL in it, which says nothing.
_OTHER_FENCE = re.compile(r"(?P<ticks>`{3,})[^`]*(?P=ticks)(?=\s|\Z)")
# What ends a sentence, and no SQL: full stops of several scripts and a wide semicolon.
_CLOSING_STOP = re.compile(r"(?<=[^\d.])\s*(?:\.|[\u3002\uff1b])\Z")  # "1." is a number.


@dataclasses.dataclass(frozen=True)
class Reading:
  """What was read out of a text.

  Attributes:
    sql: the statement, without the semicolon; "" where there is none.
    around: it was taken out of a fence, a label or the marks of a conversation.
    behind: the statement ends in a semicolon and more than white space and comments follows, `;;`
      too.
    ended: a semicolon ends it.
  """

  sql: str
  around: bool = False
  behind: bool = False
  ended: bool = False


def read_statement(text: str, dialect: str = "sqlite", begun: str = "") -> str:
  """The SQL statement in a text, without its semicolon; see `read`."""
  return read(text, dialect, begun).sql


# Gold and answers of a file are read several times on their way to a verdict.
@functools.lru_cache(maxsize=8192)
def read(text: str, dialect: str = "sqlite", begun: str = "") -> Reading:
  """The SQL statement in a text, by the rules at the head of this module. Reading what was read
  changes nothing.

  Args:
    text: of a model, or a statement that may need no reading.
    dialect: sqlglot's name of the database's SQL; one that is not known is read as SQLite's.
    begun: what the prompt has already begun, such as "SELECT"; put before an answer that does not
      begin a query itself.
  """
  stripped = text.strip()
  # Most texts are one statement, with a semicolon behind it or without.
  ended = (
    stripped.endswith(";")
    and "[" not in stripped
    and stripped.count("'") % 2 == stripped.count('"') % 2 == 0
  )
  inner = stripped[:-1].rstrip() if ended else stripped
  rare = (_PERHAPS_RARE.search(inner) and _RARE.search(inner)) or "\\n" in inner
  plain = not rare and not ("\n" in inner and prose.MAY_FOLLOW.search(inner))
  if not begun and plain and QUERY.match(inner) and inner[-1] not in ".]>\u3002\uff1b":
    return Reading(inner, ended=ended)
  body = _THOUGHT.sub("", text, count=1) if "think>" in text else text
  if "<" in body and not QUERY.match(body):
    body = _OTHER_THOUGHT.sub("", body, count=1)
  body = _CLOSING_MARKS.sub("", _OPENING_MARKS.sub("", body))
  around = body != stripped.removeprefix("\ufeff").strip()
  found = embedded.fenced(body, dialect)
  if found is None and not begun and not QUERY.match(body):
    found = embedded.in_strings(body)
  if found is None:
    if "```" in body and not QUERY.match(body):
      body = _OTHER_FENCE.sub("", body)
    found = embedded.behind_label(body)
  if found is None and not begun and not is_statement(body):
    found = embedded.behind_prose(body)
  if found is not None:
    body, around = _CLOSERS.sub("", found), True
  if "\\n" in body and "\n" not in body.strip():
    written = body
    body = _with_line_breaks(body, dialect)
    around = around or body != written
  begin = _SPACE_AND_ENDS.match(body)
  start = begin.end() if begin else 0
  end, mark = _end(body, dialect, start)
  sql = body[start:end].strip()
  behind = body[end + 1 :] if mark == ";" else ""
  if QUERY.match(sql) and (stop := _CLOSING_STOP.search(sql)):
    sql, around = sql[: stop.start()], True
  if begun and not QUERY.match(sql):
    sql = f"{begun} {sql}".strip()
  return Reading(
    sql, around or bool(mark and mark != ";"), _says_something(behind, dialect), mark == ";"
  )


def has_ended(text: str, dialect: str = "sqlite") -> bool:
  """Whether what a model has written so far holds a whole statement with its semicolon, so that it
  may stop.

  In a thought or a fence it goes on: the answer may stand in a later one.
  """
  if "<think>" in text or embedded.FENCE.search(text) or text.lstrip()[:1] in ("{", "["):
    return False
  found = read(text, dialect)
  return found.ended and is_statement(found.sql)


def _end(text: str, dialect: str, start: int) -> tuple[int, str]:
  """Where the statement that begins at `start` ends, and what ends it.

  That is a semicolon, a mark, "\\n" for a line that is no part of it, or "" for the text's end.
  """
  at, previous, gap, depth = start, ("other", ","), "", 0
  words: list[str] = []
  lines = "\n" in text and prose.MAY_FOLLOW.search(text, start) is not None
  for kind, lexeme in lexemes(text, dialect, start):
    if kind == "mark" or (kind == "other" and lexeme == ";"):
      return at, lexeme
    if not lines:
      pass
    elif kind in ("space", "comment"):
      gap += lexeme if kind == "space" else "\n" if lexeme.startswith("--") else " "
    else:
      if "\n" in gap and depth <= 0 and words and not prose.awaits_operand(*previous):
        blank = gap.count("\n") > 1
        line = text.rfind("\n", start, at) + 1
        if prose.begins_prose(text, line, blank, previous[1]) or (
          blank
          and QUERY.match(text, at)
          and begins_another(text, at, lexeme.upper(), previous[1].upper(), words)
        ):
          return line, "\n"
      if kind == "word" and depth <= 0:
        words.append(lexeme.upper())
      if kind == "other":
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(lexeme, 0)
      previous, gap = (kind, lexeme), ""
    at += len(lexeme)
  return at, ""


def _says_something(text: str, dialect: str) -> bool:
  return any(kind not in ("space", "comment", "mark") for kind, _ in lexemes(text, dialect))


def _with_line_breaks(text: str, dialect: str) -> str:
  """The text with line breaks where it has backslash and n for them, outside literals, where SQL
  has no backslash.
  """
  parts: list[str] = []
  previous = ""
  for kind, lexeme in lexemes(text, dialect):
    escape = previous == "\\" and kind == "word" and lexeme[0] in "nrt"
    if escape:
      parts[-1], lexeme = {"n": "\n", "r": "\r", "t": "\t"}[lexeme[0]], lexeme[1:]
    parts.append(lexeme)
    previous = lexeme
  return "".join(parts)
