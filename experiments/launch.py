"""What every launch script shares: the package is found in a plain clone, and every failure is one clear line.

Exit codes: 0 done; 2 bad input (usage, missing file, malformed record); 1 failed at run time; 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# Of transformers only tokenizers are used: that torch is missing is no news.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")

from absl import flags, logging

from spftsql_jax.databases import DatabaseError
from spftsql_jax.databases.locations import hide_passwords, split_locations


class InputError(Exception):
  """Input that cannot be used; the message says what, where and what to do."""


_before_main: list[Callable[[], None]] = []


def before_main(function: Callable[[], None]) -> None:
  """Has `launch` call a function when the flags are read, before the script's `main`."""
  _before_main.append(function)


def launch(main: Callable[[], None]) -> None:
  """Parses the flags, runs `main` and turns failures into one line on stderr and an exit code.

  `InputError`, `DatabaseError`, `FileNotFoundError`, `ValueError` and bad flags exit 2, other failures (operating system,
  run-time errors) exit 1. SPFTSQL_TRACEBACK=1 shows the traceback of what went wrong.
  """
  if any(a in ("--help", "--helpfull", "--helpshort", "-help", "-h", "-?") for a in sys.argv[1:]):
    print(f"{(sys.modules['__main__'].__doc__ or '').strip()}\n\nflags:{flags.FLAGS.main_module_help()}")
    sys.exit(0)

  def parse(argv: list[str]) -> list[str]:
    try:
      return flags.FLAGS(argv)
    except (flags.Error, ValueError, OSError) as error:
      _fail(2, f"{error} (see --help)")

  def guarded(_: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)  # Orbax tells of every step of every save.
    try:
      for function in _before_main:
        function()
      main()
    except KeyboardInterrupt:
      _fail(130, "interrupted; what was written is kept, the same command goes on from there")
    except (InputError, DatabaseError) as error:
      _fail(2, str(error), error)
    except FileNotFoundError as error:
      _fail(2, f"{error.filename}: no such file or folder" if error.filename else str(error), error)
    except OSError as error:
      what = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
      _fail(1, f"{error.filename}: {what}" if error.filename else what, error)
    except ValueError as error:
      _fail(2, str(error), error)
    except RuntimeError as error:
      _fail(1, str(error), error)
    except Exception as error:  # Not foreseen: still one line, and how to see more.
      _fail(1, f"{type(error).__name__}: {error} (SPFTSQL_TRACEBACK=1 shows where)", error)

  # Not absl's app.run: it loads a debugger, and all that it would do is done above.
  sys.exit(guarded(parse(sys.argv)))


def _fail(code: int, message: str, error: BaseException | None = None) -> None:
  # A driver, or a path made of a URL, may repeat the password that it was given.
  given = split_locations(argument.partition("=")[2] or argument for argument in sys.argv[1:])
  if error is not None and os.environ.get("SPFTSQL_TRACEBACK"):
    print(hide_passwords("".join(traceback.format_exception(error)), *given), file=sys.stderr, end="")
  script = os.path.basename(sys.argv[0])
  print(f"{script}: {hide_passwords(' '.join(message.split()), *given)}", file=sys.stderr, flush=True)
  if (hosts := sys.modules.get("spftsql_jax.models.hosts")) and hosts.count() > 1:
    os._exit(code)  # at once, so that the other processes notice; an orderly end would wait for them
  sys.exit(code)
