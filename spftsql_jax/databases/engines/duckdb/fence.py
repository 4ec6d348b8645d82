"""What DuckDB is let run: one SELECT that does nothing else.

The library's and the database's own catalogs say so.

DuckDB itself says what kind of statement it read, how the text falls into tokens, and which
functions have no fixed result or give tables; of the latter only a few are run, since others write
logs and profiles or load what they are told to. What depends on luck is not run: functions without
a fixed result, samples, and the database's own macros, views and generated columns made of them.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable

import duckdb

# Those that are told which aggregate to apply, and what stands for that where it is not written
# down.
_CALLING_FUNCTIONS = frozenset(
  {
    "aggregate",
    "array_aggr",
    "array_aggregate",
    "list_aggr",
    "list_aggregate",
    "to_aggregate_state",
  }
)
_UNKNOWN_AGGREGATE = "list_aggregate with an aggregate that is not named by a plain string"
# Told to read the process's surroundings rather than the database; or to take a sample, or to count
# what has been run, whatever the catalog says.
_REFUSED_FUNCTIONS = frozenset(
  {
    "getenv",
    "getvariable",
    "current_setting",
    "reservoir_quantile",
    "txid_current",
    _UNKNOWN_AGGREGATE,
  }
)
# The library's own views on the same: of files, settings and what other connections did.
_SURROUNDINGS = r"\b(duckdb_databases|duckdb_logs|duckdb_prepared_statements|duckdb_settings)\("
_refused: frozenset[str] | None = None
# The functions giving tables that a query may use.
_TABLE_FUNCTIONS = (
  "generate_series",
  "json_each",
  "json_tree",
  "range",
  "repeat",
  "repeat_row",
  "unnest",
)
_PIVOTS = frozenset({"pivot", "pivot_wider"})
# Characters that DuckDB may read as a space, though its lexer takes them for letters.
_NAME = re.compile(rb'"(?:[^"]++|"")*+"?|[\w$\x80-\xff]*+')
_PLAIN_STRING = re.compile(rb"'([A-Za-z_0-9]++)'(?!')")
# What the text of a WITH begins with, of the words that name nothing else.
_SUBQUERIES = frozenset({"from", "select", "with"})
_ODD_SPACE = re.compile(r"[^\S\x00-\x7f]|[\u200b-\u200f\u2060\ufeff]")


def _refused_functions(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
  """The lower-case names of the library's functions that are not run; asked once, which takes it a
  tenth of a second.
  """
  global _refused
  if _refused is None:
    rows = connection.execute(
      """SELECT lower(function_name) FROM duckdb_functions() WHERE internal GROUP BY 1
         HAVING bool_or(stability = 'VOLATILE') OR NOT bool_or(function_type IN ('scalar',
         'aggregate', 'window', 'macro'))"""
    )
    _refused = _REFUSED_FUNCTIONS | {
      name for (name,) in rows.fetchall() if name not in _TABLE_FUNCTIONS
    }
  return _refused


@dataclasses.dataclass(frozen=True)
class _Reading:
  """What DuckDB's tokens say of a text: lower-case names before an opening parenthesis, all names,
  and whether it samples.
  """

  called: frozenset[str]
  names: frozenset[str]
  samples: bool


class Fence:
  """Tells of any text whether it is one SELECT that does nothing else, by the library's and the
  database's own catalogs.
  """

  def __init__(self, connection: duckdb.DuckDBPyConnection):
    self._connection = connection
    self._functions = _refused_functions(connection)
    self._tables: frozenset[str] = frozenset()
    # What the database itself names: a macro, view or generated column made of what is refused is
    # refused, and so on.
    rows = connection.execute(
      """SELECT 'function', function_name, macro_definition FROM duckdb_functions()
         WHERE NOT internal AND macro_definition IS NOT NULL
         UNION ALL SELECT 'table', view_name, sql FROM duckdb_views()
         WHERE NOT internal OR regexp_matches(sql, ?)
         UNION ALL SELECT 'table', table_name, generation_expression FROM duckdb_columns()
           WHERE is_generated""",
      [_SURROUNDINGS],
    )
    left = [(kind, name.lower(), _read(text)) for kind, name, text in rows.fetchall() if text]
    while found := [each for each in left if self._reason(each[2])]:
      left = [each for each in left if each not in found]
      self._functions |= {name for kind, name, _ in found if kind == "function"}
      self._tables |= {name for kind, name, _ in found if kind == "table"}

  def refusal(self, sql: str) -> str:
    """Why the text is not one harmless SELECT, or ""; text that DuckDB cannot read is left to fail
    when it runs.
    """
    try:
      found = self._connection.extract_statements(sql)
    except duckdb.Error:
      return ""
    # MULTI: a PIVOT whose columns DuckDB looks up first, in a type that it makes and drops.
    if len(found) != 1 or found[0].type not in (
      duckdb.StatementType.SELECT,
      duckdb.StatementType.MULTI,
    ):
      return "only a single SELECT is run"
    try:
      readings = {text: _read(text) for text in {sql, _ODD_SPACE.sub(" ", sql)}}
    except duckdb.Error as error:
      return f"its functions cannot be told: {one_line(error)}"
    if found[0].type == duckdb.StatementType.MULTI and not any(
      r.names & _PIVOTS for r in readings.values()
    ):
      return "only a single SELECT is run"
    return next((reason for reading in readings.values() if (reason := self._reason(reading))), "")

  def _reason(self, reading: _Reading) -> str:
    if reading.samples:
      return "not allowed to take a sample: which rows it has is luck"
    if called := reading.called & self._functions:
      return f"not allowed to use function {min(called)}"
    if named := reading.names & self._tables:
      return f"not allowed to read {min(named)}: it is made of what is not allowed, or of luck"
    return ""


def _read(sql: str) -> _Reading:
  """DuckDB's own reading of the text, token by token. Raises duckdb.Error."""
  text = sql.encode()
  found = [token for token in duckdb.tokenize(sql) if token[1] != duckdb.token_type.comment]
  ends = [start for start, _ in found[1:]] + [len(text)]
  called, names = set(), set()
  samples = False
  words = ["", ""]  # of all tokens so far, "" for what is no name
  # Of each open bracket what it calls, and where the tokens of its arguments begin.
  opened: list[tuple[str, list[int]]] = []
  for number, ((start, kind), end) in enumerate(zip(found, ends, strict=True)):
    # A keyword may be the name of a function too, and a string that of a table.
    if kind in (duckdb.token_type.identifier, duckdb.token_type.keyword):
      name = _name_at(text, start, end)
    elif kind == duckdb.token_type.string_const:
      name = text[start:end].strip()
    else:
      name = b""
    word = name.decode(errors="replace").lower()
    samples |= word == "tablesample" or (word == "sample" and words[-1] == "using")
    character = text[start : start + 1]
    if character == b"(":
      # Behind these words stands the name of a common table, or of an alias, with its columns.
      is_call = words[-1] and words[-2] not in ("as", "recursive", "with")
      opened.append((words[-1].strip('"') if is_call else "", [number + 1]))
    elif character in (b"[", b"{"):
      opened.append(("", []))
    elif character == b"," and opened:
      opened[-1][1].append(number + 1)
    elif character in (b")", b"]", b"}") and opened:
      call, arguments = opened.pop()
      if call in _CALLING_FUNCTIONS:
        bounds = [*zip(arguments, [*(at - 1 for at in arguments[1:]), number], strict=True)]
        called.add(
          _aggregate_named([text[found[i][0] :] for i, after in bounds[:2] if after - i == 1])
        )
      if call and not _is_common_table(text, found[number + 1 : number + 4]):
        called.add(call)
    words.append("" if kind == duckdb.token_type.string_const else word)
    if name:
      names.add(word.strip("\"'"))
  called.update(call for call, _ in opened if call)
  return _Reading(frozenset(called), frozenset(names), samples)


def _name_at(text: bytes, start: int, end: int = sys.maxsize) -> bytes:
  """The name that stands at a place, quotes and all; b"" where none does."""
  found = _NAME.match(text, start, end)
  return found.group() if found else b""


def _aggregate_named(arguments: list[bytes]) -> str:
  """The aggregate that is named by one of the texts, each of which begins with an argument."""
  for argument in arguments:
    if plain := _PLAIN_STRING.match(argument):
      return plain[1].decode().lower()
  return _UNKNOWN_AGGREGATE


def _is_common_table(text: bytes, tokens: list[tuple]) -> bool:
  """Whether these tokens behind `name (...)` tell that it is a table of a WITH clause and its
  columns.
  """
  as_, opening, first = (
    [
      _name_at(text, start).decode(errors="replace").lower() or text[start : start + 1]
      for start, _ in tokens
    ]
    + [""] * 3
  )[:3]
  return as_ == "as" and opening == b"(" and first in _SUBQUERIES


def one_line(error: Exception) -> str:
  return " ".join(str(error).split())[:500]


def refusal_of(connection: duckdb.DuckDBPyConnection) -> Callable[[str], str]:
  """What tells why a statement is not to be run on a connection of ours, "" where it may; see
  `Fence`.
  """
  return Fence(connection).refusal
