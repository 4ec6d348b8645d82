"""Whether PostgreSQL may run a statement: every name and operator in it is looked up in the
server's catalog first.

The text decides only what might be meant, and always for more than less: each name before an
opening parenthesis or behind a dot (`(x).f` calls f) may be a call of every function of that name,
each operator every operator of that sign. The catalog, asked in the transaction that runs the
statement, decides what they do:

- A function is harmless if it came with the server, is not volatile, not SECURITY DEFINER, takes
  what SQL can give it, and is none of the few in `_REFUSED_FUNCTIONS` and `_REFUSED_FAMILIES`. One
  that did not come with the server is harmless if it is a function of a well-known extension that
  computes (`_PURE_EXTENSIONS`), or allowed by name.
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
from collections.abc import Iterable, Sequence

from spftsql_jax.databases.engines import postgresql_paths, postgresql_products, postgresql_types
from spftsql_jax.databases.engines.postgresql_tokens import Token, UnreadableError, read_tokens

TYPE_CHECKING = False  # As in typing, which a worker does not import.
if TYPE_CHECKING:
  import psycopg

# Not volatile by the catalog, but able to run other text, to tell about the server, to take a
# transaction number, or to run on when they are to stop.
_REFUSED_FUNCTIONS_NAMES = """
  current_setting fmgr_c_validator fmgr_internal_validator fmgr_sql_validator getpgusername inet_client_addr
  inet_client_port inet_server_addr inet_server_port row_security_active txid_current
  txid_current_if_assigned txid_current_snapshot txid_snapshot_xip txid_status xml_is_well_formed
  xml_is_well_formed_content xml_is_well_formed_document xmlexists xmlparse xmltable xmlvalidate xpath
  xpath_exists
"""
_REFUSED_FUNCTIONS = frozenset(_REFUSED_FUNCTIONS_NAMES.split())
# query_to_xml, table_to_xmlschema ...; and what only the server has to do with.
_REFUSED_FAMILIES = re.compile(
  r"(?:query|cursor|table|schema|database)_to_xml|pg_|binary_upgrade_|has_\w+_privilege$"
)
# Of those families, what says how a value or a table is made.
_OPEN_FUNCTIONS_NAMES = """
  pg_collation_for pg_column_size pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_serial_sequence
  pg_get_viewdef pg_size_bytes pg_size_pretty pg_table_is_visible pg_type_is_visible pg_typeof
"""
_OPEN_FUNCTIONS = frozenset(_OPEN_FUNCTIONS_NAMES.split())
# The server's own relations that describe tables.
_OPEN_CATALOGS_NAMES = """
  pg_attrdef pg_attribute pg_class pg_collation pg_constraint pg_description pg_enum pg_foreign_table pg_index
  pg_indexes pg_inherits pg_matviews pg_namespace pg_partitioned_table pg_range pg_sequence pg_tables pg_type
  pg_views
"""
_OPEN_CATALOGS = frozenset(_OPEN_CATALOGS_NAMES.split())
# Extensions whose functions in C and SQL that are neither volatile nor SECURITY DEFINER compute
# from their arguments alone.
_PURE_EXTENSIONS_NAMES = """
  btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore intagg intarray isn ltree
  pg_trgm postgis seg unaccent uuid-ossp vector
"""
_PURE_EXTENSIONS = frozenset(_PURE_EXTENSIONS_NAMES.split())
# Functions that make a large value of a number, with the largest that may stand in the text. No
# answer is longer, and what the server does with a value without looking up (position, replace,
# distances) takes time by the square of it.
_LARGEST = {
  "array_fill": 100_000,
  "format": 100_000,
  "lpad": 100_000,
  "polygon": 1_000,
  "repeat": 100_000,
  "rpad": 100_000,
}
# The width of a conversion: %10s, %-10s, %2$10s.
_WIDTH = re.compile(r"%(?:\d+\$)?-?(\d+)")
# One that is an argument: %*s.
_WIDTH_GIVEN = re.compile(r"%(?:\d+\$)?-?\*")
# Reserved words: no function, table or type is called by one of them unless it is quoted.
_RESERVED_NAMES = """
  all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create
  current_catalog current_date current_role current_time current_timestamp current_user default deferrable desc
  distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral
  leading limit localtime localtimestamp not null offset on only or order placing primary references returning
  select session_user some symmetric table then to trailing true union unique user using variadic when where window
  with
"""
_RESERVED = frozenset(_RESERVED_NAMES.split())
# Behind these words a name is no alias.
_BEFORE_NO_ALIAS_NAMES = (
  "and case distinct else from having in join on only or select then when where"
)
_BEFORE_NO_ALIAS = frozenset(_BEFORE_NO_ALIAS_NAMES.split())
# Functions without parentheses: in FROM they are tables of these names.
_BARE_FUNCTIONS_NAMES = """
  current_catalog current_date current_role current_schema current_time current_timestamp current_user localtime
  localtimestamp session_user system_user user
"""
_BARE_FUNCTIONS = frozenset(_BARE_FUNCTIONS_NAMES.split())
# Signs that stand for themselves in IN, BETWEEN, CASE, LIKE, USING and the like.
_COMPARISONS = frozenset(("=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~"))

# Where the server keeps, in an expression that it has understood, the numbers of functions.
_NUMBERS = (
  r":(?:funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|startInRangeFunc|endInRangeFunc) (\d+)"
)
_PREPARED = "spftsql_lookup"
_EQ = "OPERATOR(pg_catalog.=)"
_GE = "OPERATOR(pg_catalog.>=)"
_HAS = "OPERATOR(pg_catalog.&&)"
# 16384 is the first number of what did not come with the server (FirstNormalObjectId).
_OWN = f"oid {_GE} 16384::pg_catalog.oid"
_EXTENSION = f"""
  (SELECT e.extname::pg_catalog.text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid {_EQ} d.refobjid
   WHERE d.classid {_EQ} 1255::pg_catalog.oid AND d.objid {_EQ} p.oid
   AND d.refclassid {_EQ} 3079::pg_catalog.oid AND d.deptype {_EQ} 'e'::pg_catalog."char")"""
# Languages 12 to 14: internal (as aggregates are), C and SQL.
_FUNCTION = f"""
  p.proname::pg_catalog.text, p.{_OWN}, p.provolatile {_EQ} 'v'::pg_catalog."char", p.prosecdef,
  p.pronargs::pg_catalog.int4 {_GE} 1
    AND 1 {_GE} (p.pronargs::pg_catalog.int4 OPERATOR(pg_catalog.-) p.pronargdefaults::pg_catalog.int4),
  CASE WHEN p.{_OWN} AND p.prolang {_EQ} ANY (ARRAY[12, 13, 14]::pg_catalog.oid[]) THEN {_EXTENSION} END"""
# Whether a name without a schema may mean it, and its schema.
_PLACE = f"n.nspname {_EQ} ANY (pg_catalog.current_schemas(true)), n.nspname::pg_catalog.text"
# Everything that the names of a statement may mean, and what acts without being named: the columns
# of `_Found`. cstring and internal (2275, 2281): functions that the server calls by itself.
_LOOKUP = f"""
  SELECT 'function', {_FUNCTION}, p.oid, NULL::pg_catalog.oid[],
    p.proargtypes::pg_catalog.oid[] {_HAS} ARRAY[2275, 2281]::pg_catalog.oid[], {_PLACE}
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} p.pronamespace
  WHERE p.proname {_EQ} ANY ($1::pg_catalog.name[])
  AND (p.provolatile {_EQ} 'v'::pg_catalog."char" OR p.prosecdef OR p.{_OWN}
       OR p.proargtypes::pg_catalog.oid[] {_HAS} ARRAY[2275, 2281]::pg_catalog.oid[]
       OR p.proname {_EQ} ANY ($2::pg_catalog.name[]))
  UNION ALL
  SELECT 'relation', c.relname::pg_catalog.text, c.{_OWN}, c.relkind {_EQ} 'v'::pg_catalog."char", c.relrowsecurity,
    NULL, NULL, c.oid, NULL, false, {_PLACE}
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} c.relnamespace
  WHERE c.relname {_EQ} ANY ($1::pg_catalog.name[]) AND c.relkind OPERATOR(pg_catalog.<>) 'i'::pg_catalog."char"
  UNION ALL
  SELECT 'operator', {_FUNCTION.replace("p.proname", "o.oprname", 1)}, o.oid, ARRAY[o.oprleft, o.oprright], false,
    {_PLACE}
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid {_EQ} o.oprcode::pg_catalog.oid
  JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} o.oprnamespace
  WHERE o.{_OWN} AND o.oprname {_EQ} ANY ($3::pg_catalog.name[])
  UNION ALL
  SELECT 'cast', {_FUNCTION}, c.oid, ARRAY[c.castsource, c.casttarget], false, true, ''
  FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid {_EQ} c.castfunc WHERE c.{_OWN}
  UNION ALL
  SELECT 'domain', {_FUNCTION}, c.oid, ARRAY[c.contypid], false, true, ''
  FROM pg_catalog.pg_constraint c
  CROSS JOIN LATERAL pg_catalog.regexp_matches(c.conbin::pg_catalog.text, '{_NUMBERS}', 'g') m
  JOIN pg_catalog.pg_proc p ON p.oid {_EQ} m[1]::pg_catalog.oid
  WHERE c.contypid {_GE} 16384::pg_catalog.oid AND (p.{_OWN} OR p.provolatile {_EQ} 'v'::pg_catalog."char")"""
# Views, and tables with row policies, under each of the given ones: what they call that is
# volatile. The server keeps them as it has understood them, with the numbers of functions and
# operators.
_INSIDE = f"""
  WITH RECURSIVE inside (root, oid, tree) AS (
    SELECT c.oid, c.oid, t.tree FROM pg_catalog.pg_class c, LATERAL ({{trees}}) t
    WHERE c.oid {_EQ} ANY (%s::pg_catalog.oid[])
    UNION
    SELECT i.root, c.oid, t.tree FROM inside i
    CROSS JOIN LATERAL pg_catalog.regexp_matches(i.tree, ':relid (\\d+)', 'g') m
    JOIN pg_catalog.pg_class c ON c.oid {_EQ} m[1]::pg_catalog.oid, LATERAL ({{trees}}) t
  ), called (root, oid) AS (
    SELECT i.root, m[1]::pg_catalog.oid FROM inside i
    CROSS JOIN LATERAL pg_catalog.regexp_matches(i.tree, '{_NUMBERS}', 'g') m
    UNION
    SELECT i.root, o.oprcode::pg_catalog.oid FROM inside i
    CROSS JOIN LATERAL pg_catalog.regexp_matches(i.tree, ':(?:opno|eqop|sortop) (\\d+)', 'g') m
    JOIN pg_catalog.pg_operator o ON o.oid {_EQ} m[1]::pg_catalog.oid
    UNION
    SELECT i.root, s.step FROM inside i
    CROSS JOIN LATERAL pg_catalog.regexp_matches(i.tree, ':(?:aggfnoid|winfnoid) (\\d+)', 'g') m
    JOIN pg_catalog.pg_aggregate a ON a.aggfnoid::pg_catalog.oid {_EQ} m[1]::pg_catalog.oid
    CROSS JOIN LATERAL pg_catalog.unnest(
      ARRAY[a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::pg_catalog.oid[]) AS s(step)
  )
  SELECT c.relname::pg_catalog.text, c.relkind {_EQ} 'v'::pg_catalog."char", p.proname::pg_catalog.text
  FROM called f JOIN pg_catalog.pg_proc p ON p.oid {_EQ} f.oid JOIN pg_catalog.pg_class c ON c.oid {_EQ} f.root
  WHERE p.provolatile {_EQ} 'v'::pg_catalog."char"
""".replace(
  "{trees}",
  f"""SELECT w.ev_action::pg_catalog.text AS tree FROM pg_catalog.pg_rewrite w WHERE w.ev_class {_EQ} c.oid
      UNION ALL SELECT r.polqual::pg_catalog.text FROM pg_catalog.pg_policy r WHERE r.polrelid {_EQ} c.oid""",
)
# The names that bring a value of one of the given types (or an array, domain, range or row of them)
# into a statement: types, relations and functions.
_HELD = f"""
  WITH RECURSIVE held (root, oid) AS (
    SELECT a.held, a.held FROM pg_catalog.unnest(%s::pg_catalog.oid[]) AS a(held)
    UNION
    SELECT h.root, t.outside FROM held h JOIN (
      SELECT typelem AS inside, oid AS outside FROM pg_catalog.pg_type
      UNION ALL SELECT typbasetype, oid FROM pg_catalog.pg_type
      UNION ALL SELECT b.atttypid, c.reltype FROM pg_catalog.pg_attribute b
        JOIN pg_catalog.pg_class c ON c.oid {_EQ} b.attrelid WHERE b.attrelid {_GE} 16384::pg_catalog.oid AND NOT b.attisdropped
      UNION ALL SELECT rngsubtype, rngtypid FROM pg_catalog.pg_range
    ) t ON t.inside {_EQ} h.oid
    WHERE t.outside {_GE} 1::pg_catalog.oid
  )"""
_BRINGING = f"""{_HELD}
  SELECT h.root, t.typname::pg_catalog.text, COALESCE(c.relkind OPERATOR(pg_catalog.<>) 'c'::pg_catalog."char", false)
  FROM held h JOIN pg_catalog.pg_type t ON t.oid {_EQ} h.oid LEFT JOIN pg_catalog.pg_class c ON c.oid {_EQ} t.typrelid
  UNION ALL
  SELECT h.root, p.proname::pg_catalog.text, true FROM pg_catalog.pg_proc p
  CROSS JOIN LATERAL pg_catalog.unnest(p.proallargtypes OPERATOR(pg_catalog.||) p.prorettype) AS a(type)
  JOIN held h ON h.oid {_EQ} a.type WHERE p.{_OWN}"""
# The columns of such a type, and of relations' rows.
_COLUMNS_OF = f"""{_HELD}
  SELECT a.attname::pg_catalog.text FROM held h JOIN pg_catalog.pg_attribute a ON a.atttypid {_EQ} h.oid
  WHERE NOT a.attisdropped
  UNION SELECT t.typname::pg_catalog.text FROM held h JOIN pg_catalog.pg_type t ON t.oid {_EQ} h.oid"""
# Functions that take two values of a type that the one decides for the other, so that a literal
# becomes it: lag(zip, 1, 'x'), array_append(zips, 'x').
_POLYMORPHIC = f"""
  SELECT p.proname::pg_catalog.text, p.pronargs::pg_catalog.int4 FROM pg_catalog.pg_proc p
  WHERE p.proname {_EQ} ANY (%s::pg_catalog.name[]) AND 1 OPERATOR(pg_catalog.<) (
    SELECT pg_catalog.count(*) FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) AS a(type)
    WHERE a.type {_EQ} ANY (ARRAY[2277, 2283, 2776, 3500, 5077, 5078, 5079]::pg_catalog.oid[]))"""
_XML = 142
# Whether each of some names is that of a relation, and every relation of these names has a column.
_ALL_HAVE = f"""
  SELECT pg_catalog.bool_and(c.oid IS NOT NULL AND a.attrelid IS NOT NULL)
  FROM pg_catalog.unnest(%s::pg_catalog.name[]) AS w(name)
  LEFT JOIN pg_catalog.pg_class c ON c.relname {_EQ} w.name AND c.relkind OPERATOR(pg_catalog.<>) 'i'::pg_catalog."char"
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid {_EQ} c.oid AND NOT a.attisdropped
    AND a.attname {_EQ} %s::pg_catalog.name"""


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
  """A row of `_LOOKUP`: a function, relation, operator, cast or domain.

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


class Guard:
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
    connection.execute(f"PREPARE {_PREPARED} AS {_LOOKUP}")

  def refusal(self, sql: str) -> tuple[str, str] | None:
    """Why `sql` is not run, as (status, reason), or None. Raises psycopg.Error."""
    try:
      tokens = read_tokens(sql)
    except UnreadableError as error:
      return "refused", f"not allowed: {error}"
    if reason := _shape_refusal(tokens):
      return "refused", f"not allowed: {reason}"
    if reason := _size_refusal(tokens):
      return "resource", reason
    names = _names_of(tokens)
    signs = {_sign(token.text) for token in tokens if token.kind == "operator"} | _COMPARISONS
    listed = [name for name in names if _is_refused_name(name)]
    lookup = f"EXECUTE {_PREPARED}({_array(names)}, {_array(listed)}, {_array(signs)})"
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
    return found.own and found.extension not in _PURE_EXTENSIONS and found.name not in self._allowed

  def _function_refusal(self, tokens: Sequence[Token], found: Sequence[_Found]) -> str:
    called, dotted = _calls_of(tokens)
    harmful = []
    for each in found:
      listed = _is_refused_name(each.name) and not each.own
      acts = each.volatile or each.definer or each.by_server or listed or self._is_owners(each)
      if acts and each.name not in self._allowed:
        harmful.append(each)
    columns: dict[tuple[str, str], bool] = {}
    for i, token in enumerate(tokens if harmful else ()):
      meant = [each for each in harmful if _means(token, each.name)] if token.is_name else []
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
    tables = _tables_called(tokens, owner)
    if not tables:
      return False
    if not all(name.isascii() for name in (*tables, token.text)):
      return False
    return self._rows(_ALL_HAVE, sorted(tables), token.text)[0][0]

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
    for name, is_view, function in self._rows(_INSIDE, inside):
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
    for root, name, stored in self._rows(_BRINGING, list(types)) if types else ():
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
      meant = next((name for name in named if token.is_name and _means(token, name)), None)
      if meant is None or not postgresql_types.may_be_type(tokens, i):
        continue
      # A relation's name before a parenthesis is an alias or a function's.
      if not (named[meant] and _stands(tokens, i + 1, "(")) and not self._is_column(tokens, i):
        return meant
    if any("populate_record" in name for name in names) or any(
      token.text == "#=" for token in tokens
    ):
      return next(iter(named))
    # Of a query without another inside, names that are no column of the types are of other types.
    is_single = sum(token.is_word("select", "values", "table") for token in tokens) < 2
    columns = {name for (name,) in self._rows(_COLUMNS_OF, types)} if is_single else names
    calls = set(self._rows(_POLYMORPHIC, list(names)))
    for i, token in enumerate(tokens):
      if (
        token.is_name
        and _stands(tokens, i + 1, "(")
        and (token.text, _argument_count(tokens, i + 1)) in calls
      ):
        inside = tokens[i + 2 : _closing(tokens, i + 1)]
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
      and not _stands(tokens, i + 1, "(")
      and postgresql_types.may_be_type(tokens, i)
    }
    if any("populate_record" in name for name in names):
      typed |= relations
    if typed and any(name in typed for _, name, _ in self._rows(_BRINGING, [_XML])):
      return "a row with XML made of text, which runs on when it is to stop"
    return ""


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


def _means(token: Token, name: str) -> bool:
  """Whether the server may read a token as this name."""
  if name in (token.text, token.other):
    return True
  # Other encodings have room for more characters in a name than UTF-8.
  return len(token.other) > len(token.text) and name.startswith(token.text)


def _is_in(found: _Found, tokens: Sequence[Token], at: int) -> bool:
  """Whether the name at `at` may be that function, by the schema that stands before it or the
  search path.
  """
  if not _stands(tokens, at - 1, "."):
    return found.in_path
  schema = tokens[at - 2] if at > 1 else None
  # pg_temp is another name of the session's own schema.
  return (
    schema is None
    or not schema.is_name
    or _means(schema, found.schema)
    or schema.text.startswith("pg_temp")
  )


def _is_within_reach(found: _Found, tokens: Sequence[Token]) -> bool:
  """Whether the statement can mean it: OPERATOR(schema.sign) names the schema of an operator."""
  if found.in_path:
    return True
  for i, token in enumerate(tokens):
    if token.is_word("operator") and _stands(tokens, i + 1, "("):
      schemas = [each for each in tokens[i + 2 : i + 5] if each.is_name]
      if any(_means(each, found.schema) or each.text.startswith("pg_temp") for each in schemas):
        return True
  return False


def _names_of(tokens: Sequence[Token]) -> set[str]:
  names: set[str] = set()
  for i, token in enumerate(tokens):
    # Behind a dot any word is a name.
    if token.is_name and (
      token.kind == "quoted" or token.text not in _RESERVED or _stands(tokens, i - 1, ".")
    ):
      names.add(token.text)
      if token.other:
        names.add(token.other)
  return names


def _sign(operator: str) -> str:
  return "<>" if operator == "!=" else operator


def _calls_of(tokens: Sequence[Token]) -> tuple[set[int], set[int]]:
  """The places of the names that may be called, and of those behind a dot that may be."""
  called, dotted = set(), set()
  for i, token in enumerate(tokens):
    if not token.is_name:
      continue
    behind = tokens[i + 1] if i + 1 < len(tokens) else None
    before = tokens[i - 1] if i else None
    if behind is not None and behind.text == "(" and behind.kind == "mark":
      if not _names_columns(tokens, i):
        called.add(i)
    elif before is not None and before.kind == "mark" and before.text == ".":
      dotted.add(i)
  return called, dotted


def _names_columns(tokens: Sequence[Token], at: int) -> bool:
  """Whether the parenthesis behind a name lists columns: `AS name (`, `WITH name (`, `, name (...)
  AS (SELECT`.
  """
  before = tokens[at - 1] if at else None
  if before is None:
    return False
  if before.is_word("as", "with", "recursive"):
    return True
  if before.text != "," or before.kind != "mark":
    return False
  end = _closing(tokens, at + 1)
  rest = tokens[end + 1 : end + 5]
  if not rest or not rest[0].is_word("as"):
    return False
  words = [token for token in rest[1:] if not token.is_word("not", "materialized")]
  # A function's own list of columns begins with a name that is not reserved.
  return len(words) > 1 and words[0].text == "(" and words[1].is_word("select", "with")


def _closing(tokens: Sequence[Token], at: int) -> int:
  """The index of the parenthesis that closes the one at `at`, the number of tokens where there is
  none.
  """
  depth = 0
  for i in range(at, len(tokens)):
    if tokens[i].kind == "mark":
      depth += {"(": 1, ")": -1}.get(tokens[i].text, 0)
      if depth == 0:
        return i
  return len(tokens)


def _tables_called(tokens: Sequence[Token], owner: Token) -> set[str]:
  """The tables that `owner`, a name before a dot, may stand for; none where it may stand for
  something else.

  Every other place where the name stands must be a table or the alias of one: no common table, no
  subquery, no function, no new names for the columns.
  """
  tables: set[str] = set()
  if owner.text in _BARE_FUNCTIONS and any(token.is_word(owner.text) for token in tokens):
    return tables
  for i, token in enumerate(tokens):
    if not token.is_name or token.text != owner.text or _stands(tokens, i + 1, "."):
      continue
    if len(token.other) > len(token.text):
      return set()
    if _binds_otherwise(tokens, i):
      return set()
    j = i - 1
    if j >= 0 and tokens[j].is_word("as"):
      j -= 1
    before = tokens[j] if j >= 0 else None
    if before is not None and before.is_name and not before.is_word(*_BEFORE_NO_ALIAS):
      if any(
        each.is_name and each.text == before.text and _binds_otherwise(tokens, k)
        for k, each in enumerate(tokens)
      ):
        return set()
      if len(before.other) > len(before.text):
        return set()
      tables.add(before.text)
    elif (
      before is not None
      and j == i - 1
      and (before.is_name or (before.kind == "mark" and before.text in (",", "(", ".")))
    ):
      tables.add(token.text)
    else:
      return set()
  return tables


def _binds_otherwise(tokens: Sequence[Token], at: int) -> bool:
  """Whether the name at `at` is followed by a list of columns or a common table's query."""
  if _stands(tokens, at + 1, "("):
    return True
  behind = tokens[at + 1] if at + 1 < len(tokens) else None
  if behind is None or not behind.is_word("as"):
    return False
  after = tokens[at + 2] if at + 2 < len(tokens) else None
  return after is None or after.text == "(" or after.is_word("not", "materialized")


def _argument_count(tokens: Sequence[Token], opening: int) -> int:
  """How many arguments a call has, at least one."""
  count, depth = 1, 0
  for token in tokens[opening : _closing(tokens, opening)]:
    if token.kind == "mark":
      depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
      count += depth == 1 and token.text == ","
  return count


def _stands(tokens: Sequence[Token], at: int, mark: str) -> bool:
  return 0 <= at < len(tokens) and tokens[at].kind == "mark" and tokens[at].text == mark


def _shape_refusal(tokens: Sequence[Token]) -> str:
  """What is refused by its syntax, since it has no function's name: XML that is read, paths that
  are not plain.
  """
  for i, token in enumerate(tokens):
    before = tokens[i - 1] if i else None
    if token.is_word("xmltable", "xmlparse", "xmlexists") and _stands(tokens, i + 1, "("):
      return f"{token.text}, which runs on when it is to stop"
    negated = before is not None and before.is_word("not")
    if token.is_word("document") and i > negated and tokens[i - 1 - negated].is_word("is"):
      return "IS DOCUMENT, which runs on when it is to stop"
    if token.is_name and token.text in ("xml", "_xml") and postgresql_types.may_be_type(tokens, i):
      return "reading text as XML, which runs on when it is to stop"
  return postgresql_paths.refusal(tokens) or postgresql_products.refusal(tokens)


def _size_refusal(tokens: Sequence[Token]) -> str:
  """Why one value that the text asks for is too large: repeat('x', 300000000),
  format('%1000000000s', 1).
  """
  for i, token in enumerate(tokens):
    if not (token.is_name and token.text in _LARGEST and _stands(tokens, i + 1, "(")):
      continue
    most = _LARGEST[token.text]
    product = 1.0
    inside = tokens[i + 2 : _closing(tokens, i + 1)]
    for j, each in enumerate(inside):
      counts = _WIDTH.findall(each.text) if each.kind == "string" and token.text == "format" else []
      if each.kind == "number" and (count := _number(each.text)) is not None:
        # 1000 * 1000
        product = product * count if j and inside[j - 1].text in ("*", "^") else count
        counts = [product]
      if any(len(str(count)) > 18 or float(count) > most for count in counts):
        return f"{token.text} makes values of at most {most:,} parts here"
      if token.text == "format" and each.kind == "string" and _WIDTH_GIVEN.search(each.text):
        return "format takes no width from its arguments here"
    if (
      token.text == "polygon" and _argument_count(tokens, i + 1) > 1 and inside[0].kind != "number"
    ):
      return "polygon takes a number of points only as it stands here"
  return ""


def _number(text: str) -> float | None:
  try:
    return float(text.replace("_", ""))
  except ValueError:
    return None
