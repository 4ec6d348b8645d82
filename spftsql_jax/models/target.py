"""What a program is traced for: the devices of this process, or others that it is compiled for
ahead of time. Some functions are written as one kind of device is quick at them.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_TARGET: contextvars.ContextVar[str] = contextvars.ContextVar("target", default="")


def target() -> str:
  """The platform: "cpu", "gpu" or "tpu"."""
  return _TARGET.get() or jax.default_backend()


@contextlib.contextmanager
def targeting(platform: str) -> Iterator[None]:
  """Within, what is traced is traced for a platform."""
  token = _TARGET.set(platform)
  try:
    yield
  finally:
    _TARGET.reset(token)
