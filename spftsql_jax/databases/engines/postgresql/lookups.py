"""What is asked of PostgreSQL's catalog about the names in a statement.

Every name is qualified and every operator named by its schema, so that nothing that an owner has
made answers in its place.
"""

from __future__ import annotations

# Where the server keeps, in an expression that it has understood, the numbers of functions.
_NUMBERS = (
  r":(?:funcid|opfuncid|aggfnoid|winfnoid|tsmhandler|startInRangeFunc|endInRangeFunc) (\d+)"
)
PREPARED = "spftsql_lookup"
_EQ = "OPERATOR(pg_catalog.=)"
_GE = "OPERATOR(pg_catalog.>=)"
_HAS = "OPERATOR(pg_catalog.&&)"
# 16384 is the first number of what did not come with the server (FirstNormalObjectId).
_OWN = f"oid {_GE} 16384::pg_catalog.oid"
_EXTENSION = f"""
  (SELECT e.extname::pg_catalog.text FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid {_EQ} d.refobjid
   WHERE d.classid {_EQ} 1255::pg_catalog.oid AND d.objid {_EQ} p.oid
   AND d.refclassid {_EQ} 3079::pg_catalog.oid AND d.deptype {_EQ} 'e'::pg_catalog."char")"""
# Languages 12 to 14: internal (as aggregates are), C and SQL.
_FUNCTION = f"""
  p.proname::pg_catalog.text, p.{_OWN}, p.provolatile {_EQ} 'v'::pg_catalog."char", p.prosecdef,
  p.pronargs::pg_catalog.int4 {_GE} 1
    AND 1 {_GE}
      (p.pronargs::pg_catalog.int4 OPERATOR(pg_catalog.-) p.pronargdefaults::pg_catalog.int4),
  CASE WHEN p.{_OWN} AND p.prolang {_EQ} ANY (ARRAY[12, 13, 14]::pg_catalog.oid[])
    THEN {_EXTENSION} END"""
# Whether a name without a schema may mean it, and its schema.
_PLACE = f"n.nspname {_EQ} ANY (pg_catalog.current_schemas(true)), n.nspname::pg_catalog.text"
# Everything that the names of a statement may mean, and what acts without being named: the columns
# of `_Found`. cstring and internal (2275, 2281): functions that the server calls by itself.
LOOKUP = f"""
  SELECT 'function', {_FUNCTION}, p.oid, NULL::pg_catalog.oid[],
    p.proargtypes::pg_catalog.oid[] {_HAS} ARRAY[2275, 2281]::pg_catalog.oid[], {_PLACE}
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} p.pronamespace
  WHERE p.proname {_EQ} ANY ($1::pg_catalog.name[])
  AND (p.provolatile {_EQ} 'v'::pg_catalog."char" OR p.prosecdef OR p.{_OWN}
       OR p.proargtypes::pg_catalog.oid[] {_HAS} ARRAY[2275, 2281]::pg_catalog.oid[]
       OR p.proname {_EQ} ANY ($2::pg_catalog.name[]))
  UNION ALL
  SELECT 'relation', c.relname::pg_catalog.text, c.{_OWN}, c.relkind {_EQ} 'v'::pg_catalog."char",
    c.relrowsecurity,
    NULL, NULL, c.oid, NULL, false, {_PLACE}
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid {_EQ} c.relnamespace
  WHERE c.relname {_EQ} ANY ($1::pg_catalog.name[])
    AND c.relkind OPERATOR(pg_catalog.<>) 'i'::pg_catalog."char"
  UNION ALL
  SELECT 'operator', {_FUNCTION.replace("p.proname", "o.oprname", 1)}, o.oid,
    ARRAY[o.oprleft, o.oprright], false,
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
  WHERE c.contypid {_GE} 16384::pg_catalog.oid
    AND (p.{_OWN} OR p.provolatile {_EQ} 'v'::pg_catalog."char")"""
# Views, and tables with row policies, under each of the given ones: what they call that is
# volatile. The server keeps them as it has understood them, with the numbers of functions and
# operators.
INSIDE = f"""
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
      ARRAY[a.aggtransfn, a.aggfinalfn, a.aggmtransfn, a.aggminvtransfn,
        a.aggmfinalfn]::pg_catalog.oid[]) AS s(step)
  )
  SELECT c.relname::pg_catalog.text, c.relkind {_EQ} 'v'::pg_catalog."char",
    p.proname::pg_catalog.text
  FROM called f JOIN pg_catalog.pg_proc p ON p.oid {_EQ} f.oid
    JOIN pg_catalog.pg_class c ON c.oid {_EQ} f.root
  WHERE p.provolatile {_EQ} 'v'::pg_catalog."char"
""".replace(
  "{trees}",
  f"""SELECT w.ev_action::pg_catalog.text AS tree FROM pg_catalog.pg_rewrite w
        WHERE w.ev_class {_EQ} c.oid
      UNION ALL SELECT r.polqual::pg_catalog.text FROM pg_catalog.pg_policy r
        WHERE r.polrelid {_EQ} c.oid""",
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
        JOIN pg_catalog.pg_class c ON c.oid {_EQ} b.attrelid
          WHERE b.attrelid {_GE} 16384::pg_catalog.oid AND NOT b.attisdropped
      UNION ALL SELECT rngsubtype, rngtypid FROM pg_catalog.pg_range
    ) t ON t.inside {_EQ} h.oid
    WHERE t.outside {_GE} 1::pg_catalog.oid
  )"""
BRINGING = f"""{_HELD}
  SELECT h.root, t.typname::pg_catalog.text,
    COALESCE(c.relkind OPERATOR(pg_catalog.<>) 'c'::pg_catalog."char", false)
  FROM held h JOIN pg_catalog.pg_type t ON t.oid {_EQ} h.oid
    LEFT JOIN pg_catalog.pg_class c ON c.oid {_EQ} t.typrelid
  UNION ALL
  SELECT h.root, p.proname::pg_catalog.text, true FROM pg_catalog.pg_proc p
  CROSS JOIN LATERAL pg_catalog.unnest(p.proallargtypes OPERATOR(pg_catalog.||) p.prorettype)
    AS a(type)
  JOIN held h ON h.oid {_EQ} a.type WHERE p.{_OWN}"""
# The columns of such a type, and of relations' rows.
COLUMNS_OF = f"""{_HELD}
  SELECT a.attname::pg_catalog.text FROM held h
    JOIN pg_catalog.pg_attribute a ON a.atttypid {_EQ} h.oid
  WHERE NOT a.attisdropped
  UNION SELECT t.typname::pg_catalog.text FROM held h
    JOIN pg_catalog.pg_type t ON t.oid {_EQ} h.oid"""
# Functions that take two values of a type that the one decides for the other, so that a literal
# becomes it: lag(zip, 1, 'x'), array_append(zips, 'x').
POLYMORPHIC = f"""
  SELECT p.proname::pg_catalog.text, p.pronargs::pg_catalog.int4 FROM pg_catalog.pg_proc p
  WHERE p.proname {_EQ} ANY (%s::pg_catalog.name[]) AND 1 OPERATOR(pg_catalog.<) (
    SELECT pg_catalog.count(*) FROM pg_catalog.unnest(p.proargtypes::pg_catalog.oid[]) AS a(type)
    WHERE a.type {_EQ} ANY (ARRAY[2277, 2283, 2776, 3500, 5077, 5078, 5079]::pg_catalog.oid[]))"""
XML = 142
# Whether each of some names is that of a relation, and every relation of these names has a column.
ALL_HAVE = f"""
  SELECT pg_catalog.bool_and(c.oid IS NOT NULL AND a.attrelid IS NOT NULL)
  FROM pg_catalog.unnest(%s::pg_catalog.name[]) AS w(name)
  LEFT JOIN pg_catalog.pg_class c ON c.relname {_EQ} w.name
    AND c.relkind OPERATOR(pg_catalog.<>) 'i'::pg_catalog."char"
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid {_EQ} c.oid AND NOT a.attisdropped
    AND a.attname {_EQ} %s::pg_catalog.name"""
