"""SQLite and DuckDB as they are used: many and large databases at once, large schemas, virtual
tables, files that other processes write to or were killed over, and memory that an engine does not
count.
"""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading

import duckdb
import hostile_harness
import pytest

from spftsql_jax.databases import Executor, open_database
from spftsql_jax.databases.engines import RESTING_BYTES
from spftsql_jax.databases.engines import duckdb as duckdb_engine
from spftsql_jax.databases.engines import sqlite as sqlite_engine
from spftsql_jax.databases.engines.sqlite import files as sqlite_files
from spftsql_jax.databases.file_state import identity_of
from spftsql_jax.judging.comparison import results_match
from spftsql_jax.synthesis.runner import QueryFailed, Runner

_MB = 1_000_000


@contextlib.contextmanager
def other_process(code, *arguments):
  """A Python process that runs `code`, says something, and then each line that it is sent; yields a
  function that sends one.
  """
  loop = """
    print("ready", flush=True)
    for line in sys.stdin:
      exec(line)
      print("done", flush=True)
  """
  text = "import os, sys, sqlite3\n" + textwrap.dedent(code) + textwrap.dedent(loop)
  process = subprocess.Popen(
    [sys.executable, "-c", text, *map(str, arguments)],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout.readline() == "ready\n"

  def tell(line):
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline() == "done\n"

  try:
    yield tell
  finally:
    process.kill()
    process.communicate()


def kill(tell):
  """Ends the other process as a crash does, nothing put away."""
  assert not tell("os._exit(1)")


def contents(folder):
  return {path.name: path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())}


WRITES_AHEAD = """
  c = sqlite3.connect(sys.argv[1], isolation_level=None)
  c.execute("PRAGMA journal_mode = WAL")
  c.execute("CREATE TABLE IF NOT EXISTS t (a)")
"""


def test_pages_of_other_databases_are_no_part_of_a_statements_memory(tmp_path):
  first = tmp_path / "0.sqlite"
  with contextlib.closing(sqlite3.connect(first)) as connection, connection:
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    connection.executemany(
      "INSERT INTO t (b) VALUES (?)", ((f"{i} " + "x" * 990,) for i in range(8_000))
    )
  places = [first, *(tmp_path / f"{i}.sqlite" for i in range(1, 40))]
  for place in places[1:]:
    shutil.copy(first, place)
  assert first.stat().st_size > 8 * _MB
  pairs = [
    ("SELECT COUNT(*), MAX(b) FROM t", "SELECT COUNT(a), MAX(b) FROM t"),
    (
      "SELECT SUM(LENGTH(b)) FROM t WHERE b > '1'",
      "SELECT SUM(LENGTH(t.b)) FROM t WHERE t.b > '1'",
    ),
  ]
  with Executor(workers=1, memory_mb=64) as executor:
    results = executor.execute_many(
      [(str(place), sql) for place in places for pair in pairs for sql in pair], timeout_s=60.0
    )
    assert {result.status for result in results} == {"ok"}
    assert (
      all(results_match(*results[i : i + 2], "", "strict") for i in range(0, len(results), 2))
      and len(results) == 160
    )
    # Back and forth, too.
    for _ in range(2):
      for place in places:
        assert executor.execute(str(place), f"SELECT MAX(b), {_} FROM t", timeout_s=60.0).ok
    (pid,) = executor.worker_pids()
    assert hostile_harness.highest_mib(pid) < 64 + RESTING_BYTES / _MB + 60


def test_blocks_of_other_duckdb_databases_are_no_part_of_a_statements_memory(tmp_path):
  first = tmp_path / "0.duckdb"
  with duckdb.connect(str(first)) as connection:
    connection.execute("CREATE TABLE t AS SELECT range AS a, hash(range) AS b FROM range(1000000)")
  places = [first, *(tmp_path / f"{i}.duckdb" for i in range(1, 24))]
  for place in places[1:]:
    shutil.copy(first, place)
  with Executor(workers=1, memory_mb=64) as executor:
    jobs = [
      (f"duckdb:///{place}", f"SELECT max(b), sum(a), {i} FROM t")
      for i in range(2)
      for place in places
    ]
    results = executor.execute_many(jobs, timeout_s=60.0)
    assert {result.status for result in results} == {"ok"} and len(
      {result.rows for result in results}
    ) == 2
    (pid,) = executor.worker_pids()
    assert hostile_harness.highest_mib(pid) < 100 + (
      64 * _MB + RESTING_BYTES + duckdb_engine.MEMORY_SLACK
    ) / (1 << 20)


def test_memory_stays_limited_after_a_file_that_cannot_be_opened(tmp_path):
  place, broken = tmp_path / "a.sqlite", tmp_path / "broken.duckdb"
  with contextlib.closing(sqlite3.connect(place)) as connection:
    connection.execute("CREATE TABLE t (a)")
  broken.write_bytes(b"\0" * 8 + b"DUCK" + b"\1" * 20_000)
  with Executor(workers=1) as executor:
    assert executor.execute(str(place), "SELECT a FROM t").ok
    assert executor.execute(str(broken), "SELECT 1", timeout_s=60.0).transient
    [pid] = executor.worker_pids()
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
  [data] = [line.split()[3] for line in limits.splitlines() if line.startswith("Max data size")]
  assert data.isdigit(), "unlimited"


def test_one_executor_serves_both_engines(tmp_path):
  with contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
    connection.execute("CREATE TABLE t (a)")
  with duckdb.connect(str(tmp_path / "b.duckdb")) as connection:
    connection.execute("CREATE TABLE t (a INTEGER)")
  with Executor(workers=1, memory_mb=64) as executor:
    for i in range(3):
      for place in (tmp_path / "a.sqlite", f"duckdb:///{tmp_path}/b.duckdb"):
        assert executor.execute(
          str(place), f"SELECT COUNT(*), {i} FROM t", timeout_s=60.0
        ).rows == ((0, i),)


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
@pytest.mark.parametrize("kind", ["tables", "views", "indexes", "wide"])
def test_large_schemas_are_read(engine, kind, tmp_path):
  count = 5_000 if engine == "sqlite" else 1_500
  columns = ", ".join(f"column_number_{i} INTEGER" for i in range(2_000 if kind == "wide" else 5))
  makes = {
    "tables": [f"CREATE TABLE t{i} (a INTEGER PRIMARY KEY, b TEXT)" for i in range(count)],
    "views": [
      "CREATE TABLE t (a INTEGER)",
      *(f"CREATE VIEW v{i} AS SELECT a + {i} AS b FROM t" for i in range(count)),
    ],
    "indexes": [
      "CREATE TABLE t (a INTEGER)",
      *(
        f"CREATE INDEX i{i} ON t (a)" if engine == "duckdb" else f"CREATE INDEX i{i} ON t (a + {i})"
        for i in range(count)
      ),
    ],
    "wide": [f"CREATE TABLE w{i} ({columns})" for i in range(20)],
  }[kind]
  if engine == "sqlite":
    place = str(tmp_path / "large.sqlite")
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as connection:
      connection.executescript(
        "BEGIN;"
        + ";".join([*makes, "CREATE TABLE last (a INTEGER)", "INSERT INTO last VALUES (7)"])
      )
      if kind == "tables":
        for i in range(2_000):
          connection.execute(f"CREATE TRIGGER r{i} AFTER INSERT ON t{i} BEGIN SELECT 1; END")
      connection.execute("COMMIT")
  else:
    place = f"duckdb:///{tmp_path}/large.duckdb"
    with duckdb.connect(str(tmp_path / "large.duckdb")) as connection:
      connection.execute("BEGIN")
      for each in [*makes, "CREATE TABLE last (a INTEGER)", "INSERT INTO last VALUES (7)"]:
        connection.execute(each)
      connection.execute("COMMIT")
  with Executor(workers=1) as executor:
    assert executor.execute(place, "SELECT a FROM last", timeout_s=60.0).rows == ((7,),)
    # A sort that spills makes SQLite read the schema again.
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
    spilled = executor.execute(
      place, f"{many}SELECT MAX(i) FROM (SELECT i FROM n ORDER BY -i LIMIT 290000)", timeout_s=60.0
    )
    assert spilled.rows == ((300_000,),)
    assert executor.execute(place, "SELECT a + 1 FROM last", timeout_s=60.0).rows == ((8,),)
    if kind == "wide":
      wide = executor.execute(place, "SELECT * FROM w3", timeout_s=60.0)
      assert len(wide.columns) == 2_000 and wide.rows == ()


FULL_TEXT = [
  ("SELECT value FROM json_each('[1, 2]')", ((1,), (2,))),
  ("SELECT fullkey FROM json_tree('{\"a\": [5]}') WHERE atom = 5", (("$.a[0]",),)),
  ("SELECT t.a, j.value FROM t, json_each(t.b) AS j", ((1, "x"), (1, "y"))),
  ("SELECT title FROM five WHERE five MATCH 'run' ORDER BY rank", (("first",), ("second",))),
  ("SELECT title FROM five('deep')", (("second",),)),
  (
    (
      "SELECT highlight(five, 1, '<', '>') FROM five WHERE body MATCH 'water' AND title MATCH "
      "'first'"
    ),
    (("running <water>",),),
  ),
  (
    "SELECT snippet(five, 1, '[', ']', '..', 2) FROM five WHERE five MATCH 'deep'",
    (("..run [deep]",),),
  ),
  ("SELECT COUNT(*) FROM five WHERE bm25(five) < 0 AND five MATCH 'wat*'", ((2,),)),
  ("SELECT title FROM four WHERE body MATCH 'water'", (("first",),)),
  ("SELECT offsets(four) FROM four WHERE four MATCH 'running'", (("1 0 0 7",),)),
  ("SELECT body FROM three WHERE three MATCH 'wat*'", (("running water",),)),
  ("SELECT term FROM terms WHERE doc = 2 ORDER BY 1", (("run",), ("water",))),
  ("SELECT term FROM old_terms WHERE col = '*' ORDER BY term LIMIT 1", (("first",),)),
  ("SELECT rowid FROM outer_text WHERE outer_text MATCH 'y'", ((1,),)),
  ("SELECT id FROM boxes WHERE left > 4 AND right < 7", ((2,),)),
  ("SELECT id FROM whole_boxes WHERE left = 3", ((1,),)),
  ("SELECT COUNT(*) FROM boxes_node", ((1,),)),
  ("SELECT COUNT(*) FROM five_content", ((2,),)),
  ("SELECT title FROM on_water ORDER BY 1", (("first",), ("second",))),
  ("SELECT id FROM far", ((2,),)),
  ("SELECT COUNT(*) FROM both", ((2,),)),
]


def test_virtual_tables_of_the_databases_own_are_read(tmp_path):
  place = str(tmp_path / "virtual.sqlite")
  with contextlib.closing(sqlite3.connect(place)) as connection:
    connection.executescript("""
      CREATE TABLE t (a, b); INSERT INTO t VALUES (1, '["x", "y"]');
      CREATE VIRTUAL TABLE five USING fts5(title, body, tokenize = 'porter unicode61');
      INSERT INTO five VALUES ('first', 'running water'), ('second', 'still waters run deep');
      CREATE VIRTUAL TABLE IF NOT EXISTS "four" USING fts4(title, body);
      INSERT INTO four VALUES ('first', 'running water');
      CREATE VIRTUAL TABLE [three] USING fts3(body); INSERT INTO three VALUES ('running water');
      CREATE VIRTUAL TABLE terms USING fts5vocab(five, row);
      CREATE VIRTUAL TABLE old_terms USING fts4aux(four);
      CREATE VIRTUAL TABLE outer_text USING fts5(b, content = 't', content_rowid = 'a');
      INSERT INTO outer_text (outer_text) VALUES ('rebuild');
      CREATE VIRTUAL TABLE boxes USING rtree(id, left, right); INSERT INTO boxes
        VALUES (1, 0, 1), (2, 5, 6);
      CREATE VIRTUAL TABLE whole_boxes USING rtree_i32(id, left, right); INSERT INTO whole_boxes
        VALUES (1, 3, 4);
      CREATE VIRTUAL TABLE "using dbstat as it is" USING dbstat;
      CREATE VIEW on_water AS SELECT title FROM five WHERE five MATCH 'water';
      CREATE VIEW far AS SELECT id FROM boxes WHERE left > 3; CREATE VIEW both AS SELECT *
        FROM on_water, far;
      CREATE VIEW pages AS SELECT * FROM "using dbstat as it is";
        CREATE VIEW luck AS SELECT random() FROM five;
    """)
  before = contents(tmp_path)
  spilling = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i "
    "FROM n ORDER BY -i"
  )
  with Executor(workers=1, cache_mb=0) as executor:
    # The second time after SQLite has forgotten the schema and read it again.
    for _ in range(2):
      found = [executor.execute(place, sql, timeout_s=60.0) for sql, _ in FULL_TEXT]
      assert [(each.rows, each.message) for each in found] == [(rows, "") for _, rows in FULL_TEXT]
      assert executor.execute(
        place, f"SELECT COUNT(*) FROM ({spilling} LIMIT 290000)", timeout_s=60.0
      ).rows == ((290_000,),)
    for sql in (
      'SELECT * FROM "using dbstat as it is"',
      "SELECT * FROM dbstat",
      "SELECT * FROM pages",
      "SELECT * FROM luck",
      "WITH x AS (SELECT 1) INSERT INTO five(five) SELECT 'rebuild' FROM x",
      "WITH x AS (SELECT 1) DELETE FROM boxes_node",
      "SELECT optimize(four) FROM four",
    ):
      assert executor.execute(place, sql).status in ("refused", "error"), sql
  assert contents(tmp_path) == before


BOMBS = [
  "SELECT format('{:1000000000}', 1)",
  "SELECT length(replace(repeat('x', 50000000), 'x', repeat('y', 100)))",
  "SELECT len(list_transform(range(1000), lambda x: range(1000000)))",
  "SELECT length(list_resize([1], 1000000000, 7)::VARCHAR)",
  "SELECT array_agg(repeat('x', 1000000) || range) FROM range(100000)",
]


@pytest.mark.parametrize("sql", BOMBS)
def test_memory_that_duckdb_does_not_count_is_limited_too(sql, tmp_path):
  place = f"duckdb:///{tmp_path}/a.duckdb"
  with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
    connection.execute("CREATE TABLE t AS SELECT 30 AS a")
  with Executor(workers=1, memory_mb=200) as executor:
    assert executor.execute(place, "SELECT a FROM t", timeout_s=60.0).rows == ((30,),)
    base = hostile_harness.highest_mib(*executor.worker_pids())
    watch = hostile_harness.Watch(executor.worker_pids)
    result = executor.execute(place, sql, timeout_s=10.0)
    watch.stop()
    assert result.status == "resource" and result.message
    assert watch.worker_mib < base + (200 * _MB + RESTING_BYTES + duckdb_engine.MEMORY_SLACK) / (
      1 << 20
    )
    assert executor.execute(place, "SELECT a + 1 FROM t", timeout_s=60.0).rows == ((31,),)


def test_what_another_process_commits_to_a_log_is_seen_at_once(tmp_path):
  place = tmp_path / "live.sqlite"
  with Executor(workers=1) as executor, other_process(WRITES_AHEAD, place) as tell:
    for i in range(30):
      names = set(os.listdir(tmp_path))
      assert executor.execute(str(place), "SELECT COUNT(*) FROM t").rows == ((i,),)
      assert set(os.listdir(tmp_path)) == names
      assert tell("c.execute('INSERT INTO t VALUES (1)')")
      if i % 3 == 2:
        mode = ("PASSIVE", "TRUNCATE", "RESTART")[i // 3 % 3]
        assert tell(f"c.execute('PRAGMA wal_checkpoint({mode})')")
    assert executor.execute(str(place), "SELECT COUNT(*) FROM t").rows == ((30,),)
    before = contents(tmp_path)
    assert executor.execute(str(place), "SELECT COUNT(*) + 1 FROM t").rows == ((31,),)
    assert contents(tmp_path) == before
    # The writer can put its log away though the executor has read it.
    assert tell("c.close()")
    assert os.listdir(tmp_path) == ["live.sqlite"]
    assert executor.execute(str(place), "SELECT COUNT(*) FROM t").rows == ((30,),)
    # From a log to a journal and back, in one life of the connection.
    for mode in ("DELETE", "WAL", "DELETE"):
      assert tell(
        "c.close(); c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('PRAGMA "
        f"journal_mode = {mode}')"
      )
      assert tell("c.execute('INSERT INTO t VALUES (2)')")
      rows = executor.execute(str(place), f"SELECT COUNT(*), '{mode}' FROM t WHERE a = 2").rows
      assert (
        rows
        == executor.execute(str(place), f"SELECT COUNT(*), '{mode}' AS x FROM t WHERE a = 2").rows
      )
    assert rows == ((3, "DELETE"),)


def test_a_result_is_of_one_moment_while_another_process_writes_without_pause(tmp_path):
  place = tmp_path / "bank.sqlite"
  writer = textwrap.dedent(WRITES_AHEAD) + textwrap.dedent(
    """
    import threading
    c.execute("PRAGMA wal_autocheckpoint = 5")
    c.execute("PRAGMA synchronous = OFF")
    c.execute("BEGIN")
    c.executemany("INSERT INTO t VALUES (?)", [(100,)] * 2000)
    c.execute("COMMIT")
    c.close()
    def work():
      c = sqlite3.connect(sys.argv[1], isolation_level=None)
      c.execute("PRAGMA wal_autocheckpoint = 5")
      while True:
        c.execute("BEGIN IMMEDIATE")
        c.execute("UPDATE t SET a = a - 1 WHERE rowid % 20 = abs(random()) % 20")
        missing = "200000 - (SELECT SUM(a) FROM t)"
        c.execute(f"UPDATE t SET a = a + ({missing}) WHERE rowid = 1 + abs(random()) % 2000")
        c.execute("UPDATE t SET a = a + (200000 - (SELECT SUM(a) FROM t)) WHERE rowid = 1")
        c.execute("COMMIT")
    threading.Thread(target=work, daemon=True).start()
  """
  )
  with Executor(workers=1) as executor, other_process(writer, place):
    for i in range(60):
      result = executor.execute(str(place), f"SELECT SUM(a), COUNT(*), {i} FROM t", timeout_s=30.0)
      assert result.rows == ((200_000, 2_000, i),), result


def test_a_journal_that_its_writer_keeps_is_no_obstacle(tmp_path):
  place = tmp_path / "kept.sqlite"
  with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as connection:
    connection.execute("PRAGMA journal_mode = PERSIST")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("INSERT INTO t VALUES (1)")
    before = contents(tmp_path)
    assert before["kept.sqlite-journal"]
    sqls = ["SELECT SUM(a) FROM t", "SELECT a FROM t ORDER BY -a"]
    with Executor(workers=1) as executor:
      assert [each.rows for each in executor.execute_many([(str(place), sql) for sql in sqls])] == [
        ((1,),)
      ] * 2
      assert contents(tmp_path) == before
      connection.execute("INSERT INTO t VALUES (2)")
      assert executor.execute(str(place), sqls[0]).rows == ((3,),)
      # It holds nobody up who writes.
      connection.execute("PRAGMA busy_timeout = 0")
      connection.execute("INSERT INTO t VALUES (4)")
      assert executor.execute(str(place), sqls[0]).rows == ((7,),)


def test_who_writes_while_a_database_is_opened_is_waited_for(tmp_path, monkeypatch):
  place = tmp_path / "busy.sqlite"
  with contextlib.closing(
    sqlite3.connect(place, isolation_level=None, check_same_thread=False)
  ) as writer:
    writer.execute("CREATE TABLE t (a)")
    opening = sqlite_files.open_file

    def then_locked(path):
      snapshot = opening(path)
      writer.execute("BEGIN EXCLUSIVE")
      threading.Timer(0.5, writer.execute, ["COMMIT"]).start()
      return snapshot

    monkeypatch.setattr(sqlite_files, "open_file", then_locked)
    with contextlib.closing(sqlite_engine.Connection(str(place), 100 * _MB)) as connection:
      assert connection.schema_text()


def test_the_log_of_a_database_behind_a_link_is_found(tmp_path):
  place, link = tmp_path / "real.sqlite", tmp_path / "links" / "other.sqlite"
  link.parent.mkdir()
  link.symlink_to(place)
  with Executor(workers=1) as executor, other_process(WRITES_AHEAD, place) as tell:
    for i in range(3):
      assert executor.execute(str(link), "SELECT COUNT(*) FROM t").rows == ((i,),)
      assert tell("c.execute('INSERT INTO t VALUES (1)')")
  assert os.listdir(link.parent) == ["other.sqlite"]


def test_a_log_that_is_too_large_to_be_copied_is_named(tmp_path, monkeypatch):
  place = tmp_path / "logged.sqlite"
  with other_process(WRITES_AHEAD, place) as tell:
    assert tell("c.execute('PRAGMA wal_autocheckpoint = 0')")
    assert tell("c.executemany('INSERT INTO t VALUES (?)', [('x' * 9000,) for i in range(100)])")
    kill(tell)
  (tmp_path / "logged.sqlite-shm").unlink()
  monkeypatch.setattr(sqlite_files, "LARGEST_COPY_BYTES", 500_000)
  assert place.stat().st_size < 500_000 < (tmp_path / "logged.sqlite-wal").stat().st_size
  with pytest.raises(Exception, match=r"logged\.sqlite: .* too large .* open it once for writing"):
    open_database(str(place))


@pytest.mark.parametrize("index", ["kept", "lost", "empty"])
def test_a_log_that_a_killed_process_left_is_read_without_new_files(index, tmp_path):
  place = tmp_path / "left.sqlite"
  with other_process(WRITES_AHEAD, place) as tell:
    assert tell("c.execute('PRAGMA wal_autocheckpoint = 0')")
    assert tell("c.executemany('INSERT INTO t VALUES (?)', [(i,) for i in range(100)])")
    kill(tell)
  if index == "lost":
    (tmp_path / "left.sqlite-shm").unlink()
  elif index == "empty":
    (tmp_path / "left.sqlite-shm").write_bytes(b"")
  before = contents(tmp_path)
  log = hostile_harness.CreationLog(tmp_path)
  with open_database(str(place)) as database:
    assert database.execute("SELECT COUNT(*), MAX(a) FROM t").rows == ((100, 99),)
    assert [table.row_count for table in database.schema.tables] == [100]
  assert (log.take(), contents(tmp_path)) == ([], before)
  log.close()


@pytest.mark.parametrize("largest", [sqlite_files.LARGEST_COPY_BYTES, 1000])
def test_a_journal_that_a_killed_process_left_is_rolled_back_in_a_copy(
  largest, tmp_path, monkeypatch
):
  place = tmp_path / "torn.sqlite"
  monkeypatch.setattr(sqlite_files, "LARGEST_COPY_BYTES", largest)
  writer = """
    c = sqlite3.connect(sys.argv[1], isolation_level=None)
    c.execute("CREATE TABLE t (a, b)")
    c.execute("BEGIN")
    c.executemany("INSERT INTO t VALUES (?, ?)", ((i, "x" * 50) for i in range(2000)))
    c.execute("COMMIT")
    c.execute("PRAGMA cache_size = 5")
    c.execute("BEGIN")
    c.execute("UPDATE t SET a = -1, b = b || 'y'")
  """
  with other_process(writer, place) as tell:
    kill(tell)
  before = contents(tmp_path)
  assert set(before) == {"torn.sqlite", "torn.sqlite-journal"}
  with (
    contextlib.closing(sqlite3.connect(f"file:{place}?immutable=1", uri=True)) as connection,
    pytest.raises((sqlite3.Error, AssertionError)),
  ):
    # What stands in the file alone is neither before nor after.
    assert connection.execute("SELECT MIN(a), MAX(a), COUNT(*) FROM t").fetchone() == (
      0,
      1999,
      2000,
    )
  if largest == 1000:
    with pytest.raises(Exception, match="open it once for writing"):
      open_database(str(place))
    return
  log = hostile_harness.CreationLog(tmp_path)
  with open_database(str(place)) as database:
    assert database.execute("SELECT MIN(a), MAX(a), COUNT(*), MAX(LENGTH(b)) FROM t").rows == (
      (0, 1999, 2000, 50),
    )
    assert database.execute("SELECT COUNT(*) FROM (SELECT * FROM t ORDER BY b, a)").rows == (
      (2000,),
    )
    assert [table.row_count for table in database.schema.tables] == [2000]
    assert (log.take(), contents(tmp_path)) == ([], before)
    # Once somebody mends the file itself, that is what is read.
    with contextlib.closing(sqlite3.connect(place)) as connection, connection:
      connection.execute("DELETE FROM t WHERE a > 9")
    assert database.execute("SELECT MIN(a), MAX(a), COUNT(*), MAX(LENGTH(b)) FROM t").rows == (
      (0, 9, 10, 50),
    )
  log.close()


def test_a_duckdb_file_is_read_under_several_names_at_once(tmp_path):
  place = tmp_path / "a.duckdb"
  with duckdb.connect(str(place)) as connection:
    connection.execute("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS a")
  (tmp_path / "link.duckdb").symlink_to(place)
  os.link(place, tmp_path / "hard.duckdb")
  names = [
    str(place),
    f"duckdb:///{place}?schemas=s",
    str(tmp_path / "link.duckdb"),
    str(tmp_path / "hard.duckdb"),
  ]
  with Executor(workers=1) as executor:
    found = executor.execute_many([(name, "SELECT a FROM s.t") for name in names], timeout_s=60.0)
    assert [(each.rows, each.message) for each in found] == [(((1,),), "")] * 4
    assert executor.execute(names[2], "SET threads = 2").status == "refused"


def test_a_log_beside_a_duckdb_file_is_read_and_known(tmp_path):
  place = tmp_path / "left.duckdb"
  code = f"""
    import duckdb
    c = duckdb.connect({str(place)!r})
    c.execute("CREATE TABLE t AS SELECT 1 AS a")
    c.execute("CHECKPOINT")
  """
  with other_process(code) as tell:
    kill(tell)
  with Executor(workers=1) as executor:
    assert executor.execute(
      f"duckdb:///{place}", "SELECT COUNT(*) FROM t", timeout_s=60.0
    ).rows == ((1,),)
  identity = identity_of(f"duckdb:///{place}")
  with other_process(
    f"import duckdb; c = duckdb.connect({str(place)!r}); c.execute('INSERT INTO t VALUES (2)')"
  ) as tell:
    kill(tell)
  assert identity_of(f"duckdb:///{place}") != identity
  before = contents(tmp_path)
  assert set(before) == {"left.duckdb", "left.duckdb.wal"}
  with Executor(workers=1) as executor:
    assert executor.execute(
      f"duckdb:///{place}", "SELECT COUNT(*) FROM t", timeout_s=60.0
    ).rows == ((2,),)
    assert contents(tmp_path) == before
  assert contents(tmp_path) == before


@pytest.mark.parametrize(
  ("sql", "refused"),
  [
    ("SELECT a FROM t USING SAMPLE 1 ROWS", True),
    ("SELECT a FROM t TABLESAMPLE 50%", True),
    ("SELECT luck() FROM t", True),
    ("FROM lucky", True),
    ("SELECT a FROM t ORDER BY random()", True),
    ("SELECT list_aggregate([1, 2, 3], 'reservoir_quantile', 0.5)", True),
    ("SELECT [1, 2, 3].list_aggr('reservoir' || '_quantile', 0.5)", True),
    (r"SELECT array_aggregate(list(a), E'reservoir\x5fquantile', 0.5) FROM t", True),
    ("SELECT any_of([1, 2])", True),
    ("SELECT txid_current()", True),
    ("WITH random(a) AS (SELECT 1) SELECT random() FROM random", True),
    (
      "WITH summary(a, b) AS (SELECT 1, 2), query(c) AS (SELECT 3) SELECT * FROM summary, query",
      False,
    ),
    ("SELECT random.uuid FROM t AS random(uuid)", False),
    (
      (
        "SELECT list_aggregate([a, 2], 'sum'), [f for f in [a]].aggregate('max'), list_aggr([1], "
        "/* "
        "c */ 'MIN') FROM t"
      ),
      False,
    ),
    ("PIVOT_LONGER (SELECT 1 AS a, 2 AS b) ON a, b", False),
    ("FROM t SELECT a", False),
    ("SELECT * FROM (PIVOT t ON a USING count(*))", False),
    ("SELECT a AS sample, a AS tablesample_ FROM t", False),
  ],
)
def test_luck_is_refused_in_gold_and_in_synthesis(sql, refused, tmp_path):
  with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
    connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(9)")
    connection.execute("CREATE MACRO luck() AS random(); CREATE VIEW lucky AS SELECT luck()")
    connection.execute("CREATE MACRO any_of(l) AS list_aggregate(l, 'reservoir_quantile', 0.5)")
  place = f"duckdb:///{tmp_path}/a.duckdb"
  with open_database(place) as database:
    assert database.execute(sql, timeout_s=60.0).status == ("refused" if refused else "ok")
  runner = Runner(place)
  with contextlib.closing(runner):
    if refused:
      with pytest.raises(QueryFailed) as failure:
        runner.rows(sql)
      assert failure.value.status == "refused"
    else:
      assert runner.rows(sql)
