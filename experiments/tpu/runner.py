"""Carries out a plan of `plan.py`: creates, waits, prepares, starts, follows, and starts again.

What is at work on the workers does not need the launcher: where that is cut off, the same command
finds the machine and the run, and follows it again.
"""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
import time

from tpu.plan import ABSENT, GOES_ON, NO_CONNECTION, Plan, Step

_BAD_INPUT = 2
_STATE_TRIES = 3


@dataclasses.dataclass
class Runner:
  """Carries out a plan.

  Attributes:
    plan: the steps.
    poll_s: between two looks at a machine, and between two tries.
    settle_s: how long a machine is watched after a failure, for it is told late that it is gone.
    max_restarts: how often the run is started again.
  """

  plan: Plan
  poll_s: float
  settle_s: float
  max_restarts: int

  def run(self, keep: bool) -> None:
    """The whole of it. Raises RuntimeError where the run fails, behind the workers' logs.

    Args:
      keep: whether the machine is left as it is in the end.
    """
    is_there = self._state() != ABSENT
    try:
      code = self._until_done()
      if self._state() in self.plan.wait.done_at:
        self._call(self.plan.logs)
    except RuntimeError:
      is_there = self._state() != ABSENT
      raise
    else:
      is_there = True
    finally:
      # Not where the launcher is interrupted: the run goes on then.
      if is_there and not keep and not isinstance(sys.exc_info()[1], KeyboardInterrupt):
        self._delete()
    if code:
      raise RuntimeError(
        f"the run ended with exit code {code} on the workers; their logs are above"
      )

  def act(self, step: Step) -> None:
    """One step, again where it fails. Raises RuntimeError."""
    for left in reversed(range(step.tries)):
      code = self._call(step)
      if code == 0:
        return
      if left:
        time.sleep(self.poll_s)
    raise RuntimeError(f"step {step.name} failed with exit code {code} ({step.where})")

  def _until_done(self) -> int:
    """Starts the run until it ends by itself; its exit code."""
    made = self._ensure()
    if made or self._call(self.plan.busy):
      self._prepare()
    begun = False
    for _ in range(self.max_restarts + 1):
      if not begun:
        self.act(self.plan.start)  # Where it is at work already, this does nothing.
      code = self._call(self.plan.follow)
      if code in (0, _BAD_INPUT):
        return code
      if code not in GOES_ON and not self._is_lost() and code != NO_CONNECTION:
        return code
      self._say(f"goes on behind exit code {code}")
      time.sleep(self.poll_s)
      begun = code == NO_CONNECTION
      if self._ensure():
        self._prepare()
        begun = False
    raise RuntimeError(
      f"the run has not ended behind {self.max_restarts} restarts (--max_restarts); the same "
      "command goes on with it"
    )

  def _ensure(self) -> bool:
    """Sees to a machine that is ready; whether it is a new one."""
    state = self._state()
    if gone := state in self.plan.wait.failed_at:
      self.act(self.plan.delete)
    if made := gone or state == ABSENT:
      self.act(self.plan.create)
    while (state := self._state()) not in self.plan.wait.done_at:
      if state in (ABSENT, *self.plan.wait.failed_at):
        raise RuntimeError(
          f"there is no machine, its state is {state}; gcloud's messages, quota and what the zone "
          "has say why"
        )
      self._say(f"the machine is {state}")
      time.sleep(self.poll_s)
      made = True
    return made

  def _prepare(self) -> None:
    for step in self.plan.prepare:
      self.act(step)

  def _delete(self) -> None:
    """Gives the machine back; what went wrong before is not hidden by what goes wrong here."""
    try:
      self.act(self.plan.delete)
    except RuntimeError:
      self._say(f"IT COSTS ON until this succeeds: {shlex.join(self.plan.delete.command)}")

  def _is_lost(self) -> bool:
    """Whether the machine is gone, or goes within `settle_s`."""
    until = time.monotonic() + self.settle_s
    while self._state() in self.plan.wait.done_at:
      if time.monotonic() >= until:
        return False
      time.sleep(self.poll_s)
    return True

  def _state(self) -> str:
    """The state of the machine, as gcloud names it, or `ABSENT`. Raises RuntimeError."""
    for _ in range(_STATE_TRIES):
      done = subprocess.run(
        self.plan.wait.command, capture_output=True, text=True, stdin=subprocess.DEVNULL
      )
      if done.returncode == 0:
        return done.stdout.strip()
      told = done.stderr.strip()
      if "NOT_FOUND" in told:
        return ABSENT
      time.sleep(self.poll_s)
    raise RuntimeError(f"gcloud does not tell the state of the machine: {told}")

  def _call(self, step: Step) -> int:
    self._say(f"{step.name} ({step.where})")
    return subprocess.run(step.command, stdin=subprocess.DEVNULL).returncode

  def _say(self, line: str) -> None:
    print(f"launch: {line}", flush=True)
