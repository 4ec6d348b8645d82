"""Launch scripts in processes of their own that are forked from one which has loaded what scripts
import: nothing is shared but the seconds of importing.

That each script starts by itself too is for test_scripts.py.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LIMIT_S = 300
_TURN = threading.Lock()


def run_script(
  script: Path, *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
  """Runs a launch script to its end.

  Args:
    environment: what it has beside that of the first call of this process. What a library reads
      when it is imported has been read.
  """
  command = [str(script), *map(str, arguments)]
  with tempfile.TemporaryDirectory(prefix="forked-") as folder, _TURN:
    server, outputs = _server(), [f"{folder}/{name}" for name in ("stdout", "stderr")]
    request = {"command": command, "cwd": str(cwd or ROOT), "outputs": outputs}
    request["environment"] = environment
    assert server.stdin is not None and server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    code = int(server.stdout.readline())
    said = [Path(path).read_text(encoding="utf-8") for path in outputs]
  return subprocess.CompletedProcess(command, code, *said)


@functools.cache
def _server() -> subprocess.Popen[str]:
  # A thread of NumPy's would not be there behind a fork.
  server = subprocess.Popen(
    [sys.executable, __file__],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
  )

  def end() -> None:
    server.communicate()

  atexit.register(end)
  return server


def _load() -> None:
  """Loads what scripts import; not what lies beside them, which defines flags."""
  sys.path.insert(0, str(ROOT))
  import ml_collections.config_flags  # noqa: F401

  import spftsql_jax.ahead.report
  import spftsql_jax.answering.exported
  import spftsql_jax.answering.vote
  import spftsql_jax.judging.exact_match
  import spftsql_jax.judging.scoring
  import spftsql_jax.pipeline.specialize.specialize  # noqa: F401

  assert len(os.listdir("/proc/self/task")) == 1, "a process with threads cannot be forked"
  gc.freeze()


def _become(request: dict) -> None:
  """Makes this process that of a script which begins."""
  signal.alarm(_LIMIT_S)
  for number, path in enumerate(request["outputs"], start=1):
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, number)
    os.close(file)
  nothing = os.open(os.devnull, os.O_RDONLY)
  os.dup2(nothing, 0)
  os.close(nothing)
  os.chdir(request["cwd"])
  for name in ("PYTHONPATH", "OPENBLAS_NUM_THREADS"):
    os.environ.pop(name)
  os.environ.update(request["environment"])
  sys.argv[:] = request["command"]
  ours = (str(ROOT), str(ROOT / "tests"))
  sys.path[:] = [os.path.dirname(sys.argv[0]), *(path for path in sys.path if path not in ours)]


def _serve() -> bool:
  """Forks for each request; True in a process that is to run its script, False at the end."""
  for line in iter(sys.stdin.readline, ""):
    child = os.fork()
    if not child:
      _become(json.loads(line))
      return True
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
  return False


def _run() -> int:
  """The exit code of the script that this process has become."""
  try:
    runpy.run_path(sys.argv[0], run_name="__main__")
  except SystemExit as end:
    if end.code is None or isinstance(end.code, int):
      return end.code or 0
    print(end.code, file=sys.stderr)
    return 1
  except BaseException:
    traceback.print_exc()
    return 1
  return 0


if __name__ == "__main__":
  _load()
  if _serve():
    code = _run()
    # As an interpreter ends, but for taking apart all that was loaded.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
