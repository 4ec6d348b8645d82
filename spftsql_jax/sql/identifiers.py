"""How a name is written in SQL: as it is where the engine reads it back as the same name, in double
quotes where not.

The one place that decides it, for prompts, synthesized queries, constrained decoding and queries of
our own alike: what a prompt shows is what a query has to say.

    written("singer", "sqlite")      -> singer
    written("firstName", "postgres") -> "firstName"     (without quotes it is read in lower case)
    written("user", "postgres")      -> "user"          (without quotes it is the role's name)
    written("2nd try", "duckdb")     -> "2nd try"

The words that an engine keeps for itself stand in `reserved_words.json`, not in the database at
hand: a prompt is part of a model and must not change with the server's version. PostgreSQL's are
those that its own quote_ident quotes (pg_get_keywords() but for the unreserved ones, of version 15,
and what 16 and 17 added); SQLite's and DuckDB's those of their keywords that fail, or mean
something else, as the name of a table or column in some place of a query. Words that sqlglot cannot
read back as a name are in all three. A test asks the engines.
"""

from __future__ import annotations

import functools
import json
import pathlib
import re
from collections.abc import Iterable, Sequence

_ANY_CASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOWER_CASE = re.compile(r"[a-z_][a-z0-9_]*")


def quote(name: str) -> str:
  """`name` as a quoted identifier, which all engines read alike."""
  return '"' + name.replace('"', '""') + '"'


def written(name: str, dialect: str) -> str:
  """`name` as SQL of `dialect` (sqlglot's name of it) has to write it."""
  plain = (_LOWER_CASE if dialect == "postgres" else _ANY_CASE).fullmatch(name)
  return name if plain and name.lower() not in reserved_words(dialect) else quote(name)


def written_path(parts: Sequence[str], dialect: str) -> str:
  """A name with what it stands in before it, as SQL has to write it: sales."Order"."""
  return ".".join(written(part, dialect) for part in parts)


def quote_path(parts: Iterable[str]) -> str:
  """As `written_path`, every part in quotes: for queries that nobody reads."""
  return ".".join(map(quote, parts))


@functools.cache
def reserved_words(dialect: str) -> frozenset[str]:
  """The lower-case words that are quoted in a dialect; of one that is not known, those of all."""
  text = (pathlib.Path(__file__).parent / "reserved_words.json").read_text(encoding="utf-8")
  words = {name: frozenset(" ".join(lines).split()) for name, lines in json.loads(text).items()}
  return words.get(dialect, frozenset().union(*words.values()))
