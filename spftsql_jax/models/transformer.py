"""The decoder as pure functions of its params: plain, prefix-branch, packed and cached forwards.

    model = Decoder(config)
    variables = {"params": init_params(config, jax.random.key(0))}
    logits = model.apply(variables, tokens)  # [B, T, V]
    batch = (prefix, prefix_lengths, branch)
    hidden = model.apply(variables, *batch, method="branch_hidden")  # [B, K, L, D]
    hidden = model.apply(variables, tokens, positions, ends, method="packed_hidden")  # [R, T, D]

Params are plain nested dicts; layers are stacked on a leading axis. Axes: B schemas, K branches, T
tokens, P prefix, L branch, S cache slots, D hidden, V vocabulary, N key-value heads, G query heads
a key-value head, H head size.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.ad_checkpoint import checkpoint_name

from spftsql_jax.models import attention, platforms
from spftsql_jax.models.branch_attention import NEVER, Branches, branch_attention
from spftsql_jax.models.caches import BranchCache, PrefixCache, PrefixRows, Prompts
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.lora import LoraConfig
from spftsql_jax.models.packed_attention import Implementation, packed_attention
from spftsql_jax.models.products import head_product, product, scaled

Params = dict[str, Any]
Variables = dict[str, Any]  # {"params": ..., "lora": ...}: what `apply` takes
KeyValue = tuple[jax.Array, jax.Array]
PromptAttention = Literal["einsum", "cudnn", "xla"]

_ACTIVATIONS = {
  "silu": nn.silu,
  "swish": nn.silu,
  "gelu": lambda x: nn.gelu(x, approximate=False),
  "gelu_new": nn.gelu,
  "gelu_fast": nn.gelu,
  "gelu_pytorch_tanh": nn.gelu,
  "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
  "relu": nn.relu,
  "relu2": lambda x: jnp.square(nn.relu(x)),
}
# Products of weights that the policy "dots" keeps, by their modules' names. Of a product with an
# adapter the sum is kept, not both. What `down` gives is the next layer's input, kept anyway.
_KEPT_PRODUCTS = ("q", "k", "v", "qkv", "o", "gate", "up", "gate_up")
_REMAT_POLICIES = {
  "full": jax.checkpoint_policies.nothing_saveable,
  "dots": jax.checkpoint_policies.save_only_these_names(*_KEPT_PRODUCTS),
}


@struct.dataclass
class _Shared:
  """What all layers read about the token stream [B, P + K * L].

  The stream is the prefix's tokens, then those of all branches.
  One stream, because all but the attention treats tokens alike: half the matrix products, each
  twice as large.

  Attributes:
    rope: cos and sin [1 or B, P + K * L, H / 2] of the positions.
    prefix_keys: int [1 or B, P] positions of the prefix's tokens, NEVER for padding.
    prefix_queries: int [1, P].
    branch_positions: int [B, K, L]; None without branches.
  """

  rope: KeyValue
  prefix_keys: jax.Array
  prefix_queries: jax.Array
  branch_positions: jax.Array | None = None


@struct.dataclass
class _PackedRows:
  """What all layers read about packed rows [R, T] (see packed_attention.py).

  Attributes:
    rope: cos and sin [R, T, H / 2] of the positions.
    positions, ends: int [R, T].
    collect: whether layers return keys and values.
  """

  rope: KeyValue
  positions: jax.Array
  ends: jax.Array
  collect: bool = struct.field(pytree_node=False, default=False)


@struct.dataclass
class _Asked:
  """What all layers read about prompts [R, W] over prefixes that lie in a cache.

  Attributes:
    rope: cos and sin [R, W, H / 2] of the positions.
    prompts: where they stand.
    positions: int [B, K, Q].
    prefix_lengths: int [B].
  """

  rope: KeyValue
  prompts: Prompts
  positions: jax.Array
  prefix_lengths: jax.Array


_Stream = _Shared | _PackedRows | _Asked


def init_params(config: ModelConfig, rng: jax.Array) -> Params:
  """Random params in `config.param_dtype`: normal with initializer_range, kernels that write to the
  residual stream scaled by 1/sqrt(2 layers), norms one, biases zero. Drawn by NumPy on the host
  (compiling a random generator for each shape takes longer than a small model's first epoch), so
  not to be traced; `abstract_params` gives shapes."""
  generator = np.random.default_rng(np.asarray(jax.random.key_data(rng)))
  residual = (2 * config.num_hidden_layers) ** -0.5

  def draw(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> jax.Array:
    names = [key.key for key in path]
    if names[-1] in ("scale", "bias"):
      return jnp.full(leaf.shape, float(names[-1] == "scale"), leaf.dtype)
    deviation = config.initializer_range * (residual if names[-2:-1] in (["o"], ["down"]) else 1.0)
    return jnp.asarray(
      generator.standard_normal(leaf.shape, np.float32) * np.float32(deviation), leaf.dtype
    )

  return jax.tree_util.tree_map_with_path(draw, nn.meta.unbox(abstract_params(config)))


def abstract_params(config: ModelConfig) -> Params:
  """Shapes and dtypes of the params as `jax.ShapeDtypeStruct` leaves boxed with their logical axis
  names; no memory is used.
  """
  # Copied, so that nobody changes what others are given.
  is_boxed = lambda leaf: isinstance(leaf, nn.meta.AxisMetadata)  # noqa: E731
  return jax.tree.map(lambda leaf: leaf, _abstract_params(config), is_leaf=is_boxed)


@functools.cache
def _abstract_params(config: ModelConfig) -> Params:
  model = Decoder(config)
  return jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 1), jnp.int32))["params"]


def layers_of(
  config: ModelConfig, variables: Mapping[str, Any], fuse: bool = False
) -> tuple[Variables, ...]:
  """The variables of each layer by itself, for `prefill` and `decode_step`.

  Made once for many steps: a slice of stacked variables is a copy, in each step anew.

  Args:
    config: the model's. variables: {"params": ..., "lora": ...}, layers stacked.
    fuse: kernels that read the same input lie side by side (q, k and v; gate and up): fewer and
      larger products. Not for layers with an adapter, nor for kernels that a mesh cuts along their
      outputs.
  """
  stacked = {name: tree["layers"] for name, tree in variables.items() if "layers" in tree}

  def side_by_side(part: dict[str, Any], names: tuple[str, ...], name: str) -> dict[str, Any]:
    kept = {n: leaf for n, leaf in part.items() if n not in names}
    return kept | {
      name: jax.tree.map(
        lambda *leaves: jnp.concatenate(leaves, axis=-1), *(part[n] for n in names)
      )
    }

  def layer(index: int) -> dict[str, Any]:
    own = jax.tree.map(lambda leaf: leaf[index], stacked)
    if fuse:
      attention_part = side_by_side(own["params"]["attention"], ("q", "k", "v"), "qkv")
      mlp_part = side_by_side(own["params"]["mlp"], ("gate", "up"), "gate_up")
      own["params"] = own["params"] | {"attention": attention_part, "mlp": mlp_part}
    return own

  return tuple(layer(i) for i in range(config.num_hidden_layers))


def _declare(axes: tuple[str, ...]) -> Any:
  """Declares a param's logical axes; its values come from `init_params` or a checkpoint."""
  return nn.with_logical_partitioning(nn.initializers.zeros_init(), axes)


class RMSNorm(nn.Module):
  """Root-mean-square norm over the last axis, computed in float32, returned in the dtype of its
  input.
  """

  epsilon: float
  param_dtype: str

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    scale = self.param("scale", _declare(("norm",)), (x.shape[-1],), jnp.dtype(self.param_dtype))
    wide = x.astype(jnp.float32)
    wide = wide * jax.lax.rsqrt(jnp.mean(jnp.square(wide), axis=-1, keepdims=True) + self.epsilon)
    return scaled(wide, scale).astype(x.dtype)


class Linear(nn.Module):
  """x @ kernel [in, out] (+ bias), plus the low-rank update of the "lora" collection where that
  holds one for this module.
  """

  features: int
  axes: tuple[str, str]
  use_bias: bool
  config: ModelConfig
  lora: LoraConfig | None

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    dtype, param_dtype = jnp.dtype(self.config.dtype), jnp.dtype(self.config.param_dtype)
    kernel = self.param("kernel", _declare(self.axes), (x.shape[-1], self.features), param_dtype)
    multiply = functools.partial(product, operands=self.config.product_dtype)
    y = multiply(x, kernel.astype(dtype))
    if self.use_bias:
      bias = self.param("bias", _declare(self.axes[1:]), (self.features,), param_dtype)
      y = y + bias.astype(dtype)
    if self.lora is not None and self.has_variable("lora", "a"):
      down: jax.Array = self.get_variable("lora", "a").astype(dtype)
      up: jax.Array = self.get_variable("lora", "b").astype(dtype)
      if self.lora.dropout and self.has_rng("dropout"):
        x = nn.Dropout(self.lora.dropout, deterministic=False)(x)
      y = y + multiply(multiply(x, down), up) * self.lora.scale
    return checkpoint_name(y, str(self.name))


def _as_one(modules: tuple[Linear, ...], x: jax.Array, name: str) -> jax.Array:
  """What modules without an adapter give for one input, end to end, by one product with their
  kernels side by side: their params stay as they are.
  """
  config = modules[0].config
  params = [module.variables["params"] for module in modules]
  kernel = jnp.concatenate([own["kernel"] for own in params], axis=-1)
  y = product(x, kernel.astype(config.dtype), operands=config.product_dtype)
  if modules[0].use_bias:
    y = y + jnp.concatenate([own["bias"] for own in params]).astype(config.dtype)
  return checkpoint_name(y, name)


class Attention(nn.Module):
  """The projections of one attention layer; the attention itself is in attention.py."""

  config: ModelConfig
  lora: LoraConfig | None
  fuse: bool = False

  def setup(self) -> None:
    c = self.config
    queries, keys = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    self.q = Linear(queries, ("embed", "heads"), c.attention_bias, c, self.lora)
    self.k = Linear(keys, ("embed", "kv_heads"), c.attention_bias, c, self.lora)
    self.v = Linear(keys, ("embed", "kv_heads"), c.attention_bias, c, self.lora)
    self.qkv = Linear(queries + 2 * keys, ("embed", "heads"), c.attention_bias, c, None)
    self.o = Linear(c.hidden_size, ("heads", "embed"), c.attention_output_bias, c, self.lora)
    if c.qk_norm:
      self.q_norm = RMSNorm(c.rms_norm_eps, c.param_dtype)
      self.k_norm = RMSNorm(c.rms_norm_eps, c.param_dtype)

  def project(self, x: jax.Array, rope: KeyValue) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Rotated queries [..., N, G, H] and keys [..., N, H], and values [..., N, H], of x [..., D].

    Args:
      rope: cos and sin of the positions, each broadcastable to [..., H / 2].
    """
    c = self.config
    heads = lambda part: part.reshape(*x.shape[:-1], -1, c.head_dim)  # noqa: E731
    if platforms.cuts("tensor"):
      # Side by side, heads that a mesh cuts would be sent around to be cut anew.
      q, k, v = (heads(part(x)) for part in (self.q, self.k, self.v))
      q, k = (attention.apply_rope(part, rope) for part in self._normed(q, k))
    else:
      turned, v = map(heads, self._turned_and_value(x))
      if c.qk_norm:
        q, k = jnp.split(turned, [c.num_attention_heads], axis=-2)
        turned = jnp.concatenate(self._normed(q, k), axis=-2)
      q, k = jnp.split(attention.apply_rope(turned, rope), [c.num_attention_heads], axis=-2)
    groups = c.num_attention_heads // c.num_key_value_heads
    return q.reshape(*x.shape[:-1], c.num_key_value_heads, groups, c.head_dim), k, v

  def _normed(self, q: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Queries and keys behind their norms, where the model has them."""
    return (self.q_norm(q), self.k_norm(k)) if self.config.qk_norm else (q, k)

  def _turned_and_value(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Queries and keys side by side, and values, each [..., heads * H], of x [..., D]: by one
    product with `fuse`, or where `layers_of` has fused the kernels.
    """
    c = self.config
    if self.fuse and not self.is_initializing():
      together = _as_one((self.q, self.k, self.v), x, "qkv")
    elif self.has_variable("params", "qkv"):
      together = self.qkv(x)
    else:
      return jnp.concatenate([self.q(x), self.k(x)], axis=-1), self.v(x)
    turned = c.head_dim * (c.num_attention_heads + c.num_key_value_heads)
    return together[..., :turned], together[..., turned:]

  def combine(self, heads: jax.Array) -> jax.Array:
    """The output projection [..., D] of head outputs [..., N, G, H]."""
    return self.o(heads.reshape(*heads.shape[:-3], -1))


def _causal_blocks(length: int) -> int:
  """In how many parts a prompt attends to itself: of 128 positions or more, four at most."""
  # Each part is compiled.
  return max(1, min(4, length // 128))


class MLP(nn.Module):
  """down(act(gate(x)) * up(x))."""

  config: ModelConfig
  lora: LoraConfig | None
  fuse: bool = False

  def setup(self) -> None:
    c = self.config
    self.gate = Linear(c.intermediate_size, ("embed", "mlp"), c.mlp_bias, c, self.lora)
    self.up = Linear(c.intermediate_size, ("embed", "mlp"), c.mlp_bias, c, self.lora)
    self.gate_up = Linear(2 * c.intermediate_size, ("embed", "mlp"), c.mlp_bias, c, None)
    self.down = Linear(c.hidden_size, ("mlp", "embed"), c.mlp_bias, c, self.lora)

  def __call__(self, x: jax.Array) -> jax.Array:
    if self.fuse and not self.is_initializing():
      gate, up = jnp.split(_as_one((self.gate, self.up), x, "gate_up"), 2, axis=-1)
    elif self.has_variable("params", "gate_up"):  # see `layers_of`
      gate, up = jnp.split(self.gate_up(x), 2, axis=-1)
    else:
      gate, up = self.gate(x), self.up(x)
    return self.down(_ACTIVATIONS[self.config.hidden_act](gate) * up)


class Block(nn.Module):
  """One layer over a stream of prefix tokens, branch tokens, or both."""

  config: ModelConfig
  lora: LoraConfig | None = None
  prompt_attention: PromptAttention = "einsum"
  row_attention: Implementation = "auto"
  fuse: bool = False

  def setup(self) -> None:
    c = self.config
    self.attention_norm = RMSNorm(c.rms_norm_eps, c.param_dtype)
    self.attention = Attention(c, self.lora, self.fuse)
    self.mlp_norm = RMSNorm(c.rms_norm_eps, c.param_dtype)
    self.mlp = MLP(c, self.lora, self.fuse)

  def _finish(self, x: jax.Array, heads: jax.Array) -> jax.Array:
    x = x + self.attention.combine(heads)
    x = x + self.mlp(self.mlp_norm(x))
    return nn.with_logical_constraint(x, ("batch", None, "hidden"))

  def __call__(
    self,
    x: jax.Array,
    layer: tuple[jax.Array | int | None, KeyValue | None],
    shared: _Stream,
  ) -> tuple[jax.Array, KeyValue | None]:
    """One layer over the stream, as the body of a scan.

    Args:
      x: [B, P + K * L, D], packed rows [R, T, D], or prompts [R, W, D].
      layer: what differs between layers: the attention window or None, and of prompts the keys and
        values [B, P, N, H] of their prefixes, which lie in a cache.
      shared: what does not.

    Returns:
      The stream behind the layer, and the keys and values of packed rows [R, T, N, H], where they
      are collected, or of prompts [B, K, Q, N, H]; else None.
    """
    window, prefix_kv = layer
    q, k, v = self.attention.project(self.attention_norm(x), shared.rope)
    if isinstance(shared, _PackedRows):
      own_kv = (k, v)
      q, k, v = (a.astype(self.config.product_dtype or a.dtype) for a in (q, k, v))
      attended = packed_attention(
        q, k, v, shared.ends, shared.positions, window, self.row_attention
      )
      return self._finish(x, attended.astype(x.dtype)), own_kv if shared.collect else None
    if isinstance(shared, _Asked):
      assert prefix_kv is not None
      q, k, v = map(shared.prompts.apart, (q, k, v))
      given = Branches(
        q, shared.positions, *prefix_kv, shared.prefix_lengths, k, v, shared.positions
      )
      return self._finish(x, shared.prompts.together(branch_attention(given, window))), (k, v)
    in_stream = shared.prefix_queries.shape[1]
    prefix_k, prefix_v = k[:, :in_stream], v[:, :in_stream]
    if self.prompt_attention == "einsum" or window is not None:
      mask = attention.visible(shared.prefix_queries, shared.prefix_keys, window)
      heads = attention.causal_attention(
        q[:, :in_stream], prefix_k, prefix_v, mask, _causal_blocks(in_stream)
      )
    else:
      heads = attention.flash_attention(q[:, :in_stream], prefix_k, prefix_v, self.prompt_attention)
    if (positions := shared.branch_positions) is not None:
      batch = len(x)
      q, k, v = (
        a[:, in_stream:].reshape(batch, *positions.shape[1:], *a.shape[2:]) for a in (q, k, v)
      )
      prefix_mask = attention.visible(positions, shared.prefix_keys[:, None], window)
      own_mask = attention.visible(positions, positions, window)
      of_branches = attention.prefix_branch_attention(
        q, prefix_k, prefix_v, prefix_mask, k, v, own_mask
      )
      heads = jnp.concatenate(
        [heads, of_branches.reshape(batch, -1, *of_branches.shape[3:])], axis=1
      )
    return self._finish(x, heads), None

  def decode(
    self,
    x: jax.Array,
    window: int | None,
    prefix_lengths: jax.Array,
    prefix_kv: KeyValue,
    positions: jax.Array,
    rope: KeyValue,
    cache_kv: KeyValue,
    cache_positions: jax.Array,
    slot: jax.Array,
  ) -> tuple[jax.Array, KeyValue]:
    """One layer over one token a branch, whose key and value are written into the cache.

    Args:
      x: [B, K, D]. window: of the layer's attention, or None.
      prefix_lengths: int [B]. prefix_kv: of the prefixes, each [B, P, N, H].
      positions: int [B, K, 1]. rope: of them, each [B, K, H / 2].
      cache_kv: of the branches' own tokens, each [B, K, S, N, H]. cache_positions: int [B, K, S].
      slot: int scalar, where in the cache the token goes.
    """
    q, k, v = (a[:, :, None] for a in self.attention.project(self.attention_norm(x), rope))
    own_key, own_value = (
      jax.lax.dynamic_update_slice_in_dim(cached, new, slot, axis=2)
      for cached, new in zip(cache_kv, (k, v), strict=True)
    )
    given = Branches(q, positions, *prefix_kv, prefix_lengths, own_key, own_value, cache_positions)
    heads = branch_attention(given, window)
    return self._finish(x, heads[:, :, 0]), (own_key, own_value)


class Decoder(nn.Module):
  """A causal language model. With `lora`, `apply` also takes the "lora" collection made by
  `lora.init_lora`.

  Attributes:
    unroll: whether the layers are compiled one by one instead of as a loop over one. What a loop
      keeps for its backward pass is stacked by copying; without, a training step of a shallow model
      takes a tenth less. Compilation grows with depth.
    prompt_attention: what the prompt's attention to itself is computed by: "einsum", or "cudnn" or
      "xla" of `jax.nn.dot_product_attention`; layers with a window use einsum always.
    row_attention: what attention over packed rows is computed by, see `packed_attention`.
    fuse: whether q, k and v, and gate and up, are one product each, with kernels put side by side
      where they are used. Not under an adapter, nor for kernels that a mesh cuts along their
      outputs.
  """

  config: ModelConfig
  lora: LoraConfig | None = None
  unroll: bool = False
  prompt_attention: PromptAttention = "einsum"
  row_attention: Implementation = "auto"
  fuse: bool = False

  @nn.nowrap
  def rounded(self) -> Decoder:
    """As this, with products of bfloat16 operands (see `ModelConfig.product_dtype`)."""
    return self.clone(config=self.config.replace(product_dtype="bfloat16"))

  def setup(self) -> None:
    c = self.config
    declaration = (
      _declare(("vocab", "embed")),
      (c.vocab_size, c.hidden_size),
      jnp.dtype(c.param_dtype),
    )
    self.embedding = self.param("embedding", *declaration)
    block = Block
    if c.remat != "none":
      block = nn.remat(Block, policy=_REMAT_POLICIES[c.remat], prevent_cse=False)
    self.layers = nn.scan(
      block,
      variable_axes={"params": 0, "lora": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=(0, nn.broadcast),
      length=c.num_hidden_layers,
      unroll=c.num_hidden_layers if self.unroll else 1,
      metadata_params={nn.PARTITION_NAME: "layers"},
    )(c, self.lora, self.prompt_attention, self.row_attention, self.fuse)
    self.final_norm = RMSNorm(c.rms_norm_eps, c.param_dtype)
    if not c.tie_word_embeddings:
      self.lm_head = self.param("lm_head", *declaration)

  def __call__(self, tokens: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """Next-token logits of right-padded sequences: the plain causal forward, the reference for all
    others.

    Args:
      tokens: int [B, T].
      lengths: int [B], tokens that count. Logits at and after a length mean nothing.

    Returns:
      float32 [B, T, V].
    """
    return self.logits(self.hidden(tokens, lengths))

  def hidden(self, tokens: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """As `__call__`, but the hidden states after the final norm: [B, T, D]."""
    hidden, _ = self._run(tokens, self._shared(tokens.shape, lengths))
    return self.final_norm(hidden)

  def branch_hidden(
    self, prefix: jax.Array, prefix_lengths: jax.Array, branch: jax.Array
  ) -> jax.Array:
    """The prefix-branch forward: each prefix is computed once, each branch attends to its prefix
    and causally to itself.

    The same function, with the same gradients, as B*K separate sequences prefix[:length] + branch.

    Args:
      prefix: int [B, P], right-padded. prefix_lengths: int [B].
      branch: int [B, K, L], right-padded; what follows a branch's end does not reach what stands
        before it.

    Returns:
      Hidden states after the final norm [B, K, L, D]. Position l predicts the token at l + 1.
    """
    stream = jnp.concatenate([prefix, branch.reshape(len(branch), -1)], axis=1)
    hidden, _ = self._run(stream, self._shared(prefix.shape, prefix_lengths, branch.shape))
    return self.final_norm(hidden[:, prefix.shape[1] :].reshape(*branch.shape, -1))

  def packed_hidden(self, tokens: jax.Array, positions: jax.Array, ends: jax.Array) -> jax.Array:
    """The forward of packed rows: `branch_hidden` without padding.

    Args:
      tokens, positions, ends: int [R, T], as `packing.PackedBatch` has them.

    Returns:
      Hidden states after the final norm [R, T, D].
    """
    rope = attention.rope_table(self.config, positions)
    hidden, _ = self._run(tokens, _PackedRows(rope, positions, ends))
    return self.final_norm(hidden)

  def logits(self, hidden: jax.Array) -> jax.Array:
    """float32 [..., V] of hidden states [..., D] after the final norm."""
    return head_product(hidden, self.head(), self.config.product_dtype)

  def prefill(
    self, prefixes: PrefixRows, layers: tuple[Variables, ...] | None = None
  ) -> PrefixCache:
    """The cache of prefixes, computed once for all branches to come.

    Layers are unrolled, so that in a compiled caller nothing is computed behind the last keys and
    values: no token is predicted from a prefix.

    Args:
      prefixes: R rows with A prefixes each, of which the cache has R * A.
      layers: from `layers_of`; by default of the module's own variables.
    """
    rope = attention.rope_table(self.config, prefixes.positions)
    shared = _PackedRows(rope, prefixes.positions, prefixes.ends, collect=True)
    block = Block(self.config, self.lora, row_attention=self.row_attention, parent=None)
    keys: list[jax.Array] = []
    values: list[jax.Array] = []
    x = self._embed(prefixes.tokens)
    for variables, window in zip(self._layers_apart(layers), self.config.windows, strict=True):
      found: Any = block.apply(variables, x, (window, None), shared)
      x, (key, value) = found
      keys.append(prefixes.apart(key))
      values.append(prefixes.apart(value))
    return PrefixCache(tuple(keys), tuple(values))

  def prefill_branches(
    self,
    cache: PrefixCache,
    prefix_lengths: jax.Array,
    prompts: Prompts,
    max_new_tokens: int,
  ) -> tuple[jax.Array, BranchCache]:
    """Puts the branches' own prompts through the model in one pass.

    Args:
      cache: from `prefill`. prefix_lengths: int [B].
      prompts: K of each of the B prefixes, of Q tokens at most.
      max_new_tokens: slots to set aside for decoding.

    Returns:
      Logits of the first new token, float32 [B, K, V], and the branch cache.
    """
    positions = prefix_lengths[:, None, None].astype(jnp.int32) + jnp.arange(
      prompts.slots, dtype=jnp.int32
    )
    positions = jnp.broadcast_to(positions, (*prompts.starts.shape, prompts.slots))
    rope = attention.rope_table(self.config, prompts.together(positions))
    shared = _Asked(rope, prompts, positions, prefix_lengths)
    hidden, own = self._run(prompts.tokens, shared, (jnp.stack(cache.key), jnp.stack(cache.value)))
    logits = self.logits(self.final_norm(prompts.last(hidden)))
    padding = ((0, 0), (0, 0), (0, max_new_tokens), (0, 0), (0, 0))
    key, value = (tuple(jnp.pad(layer, padding) for layer in stacked) for stacked in own)
    filled = jnp.arange(prompts.slots) < prompts.lengths[..., None]
    positions = jnp.where(filled, positions, NEVER)
    positions = jnp.pad(positions, ((0, 0), (0, 0), (0, max_new_tokens)), constant_values=NEVER)
    return logits, BranchCache(
      key, value, positions, prompts.lengths.astype(jnp.int32), prompts.slots
    )

  def decode_step(
    self,
    cache: PrefixCache,
    prefix_lengths: jax.Array,
    branches: BranchCache,
    tokens: jax.Array,
    step: jax.Array,
    layers: tuple[Variables, ...] | None = None,
  ) -> tuple[jax.Array, BranchCache]:
    """Appends one token to each branch.

    Layers are unrolled: inside a loop each layer's cache is then updated in place, never copied.

    Args:
      cache, prefix_lengths: from `prefill`. branches: from `prefill_branches`, or the step before.
      tokens: int [B, K], the token just chosen for each branch. step: int scalar, 0 for the first
        new token.
      layers: from `layers_of`, made once for many steps; by default of the module's own variables.

    Returns:
      Logits of the next token, float32 [B, K, V], and the cache with the token in it.
    """
    config = self.config
    window_slots = branches.positions.shape[-1] - branches.prompt_slots
    slot = branches.prompt_slots + step % window_slots
    positions = (prefix_lengths[:, None] + branches.lengths)[..., None]
    cache_positions = jax.lax.dynamic_update_slice_in_dim(
      branches.positions, positions, slot, axis=2
    )
    rope = attention.rope_table(config, positions[..., 0])
    block = Block(config, self.lora, parent=None)
    keys: list[jax.Array] = []
    values: list[jax.Array] = []
    x = self._embed(tokens)
    for i, variables in enumerate(self._layers_apart(layers)):
      prefix_kv, cache_kv = (cache.key[i], cache.value[i]), (branches.key[i], branches.value[i])
      found: Any = block.apply(
        variables,
        x,
        config.windows[i],
        prefix_lengths,
        prefix_kv,
        positions,
        rope,
        cache_kv,
        cache_positions,
        slot,
        method="decode",
      )
      x, (key, value) = found
      keys.append(key)
      values.append(value)
    branches = dataclasses.replace(
      branches,
      key=tuple(keys),
      value=tuple(values),
      positions=cache_positions,
      lengths=branches.lengths + 1,
    )
    return self.logits(self.final_norm(x)), branches

  def _layers_apart(self, layers: tuple[Variables, ...] | None) -> tuple[Variables, ...]:
    """The layers given, by default the module's own, each by itself."""
    return layers_of(self.config, self.variables) if layers is None else layers

  def head(self) -> jax.Array:
    """What logits are made with, [V, D]."""
    return self.embedding if self.config.tie_word_embeddings else self.lm_head

  def _embed(self, tokens: jax.Array) -> jax.Array:
    if self.lora is None and self.has_variable("lora", "layers"):
      raise ValueError(
        "a lora tree was given to a Decoder without a LoraConfig: use Decoder(config, "
        "lora=LoraConfig(...))"
      )
    return self.embedding.astype(jnp.dtype(self.config.dtype))[tokens]

  def _shared(
    self,
    prefix_shape: tuple[int, ...],
    prefix_lengths: jax.Array | None,
    branch_shape: tuple[int, ...] | None = None,
  ) -> _Shared:
    """Positions and rotary tables of a prefix [B, P] and of branches [B, K, L]."""
    positions = jnp.arange(prefix_shape[1], dtype=jnp.int32)[None]
    keys = (
      positions
      if prefix_lengths is None
      else jnp.where(positions < prefix_lengths[:, None], positions, NEVER)
    )
    stream, branch_positions = positions, None
    if branch_shape is not None:
      assert prefix_lengths is not None  # a branch starts where its prefix ends
      branch_positions = prefix_lengths[:, None, None].astype(jnp.int32) + jnp.arange(
        branch_shape[2], dtype=jnp.int32
      )
      branch_positions = jnp.broadcast_to(branch_positions, branch_shape)
      stream = jnp.broadcast_to(positions, (branch_shape[0], prefix_shape[1]))
      stream = jnp.concatenate([stream, branch_positions.reshape(branch_shape[0], -1)], axis=1)
    return _Shared(attention.rope_table(self.config, stream), keys, positions, branch_positions)

  def _run(
    self,
    tokens: jax.Array,
    shared: _Stream,
    prefix_kv: KeyValue | None = None,
  ) -> tuple[jax.Array, Any]:
    """All layers over a stream of tokens [B, T]: hidden [B, T, D], and what the layers collect.

    prefix_kv and what is collected are stacked over the layers, see `Block.__call__`.
    """
    windows = None
    if any(w is not None for w in self.config.windows):
      windows = jnp.array([NEVER if w is None else w for w in self.config.windows], jnp.int32)
    return self.layers(self._embed(tokens), (windows, prefix_kv), shared)
