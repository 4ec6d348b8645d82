"""What SQLite is let run: an authorizer with an allow-list refuses everything but reading the
database's own tables and calling known functions.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator

# What a SELECT may ask for. Absent on purpose: random, randomblob (a score must not depend on
# luck), load_extension, fts3_tokenizer, readfile, writefile, edit, and everything that only tells
# about the library.
_FUNCTION_NAMES = """
  abs acos acosh asin asinh atan atan2 atanh avg bm25 ceil ceiling changes char coalesce concat
  concat_ws cos cosh count cume_dist current_date current_time current_timestamp date datetime
  degrees dense_rank exp first_value floor format glob group_concat hex highlight if ifnull iif
  instr json json_array json_array_insert json_array_length json_each json_error_position
  json_extract json_group_array json_group_object json_insert json_object json_patch json_pretty
  json_quote json_remove json_replace json_set json_tree json_type json_valid jsonb jsonb_array
  jsonb_array_insert jsonb_each jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert
  jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set jsonb_tree julianday lag
  last_value lead length like likelihood likely ln log log10 log2 lower ltrim match matchinfo max
  median min mod nth_value ntile nullif octet_length offsets percent_rank percentile
  percentile_cont percentile_disc pi pow power printf quote radians rank regexp replace round
  row_number rtrim sign sin sinh snippet soundex sqrt strftime string_agg substr substring subtype
  sum tan tanh time timediff total trim trunc typeof unhex unicode unistr unistr_quote unixepoch
  unlikely upper zeroblob -> ->>
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
# Modules of virtual tables that compute from the database's own tables alone, and those that are
# read like functions.
_TABLE_MODULES = frozenset(
  {"fts3", "fts4", "fts4aux", "fts5", "fts5vocab", "geopoly", "rtree", "rtree_i32"}
)
_TABLE_FUNCTIONS = frozenset(
  {"generate_series", "json_each", "json_tree", "jsonb_each", "jsonb_tree"}
)
_ALLOWED_ACTIONS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
# Names of a process's modules, read once: they belong to the library, not to a database.
_modules: list[frozenset[str]] = []


def _library_modules(connection: sqlite3.Connection) -> frozenset[str]:
  if not _modules:
    try:
      names = {
        name.lower() for (name,) in connection.execute("SELECT name FROM pragma_module_list")
      }
    except sqlite3.OperationalError:
      # SQLite was built without the list.
      names = {"dbstat", "sqlite_dbpage", "sqlite_stmt", "bytecode", "tables_used"}
    _modules.append(frozenset(names))
  return _modules[0]


def _virtual_tables(connection: sqlite3.Connection) -> dict[str, str]:
  """The database's own virtual tables and their modules, in lower case."""
  found = {}
  virtual = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND rootpage = 0 AND sql LIKE "
    "'CREATE VIRTUAL%'"
  )
  for name, sql in connection.execute(virtual):
    from spftsql_jax.sql import statements

    # CREATE VIRTUAL TABLE name USING module; the name may be quoted and hold anything.
    words = [text for _, text in itertools.islice(statements.tokens(sql), 6)]
    found[name.lower()] = (
      words[5].strip('"`[]').lower() if len(words) > 5 and words[4].upper() == "USING" else ""
    )
  return found


def _hidden_modules(connection: sqlite3.Connection, virtual: dict[str, str]) -> frozenset[str]:
  """Lower-case names that may not be read from: modules that tell about the file's pages or the
  connection (dbstat, sqlite_stmt, pragma_...) or might read other files, by themselves or as tables
  of the database made with them.
  """
  own = {name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master")}
  eponymous = _library_modules(connection) - _TABLE_FUNCTIONS - own
  return eponymous | {name for name, module in virtual.items() if module not in _TABLE_MODULES}


def _open_virtual_tables(connection: sqlite3.Connection, names: Iterable[str]) -> None:
  for name in names:
    quoted = name.replace('"', '""')
    try:
      connection.execute(f'SELECT * FROM "{quoted}" LIMIT 1').fetchone()
    except sqlite3.Error:
      # One that is broken, or needs arguments: whoever reads from it will be told.
      continue


def _authorize(
  hidden: frozenset[str], action: int, first: str | None, second: str | None, *unused: str | None
) -> int:
  if action in _ALLOWED_ACTIONS:
    if action == sqlite3.SQLITE_READ and first is not None and first.lower() in hidden:
      return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
  if action == sqlite3.SQLITE_FUNCTION and second is not None and second.lower() in _FUNCTIONS:
    return sqlite3.SQLITE_OK
  # The full-text modules ask for these two while they are read from.
  if action == sqlite3.SQLITE_PRAGMA and second is None and first in ("data_version", "page_size"):
    return sqlite3.SQLITE_OK
  return sqlite3.SQLITE_DENY


class Fence:
  """The authorizer of one connection.

  Attributes:
    virtual_tables: names of the database's virtual tables that do no harm.
  """

  def __init__(self, connection: sqlite3.Connection):
    self._connection = connection
    virtual = _virtual_tables(connection)
    self.virtual_tables = [name for name, module in virtual.items() if module in _TABLE_MODULES]
    self._authorizer = functools.partial(_authorize, _hidden_modules(connection, virtual))

  def put_up(self) -> None:
    """Refuses from now on what is not allowed."""
    self._connection.set_authorizer(self._authorizer)

  @contextlib.contextmanager
  def down(self) -> Iterator[None]:
    """Refuses nothing within the block, which is for statements of ours."""
    self._connection.set_authorizer(None)
    yield
    self.put_up()

  def open_virtual_tables(self) -> None:
    """Has SQLite connect the harmless virtual tables now, under no authorizer.

    It declares their columns by a CREATE TABLE, and R-tree prepares the statements that it would
    write with.
    """
    _open_virtual_tables(self._connection, self.virtual_tables)

  def open_table_functions(self) -> bool:
    """Has SQLite connect what is read like a function (json_each) too; False where it is."""
    functions = _TABLE_FUNCTIONS & _library_modules(self._connection)
    if functions.issubset(self.virtual_tables):
      return False
    self.virtual_tables += functions
    with self.down():
      self.open_virtual_tables()
    return True


def refusal_of(connection: sqlite3.Connection) -> Callable[[str], str]:
  """What tells why a statement is not to be run on a connection of ours, "" where it may.

  The reason is that a worker's connection would refuse it, or that it cannot be read at all.
  """
  fence = Fence(connection)
  fence.open_virtual_tables()
  ((trusted,),) = connection.execute("PRAGMA trusted_schema").fetchall() or [(1,)]

  def refusal(sql: str) -> str:
    connection.execute("PRAGMA trusted_schema = OFF")
    fence.put_up()
    try:
      connection.execute(f"EXPLAIN {sql}").close()
    except sqlite3.Error as error:
      return str(error)
    finally:
      connection.set_authorizer(None)
      connection.execute(f"PRAGMA trusted_schema = {trusted}")
    return ""

  return refusal
