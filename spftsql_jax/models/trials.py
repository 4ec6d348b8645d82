"""Whether a kernel computes here what plain JAX does: tried once a process, before it is used.

A device, driver or compiler that nobody has tried must not compute wrongly, nor end a run where the
plain way would have gone on.
"""

from __future__ import annotations

import concurrent.futures
import warnings
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from spftsql_jax.models import platforms

# By how much bfloat16 or TF32 may part two ways to compute the same.
ROUNDING = 0.02


def may_be_used(found: bool, agrees: Callable[[], bool]) -> bool:
  """Whether a kernel that was `found` for a program computes rightly; what is compiled for devices
  that are not here cannot be tried, and is taken as it is.
  """
  return found and (not platforms.is_here() or agrees())


def agrees(what: str, instead: str, disagreement: Callable[[], float]) -> bool:
  """Whether a kernel gives what it is to give; a warning says so where it does not.

  Args:
    what: the kernel, and `instead` what is taken in its place, as the warning calls them.
    disagreement: runs both and returns how far they are apart (see `largest_difference`).
  """
  try:
    # What is being traced here is no concern of another thread.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
      error = thread.submit(disagreement).result()
  except Exception as failure:  # Compilers raise errors of many kinds.
    told = str(failure).strip().splitlines() or [type(failure).__name__]
    warnings.warn(f"no {what} here, {instead} is taken: {told[-1]}", stacklevel=3)
    return False
  if error <= ROUNDING:
    return True
  warnings.warn(f"the {what} is off by {error:.1e} here, {instead} is taken", stacklevel=3)
  return False


def largest_difference(found: Sequence[jax.Array], wanted: Sequence[jax.Array]) -> float:
  """The largest relative difference (Frobenius) of arrays from those wanted."""
  norms = [
    jnp.linalg.norm((x.astype(jnp.float32) - y).ravel())
    / jnp.linalg.norm(y.astype(jnp.float32).ravel())
    for x, y in zip(found, wanted, strict=True)
  ]
  return float(jnp.max(jnp.asarray(norms)))
