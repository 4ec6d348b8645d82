"""A private PostgreSQL server in a folder, for the instances of databases of other servers.

It listens on a unix socket alone, and is gone, with its data, when the process that started it
ends, killed or not (`server_keeper`). All processes that use the folder use the same server.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import fcntl
import glob
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg

from spftsql_jax.databases.errors import CannotCopyError
from spftsql_jax.databases.instances import server_keeper
from spftsql_jax.databases.locations import engine_of

READER = "reader"
_KEEPER = Path(server_keeper.__file__)
# Says to other processes where the server of a folder is.
_NOTE, _LOCK = ".private_server.json", ".private_server.lock"
_INSTALLED = "/usr/lib/postgresql/*/bin"
_MAINTENANCE = "postgres"


@dataclasses.dataclass(frozen=True)
class PrivateServer:
  """A running server.

  Attributes:
    socket: folder of its socket.
  """

  socket: str

  def url(self, database: str, role: str = READER) -> str:
    """The location of one of its databases, for a role: READER may only SELECT."""
    name, host = (urllib.parse.quote(text, safe="") for text in (database, self.socket))
    return f"postgresql://{role}@/{name}?host={host}"

  @contextlib.contextmanager
  def admin(self, database: str = _MAINTENANCE) -> Iterator[psycopg.Connection]:
    """A connection that may do everything, each statement for itself."""
    with psycopg.connect(self.url(database, server_keeper.ADMIN), autocommit=True) as connection:
      yield connection


# The keepers that this process has started, by the folder of their server.
_keepers: dict[str, subprocess.Popen] = {}


def server_binaries() -> Path | None:
  """The folder of PostgreSQL's server programs, newest first; None where there are none."""
  on_path = shutil.which("initdb")
  # The programs lie beside what a link on the path leads to.
  beside = [os.path.dirname(os.path.realpath(on_path))] if on_path else []

  def version(folder: str) -> float:
    number = Path(folder).parent.name
    return float(number) if number.replace(".", "", 1).isdigit() else 0.0

  for folder in [*beside, *sorted(glob.glob(_INSTALLED), key=version, reverse=True)]:
    if all(os.access(f"{folder}/{name}", os.X_OK) for name in ("initdb", "postgres")):
      return Path(folder)
  return None


def server_in(folder: str | os.PathLike[str]) -> PrivateServer:
  """The server of a folder, which is started where none runs there.

  It runs until `stop_server`, or until the process that started it ends.

  Raises CannotCopyError: it cannot be started here.
  """
  place = Path(folder).resolve()
  place.mkdir(parents=True, exist_ok=True)
  with open(place / _LOCK, "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    return _running(place) or _start(place)


def stop_server(folder: str | os.PathLike[str]) -> None:
  """Stops the server of a folder, if this process has started it."""
  keeper = _keepers.pop(str(Path(folder).resolve()), None)
  if keeper is not None:
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
    (Path(folder) / _NOTE).unlink(missing_ok=True)


@contextlib.contextmanager
def serving(folder: str | os.PathLike[str], locations: Iterable[str]) -> Iterator[None]:
  """Has a server run in the folder within the block where one of the databases asks for one and it
  can be started; stops it if it did not run before.
  """
  begins = str(Path(folder).resolve()) not in _keepers
  if any(engine_of(location) == "postgresql" for location in locations):
    # Whoever makes the instances will be told why there is none.
    with contextlib.suppress(CannotCopyError):
      server_in(folder)
  try:
    yield
  finally:
    if begins:
      stop_server(folder)


def _running(place: Path) -> PrivateServer | None:
  try:
    noted = json.loads((place / _NOTE).read_text())
    server = PrivateServer(noted["socket"])
    with server.admin():
      return server
  except (OSError, ValueError, psycopg.Error):
    return None


def _start(place: Path) -> PrivateServer:
  binaries = server_binaries()
  if binaries is None:
    raise CannotCopyError("no PostgreSQL server programs (initdb, postgres) are installed here")
  keeper = subprocess.Popen(
    [sys.executable, "-I", _KEEPER, place, binaries],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  assert keeper.stdout is not None
  said = json.loads(keeper.stdout.readline() or '{"error": "its keeper ended"}')
  if "error" in said:
    raise CannotCopyError(f"a private PostgreSQL server cannot be started: {said['error']}")
  server = PrivateServer(said["socket"])
  with server.admin() as connection:
    connection.execute(f"CREATE ROLE {READER} LOGIN")
    # Where nothing else is granted.
    connection.execute(f"REVOKE ALL ON DATABASE {_MAINTENANCE} FROM PUBLIC")
  (place / _NOTE).write_text(json.dumps(said))
  if not _keepers:
    atexit.register(_stop_all)
  _keepers[str(place)] = keeper
  return server


def _stop_all() -> None:
  for folder in list(_keepers):
    stop_server(folder)
