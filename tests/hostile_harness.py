"""Databases under attack, and what must hold behind every hostile statement: used by the tests and
the benchmark.
"""

import contextlib
import ctypes
import dataclasses
import hashlib
import os
import pathlib
import socket
import sqlite3
import struct
import threading
import time

import duckdb
import hostile_statements
import psycopg

from spftsql_jax.databases import Executor, Result
from spftsql_jax.judging.comparison import results_match

ENGINES = ("sqlite", "duckdb", "postgresql")
MEMORY_MB = 200
ROWS = (
  "CREATE TABLE t (a INTEGER, b VARCHAR); CREATE SEQUENCE s; INSERT INTO t VALUES "
  + ", ".join(f"({i}, 'row {i}')" for i in range(30))
)
SERVER_ROWS = f"{ROWS};{hostile_statements.POSTGRESQL_OBJECTS}"
# What the database itself has that might lead further.
SQLITE_ROWS = """
  CREATE VIRTUAL TABLE note USING fts5(body);
  INSERT INTO note VALUES ('x y z');
  CREATE VIRTUAL TABLE place USING rtree(id, low, high);
  INSERT INTO place VALUES (1, 0, 1);
  CREATE VIRTUAL TABLE pages USING dbstat;
"""
DUCKDB_ROWS = "CREATE MACRO luck() AS random(); CREATE VIEW lucky AS SELECT luck() AS number"
# Beside the limits: what a connection and the engine's code take, and starting a worker on a busy
# machine.
SLACK_MB, SLACK_S = 100, 1.5
_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Attack:
  """What one statement did. Memory is the highest resident memory while it ran, in MiB: of the
  worker, and of the process that serves its connection (0 for an engine inside the worker).
  """

  engine: str
  sql: str
  result: Result
  seconds: float
  worker_mib: float
  server_mib: float
  harm: tuple[str, ...]  # what did not hold; empty where all is well


class Watch:
  """The highest resident memory of processes, and the sockets and files a worker opened, sampled
  while a statement runs.

  The kernel keeps the highest value of a process; reading it now and then only guards against the
  process being gone. `starved_s` is the time that a busy machine let the sampling wait for its
  turn, as it will have let the worker.
  """

  def __init__(self, workers, servers=()):
    self._workers, self._servers = workers, servers
    self.worker_mib = self.server_mib = 0.0
    self.opened = set()
    self.starved_s = 0.0
    for pid in (*workers(), *servers):
      with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
    self._done = threading.Event()
    self._thread = threading.Thread(target=self._sample, daemon=True)
    self._thread.start()

  def _sample(self):
    start = time.perf_counter()
    while not self._done.wait(0.01):
      self.starved_s += time.perf_counter() - start - 0.01
      self._look()
      start = time.perf_counter()

  def _look(self):
    self.worker_mib = max([self.worker_mib, *map(highest_mib, self._workers())])
    self.server_mib = max([self.server_mib, *map(highest_mib, self._servers)])
    for pid in self._workers():
      self.opened |= opened_by(pid)

  def stop(self):
    self._done.set()
    self._thread.join()
    self._look()


def highest_mib(pid):
  """The highest resident memory of a process since it was last reset, 0 where it is gone."""
  with contextlib.suppress(OSError):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
      if line.startswith("VmHWM:"):
        return int(line.split()[1]) / 1024
  return 0.0


def opened_by(pid):
  """The sockets that a process holds, and the files that it holds open for writing."""
  held = set()
  with contextlib.suppress(OSError):
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
      with contextlib.suppress(OSError):
        target = os.readlink(link)
        if target.startswith("socket:"):
          held.add(target)
        elif target.startswith("/") and not target.startswith("/dev/"):
          flags = (
            pathlib.Path(f"/proc/{pid}/fdinfo/{link.name}")
            .read_text()
            .split("flags:")[1]
            .split()[0]
          )
          held |= {target} if int(flags, 8) & (os.O_WRONLY | os.O_RDWR) else set()
  return held


class CreationLog:
  """The names of files that anybody creates in a folder, also of those that are gone before one
  looks (inotify).
  """

  _IN_CREATE, _IN_MOVED_TO, _HEADER = 0x100, 0x80, struct.Struct("iIII")

  def __init__(self, folder):
    libc = ctypes.CDLL(None, use_errno=True)
    self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    watch = libc.inotify_add_watch(
      self._descriptor, os.fsencode(folder), self._IN_CREATE | self._IN_MOVED_TO
    )
    assert self._descriptor >= 0 and watch >= 0, os.strerror(ctypes.get_errno())

  def take(self):
    """The names since the last call."""
    names, data, start = [], b"", 0
    with contextlib.suppress(BlockingIOError):
      while True:
        data += os.read(self._descriptor, 1 << 16)
    while start < len(data):
      *_, length = self._HEADER.unpack_from(data, start)
      start += self._HEADER.size + length
      names.append(os.fsdecode(data[start - length : start].rstrip(b"\0")))
    return names

  def close(self):
    os.close(self._descriptor)


class Target:
  """A database under attack: where it is, and what must not change."""

  def __init__(self, engine, folder, server=None):
    self.engine = engine
    self.folder = pathlib.Path(folder)
    # Where a library would put its files unasked; empty at first.
    self.home = self.folder / "home"
    self.home.mkdir(parents=True)
    self.created = CreationLog(self.home)
    self.secret = self.folder / "secret.txt"
    self.secret.write_text("secret")
    self._listener = socket.create_server(("127.0.0.1", 0))
    self._listener.setblocking(False)
    self._admin = None
    if engine == "sqlite":
      self.location = str(self.folder / "target.sqlite")
      with contextlib.closing(sqlite3.connect(self.location)) as connection:
        connection.executescript(ROWS.replace("CREATE SEQUENCE s;", "") + ";" + SQLITE_ROWS)
    elif engine == "duckdb":
      path = self.folder / "target.duckdb"
      with duckdb.connect(str(path)) as connection:
        connection.execute(ROWS)
        connection.execute(DUCKDB_ROWS)
      self.location = f"duckdb:///{path}"
    else:
      self.location = server.reader
      self._admin = psycopg.connect(server.admin, autocommit=True)
      # Somebody else's session, which must live on.
      self._bystander = psycopg.connect(server.reader, autocommit=True)

  def close(self):
    self.created.close()
    self._listener.close()
    if self._admin is not None:
      self._bystander.close()
      self._admin.close()

  @property
  def port(self):
    return self._listener.getsockname()[1]

  def state(self):
    """The bytes of every file below the folder and the names in the folder that workers run in; for
    the server also the rows, tables, roles, settings, large objects and locks it holds.
    """
    files = {str(path.relative_to(self.folder)): _digest(path) for path in self.folder.rglob("*")}
    names = set(os.listdir("/"))
    if self._admin is None:
      return files, names
    queries = (
      "SELECT * FROM t ORDER BY a",
      "SELECT relname, relpages FROM pg_class ORDER BY 1",
      "SELECT rolname, rolsuper FROM pg_roles ORDER BY 1",
      "SELECT last_value, is_called FROM s",
      "SELECT * FROM audit",
      "SELECT COUNT(*) FROM pg_largeobject_metadata",
      "SELECT COUNT(*) FROM pg_db_role_setting",
      "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'",
    )
    rows = [self._admin.execute(sql).fetchall() for sql in queries]
    try:
      alive = self._bystander.execute("SELECT 1").fetchall()
    except psycopg.Error:
      alive = "another session was ended"
    return files, names, rows, alive

  def connections(self):
    """How many have connected to the port since the last call."""
    count = 0
    with contextlib.suppress(BlockingIOError):
      while True:
        self._listener.accept()[0].close()
        count += 1
    return count

  def goes_on(self):
    """Whether the server still runs a statement of a worker that has been answered, half a second
    later.
    """
    if self._admin is None:
      return False
    active = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'"
    end = time.perf_counter() + 0.5
    while self._admin.execute(active).fetchall()[0][0]:
      if time.perf_counter() > end:
        return True
      time.sleep(0.02)
    return False

  def servers(self):
    """The server's processes that serve the workers."""
    if self._admin is None:
      return ()
    rows = self._admin.execute(
      "SELECT pid FROM pg_stat_activity WHERE usename = 'reader'"
    ).fetchall()
    return tuple(pid for (pid,) in rows)

  def statements(self):
    places = {
      "{TARGET}": f"{self.folder}/made",
      "{SECRET}": str(self.secret),
      "{PORT}": str(self.port),
    }
    for sql, wanted in getattr(hostile_statements, self.engine.upper()):
      for mark, text in places.items():
        sql = sql.replace(mark, text)
      yield sql, wanted


def _digest(path):
  return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


@contextlib.contextmanager
def attacked_executor(target):
  """An executor whose one worker takes the target's folder for its home and for temporary files."""
  names = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
  before = {name: os.environ.get(name) for name in names}
  os.environ.update(dict.fromkeys(names, str(target.home)))
  try:
    with Executor(workers=1, memory_mb=MEMORY_MB, cache_mb=0) as executor:
      executor.execute(target.location, "SELECT 1", timeout_s=60.0)
      yield executor
  finally:
    for name, value in before.items():
      os.environ.pop(name)
      if value is not None:
        os.environ[name] = value


def attack(target, executor, sql, wanted, before, timeout_s):
  """Runs one statement and looks at everything that must hold; `before` is the state before all
  attacks.
  """
  base = max(map(highest_mib, executor.worker_pids()), default=0.0)
  watch = Watch(executor.worker_pids, target.servers())
  held = set().union(*map(opened_by, executor.worker_pids()))
  target.created.take()
  start = time.perf_counter()
  result = executor.execute(
    target.location, sql, timeout_s=timeout_s, max_rows=10_000, max_bytes=20_000_000
  )
  seconds = time.perf_counter() - start
  watch.stop()
  harm = []
  if target.goes_on():
    harm.append("the server goes on")
  if result.status not in wanted:
    harm.append(f"status {result.status} ({result.message})")
  if target.state() != before:
    harm.append("data or files changed")
  if names := target.created.take():
    harm.append(f"created {names}")
  if count := target.connections():
    harm.append(f"{count} connections out")
  allowed = 1 if target.engine == "postgresql" else 0
  if len(watch.opened - held) > allowed:
    harm.append(f"opened {watch.opened - held}")
  if seconds - watch.starved_s > 2 * timeout_s + SLACK_S:
    harm.append(f"{seconds:.2f} s")
  if watch.worker_mib > min(base, SLACK_MB) + 2 * MEMORY_MB * 1e6 / _MIB + SLACK_MB:
    harm.append(f"{watch.worker_mib:.0f} MiB")
  if watch.server_mib > 2 * MEMORY_MB * 1e6 / _MIB + SLACK_MB:
    harm.append(f"{watch.server_mib:.0f} MiB in the server")
  for gold in (Result("ok", ("n",), ((30,),)), Result("ok", ("a", "b"), ())):
    if any(
      results_match(gold, result, "SELECT COUNT(*) FROM t", each)
      for each in ("spider", "bird", "strict")
    ):
      harm.append("scored right")
  alive = executor.execute(target.location, "SELECT COUNT(*) FROM t", timeout_s=60.0)
  if alive.rows != ((30,),):
    harm.append(f"the pool is dead: {alive}")
  return Attack(
    target.engine, sql, result, seconds, watch.worker_mib, watch.server_mib, tuple(harm)
  )


def run_corpus(target, timeout_s, each=lambda: None):
  """Every statement of the target's engine; `each` is called after each."""
  attacks = []
  with attacked_executor(target) as executor:
    before = target.state()
    for sql, wanted in target.statements():
      attacks.append(attack(target, executor, sql, wanted, before, timeout_s))
      each()
  return attacks
