"""How a script ends that is told to: by Ctrl-C (SIGINT), by SIGTERM, or by a reader of its output
that has gone.

It ends with one line and without a traceback, whatever it is doing. The main thread gets the chance
to unwind (temporary folders are removed, workers ended); where it does not within `GRACE_S`
seconds, because it compiles a program or runs a query, or at a second signal, a thread of its own
ends the process. What scripts write gets its name when it is whole, so nothing is left half-written
either way. The process leaves without the interpreter's finalization, in which threads of native
libraries crash (a segmentation fault of JAX), and with its child processes.

Work that has taken SIGTERM over, as training does to write a checkpoint, is given `KEEPING_S`
instead.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

TYPE_CHECKING = False  # As in typing, which takes longer to import than this.
if TYPE_CHECKING:
  from types import FrameType

GRACE_S = 1.5
# An update of a large model and its checkpoint. Schedulers that send SIGTERM kill sooner or later
# by themselves.
KEEPING_S = 600.0
# The exit code of work that has kept its state (EX_TEMPFAIL of sysexits.h): whoever started it may
# start it again.
KEPT = 75
_FLUSH_S = 0.5
# Exit codes as a shell has them: 128 and the signal's number.
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_ending = threading.Lock()


class _State:
  """What has happened so far.

  Attributes:
    running: the script's work has begun, and can be unwound.
    told: the first signal that came, or 0.
    raised: the main thread has been interrupted.
    hint: what is said behind the line.
  """

  running = False
  told = 0
  raised = False
  hint = ""


def install() -> None:
  """Takes over SIGINT and SIGTERM, each unless it was ignored when the process began (as in a
  background job of a shell).
  """
  reader, writer = os.pipe()
  os.set_blocking(writer, False)
  # Written by the signal itself: the thread learns of it although the main thread may be in native
  # code for minutes.
  signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  for number in _WORDS:
    if signal.getsignal(number) != signal.SIG_IGN:
      signal.signal(number, _interrupt)
  threading.Thread(target=_watch, args=(reader,), name="stopping", daemon=True).start()


def begin(hint: str = "") -> None:
  """From here on a signal is an exception, KeyboardInterrupt, before it ends the process."""
  _State.hint = hint
  _State.running = True


def told() -> bool:
  """Whether a signal has come: what fails from then on fails because of it."""
  return bool(_State.told)


def end_as_told() -> None:
  """Ends the process with the line and the exit code of the signal that came."""
  number = signal.Signals(_State.told or signal.SIGINT)
  end(128 + number, f"{os.path.basename(sys.argv[0])}: {_WORDS[number]}{_State.hint}\n")


def end(code: int, line: str = "") -> None:
  """Ends the process and its children now; of several threads the first does."""
  if not _ending.acquire(blocking=False):
    threading.Event().wait()
  flush = threading.Thread(target=_flush, daemon=True)
  flush.start()
  flush.join(_FLUSH_S)  # The stream may be locked by a thread that waits for a slow reader.
  try:
    os.write(2, (("\n" if os.isatty(2) else "") + line).encode() if line else b"")
  except OSError:
    pass
  _kill_children()
  os._exit(code)


def reader_has_gone() -> bool:
  """Whether nobody reads standard output or standard error any more, as behind `| head`."""
  poll = select.poll()
  for descriptor in (1, 2):
    poll.register(descriptor, 0)
  return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _interrupt(number: int, frame: FrameType | None) -> None:
  """In the main thread, once. Before the work begins, and at a second signal, it is the thread that
  ends the process.
  """
  _State.told = _State.told or number
  if _State.raised or not _State.running:
    return
  if _imports(frame):
    # Libraries crash where an exception meets them half-loaded (JAX: a segmentation fault).
    end_as_told()
  _State.raised = True
  # An exception in a destructor or a thread is printed and forgotten; these come of the
  # interruption.
  sys.unraisablehook = lambda _: None
  threading.excepthook = lambda _: None
  raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
  """Whether the main thread is importing a module."""
  while frame is not None:
    if frame.f_code.co_filename.startswith("<frozen importlib"):
      return True
    frame = frame.f_back
  return False


def _watch(reader: int) -> None:
  """Ends the process at a signal: at once before the work has begun, else at a second signal or
  when the grace is over.
  """
  first = _next_signal(reader, None)
  _State.told = _State.told or first
  if _State.running:
    taken_over = signal.getsignal(first) not in (_interrupt, signal.SIG_DFL, signal.SIG_IGN)
    _next_signal(reader, KEEPING_S if taken_over else GRACE_S)
  end_as_told()


def _next_signal(reader: int, timeout_s: float | None) -> int:
  """The number of the next signal of ours, 0 where none comes in time."""
  while select.select([reader], [], [], timeout_s)[0]:
    for number in os.read(reader, 1):
      if number in _WORDS:
        return number
  return 0


def _flush() -> None:
  try:
    sys.stdout.flush()
  except (OSError, ValueError):
    pass


def _kill_children() -> None:
  """Kills the processes that this one has started, so that none goes on working for nobody."""
  # Linux; elsewhere the workers end by themselves when their pipes close.
  tasks = "/proc/self/task"
  for task in os.listdir(tasks) if os.path.isdir(tasks) else ():
    try:
      with open(f"{tasks}/{task}/children") as file:
        children = file.read().split()
    except OSError:
      continue
    for child in children:
      try:
        os.kill(int(child), signal.SIGKILL)
      except OSError:
        pass
