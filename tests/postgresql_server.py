"""A PostgreSQL server for tests and benchmarks: its own data folder, a free loopback port, gone
afterwards.
"""

import contextlib
import dataclasses
import glob
import os
import pwd
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable

import psycopg

_SHARED_MB = 400


class NoServerError(RuntimeError):
  """A server cannot be started here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Server:
  """`admin` may do everything, `reader` may only SELECT in the database `shop`.

  `control` takes "stop", "start" or "restart", and comes back when that is done.
  """

  admin: str
  reader: str
  control: Callable[[str], None]


def _binaries() -> str | None:
  for folder in [
    os.path.dirname(shutil.which("initdb") or ""),
    *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True),
  ]:
    if folder and os.path.exists(f"{folder}/initdb") and os.path.exists(f"{folder}/pg_ctl"):
      return folder
  return None


@contextlib.contextmanager
def running_server(schema: str, memory_mb: int | None = None):
  """As `start_server`; skips the test, saying why, where no server can be started.

  With SPFTSQL_REQUIRE_POSTGRESQL set, as continuous integration does, the test fails instead.
  """
  import pytest  # a benchmark does without it

  try:
    starting = start_server(schema, memory_mb)
    server = starting.__enter__()
  except NoServerError as error:
    if os.environ.get("SPFTSQL_REQUIRE_POSTGRESQL"):
      raise
    pytest.skip(str(error))
  with contextlib.ExitStack() as stack:
    stack.push(starting)
    yield server


@contextlib.contextmanager
def start_server(schema: str, memory_mb: int | None = None):
  """A server whose database `shop` holds what `schema` creates; each of its processes may take
  `memory_mb` beside what all share. Raises NoServerError.
  """
  binaries = _binaries()
  if binaries is None:
    raise NoServerError("no PostgreSQL server binaries (initdb, pg_ctl)")
  as_user = {}
  if os.getuid() == 0:
    # The server refuses to run as root.
    try:
      user = pwd.getpwnam("postgres")
    except KeyError:
      raise NoServerError(
        "no user postgres to run the server, which does not run as root"
      ) from None
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
  folder = tempfile.mkdtemp(prefix="pg_test_", dir="/tmp")
  if as_user:
    os.chown(folder, as_user["user"], as_user["group"])
  data = f"{folder}/data"

  def limit() -> None:
    if memory_mb is not None:
      # Address space: the server's code and its shared memory count, too.
      bytes_ = (_SHARED_MB + memory_mb) * 1_000_000
      resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))

  def run(*command: str) -> None:
    done = subprocess.run(
      command,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      cwd=folder,
      check=False,
      preexec_fn=limit,
      **as_user,
    )
    assert done.returncode == 0, done.stdout

  def control(action: str) -> None:
    arguments = {"stop": (), "start": ("-o", options), "restart": ("-o", options)}[action]
    mode = () if action == "start" else ("-m", "fast")
    run(
      f"{binaries}/pg_ctl",
      "-D",
      data,
      "-w",
      "-t",
      "30",
      "-l",
      f"{folder}/log",
      *mode,
      *arguments,
      action,
    )

  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  try:
    run(
      f"{binaries}/initdb",
      "-D",
      data,
      "-U",
      "admin",
      "--auth=trust",
      "--encoding=UTF8",
      "--locale=C",
      "--no-sync",
    )
    settings = {
      "listen_addresses": "127.0.0.1",
      "unix_socket_directories": folder,
      "shared_buffers": "32MB",
      "fsync": "off",
      "temp_file_limit": "200MB",
    }
    options = " ".join([f"-p {port}", *(f"-c {name}={value}" for name, value in settings.items())])
    control("start")
    admin = f"postgresql://admin@127.0.0.1:{port}/postgres"
    with psycopg.connect(admin, autocommit=True) as connection:
      connection.execute("CREATE DATABASE shop")
      connection.execute("CREATE ROLE reader LOGIN")
    admin = admin.replace("/postgres", "/shop")
    with psycopg.connect(admin, autocommit=True) as connection:
      connection.execute(schema)
      connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
      connection.execute("GRANT USAGE ON SCHEMA public TO reader")
      connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    yield Server(admin, admin.replace("admin@", "reader@"), control)
  finally:
    if os.path.exists(f"{data}/postmaster.pid"):
      subprocess.run(
        [f"{binaries}/pg_ctl", "-D", data, "-m", "immediate", "stop"],
        cwd=folder,
        check=False,
        **as_user,
        stdout=subprocess.DEVNULL,
      )
    shutil.rmtree(folder, ignore_errors=True)
