"""Databases with whatever names and values an engine allows, for tests that nothing breaks on
them.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import duckdb

# Names that an engine takes when quoted.
NAMES = (
  "#", "%", "{x}", ":name", "?", "'", '"', "''", '""x', " ", "  a  b ", "a\nb", "\t", "😀", "ñandú", "名前", "select", "from",
  "order", "group", "table", "user", "count", "sum", "max", "date", "value", "x" * 63, "1", "1st", "-", "--", "/*", "*/", ";",
  "$1", "$$", "@", "@@v", "[", "]", "[x]", "`", "\\", "a.b", ".", "(", ")", "a(b)", "=", "NULL", "true", "_", "__", "a_", "A",
  "t1", "T1", "rowid", "__val_1", "__col_0", "𝒳", "e\u0301", "\u200b", "\u202e", "ﬁ", "İ", "ß", "{", "}", "{0}", "%s", "%(a)s",
  "&", "|", "~", "^", "!", "<", ">", "a b c d e f", "id", "ID_", "the", "of", "how many", "s", "ss", "x y's",
)  # fmt: skip
_DATABASE_TYPES = {
  "number": "INTEGER",
  "text": "VARCHAR",
  "real": "DOUBLE PRECISION",
  "date": "DATE",
}


def quote(name: str) -> str:
  return '"' + name.replace('"', '""') + '"'


def statements_for(names: Sequence[str], rows: int = 30) -> list[str]:
  """Tables called so with columns called so: a key, texts, numbers, dates, all NULL, and a
  reference to the table before.
  """
  statements = []
  before = None
  for i, table in enumerate(names):
    columns = [names[(i + k) % len(names)] for k in range(7)]
    columns = list({column.lower(): column for column in columns}.values())
    kinds = ["number", "text", "real", "date", "text", "number", "number"][: len(columns)]
    parts = [
      f"{quote(c)} {_DATABASE_TYPES[k]}" + (" PRIMARY KEY" if j == 0 else "")
      for j, (c, k) in enumerate(zip(columns, kinds, strict=True))
    ]
    if before is not None and len(columns) == 7:
      parts[-1] += f" REFERENCES {quote(before[0])} ({quote(before[1])})"
    statements.append(f"CREATE TABLE {quote(table)} ({', '.join(parts)})")
    values = []
    for row in range(rows):
      date = f"'{2000 + row % 20}-{1 + row % 12:02d}-{1 + row % 28:02d}'"
      word = ("'alpha'", "'it''s'", "'%'", "'{x}'", "'#'", "''", "':name'", "'?'")[row % 8]
      cells = [
        str(row),
        word,
        f"{row}.25",
        date,
        f"'word {row}'",
        "NULL",
        str(row % max(1, rows - 1)),
      ][: len(columns)]
      values.append(f"({', '.join(cells)})")
    if values:
      statements.append(f"INSERT INTO {quote(table)} VALUES {', '.join(values)}")
    before = (table, columns[0])
  return statements


def write_sqlite(path: Path, statements: Sequence[str]) -> str:
  with contextlib.closing(sqlite3.connect(path)) as connection:
    for sql in statements:
      connection.execute(sql)
    connection.commit()
  return str(path)


def write_duckdb(path: Path, statements: Sequence[str]) -> str:
  with duckdb.connect(str(path)) as connection:
    for sql in statements:
      connection.execute(sql)
  return f"duckdb:///{path}"


# What an engine stores that Python, or a careless program, has no place for; each list makes one
# database.
SQLITE_VALUES = {
  "infinities": [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, x REAL, big INTEGER, label TEXT)",
    "INSERT INTO t VALUES (9223372036854775807, 9e999, 9223372036854775807, 'a'), (-9223372036854775808, -9e999, "
    "-9223372036854775808, 'b'), (3, 1.5, 7, 'a'), (4, 2.5, 8, 'b'), (5, 3.5, 9, 'c'), (6, 1e308, 10, 'a')",
  ],
  "mixed": [
    "CREATE TABLE t (id, a, b INTEGER, c TEXT)",
    "INSERT INTO t VALUES (1, 'x', 'y', x'00ff'), (2, 2, 2.5, 'z'), (NULL, x'61', NULL, NULL), ('4', '', '', ''), "
    "(5, 1e20, 'q', 'z')",
  ],
  "undecodable": [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, city TEXT)",
    *(
      f"INSERT INTO t VALUES ({i}, CAST(x'4a6f73e9{60 + i % 3}' AS TEXT), 'city {i % 4}')"
      for i in range(20)
    ),
  ],
  "null_bytes": [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)",
    *(f"INSERT INTO t VALUES ({i}, 'a' || char(0) || 'b{i % 5}')" for i in range(20)),
  ],
  "surrogates": [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)",
    *(f"INSERT INTO t VALUES ({i}, CAST(x'eda080' AS TEXT) || 'b{i % 5}')" for i in range(20)),
  ],
  "generated": [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER AS (a * 2) STORED, c TEXT AS ('v' || a % 3) VIRTUAL)",
    *(f"INSERT INTO t (a) VALUES ({i})" for i in range(20)),
  ],
  "nothing": [
    "CREATE TABLE empty (a INTEGER, b TEXT)",
    "CREATE TABLE void (a INTEGER, b TEXT)",
    "INSERT INTO void VALUES (NULL, NULL), (NULL, NULL)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)",
    *(f"INSERT INTO t VALUES ({i}, 'n{i % 5}')" for i in range(12)),
  ],
  "wide": [
    f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(f'c{i} TEXT' for i in range(1500))})",
    *(
      f"INSERT INTO t (id, c0, c1, c1499) VALUES ({i}, 'a{i % 3}', 'b{i}', 'z{i % 4}')"
      for i in range(12)
    ),
  ],
  "long_ago": [
    "CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE, label TEXT)",
    "INSERT INTO t VALUES (1, '0000-00-00', 'a'), (2, '9999-12-31', 'b'), (3, '-0044-03-15', 'a'), (4, '2024-02-30', 'c'), "
    "(5, '12000-01-01', 'c'), (6, '0001-01-01', 'a'), (7, '2024-02-29', 'b'), (8, '2024-12-31 24:00:00', 'b')",
  ],
}
DUCKDB_VALUES = {
  "nested": [
    "CREATE TABLE t (id INTEGER, tags VARCHAR[], props STRUCT(a INTEGER, b VARCHAR), m MAP(VARCHAR, INTEGER), "
    "u UNION(n INTEGER, s VARCHAR), deep STRUCT(x INTEGER[])[], j JSON, name VARCHAR)",
    "INSERT INTO t SELECT i, ['a', NULL, i::VARCHAR], {'a': i, 'b': 'x'}, MAP {'k': i}, i::VARCHAR, [{'x': [i]}], "
    "'{\"a\": 1}', 'n' || i % 4 FROM range(30) r(i)",
  ],
  "temporal": [
    "CREATE TABLE t (id INTEGER, d DATE, ts TIMESTAMP, ns TIMESTAMP_NS, tz TIMESTAMPTZ, iv INTERVAL, tm TIME, name VARCHAR)",
    "INSERT INTO t SELECT i, DATE '2020-01-01' + i::INTEGER, TIMESTAMP '2020-01-01 01:00:00' + to_days(i::INTEGER), "
    "'2020-01-01 00:00:00.123456789', '2020-01-01 00:00:00+02', to_months(i::INTEGER), '12:00:00', "
    "'n' || i % 4 FROM range(20) r(i)",
    "INSERT INTO t VALUES (20, 'infinity', 'infinity', NULL, 'infinity', INTERVAL '3000000 years', '24:00:00', 'x'), "
    "(21, '-infinity', '-infinity', NULL, '-infinity', NULL, NULL, 'x'), (22, '0044-03-15 (BC)', '12000-01-01 00:00:00', NULL, "
    "NULL, NULL, NULL, 'y')",
  ],
  "numbers": [
    "CREATE TABLE t (id INTEGER, f DOUBLE, h HUGEINT, u UHUGEINT, d DECIMAL(38, 10), b BIT, e ENUM('a', 'b'), k UUID, "
    "v BIGNUM, bl BLOB, flag BOOLEAN)",
    "INSERT INTO t SELECT i, i / 4, 170141183460469231731687303715884105727::HUGEINT - i::HUGEINT, i, i / 8, '101', 'a', "
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '1234567890123456789012345678901234567890', '\\xAA', "
    "i % 2 = 0 FROM range(20) r(i)",
    "INSERT INTO t (id, f) VALUES (20, 'nan'), (21, 'inf'), (22, '-inf'), (23, 'nan')",
  ],
  "nothing": [
    "CREATE TABLE empty (a INTEGER, b VARCHAR)",
    "CREATE TABLE void (a INTEGER, b VARCHAR)",
    "INSERT INTO void VALUES (NULL, NULL), (NULL, NULL)",
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR, doubled INTEGER AS (id * 2))",
    "INSERT INTO t (id, name) SELECT i, 'n' || i % 5 FROM range(12) r(i)",
  ],
  "wide": [
    f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(f'c{i} VARCHAR' for i in range(1500))})",
    *(
      f"INSERT INTO t (id, c0, c1, c1499) VALUES ({i}, 'a{i % 3}', 'b{i}', 'z{i % 4}')"
      for i in range(12)
    ),
  ],
}
POSTGRESQL = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b date);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE nocolumns ();
INSERT INTO nocolumns DEFAULT VALUES;
CREATE TABLE same (id int PRIMARY KEY, name text);
CREATE TABLE "Same" (id int PRIMARY KEY, name text, "Name" text);
CREATE TABLE "SAME" (id int PRIMARY KEY, "NAME" text);
INSERT INTO same SELECT i, 'a' || i % 3 FROM generate_series(1, 20) i;
INSERT INTO "Same" SELECT i, 'b' || i % 4, 'c' || i % 5 FROM generate_series(1, 20) i;
CREATE TABLE everything (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz, tm time, tmz timetz, iv interval, n numeric,
  f float8, m money, b bit(3), ip inet, net cidr, mac macaddr, p point, box box, r int4range, dr daterange, mr int4multirange,
  tags text[], grid int[][], j jsonb, js json, x xml, ts_v tsvector, moods mood[], mood mood, pr pair, pos positive, by bytea,
  u uuid, v bit varying, o oid, l pg_lsn, jp jsonpath, c "char", nm name,
  nothing text, doubled int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO everything SELECT i, '2020-01-01'::date + i, '2020-01-01'::timestamp + i * interval '1 day',
  '2020-01-01 00:00+00'::timestamptz, '12:00', '12:00+02', i * interval '1 month', i / 4.0, i / 8.0, i, B'101', '10.0.0.1',
  '10.0.0.0/8', '08:00:2b:01:02:03', '(1,2)', '(1,2),(3,4)', '[1,5)', '[2020-01-01,infinity)', '{[1,3)}', ARRAY['a', NULL],
  '{{1,2},{3,4}}', '{"a": 1, "b": [1, {"c": null}]}', '{"a": "\\ud800"}', '<a/>', to_tsvector('a b'), ARRAY['sad'::mood],
  'glad', ROW(i, 'infinity')::pair, i, '\\xAA', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', B'1', 1, '1/2', '$.a', 'x', 'nm'
  FROM generate_series(1, 20) i;
INSERT INTO everything (id, d, ts, tz, tm, tmz, iv, n, f, tags, grid, j) VALUES
  (21, 'infinity', 'infinity', 'infinity', '24:00', '24:00+00', '178000000 years', 'NaN', 'NaN', '[0:1]={a,b}', '{}', '1e400'),
  (22, '-infinity', '-infinity', '-infinity', NULL, NULL, NULL, 'Infinity', '-Infinity', NULL, NULL, '{"a": 1e400}'),
  (23, '0044-03-15 BC', '0044-03-15 BC', '12000-01-01', NULL, NULL, NULL, '1e400', NULL, NULL, NULL, 'null');
"""
