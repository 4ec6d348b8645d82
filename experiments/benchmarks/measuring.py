"""What several benchmarks measure by: times and memory of this process, on Linux."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PROCESS = Path("/proc/self")


def clock(run: Callable[[], Any]) -> tuple[float, float]:
  """Wall clock and CPU seconds of a call."""
  began, cpu = time.perf_counter(), time.process_time()
  run()
  return time.perf_counter() - began, time.process_time() - cpu


def cpu_seconds() -> float:
  """CPU time of this process and of its children that have ended."""
  used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
  return sum(usage.ru_utime + usage.ru_stime for usage in used)


def can_measure_peaks() -> bool:
  """Whether the system tells how much memory a process has had at most."""
  return (_PROCESS / "clear_refs").exists()


def forget_peak() -> None:
  """Sets the peak back to what the process has now."""
  (_PROCESS / "clear_refs").write_text("5")


def peak_bytes() -> int:
  """Resident memory at most, since the process began or `forget_peak`."""
  return _status("VmHWM")


def resident_bytes() -> int:
  """Resident memory now."""
  return _status("VmRSS")


def _status(key: str) -> int:
  lines = (_PROCESS / "status").read_text().splitlines()
  line = next(line for line in lines if line.startswith(key + ":"))
  return int(line.split()[1]) * 1024
