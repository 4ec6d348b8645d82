"""What every launch script shares: the package is found in a plain clone, and every failure is one
clear line.

Exit codes: 0 done; 2 bad input (usage, missing file, malformed record); 1 failed at run time; 75
training was ended by SIGTERM and has kept its state, to be started again; 130 interrupted (Ctrl-C),
143 terminated (SIGTERM), 141 nobody reads the output any more. Scripts import this first, so that
from then on a signal ends them with one line too.
"""

from __future__ import annotations

import os
import sys

_HERE = os.path.dirname(os.path.realpath(__file__))
# Of an installation the package is found without.
if os.path.isdir(os.path.join(_CLONE := os.path.dirname(_HERE), "spftsql_jax")):
  sys.path.insert(0, _CLONE)

import large_pages  # noqa: E402
import stopping  # noqa: E402

# Not in a script's worker processes, which import the script too and end with their parent, nor
# where a test imports it.
_main = getattr(sys.modules["__main__"], "__file__", None)
if _main and os.path.realpath(_main).startswith(_HERE + os.sep):
  stopping.install()

# Of transformers only tokenizers are used: that torch is missing is no news.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

import errno  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

from absl import flags, logging  # noqa: E402

from spftsql_jax.databases import DatabaseError  # noqa: E402
from spftsql_jax.databases.locations import split_locations  # noqa: E402
from spftsql_jax.databases.passwords import hide_passwords  # noqa: E402

_HELP = ("--help", "--helpfull", "--helpshort", "-help", "-h", "-?")
GOES_ON = "; what was written is kept, the same command goes on from there"


class InputError(Exception):
  """Input that cannot be used; the message says what, where and what to do."""


_before_main: list[Callable[[], None]] = []


def before_main(function: Callable[[], None]) -> None:
  """Has `launch` call a function when the flags are read, before the script's `main`."""
  _before_main.append(function)


def check_output(path: str | os.PathLike, folder: bool = False) -> None:
  """Raises InputError where nothing can be written under this name: before the work, not behind it.

  Args:
    path: of a file to write, or of a folder that is made where it is missing.
    folder: which of the two.
  """
  path = Path(path)
  if folder:
    if path.exists() and not path.is_dir():
      raise InputError(f"{path}: a file is there, where a folder is to be written")
  elif path.is_dir():
    raise InputError(f"{path}: a folder where a file is to be written")
  elif not path.resolve().parent.is_dir():
    raise InputError(f"{path.parent}: no such folder to write {path.name} in")


def launch(
  main: Callable[[], None],
  check: Callable[[list[str]], None] | None = None,
  when_interrupted: str = "",
  trains: bool = False,
) -> None:
  """Parses the flags, runs `main` and turns failures into one line on stderr and an exit code.

  `InputError`, `DatabaseError`, `FileNotFoundError`, `ValueError` and bad flags exit 2, other
  failures (operating system, run-time errors) exit 1. SPFTSQL_TRACEBACK=1 shows the traceback of
  what went wrong.

  Args:
    main: the script's work.
    check: called with the command line before the flags are parsed; raises InputError.
    when_interrupted: what the line of an interrupted script says besides.
    trains: it trains, and is started again where that makes it faster (`large_pages`).
  """
  if trains:
    large_pages.start_again()
  stopping.begin(when_interrupted)
  # Not absl's app.run: it loads a debugger, and all that it would do is done here.
  try:
    if any(argument in _HELP for argument in sys.argv[1:]):
      told = (sys.modules["__main__"].__doc__ or "").strip()
      print(f"{told}\n\nflags:{flags.FLAGS.main_module_help()}")
    else:
      _parse(check)
      logging.set_verbosity(logging.WARNING)  # Orbax tells of every step of every save.
      for function in _before_main:
        function()
      main()
    sys.stdout.flush()
  except SystemExit:
    raise
  except BaseException as error:
    if _has_kept(error):
      if _hosts() == 1:
        stopping.end(stopping.KEPT, _line(str(error)))
      _fail(stopping.KEPT, str(error))
    if stopping.told() or isinstance(error, KeyboardInterrupt):
      stopping.end_as_told()
    if isinstance(error, BrokenPipeError) and stopping.reader_has_gone():
      stopping.end(141)
    _fail(*_explanation(error), error)
  sys.exit()


def _parse(check: Callable[[list[str]], None] | None) -> None:
  """Parses the command line. Raises InputError."""
  if check is not None:
    check(sys.argv)
  try:
    flags.FLAGS(sys.argv)
  except (flags.Error, ValueError, OSError) as error:
    raise InputError(f"{error} (see --help)") from error


def _explanation(error: BaseException) -> tuple[int, str]:
  """The exit code of a failure, and what it says."""
  if isinstance(error, (InputError, DatabaseError)):
    return 2, str(error)
  if isinstance(error, FileNotFoundError):
    return 2, f"{error.filename}: no such file or folder" if error.filename else str(error)
  if isinstance(error, (IsADirectoryError, NotADirectoryError, FileExistsError)) and error.filename:
    # An input or output that is named wrongly, not a machine that fails.
    wrong = {
      IsADirectoryError: "a folder where a file is expected",
      NotADirectoryError: "part of this path is no folder",
    }
    return (
      2,
      f"{error.filename}: {wrong.get(type(error), 'a file is there, where a folder is needed')}",
    )
  if isinstance(error, OSError):
    what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
    return 1, f"{error.filename}: {what}" if error.filename else what
  if isinstance(error, ValueError):
    return 2, str(error)
  if isinstance(error, RuntimeError):
    return 1, str(error)
  # Not foreseen: still one line, and how to see more.
  return 1, f"{type(error).__name__}: {error} (SPFTSQL_TRACEBACK=1 shows where)"


def _has_kept(error: BaseException) -> bool:
  """Whether this is training that was ended by SIGTERM, with its state in a checkpoint."""
  trainer = sys.modules.get("spftsql_jax.training.trainer")
  return trainer is not None and isinstance(error, trainer.Preempted) and error.kept


def _hosts() -> int:
  hosts = sys.modules.get("spftsql_jax.hosts")
  return hosts.count() if hosts else 1


def _line(message: str) -> str:
  return f"{os.path.basename(sys.argv[0])}: {' '.join(message.split())}\n"


def _fail(code: int, message: str, error: BaseException | None = None) -> None:
  # A driver, or a path made of a URL, may repeat the password that it was given.
  given = split_locations(argument.partition("=")[2] or argument for argument in sys.argv[1:])
  text = hide_passwords(_line(message), *given)
  if error is not None and os.environ.get("SPFTSQL_TRACEBACK"):
    import traceback  # rarely needed, and a script should start at once

    text = hide_passwords("".join(traceback.format_exception(error)), *given) + text
  try:
    print(text, file=sys.stderr, end="", flush=True)
  except OSError:  # Nobody reads it.
    pass
  if _hosts() > 1 and code != stopping.KEPT:
    # At once, so that the other processes notice; an orderly end would wait for them. Where the
    # state is kept all end alike, and none is to take another for lost.
    os._exit(code)
  sys.exit(code)
