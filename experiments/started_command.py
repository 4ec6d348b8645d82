"""What is started on other machines: a launch script of ours, given behind two hyphens."""

from __future__ import annotations

from pathlib import Path

from launch import InputError  # First: from here on a signal ends the script with one line.


def check_script(command: list[str], source: Path | None) -> None:
  """Refuses what is no launch script, before a machine is asked for.

  Args:
    source: the folder of the code; None where that is not on this machine.

  Raises:
    InputError: no script, or none of that name.
  """
  if not command or not command[0].endswith(".py"):
    raise InputError("which script? give it behind two hyphens: -- experiments/spft.py --flags")
  if source is not None and not (source / command[0]).is_file():
    raise InputError(f"{command[0]}: no such script in {source}")


def works_together(command: list[str]) -> bool:
  """Whether the processes of a command on several machines share the work."""
  return not {"--distributed", "--shard=jax"}.isdisjoint(command)
