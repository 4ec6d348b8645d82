"""Flags of the launch scripts that run on several hosts: one process on each, joined by `jax.distributed`."""

from __future__ import annotations

from launch import InputError

from absl import flags  # isort: skip

_DISTRIBUTED = flags.DEFINE_boolean(
  "distributed", False, "One of several processes, one a host, which find each other (TPU pods, Slurm, GKE, Open MPI)."
)
_COORDINATOR = flags.DEFINE_string(
  "coordinator", None, "Elsewhere: HOST:PORT of the first process, with --num_processes and --process_id."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "With --coordinator: number of processes.", lower_bound=1)
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "With --coordinator: number of this process, from 0.", lower_bound=0)


def join(always: bool = False) -> None:
  """Joins the other processes where the flags, or `always`, say that there are some; called before anything uses a device."""
  given = [flag.value is not None for flag in (_COORDINATOR, _NUM_PROCESSES, _PROCESS_ID)]
  if any(given) and not all(given):
    raise InputError("--coordinator, --num_processes and --process_id belong together")
  if not (any(given) or always or _DISTRIBUTED.value):
    return
  import jax

  try:
    jax.distributed.initialize(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
  except (ValueError, RuntimeError) as error:
    raise InputError(f"the processes cannot be joined: {str(error).splitlines()[0]}") from error
