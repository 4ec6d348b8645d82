"""A PostgreSQL server for tests and benchmarks: its own data folder, a free loopback port, gone afterwards."""

import contextlib
import dataclasses
import glob
import os
import pwd
import shutil
import socket
import subprocess
import tempfile

import psycopg


class NoServerError(RuntimeError):
  """A server cannot be started here; the message says why."""


@dataclasses.dataclass(frozen=True)
class Server:
  """`admin` may do everything, `reader` may only SELECT in the database `shop`."""

  admin: str
  reader: str


def _binaries() -> str | None:
  for folder in [os.path.dirname(shutil.which("initdb") or ""), *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]:
    if folder and os.path.exists(f"{folder}/initdb") and os.path.exists(f"{folder}/pg_ctl"):
      return folder
  return None


@contextlib.contextmanager
def running_server(schema: str):
  """As `start_server`; skips the test, saying why, where no server can be started.

  With SPFTSQL_REQUIRE_POSTGRESQL set, as continuous integration does, the test fails instead.
  """
  import pytest  # a benchmark does without it

  try:
    starting = start_server(schema)
    server = starting.__enter__()
  except NoServerError as error:
    if os.environ.get("SPFTSQL_REQUIRE_POSTGRESQL"):
      raise
    pytest.skip(str(error))
  with contextlib.ExitStack() as stack:
    stack.push(starting)
    yield server


@contextlib.contextmanager
def start_server(schema: str):
  """A server whose database `shop` holds what `schema` creates. Raises NoServerError."""
  binaries = _binaries()
  if binaries is None:
    raise NoServerError("no PostgreSQL server binaries (initdb, pg_ctl)")
  as_user = {}
  if os.getuid() == 0:
    # The server refuses to run as root.
    try:
      user = pwd.getpwnam("postgres")
    except KeyError:
      raise NoServerError("no user postgres to run the server, which does not run as root") from None
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
  folder = tempfile.mkdtemp(prefix="pg_test_", dir="/tmp")
  if as_user:
    os.chown(folder, as_user["user"], as_user["group"])
  data = f"{folder}/data"

  def run(*command: str) -> None:
    done = subprocess.run(
      command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, check=False, **as_user
    )
    assert done.returncode == 0, done.stdout

  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
  try:
    run(f"{binaries}/initdb", "-D", data, "-U", "admin", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    options = (
      f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off -c temp_file_limit=200MB"
    )
    run(f"{binaries}/pg_ctl", "-D", data, "-w", "-t", "30", "-l", f"{folder}/log", "-o", options, "start")
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
    yield Server(admin, admin.replace("admin@", "reader@"))
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
