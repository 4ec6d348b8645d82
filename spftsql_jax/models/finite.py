"""Whether weights are finite numbers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def not_finite(tree: Any) -> list[str]:
  """The paths ("layers/mlp/up/kernel") of the leaves that hold a NaN or an infinity.

  With several processes all call it alike.
  """
  found = jax.device_get(_finite(tree))
  return [
    "/".join(str(k.key) for k in path)
    for path, ok in jax.tree_util.tree_leaves_with_path(found)
    if not ok
  ]


@jax.jit
def _finite(tree: Any) -> Any:
  return jax.tree.map(lambda x: jnp.isfinite(x).all(), tree)
