"""Which tree of a model is trained: all its params, or an adapter over them."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from spftsql_jax.models.lora import init_lora, merge
from spftsql_jax.models.sharding import lora_shardings, put
from spftsql_jax.models.transformer import Decoder, Params


def model_variables(params: Params, lora: Params | None = None) -> dict[str, Any]:
  """What `Decoder.apply` takes: params alone, or with an adapter over them."""
  return {"params": params} if lora is None else {"params": params, "lora": lora}


@dataclasses.dataclass(frozen=True)
class Trainable:
  """A model and what of it is trained. Whether that is an adapter is decided here alone.

  A "tree" below is what is trained: an adapter where the model has a LoRA config, else all params.

  Attributes:
    model: the decoder.
    params: what training starts from; under an adapter they stay as they are.
  """

  model: Decoder
  params: Params

  @property
  def is_adapter(self) -> bool:
    return self.model.lora is not None

  def initial(self, rng: jax.Array, mesh: Mesh | None = None) -> Params:
    """The tree before any training: the params, or an adapter without effect, on the mesh."""
    if self.model.lora is None:
      return self.params
    adapter = init_lora(self.model.config, self.model.lora, rng)
    if mesh is None:
      return adapter
    return put(adapter, lora_shardings(self.model.config, self.model.lora, mesh))

  def arguments(self, tree: Params) -> dict[str, Params | None]:
    """The `params` and `lora` arguments of `fit` and of a `Generator`."""
    if self.is_adapter:
      return {"params": self.params, "lora": tree}
    return {"params": tree, "lora": None}

  def rounded(self, tree: Params) -> Params:
    """A tree as the model computes with it; `fit` gives it in float32 (see `FitResult.trained`)."""
    if self.is_adapter:
      return tree
    return jax.tree.map(lambda x: x.astype(self.model.config.param_dtype), tree)

  def full_params(self, tree: Params) -> Params:
    """All params of the trained model: an adapter is merged."""
    if self.model.lora is None:
      return self.rounded(tree)
    return merge(self.params, tree, self.model.lora)

  def stored_shapes(self, initial: Params) -> Params:
    """Shapes, dtypes and shardings in which versions are kept, as `jax.ShapeDtypeStruct` leaves.

    Args:
      initial: the tree of `initial`; params are kept in float32, an adapter in its own dtype.
    """

    def stored(leaf: jax.Array) -> jax.ShapeDtypeStruct:
      dtype = leaf.dtype if self.is_adapter else jnp.float32
      return jax.ShapeDtypeStruct(leaf.shape, dtype, sharding=leaf.sharding)

    return jax.tree.map(stored, initial)
