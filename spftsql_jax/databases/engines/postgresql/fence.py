"""Whether PostgreSQL may run a statement: every name and operator in it is looked up in the
server's catalog first.

The text decides only what might be meant, and always for more than less: each name before an
opening parenthesis or behind a dot (`(x).f` calls f) may be a call of every function of that name,
each operator every operator of that sign. The catalog, asked in the transaction that runs the
statement, decides what they do:

- A function is harmless if it came with the server, is not volatile, not SECURITY DEFINER, takes
  what SQL can give it, and is none of the few in `_REFUSED_FUNCTIONS` and `_REFUSED_FAMILIES`. One
  that did not come with the server is harmless if it is a function of a well-known extension that
  computes (`PURE_EXTENSIONS`), or allowed by name.
- Relations of the server's own are not read, but those that describe tables (`_OPEN_CATALOGS`) and
  information_schema: settings, files, roles and other sessions are no part of the data.
- What an owner has built into views, row policies, types, casts and operators runs by itself when a
  statement touches them. It may call functions of his that are not volatile; a statement that can
  reach a volatile one is refused. Base types and operator classes are not looked at: only
  superusers make them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence

from spftsql_jax.databases import permissions
from spftsql_jax.databases.engines.postgresql import lookups, type_names
from spftsql_jax.databases.engines.postgresql.names import (
  argument_count,
  calls_of,
  closing,
  means,
  names_of,
  sign,
  tables_called,
)
from spftsql_jax.databases.engines.postgresql.text_refusals import shape_refusal, size_refusal
from spftsql_jax.databases.engines.postgresql.tokens import (
  Token,
  UnreadableError,
  is_mark,
  read_tokens,
)

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  import psycopg


# Not volatile by the catalog, but able to run other text, to tell about the server, to take a
# transaction number, or to run on when they are to stop.
_REFUSED_FUNCTIONS_NAMES = """
  current_setting fmgr_c_validator fmgr_internal_validator fmgr_sql_validator getpgusername
  inet_client_addr inet_client_port inet_server_addr inet_server_port row_security_active
  txid_current txid_current_if_assigned txid_current_snapshot txid_snapshot_xip txid_status
  xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document xmlexists xmlparse
  xmltable xmlvalidate xpath xpath_exists
"""
_REFUSED_FUNCTIONS = frozenset(_REFUSED_FUNCTIONS_NAMES.split())
# query_to_xml, table_to_xmlschema ...; and what only the server has to do with.
_REFUSED_FAMILIES = re.compile(
  r"(?:query|cursor|table|schema|database)_to_xml|pg_|binary_upgrade_|has_\w+_privilege$"
)
# Of those families, what says how a value or a table is made.
_OPEN_FUNCTIONS_NAMES = """
  pg_collation_for pg_column_size pg_get_constraintdef pg_get_expr pg_get_indexdef
  pg_get_serial_sequence pg_get_viewdef pg_size_bytes pg_size_pretty pg_table_is_visible
  pg_type_is_visible pg_typeof
"""
_OPEN_FUNCTIONS = frozenset(_OPEN_FUNCTIONS_NAMES.split())
# The server's own relations that describe tables.
_OPEN_CATALOGS_NAMES = """
  pg_attrdef pg_attribute pg_class pg_collation pg_constraint pg_description pg_enum
  pg_foreign_table pg_index pg_indexes pg_inherits pg_matviews pg_namespace pg_partitioned_table
  pg_range pg_sequence pg_tables pg_type pg_views
"""
_OPEN_CATALOGS = frozenset(_OPEN_CATALOGS_NAMES.split())
# Extensions whose functions in C and SQL that are neither volatile nor SECURITY DEFINER compute
# from their arguments alone.
_PURE_EXTENSIONS_NAMES = """
  btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore intagg
  intarray isn ltree pg_trgm postgis seg unaccent uuid-ossp vector
"""
PURE_EXTENSIONS = frozenset(_PURE_EXTENSIONS_NAMES.split())
# Signs that stand for themselves in IN, BETWEEN, CASE, LIKE, USING and the like.
_COMPARISONS = frozenset(("=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~"))


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
  """A row of `lookups.LOOKUP`: a function, relation, operator, cast or domain.

  `own`: it did not come with the server. `volatile` and `definer` are said of the function behind
  it; of relations that they are views and have row policies. `types`: those that an operator, cast
  or domain is about.
  """

  kind: str
  name: str
  own: bool
  volatile: bool
  definer: bool
  takes_one: bool | None
  extension: str | None
  oid: int
  types: list[int] | None
  by_server: bool | None
  in_path: bool
  schema: str


class Fence:
  """Judges the statements of one connection.

  Args:
    connection: asked within the transaction that is to run the statement; nothing is kept from one
      statement to the next, since functions and views come and go.
    allow_functions: names, as in the catalog, of functions that may be called all the same.
  """

  def __init__(self, connection: psycopg.Connection, allow_functions: frozenset[str]):
    self._connection = connection
    self._allowed = allow_functions
    # Planned once: the driver forgets what it has prepared itself when a transaction is rolled
    # back.
    connection.execute(f"PREPARE {lookups.PREPARED} AS {lookups.LOOKUP}")

  def refusal(self, sql: str) -> tuple[str, str] | None:
    """Why `sql` is not run, as (status, reason), or None. Raises psycopg.Error."""
    try:
      tokens = read_tokens(sql)
    except UnreadableError as error:
      return "refused", f"not allowed: {error}"
    if reason := shape_refusal(tokens):
      return "refused", f"not allowed: {reason}"
    if reason := size_refusal(tokens):
      return "resource", reason
    names = names_of(tokens)
    signs = {sign(token.text) for token in tokens if token.kind == "operator"} | _COMPARISONS
    listed = [name for name in names if _is_refused_name(name)]
    lookup = f"EXECUTE {lookups.PREPARED}({_array(names)}, {_array(listed)}, {_array(signs)})"
    # In UTF-8 whatever the connection: a server that does not know its encoding takes any bytes.
    found = [_Found(*row) for row in self._connection.execute(lookup.encode()).fetchall()]
    reason = (
      self._function_refusal(tokens, [each for each in found if each.kind == "function"])
      or self._relation_refusal(names, [each for each in found if each.kind == "relation"])
      or self._implied_refusal(
        tokens,
        names,
        [each for each in found if each.types is not None and _is_within_reach(each, tokens)],
      )
      or self._xml_refusal(tokens, names, {each.name for each in found if each.kind == "relation"})
    )
    return ("refused", f"not allowed to use {reason}") if reason else None

  def _rows(self, query: str, *values: object) -> list[tuple]:
    return self._connection.execute(query, values).fetchall()

  def _is_owners(self, found: _Found) -> bool:
    """Whether a function is neither the server's nor a trusted extension's nor allowed."""
    return found.own and found.extension not in PURE_EXTENSIONS and found.name not in self._allowed

  def _function_refusal(self, tokens: Sequence[Token], found: Sequence[_Found]) -> str:
    called, dotted = calls_of(tokens)
    harmful = []
    for each in found:
      listed = _is_refused_name(each.name) and not each.own
      acts = each.volatile or each.definer or each.by_server or listed or self._is_owners(each)
      if acts and each.name not in self._allowed:
        harmful.append(each)
    columns: dict[tuple[str, str], bool] = {}
    for i, token in enumerate(tokens if harmful else ()):
      meant = [each for each in harmful if means(token, each.name)] if token.is_name else []
      if i in called:
        meant = [each for each in meant if _is_in(each, tokens, i)]
        if meant:
          return f"function {meant[0].name}: {_why(meant[0])}"
      elif i in dotted:
        # Called so a function has one argument and no schema.
        meant = [each for each in meant if each.takes_one and each.in_path]
        place = (tokens[i - 2].text if i > 1 and tokens[i - 2].is_name else "", token.text)
        if meant and place not in columns:
          columns[place] = self._is_column(tokens, i)
        if meant and not columns[place]:
          return (
            f"function {meant[0].name}, which a dot before its name calls as well: {_why(meant[0])}"
          )
    return ""

  def _is_column(self, tokens: Sequence[Token], at: int) -> bool:
    """Whether `x.name` is a column whatever x is: only names of tables that have the column are
    called x.
    """
    token = tokens[at]
    if at < 2 or not tokens[at - 2].is_name:
      return False
    owner = tokens[at - 2]
    tables = tables_called(tokens, owner)
    if not tables:
      return False
    if not all(name.isascii() for name in (*tables, token.text)):
      return False
    return self._rows(lookups.ALL_HAVE, sorted(tables), token.text)[0][0]

  def _relation_refusal(self, names: set[str], found: Sequence[_Found]) -> str:
    inside = []
    for each in found:
      if not (each.in_path or each.schema in names or each.schema.startswith("pg_temp")):
        continue
      if each.schema == "pg_toast" or (
        each.schema == "pg_catalog" and each.name not in _OPEN_CATALOGS
      ):
        return f"relation {each.name}, which tells about the server"
      if each.own and (each.volatile or each.definer):
        inside.append(each.oid)
    if not inside:
      return ""
    for name, is_view, function in self._rows(lookups.INSIDE, inside):
      if function not in self._allowed:
        what = "view" if is_view else "table"
        return f"{what} {name}: its definition calls {function}, which is volatile"
    return ""

  def _implied_refusal(
    self, tokens: Sequence[Token], names: set[str], found: Sequence[_Found]
  ) -> str:
    """Operators, casts and domains, which call functions without their names."""
    found = [
      each for each in found
      if each.name not in self._allowed and (each.volatile or each.definer or self._is_owners(each))
    ]  # fmt: skip
    bringing = self._bringing(
      names, {oid for each in found for oid in each.types or () if oid >= 16384}
    )
    for each in found:
      acts = each.volatile or each.definer
      what = {
        "operator": f"operator {each.name}",
        "cast": f"a cast by {each.name}",
        "domain": f"a domain checked by {each.name}",
      }
      types = [oid for oid in each.types or () if oid >= 16384]
      if types:
        named = {name: stored for oid in types for name, stored in bringing.get(oid, {}).items()}
        reached = self._reached(tokens, names, types, named, each.kind != "domain" and acts)
        if reached is not None:
          return f"{what[each.kind]} on {reached}: {_why(each)}"
      elif acts or (
        each.kind == "operator" and (each.name not in _COMPARISONS or not each.in_path)
      ):
        return f"{what[each.kind]}: {_why(each)}"
    return ""

  def _bringing(self, names: set[str], types: Iterable[int]) -> dict[int, dict[str, bool]]:
    """By type the names that bring it into a statement, and whether it is stored under that
    name.
    """
    bringing: dict[int, dict[str, bool]] = {}
    for root, name, stored in self._rows(lookups.BRINGING, list(types)) if types else ():
      if name in names:
        bringing.setdefault(root, {})[name] = stored
    return bringing

  def _reached(
    self,
    tokens: Sequence[Token],
    names: set[str],
    types: Sequence[int],
    named: dict[str, bool],
    by_reading: bool,
  ) -> str | None:
    """The name by which a statement makes a value of one of the types, or with `by_reading` has one
    at all.
    """
    if not named or by_reading:
      return next(iter(named), None)
    for i, token in enumerate(tokens):
      meant = next((name for name in named if token.is_name and means(token, name)), None)
      if meant is None or not type_names.may_be_type(tokens, i):
        continue
      # A relation's name before a parenthesis is an alias or a function's.
      if not (named[meant] and is_mark(tokens, i + 1, "(")) and not self._is_column(tokens, i):
        return meant
    if any("populate_record" in name for name in names) or any(
      token.text == "#=" for token in tokens
    ):
      return next(iter(named))
    # Of a query without another inside, names that are no column of the types are of other types.
    is_single = sum(token.is_word("select", "values", "table") for token in tokens) < 2
    columns = {name for (name,) in self._rows(lookups.COLUMNS_OF, types)} if is_single else names
    calls = set(self._rows(lookups.POLYMORPHIC, list(names)))
    for i, token in enumerate(tokens):
      if (
        token.is_name
        and is_mark(tokens, i + 1, "(")
        and (token.text, argument_count(tokens, i + 1)) in calls
      ):
        inside = tokens[i + 2 : closing(tokens, i + 1)]
        if any(each.is_name and (each.text in columns or each.other in columns) for each in inside):
          return next(iter(named))
    return None

  def _xml_refusal(self, tokens: Sequence[Token], names: set[str], relations: set[str]) -> str:
    """Rows that are made with XML in them: json_populate_record(NULL::page, ...)."""
    typed = {
      token.text
      for i, token in enumerate(tokens)
      if token.is_name
      and (token.text in relations or token.text.startswith("_"))
      and not is_mark(tokens, i + 1, "(")
      and type_names.may_be_type(tokens, i)
    }
    if any("populate_record" in name for name in names):
      typed |= relations
    if typed and any(name in typed for _, name, _ in self._rows(lookups.BRINGING, [lookups.XML])):
      return "a row with XML made of text, which runs on when it is to stop"
    return ""


def refusal_of(connection: psycopg.Connection) -> Callable[[str], str]:
  """What tells why a statement is not to be run on a connection of ours, "" where it may; see
  `Fence`.
  """
  fence = Fence(connection, permissions.functions_allowed())

  def refusal(sql: str) -> str:
    found = fence.refusal(sql)
    return found[1] if found else ""

  return refusal


def _array(names: Iterable[str]) -> str:
  """An array as a literal (with standard_conforming_strings)."""
  items = (name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''") for name in names)
  return "'{" + ",".join(f'"{item}"' for item in items) + "}'"


def _why(found: _Found) -> str:
  if found.volatile:
    return "it is volatile"
  if found.definer:
    return "it runs with its owner's rights (SECURITY DEFINER)"
  if found.own:
    return "it did not come with the server and is not allowed by name"
  return "it runs other text, tells about the server, or runs on when it is to stop"


def _is_refused_name(name: str) -> bool:
  return name in _REFUSED_FUNCTIONS or (
    _REFUSED_FAMILIES.match(name) is not None and name not in _OPEN_FUNCTIONS
  )


def _is_in(found: _Found, tokens: Sequence[Token], at: int) -> bool:
  """Whether the name at `at` may be that function, by the schema that stands before it or the
  search path.
  """
  if not is_mark(tokens, at - 1, "."):
    return found.in_path
  schema = tokens[at - 2] if at > 1 else None
  # pg_temp is another name of the session's own schema.
  return (
    schema is None
    or not schema.is_name
    or means(schema, found.schema)
    or schema.text.startswith("pg_temp")
  )


def _is_within_reach(found: _Found, tokens: Sequence[Token]) -> bool:
  """Whether the statement can mean it: OPERATOR(schema.sign) names the schema of an operator."""
  if found.in_path:
    return True
  for i, token in enumerate(tokens):
    if token.is_word("operator") and is_mark(tokens, i + 1, "("):
      schemas = [each for each in tokens[i + 2 : i + 5] if each.is_name]
      if any(means(each, found.schema) or each.text.startswith("pg_temp") for each in schemas):
        return True
  return False
