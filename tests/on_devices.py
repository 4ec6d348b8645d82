"""Code that runs in a process of its own, on a CPU that passes for several devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def run_on_devices(code: str, devices: int, *arguments: str) -> str:
  """What the code prints, with `arguments` in its sys.argv. Another exit code than 0 fails the
  test.
  """
  flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
  done = subprocess.run(
    [sys.executable, "-c", code, *arguments],
    cwd=TESTS.parent,
    env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    check=False,
    timeout=300,
  )
  assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
  return done.stdout
