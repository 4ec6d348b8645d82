"""Queries that have been asked of databases: a log of SQL, to extract templates from.

A log is read by statement, not by line (`model_text.split_statements`): an SQL file with statements
over several lines, comments and commands of psql; one query a line, with or without semicolon; or
the log of a server, in which each entry begins with a time and `statement: ...` (PostgreSQL) or
`Query` and a TAB (MySQL). A TAB and a db_id may stand behind a statement. A file of examples, JSON
or JSON lines, gives its queries.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from spftsql_jax.examples import benchmarks
from spftsql_jax.sql.beginnings import begins_query
from spftsql_jax.sql.statement_files import Statement, split_statements

# An entry of a server's log, and what stands before its statement.
_ENTRY = re.compile(r"^[ \t]*\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.MULTILINE)
_BEFORE_STATEMENT = re.compile(
  r"(?:\bstatement:|\bexecute\s[^:\n]*:|\b(?:Query|Execute)\t)[ \t]*", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class QueryLog:
  """What a log holds.

  Attributes:
    path: of the file.
    queries: (db_id, SQL) of each query, in order.
    others: statements that are no queries, by their first word.
  """

  path: str
  queries: tuple[tuple[str, str], ...]
  others: Counter[str]

  def describe(self) -> str:
    """What was left out, in words."""
    named = ", ".join(f"{word} {count}" for word, count in self.others.most_common(5))
    return (
      f"{self.path}: {self.others.total()} statements that are no SELECT are left out ({named})"
    )


def read_query_log(path: str | Path, databases: Mapping[str, str]) -> QueryLog:
  """Reads a log.

  Args:
    path: of the file.
    databases: the engine of each database, by db_id. A statement without db_id is of the only one.

  Raises:
    FileNotFoundError: no such file.
    ValueError: not text, no query in it, or a query that names no database where there are several.
  """
  if benchmarks.is_example_file(path):
    only = next(iter(databases)) if len(databases) == 1 else ""
    examples = benchmarks.read_examples(path, db_id=only, question=False)
    return QueryLog(str(path), tuple((e.db_id, e.query) for e in examples), Counter())
  text = benchmarks.read_text(path).replace("\r\n", "\n")
  engines = set(databases.values())
  queries: list[tuple[str, str]] = []
  others: Counter[str] = Counter()
  for statement in _statements(text, engines.pop() if len(engines) == 1 else "sqlite", databases):
    if not begins_query(statement.sql):
      others[statement.sql.split(maxsplit=1)[0].upper()[:20]] += 1
      continue
    if not statement.label and len(databases) > 1:
      raise ValueError(
        f"{path}:{statement.line}: which database? With several, each statement needs a TAB and "
        "the db_id behind it"
      )
    queries.append((statement.label or next(iter(databases)), statement.sql))
  if not queries:
    raise ValueError(f"{path}: there is no query in it ({others.total()} other statements)")
  return QueryLog(str(path), tuple(queries), others)


def _statements(text: str, dialect: str, databases: Mapping[str, str]) -> Iterator[Statement]:
  """The statements of a file, and of each entry of a server's log those behind its head."""
  begins = [match.start() for match in _ENTRY.finditer(text)]
  for begin, end in zip([0, *begins], [*begins, len(text)], strict=True):
    if begins and (begin or begins[0] == 0) and begin != end:
      head = _BEFORE_STATEMENT.search(
        text, begin, text.find("\n", begin) if "\n" in text[begin:end] else end
      )
      if head is None:
        continue
      begin = head.end()
    line = text.count("\n", 0, begin)
    for found in split_statements(text[begin:end], dialect, databases):
      yield dataclasses.replace(found, line=found.line + line)
