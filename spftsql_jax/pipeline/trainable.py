"""What of the language model a run trains: all its weights, or an adapter over them.

It is decided here, by `open_trainable`, and nowhere else. A version of the model base is a tree of
what is trained; the two classes say how such a tree becomes a model again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from spftsql_jax.models import Decoder, LoraConfig, init_lora, load_hf, merge
from spftsql_jax.models.sharding import lora_shardings, on_local_mesh, put
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.config import RunConfig


@dataclasses.dataclass(frozen=True)
class Weights:
  """The arguments of a model: its params, and an adapter or None."""

  params: Params
  lora: Params | None = None

  def on(self, local: Mesh | None) -> Weights:
    """As this process's generator takes them; None for one device, where they lie already."""
    if local is None:
      return self
    lora = None if self.lora is None else on_local_mesh(self.lora, local)
    return Weights(on_local_mesh(self.params, local), lora)


@dataclasses.dataclass(frozen=True)
class AllWeights:
  """All weights are trained: a version is a tree of params.

  Versions are kept in float32, also where the model computes with less (`FitResult.trained`).

  Attributes:
    model: the decoder.
    start: the params that fine-tuning starts from.
  """

  model: Decoder
  start: Params

  @property
  def first(self) -> Params:
    """The tree of the starting model."""
    return self.start

  @property
  def layout(self) -> Any:
    """Shapes, dtypes and shardings of a version's tree (ShapeDtypeStructs)."""
    return jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float32, sharding=x.sharding), self.start
    )

  def to_train(self, tree: Params) -> Weights:
    """A version's tree as training takes it."""
    return Weights(tree)

  def to_compute(self, tree: Params) -> Weights:
    """A version's tree as the model computes with it."""
    return Weights(self.whole(tree))

  def whole(self, tree: Params) -> Params:
    """A version's tree as the params of a model of its own."""
    return jax.tree.map(lambda x: x.astype(self.model.config.param_dtype), tree)


@dataclasses.dataclass(frozen=True)
class Adapter:
  """A LoRA adapter is trained: a version is a tree of adapter arrays, over frozen params.

  Attributes:
    model: the decoder, with a LoRA config.
    lora: that config.
    start: the frozen params.
    first: the adapter without effect, the tree of the starting model.
  """

  model: Decoder
  lora: LoraConfig
  start: Params
  first: Params

  @property
  def layout(self) -> Any:
    """A tree of arrays with the shapes, dtypes and shardings of a version's tree."""
    return self.first

  def to_train(self, tree: Params) -> Weights:
    """A version's tree as training takes it."""
    return Weights(self.start, tree)

  def to_compute(self, tree: Params) -> Weights:
    """A version's tree as the model computes with it."""
    return Weights(self.start, tree)

  def whole(self, tree: Params) -> Params:
    """A version's tree merged into the params, as those of a model of its own."""
    return merge(self.start, tree, self.lora)


Trainable: TypeAlias = AllWeights | Adapter


def lora_config(config: RunConfig) -> LoraConfig | None:
  """The adapter that a run trains; None where it trains all weights."""
  rank = config.model.lora_rank
  if not rank:
    return None
  return LoraConfig(rank=rank, alpha=2.0 * rank, dropout=config.model.lora_dropout)


def open_trainable(
  config: RunConfig, source: str | Path, mesh: Mesh | None, remat: str = "none"
) -> Trainable:
  """The model of a Hugging Face folder as the run trains it: an adapter where the config gives it a
  rank.

  Args:
    mesh: devices that the params are spread over; None for one.
    remat: see `ModelConfig.remat`.

  Raises:
    FileNotFoundError, ValueError: see `load_hf`.
  """
  model, params = load_hf(source, config.model.dtype, shardings=mesh, remat=remat)
  lora = lora_config(config)
  model = Decoder(model.config, lora=lora)
  if lora is None:
    return AllWeights(model, params)
  first = init_lora(model.config, lora, jax.random.key(config.seed))
  if mesh is not None:
    first = put(first, lora_shardings(model.config, lora, mesh))
  return Adapter(model, lora, params, first)
