"""Memory in large pages, for programs that train on a CPU.

XLA asks malloc for the memory of every step and gives it back: 119,000 pages of 4 KB that the
system clears again for an update of 4,096 tokens. In pages of 2 MB they are 400, and an update
takes a sixth less time (docs/results.md). glibc reads this when a process starts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_NAME, _VALUE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
_MODE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def start_again() -> None:
  """Starts this script again with its memory in large pages, where the system gives them to who
  asks; once. What the user has set himself stays.
  """
  if os.environ.get(_NAME) == _VALUE:
    del os.environ[_NAME]  # Started again; what it starts itself is not meant.
  elif _NAME not in os.environ and _is_script() and _on_request():
    os.environ[_NAME] = _VALUE
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _is_script() -> bool:
  """Whether Python was started with this script, and not with one that runs it."""
  return sys.argv[0] in sys.orig_argv


def _on_request() -> bool:
  try:
    return "[madvise]" in _MODE.read_text(encoding="ascii")
  except OSError:
    return False  # Another system, or a kernel without them.
