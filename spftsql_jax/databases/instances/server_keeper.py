"""Keeps a PostgreSQL server until standard input ends, then removes it: a program of its own.

    python server_keeper.py FOLDER BINARIES

Makes a cluster in a new folder in FOLDER, starts the server of BINARIES on a unix socket alone, and
says so in a line of JSON. Whoever started this holds the other end of its input: when he ends,
killed or not, the input does too, and the server is stopped and its folder removed. Should this
process be killed, the kernel stops the server, and the next keeper in FOLDER removes what is left.

PostgreSQL does not run as root: started by root, the server runs as the user postgres (or nobody).
Imports the standard library alone, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PREFIX = ".postgresql_"
ADMIN = "keeper"
_START_S = 60.0
# The longest path of a socket, with what PostgreSQL calls it.
_LONGEST_SOCKET = 107 - len("/.s.PGSQL.5432.lock")
_OPTIONS = {
  "listen_addresses": "",
  "unix_socket_permissions": "0700",
  "shared_buffers": "32MB",
  "max_connections": "400",
  "fsync": "off",
  "synchronous_commit": "off",
  "full_page_writes": "off",
  "autovacuum": "off",
  "max_wal_size": "128MB",
  "wal_level": "minimal",
  "max_wal_senders": "0",
  "max_locks_per_transaction": "256",
  "logging_collector": "off",
}


def main() -> None:
  folder, binaries = Path(sys.argv[1]), Path(sys.argv[2])
  for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)  # They are meant for the one who started this.
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
  remove_left(folder)
  place, server, socket = None, None, None
  try:
    account = _account()
    place = _new_folder(folder, account)
    fits = len(str(place)) <= _LONGEST_SOCKET
    socket = place if fits else _new_folder(folder, account, elsewhere=True)
    server = _start(place, socket, binaries, account)
    _tell({"socket": str(socket), "folder": str(place), "keeper": os.getpid()})
    while os.read(0, 4096):
      pass
  except (OSError, subprocess.CalledProcessError, TimeoutError) as error:
    said = getattr(error, "output", None) or error
    _tell({"error": " ".join(str(said).split())[-500:]})
  finally:
    if server is not None:
      server.send_signal(signal.SIGINT)  # A fast shutdown.
      try:
        server.wait(10)
      except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(10)
    for each in (place, socket):
      _remove(folder, each)


def remove_left(folder: Path) -> None:
  """Removes the clusters of keepers that are gone, and stops their servers."""
  for place in folder.glob(f"{PREFIX}*"):
    with contextlib.suppress(OSError, ValueError):
      if not _is_alive(int((place / "keeper.pid").read_text()), b"server_keeper"):
        with contextlib.suppress(OSError, ValueError, IndexError):
          server = int((place / "data" / "postmaster.pid").read_text().split()[0])
          if _is_alive(server, os.fsencode(place.resolve())):
            os.kill(server, signal.SIGQUIT)
            _wait_for(functools.partial(_is_gone, server), 10.0)
        _remove(folder, place.resolve())


def _remove(folder: Path, place: Path | None) -> None:
  """Removes a folder of `_new_folder`, if there is one."""
  if place is not None:
    shutil.rmtree(place, ignore_errors=True)
    link = folder / place.name
    if link.is_symlink():
      link.unlink()


def _is_alive(pid: int, mark: bytes) -> bool:
  """Whether a process runs that was started with `mark` in its command line."""
  try:
    return mark in Path(f"/proc/{pid}/cmdline").read_bytes()
  except FileNotFoundError:
    return False


def _is_gone(pid: int) -> bool:
  return not os.path.exists(f"/proc/{pid}")


def _account() -> pwd.struct_passwd | None:
  """Whom the server runs as; None for the user himself. Raises OSError."""
  if os.getuid() != 0:
    return None
  for name in ("postgres", "nobody"):
    with contextlib.suppress(KeyError):
      return pwd.getpwnam(name)
  raise OSError("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _new_folder(folder: Path, account: pwd.struct_passwd | None, elsewhere: bool = False) -> Path:
  """A new folder of the server's in `folder`; where its account cannot reach that, or `elsewhere`
  is asked for, among temporary files, with a link to it in `folder`.
  """
  above = [folder.resolve(), *folder.resolve().parents]
  reached = account is None or all(entry.stat().st_mode & 0o001 for entry in above)
  elsewhere = elsewhere or not reached
  place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=None if elsewhere else folder.resolve()))
  if elsewhere:
    (folder / place.name).symlink_to(place)
  (place / "keeper.pid").write_text(str(os.getpid()))
  if account is not None:
    os.chown(place, account.pw_uid, account.pw_gid)
  return place


def _start(
  place: Path, socket: Path, binaries: Path, account: pwd.struct_passwd | None
) -> subprocess.Popen:
  """Makes the cluster and starts its server."""
  as_account: dict[str, Any] = {"cwd": place, "start_new_session": True}
  if account is not None:
    as_account |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
  data = place / "data"
  subprocess.run(
    [str(binaries / "initdb"), "-D", str(data), "-U", ADMIN, "--auth=trust", "--encoding=UTF8"]
    + ["--locale=C", "--no-sync"],
    check=True,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    **as_account,
  )
  options = _OPTIONS | {"unix_socket_directories": str(socket)}
  log = (place / "log").open("wb")
  server = subprocess.Popen(
    [str(binaries / "postgres"), "-D", str(data), "-p", "5432"]
    + [part for name, value in options.items() for part in ("-c", f"{name}={value}")],
    stdin=subprocess.DEVNULL,
    stdout=log,
    stderr=subprocess.STDOUT,
    preexec_fn=_end_with_parent,
    **as_account,
  )
  log.close()

  def is_ready() -> bool:
    if server.poll() is not None:
      raise OSError((place / "log").read_text(errors="replace"))
    with contextlib.suppress(FileNotFoundError, IndexError):
      return (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
    return False

  try:
    if not _wait_for(is_ready, _START_S):
      raise TimeoutError("the server did not start in time")
  except BaseException:
    server.kill()
    raise
  return server


def _end_with_parent() -> None:
  """Has the kernel stop this process when its parent is gone (Linux)."""
  if sys.platform.startswith("linux"):
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


def _wait_for(is_so: Callable[[], bool], seconds: float) -> bool:
  end = time.monotonic() + seconds
  while not is_so():
    if time.monotonic() > end:
      return False
    time.sleep(0.02)
  return True


def _tell(message: dict[str, object]) -> None:
  with contextlib.suppress(BrokenPipeError):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
  main()
