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

`folded` writes a statement without comments and with single spaces, as models are taught it: a
comment is no part of an answer, and a line comment in a target of one line would swallow what
follows. `one_line` does the same for files with one SQL a line; there, a line break or TAB inside a
literal is written as an expression, `('a' || char(10) || 'b')`, which gives the same value.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection, Iterator, Sequence

from spftsql_jax.sql import prose

# What cannot stand in a line of a file of predictions, where a TAB begins the db_id.
_LINE_BREAKING = re.compile(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]")

# What every dialect has. Marks that a conversation or a fence puts behind SQL are no SQL in any
# dialect. An unterminated literal, name or comment runs to the end of the text.
_MARKS = r"""
    (?P<mark><\|[A-Za-z_][\w\ ]*\|>|<\uff5c[^\uff5c\n]{1,40}\uff5c>|</[A-Za-z_][\w-]*>|<end_of_turn>
      |`{3,}+(?=\s|\Z)|(?:(?<=\n)|\A)(?:`{3,}|~{3,}))
"""
_PLAIN_LITERAL = r"'(?:[^']++|'')*+(?:'|\Z)"
_QUOTED = r'"(?:[^"]++|"")*+(?:"|\Z)'
_REST = r"""
  | (?P<word>[^\W\d][\w$]*+)
  | (?P<number>\d[\w.]*+|\.\d\w*+)
  | (?P<other>.)
"""
_SQLITE = re.compile(
  rf"""{_MARKS}
  | (?P<space>\s++)
  | (?P<comment>--[^\n]*+|/\*(?s:.*?)(?:\*/|\Z))
  | (?P<string>{_PLAIN_LITERAL})
  | (?P<quoted>{_QUOTED}|`(?:[^`]++|``)*+(?:`|\Z)|\[[^\]]*+(?:\]|\Z))
  {_REST}""",
  re.VERBOSE | re.DOTALL,
)
# PostgreSQL and DuckDB, whose reader is PostgreSQL's: E-strings, dollar quotes, comments inside
# comments; brackets quote nothing.
_POSTGRESQL = re.compile(
  rf"""{_MARKS}
  | (?P<space>\s++)
  | (?P<comment>--[^\n\r]*+|/\*)
  | (?P<string>[eE]'(?:[^'\\]++|''|\\.)*+(?:'|\\?\Z)|{_PLAIN_LITERAL}
      |\$(?P<tag>(?:[^\W\d]\w*+)?)\$(?s:.*?)(?:\$(?P=tag)\$|\Z))
  | (?P<quoted>{_QUOTED})
  {_REST}""",
  re.VERBOSE | re.DOTALL,
)
_NESTED = re.compile(r"/\*|\*/")
_PATTERNS = {
  "sqlite": _SQLITE,
  "duckdb": _POSTGRESQL,
  "postgres": _POSTGRESQL,
  "postgresql": _POSTGRESQL,
}

# Text without any of these is one statement as it stands.
_RARE = re.compile(r"[;`~]|--|/\*|<\||<\uff5c|</|<end_of")
_PERHAPS_RARE = re.compile(r"[;`~\-/<]")  # Several times faster to look for.
_SPACE = r"(?:\s++|--[^\n]*+(?:\n|\Z)|/\*(?s:.*?)(?:\*/|\Z))*+"
_NAME = r"""(?:[^\W\d][\w$]*+|"[^"]*+"|`[^`]*+`|\[[^\]]*+\])"""
# How a query begins, so that "With these tables ..." and "From the schema ..." are none.
_QUERY = re.compile(
  rf"""{_SPACE}(?:\({_SPACE})*+(?:SELECT\b|VALUES\s*+\(|(?:FROM|TABLE)\s++{_NAME}\s*+(?:[;,.)]|\bAS\b|\bSELECT\b|\bWHERE\b|\Z)
    |WITH\s++(?:RECURSIVE\s++)?{_NAME}\s*+(?:\([^()]*+\)\s*+)?AS\b)""",
  re.VERBOSE | re.IGNORECASE,
)
# Behind a function in FROM.
_ORDINALITY = re.compile(r"WITH\s+ORDINALITY\s+AS\s+[^\s(]", re.IGNORECASE)
_SET_OPERATORS = frozenset({"UNION", "EXCEPT", "INTERSECT", "MINUS", "ALL", "DISTINCT"})
# Words of the grammar behind which an expression stands.
_BEFORE_AN_OPERAND = re.compile(
  r"ALL|AND|BETWEEN|BY|CASE|DISTINCT|ELSE|ESCAPE|FROM|GLOB|HAVING|ILIKE|IN|IS|LIKE|LIMIT|MATCH|NOT|OFFSET|ON|OR"
  r"|REGEXP|SELECT|THEN|TO|VALUES|WHEN|WHERE",
  re.IGNORECASE,
)
# Statements that may go on with a query on a line of its own, and words that begin a statement and
# never go on with one.
_BEFORE_A_QUERY = frozenset(
  {"WITH", "FROM", "INSERT", "REPLACE", "CREATE", "EXPLAIN", "DECLARE", "PREPARE", "MERGE"}
)
_OTHER_VERBS = frozenset(
  {
    "INSERT",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "EXPLAIN",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "PRAGMA",
    "VACUUM",
    "COPY",
  }
)

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
_FENCE = re.compile(
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
# What closes what was opened before SQL in other text.
_CLOSERS = re.compile(r"\s*(?:\*{2,3}|[\u201d\xbb]|\]\]>)[.\s]*\Z")
_INSTRUCTION = re.compile(r"\[/\w+\]\s*")
_CAPITALS = re.compile(r"(?<![\w`'\"])(?=SELECT\s[^;]{0,2000}?\sFROM\s)")
_VERBS_OF_STATEMENTS = (
  _BEFORE_A_QUERY
  | _OTHER_VERBS
  | {"UPDATE", "ATTACH", "DETACH", "SET", "TRUNCATE", "GRANT", "CALL", "SHOW"}
)
# A fence without SQL in it, which says nothing.
_OTHER_FENCE = re.compile(r"(?P<ticks>`{3,})[^`]*(?P=ticks)(?=\s|\Z)")
_ANY_FENCE = re.compile(r"(?P<ticks>`{3,})\w*[ \t]*\r?\n(?P<inside>(?s:.*?))(?:(?P=ticks)|\Z)")
# What ends a sentence, and no SQL: full stops of several scripts and a wide semicolon.
_CLOSING_STOP = re.compile(r"(?<=[^\d.])\s*(?:\.|[\u3002\uff1b])\Z")  # "1." is a number.
_LONGEST_LABEL = 2_000  # Characters before the SQL, an explanation among them.
_SPAN = re.compile(r"(?<![`\w])`{1,2}(?!`)")


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


@dataclasses.dataclass(frozen=True)
class Statement:
  """A statement of a file, with the line it begins on (from 1), and the name of its database where
  one is written behind it.
  """

  sql: str
  line: int
  label: str = ""


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
  if not begun and plain and _QUERY.match(inner) and inner[-1] not in ".]>\u3002\uff1b":
    return Reading(inner, ended=ended)
  body = _THOUGHT.sub("", text, count=1) if "think>" in text else text
  if "<" in body and not _QUERY.match(body):
    body = _OTHER_THOUGHT.sub("", body, count=1)
  body = _CLOSING_MARKS.sub("", _OPENING_MARKS.sub("", body))
  around = body != stripped.removeprefix("\ufeff").strip()
  found = _fenced(body, dialect)
  if found is None and not begun and not _QUERY.match(body):
    found = _in_strings(body)
  if found is None:
    if "```" in body and not _QUERY.match(body):
      body = _OTHER_FENCE.sub("", body)
    found = _behind_label(body)
  if found is None and not begun and not _is_statement(body):
    found = _behind_prose(body)
  if found is not None:
    body, around = _CLOSERS.sub("", found), True
  if "\\n" in body and "\n" not in body.strip():
    written = body
    body = _with_line_breaks(body, dialect)
    around = around or body != written
  start = re.match(r"[\s;]*", body).end()
  end, mark = _end(body, dialect, start)
  sql = body[start:end].strip()
  behind = body[end + 1 :] if mark == ";" else ""
  if _QUERY.match(sql) and (stop := _CLOSING_STOP.search(sql)):
    sql, around = sql[: stop.start()], True
  if begun and not _QUERY.match(sql):
    sql = f"{begun} {sql}".strip()
  return Reading(
    sql, around or bool(mark and mark != ";"), _says_something(behind, dialect), mark == ";"
  )


def begins_query(text: str) -> bool:
  """Whether a text begins a query: SELECT, WITH ... AS, VALUES, TABLE or FROM, behind comments and
  parentheses.
  """
  return _QUERY.match(text) is not None


def has_ended(text: str, dialect: str = "sqlite") -> bool:
  """Whether what a model has written so far holds a whole statement with its semicolon, so that it
  may stop.

  In a thought or a fence it goes on: the answer may stand in a later one.
  """
  if "<think>" in text or _FENCE.search(text) or text.lstrip()[:1] in ("{", "["):
    return False
  found = read(text, dialect)
  return found.ended and _is_statement(found.sql)


def folded(sql: str, dialect: str = "sqlite") -> str:
  """The statement in `sql` without comments and with single spaces; literals and quoted names stay
  as they are.
  """
  return "".join(text for _, text in _folded_lexemes(read_statement(sql, dialect), dialect))


def one_line(sql: str, dialect: str = "sqlite") -> str:
  """The statement in `sql` on one line without TAB, with the same meaning.

  Raises:
    ValueError: a quoted name, or a literal that must stay one, holds a line break or a TAB.
  """
  parts: list[str] = []
  previous = "("
  for kind, text in _folded_lexemes(read_statement(sql, dialect), dialect):
    if _LINE_BREAKING.search(text):
      # Behind an operand a literal is a name, and behind X or U& a part of one: neither can become
      # an expression.
      operand = previous[-1].isalnum() or previous[-1] in "_$)]\"'`&"
      if kind != "string" or (operand and not _BEFORE_AN_OPERAND.fullmatch(previous)):
        raise ValueError(f"a line break or TAB in {text[:40]!r} cannot be written on one line")
      text = _literal_expression(text, dialect)
    parts.append(text)
    previous = previous if kind == "space" else text
  return "".join(parts)


def lexemes(sql: str, dialect: str = "sqlite", start: int = 0) -> Iterator[tuple[str, str]]:
  """Yields (kind, text) of all of a text from `start` on, as the dialect reads it.

  Kinds: space, comment, string, quoted, word, number, other, and mark for what a conversation or a
    fence puts there.
  """
  pattern = _PATTERNS.get(dialect, _SQLITE)
  at = start
  while match := pattern.match(sql, at):
    kind, text = match.lastgroup or "other", match.group()
    if text == "/*" and kind == "comment":
      text = sql[at : _nested_end(sql, at)]
    yield kind, text
    at += len(text)


def split_statements(
  text: str, dialect: str = "sqlite", labels: Collection[str] = ()
) -> Iterator[Statement]:
  """The statements of a file, in order.

  A semicolon ends a statement, and so does a line on which another query begins where the grammar
  cannot go on with one. Lines between statements that begin with a backslash or # (commands of a
  shell, heads of a log) are left out, and the rows behind COPY ... FROM STDIN with them.

  Args:
    text: of the file.
    dialect: see `read`.
    labels: known names of databases. A TAB and one of them ends a line's statement; behind a
      semicolon, and behind a statement of one line, any name does.
  """
  at, line = 0, 1
  while at < len(text):
    begin = _SKIPPED.match(text, at).end()
    line += text.count("\n", at, begin)
    found = _next_statement(text, begin, dialect, labels)
    if found.sql:
      yield Statement(found.sql, line, found.label)
    at = found.behind
    if found.words[:1] == ("COPY",) and "STDIN" in found.words:
      rows = _END_OF_ROWS.search(text, at)
      at = rows.end() if rows else len(text)
    line += text.count("\n", begin, at)


# Space, empty statements and the lines that `split_statements` leaves out.
_SKIPPED = re.compile(
  r"(?:[\s;\ufeff]|--[^\n]*|/\*(?s:.*?)\*/|\\[^\n]*|(?:(?<=\n)|\A)[ \t]*#[^\n]*)*"
)
_END_OF_ROWS = re.compile(r"^\\\.[ \t\r]*$", re.MULTILINE)
_LABEL_BEHIND = re.compile(r"[ ]*\t[ \t]*([^\s;]+)[ \t\r]*(?=\n|\Z)")
_LABEL = re.compile(r"[^\s;'\"(),*]+")


@dataclasses.dataclass(frozen=True)
class _Found:
  sql: str
  label: str
  behind: int
  words: tuple[str, ...]


def _begins_another(text: str, at: int, word: str, previous: str, words: Sequence[str]) -> bool:
  """Whether a line that begins with `word`, behind a statement of `words`, begins another
  statement.
  """
  if word == "\\":
    return True
  if words[0] in _BEFORE_A_QUERY and not {"SELECT", "VALUES"} & set(words):
    return False
  if len(words) > 2 and list(words[-2:]) == ["BY", "NAME"] and words[-3] in _SET_OPERATORS:
    return False
  if word in ("SELECT", "WITH") and not _ORDINALITY.match(text, at):
    return previous not in _SET_OPERATORS and _QUERY.match(text, at) is not None
  return word in _OTHER_VERBS and (previous[-1:].isalnum() or previous[-1:] in "_\"'`])*")


def _next_statement(text: str, begin: int, dialect: str, labels: Collection[str]) -> _Found:
  """The statement that begins at `begin`, where to go on behind it, and its words outside
  parentheses.
  """
  at, depth, words, fresh_line, previous = begin, 0, [], False, ""

  def labelled(end: int) -> tuple[str, str]:
    sql, tab, name = text[begin:end].strip().rpartition("\t")
    name = name.strip()
    if tab and (name in labels or ("\n" not in sql and _LABEL.fullmatch(name))):
      return sql.strip(), name
    return text[begin:end].strip(), ""

  for kind, lexeme in lexemes(text, dialect, begin):
    if lexeme == ";" and kind == "other":
      tail = _LABEL_BEHIND.match(text, at + 1)
      return _Found(
        text[begin:at].strip(),
        tail[1] if tail else "",
        tail.end() if tail else at + 1,
        tuple(words),
      )
    if kind in ("space", "comment"):
      fresh_line = fresh_line or "\n" in lexeme
      if "\n" in lexeme and depth <= 0:
        sql, label = labelled(at)
        if label in labels and label:
          return _Found(sql, label, at, tuple(words))
    else:
      if (
        depth <= 0
        and fresh_line
        and words
        and _begins_another(text, at, lexeme.upper(), previous, words)
      ):
        return _Found(*labelled(at), at, tuple(words))
      if kind == "word" and depth <= 0:
        words.append(lexeme.upper())
      if kind == "other":
        depth += {"(": 1, ")": -1}.get(lexeme, 0)
      previous, fresh_line = lexeme.upper(), False
    at += len(lexeme)
  return _Found(*labelled(at), at, tuple(words))


def _end(text: str, dialect: str, start: int) -> tuple[int, str]:
  """Where the statement that begins at `start` ends, and what ends it.

  That is a semicolon, a mark, "\\n" for a line that is no part of it, or "" for the text's end.
  """
  at, words, previous, gap, depth = start, [], ("other", ","), "", 0
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
          and _QUERY.match(text, at)
          and _begins_another(text, at, lexeme.upper(), previous[1].upper(), words)
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


def _nested_end(sql: str, at: int) -> int:
  depth = 0
  for match in _NESTED.finditer(sql, at):
    depth += 1 if match.group() == "/*" else -1
    if depth == 0:
      return match.end()
  return len(sql)


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


def _fenced(text: str, dialect: str) -> str | None:
  """The SQL in a text's fences, None where there is none."""
  found: list[tuple[int, str]] = []
  hidden = _hidden(text, dialect) if _FENCE.search(text) and _QUERY.match(text) else []
  at = 0
  while opening := _FENCE.search(text, at):
    at = opening.end()
    if any(begin < opening.start() < end for begin, end in hidden):
      continue
    ticks, tildes = opening["ticks"], opening["tildes"]
    close = (
      rf"(?<!['\"])`{{{len(ticks)},}}(?=\s|\Z)" if ticks else rf"^[ \t]*~{{{len(tildes)},}}[ \t]*$"
    )
    # A fence inside a literal closes nothing, as far as it is SQL that stands here.
    start = opening.end()
    if _QUERY.match(text, start):
      start = next(
        (p for p, lexeme in _marks(text, dialect, start) if lexeme.startswith(ticks or tildes)),
        start,
      )
    closing = re.compile(close, re.MULTILINE).search(text, start)
    content = text[opening.end() : closing.start() if closing else len(text)].strip()
    at = closing.end() if closing else len(text)
    named = bool(_SQL_LANGUAGE.search(opening["language"] or ""))
    query = _QUERY.match(content) is not None
    if not query and (labelled := _behind_label(content)):
      content, query = labelled, True
    if content and (named or query):
      found.append((2 * query + named, content))
  # `max` takes the first of equals.
  return max(reversed(found), key=lambda each: each[0])[1] if found else None


def _behind_label(text: str) -> str | None:
  """The SQL in a code span, or behind a label that ends in a colon; None where the text begins with
  it or has none.
  """
  if _QUERY.match(text):
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
    if _QUERY.match(text, place):
      return text[place:]
    ticks = _SPAN.match(text, place)
    if ticks and _QUERY.match(text, ticks.end()):
      inside = _span(text, ticks.end(), ticks.group())
      # "We need a `SELECT` with ...": a word of the grammar, where the query itself begins a line.
      if _TABLE_NAMED.search(inside) or _behind_prose(text) is None:
        return inside
  return None


def _with_line_breaks(text: str, dialect: str) -> str:
  """The text with line breaks where it has backslash and n for them, outside literals, where SQL
  has no backslash.
  """
  parts, previous = [], ""
  for kind, lexeme in lexemes(text, dialect):
    escape = previous == "\\" and kind == "word" and lexeme[0] in "nrt"
    if escape:
      parts[-1], lexeme = {"n": "\n", "r": "\r", "t": "\t"}[lexeme[0]], lexeme[1:]
    parts.append(lexeme)
    previous = lexeme
  return "".join(parts)


def _is_statement(text: str) -> bool:
  """Whether a text begins as SQL does, a query or not."""
  word = re.match(r"[\s;(]*(\w*)", text)[1]
  return begins_query(text) or word.upper() in _VERBS_OF_STATEMENTS


def _in_strings(text: str) -> str | None:
  """The last query in the strings of a text that is JSON, or of a fence that holds JSON or a
  program; None where none is.
  """
  places = [match["inside"] for match in _ANY_FENCE.finditer(text)] or [text]
  for place in reversed(places):
    if place.lstrip()[:1] in ("{", "["):
      found = [string for string in prose.strings_of_json(place.strip()) if _QUERY.match(string)]
    else:
      found = []
    found = found or list(_quoted_queries(place))
    if found:
      return found[-1]
  return None


def _quoted_queries(text: str) -> Iterator[str]:
  """The queries in a text's quotation marks, which stand behind =, ( or : or begin it."""
  at = 0
  while opening := _QUOTES.search(text, at):
    at = opening.end()
    before = text[: opening.start()].rstrip()
    if (before and before[-1] not in "=(:[{,") or not _QUERY.match(text, at):
      continue
    quotes = opening["quotes"]
    behind = "" if len(quotes) == 3 else r"(?=\s*(?:[,;)\]}.]|\n|\Z))"
    close = re.compile(rf"(?<!\\){quotes}{behind}").search(text, at)
    inside = text[at : close.start() if close else len(text)]
    at = close.end() if close else len(text)
    yield inside if len(quotes) == 3 else inside.replace(f"\\{quotes}", quotes)


def _behind_prose(text: str) -> str | None:
  """The query in a text that begins otherwise, from where a line or a mark before it says so; None
  where there is none.
  """
  for pattern in (_LINE_BEGIN, _INSTRUCTION, _CAPITALS):
    for match in pattern.finditer(text):
      if _QUERY.match(text, match.end()):
        opened, behind = match.group().strip(), text[match.end() :]
        if opened.startswith("["):
          return re.split(r"\[/\w+\]", behind)[0]
        quotes = re.search(r"(?:'{3}|\"{3})(?:\s*sql)?\Z", opened, re.IGNORECASE)
        return behind.partition(quotes.group()[:3])[0] if quotes else behind
  return None


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


def _folded_lexemes(sql: str, dialect: str) -> Iterator[tuple[str, str]]:
  """The lexemes of a statement without comments, with single spaces between them.

  In PostgreSQL's SQL two literals with a line break between them are one, and are written as one.
  """
  joins = _PATTERNS.get(dialect, _SQLITE) is _POSTGRESQL
  pending, gap = "", ""
  for kind, text in lexemes(sql, dialect):
    if kind in ("space", "comment"):
      gap += text
      continue
    if (
      joins and pending and kind == "string" and text[0] == "'" and "\n" in gap and "/*" not in gap
    ):
      pending, gap = pending[:-1] + text[1:], ""
      continue
    if pending:
      yield "string", pending
      pending = ""
    if gap:
      yield "space", " "
      gap = ""
    if kind == "string" and joins and text.endswith("'"):
      pending = text
    else:
      yield kind, text
  if pending:
    yield "string", pending


def _literal_expression(literal: str, dialect: str) -> str:
  """An expression on one line with a literal's value."""
  function = "char" if _PATTERNS.get(dialect, _SQLITE) is _SQLITE else "chr"
  if literal[0] in "eE":
    # Inside such a literal the character has a name of its own.
    names = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\f": r"\f"}

    def named(match: re.Match) -> str:
      return (
        names.get(match["char"], f"\\u{ord(match['char']):04x}") if match["char"] else match.group()
      )

    return re.sub(rf"\\?(?P<char>{_LINE_BREAKING.pattern})|\\.", named, literal)
  if literal[0] == "$":
    tag = literal[: literal.index("$", 1) + 1]
    body = literal.removeprefix(tag).removesuffix(tag).replace("'", "''")
  else:
    body = literal[1:-1]
  pieces = [
    f"{function}({ord(piece)})" if _LINE_BREAKING.fullmatch(piece) else f"'{piece}'"
    for piece in re.split(rf"({_LINE_BREAKING.pattern})", body)
    if piece
  ]
  return f"({' || '.join(pieces)})"
