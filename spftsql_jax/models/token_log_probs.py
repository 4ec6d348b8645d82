"""log p of tokens given hidden states: logits in slices of positions, their gradient written out.

Logits are the largest arrays of a step. They are made for some positions at a time, from operands
of the model's dtype with float32 sums, and again for the backward pass; what goes back through them
is rounded to that dtype before it is multiplied. GPUs have kernels that write no logits at all
(head_flash.py): of the forward pass nothing but sums, of the backward pass the rounded gradient. On
a mesh each device goes through the rows and the part of the vocabulary that it holds: the head is
gathered once for all slices, and its gradient is sent once, when all slices are in it.

Axes: R rows, W tokens of a row, D hidden, V vocabulary.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import CustomVJPPrimal
from jax.sharding import PartitionSpec

from spftsql_jax.models import head_flash, platforms, trials
from spftsql_jax.models.products import head_gradients, head_product

# Axes of a mesh over which rows, and the vocabulary, are spread (see `sharding.RULES`).
_ROW_AXES = ("data", "fsdp")
_VOCAB_AXIS = "tensor"
# A slice has at most so many logits on each device: 256 MiB in float32. A GPU has the memory for
# four times as many, and is quicker at few large products.
LOGITS_AT_ONCE = 1 << 26
_AT_ONCE_ON = {"gpu": 1 << 28}

_Kept = tuple[Any, ...]


class _Way(NamedTuple):
  """How log-probs are computed.

  Attributes:
    operands: see `products.product`.
    dtype: of the products' operands. head_dtype: of the weights.
    on_mesh: whether there are several devices, each of which computes its part.
    rows: axes of the mesh over which rows are spread; () where each device has all of them.
    vocab: axis of the mesh over which the vocabulary is spread; "" for none.
    scattered: whether of the head's gradient each device along "fsdp" gets a part of the width.
    kernel: whether the kernels of head_flash.py make what logits are for.
  """

  operands: str
  dtype: str
  head_dtype: str
  on_mesh: bool = False
  rows: tuple[str, ...] = ()
  vocab: str = ""
  scattered: bool = False
  kernel: bool = False


def logits_at_once() -> int:
  """How many logits a slice has on each device at most."""
  return _AT_ONCE_ON.get(platforms.platform(), LOGITS_AT_ONCE)


def token_log_probs(
  hidden: jax.Array, head: jax.Array, targets: jax.Array, operands: str = ""
) -> jax.Array:
  """log p of tokens, float32 [R, W].

  Args:
    hidden: [R, W, D], the states that predict the tokens, behind the final norm.
    head: [V, D].
    targets: int32 [R, W], the tokens.
    operands: see `products.product`.
  """
  way = _Way(operands, str(hidden.dtype), str(head.dtype), kernel=_has_kernel(hidden))
  mesh = jax.sharding.get_abstract_mesh()
  if not mesh.empty and {*_ROW_AXES, _VOCAB_AXIS} <= set(mesh.axis_names):
    rows = len(hidden) % math.prod(mesh.shape[axis] for axis in _ROW_AXES) == 0
    parts = mesh.shape[_VOCAB_AXIS]
    way = way._replace(
      on_mesh=True,
      rows=_ROW_AXES if rows else (),
      vocab=_VOCAB_AXIS if parts > 1 and len(head) % parts == 0 else "",
      scattered=rows and head.shape[1] % mesh.shape["fsdp"] == 0,
    )
  return _log_probs(hidden, head, targets, way)


def _has_kernel(hidden: jax.Array) -> bool:
  """Whether there are kernels, which agree here with plain JAX; the head is rounded to `hidden`."""
  found = head_flash.has_kernel(hidden, hidden)
  return trials.may_be_used(found, lambda: _kernel_agrees(hidden.dtype))


@functools.cache
def _kernel_agrees(dtype: Any) -> bool:
  """Whether the kernels give here what plain JAX gives."""
  return trials.agrees("kernel for logits", "plain JAX", lambda: _disagreement(dtype))


def _disagreement(dtype: Any) -> float:
  """How far log-probs and gradients of the kernels are from those of plain JAX, of 150 positions
  and a vocabulary that no block divides.
  """
  names = jax.random.split(jax.random.key(0), 4)
  hidden, head = (
    jax.random.normal(n, (c, 64), dtype) for n, c in zip(names[:2], (150, 1000), strict=True)
  )
  targets = jax.random.randint(names[2], (1, 150), 0, 1000)
  weights = jax.random.normal(names[3], (1, 150))

  def computed(kernel: bool) -> list[jax.Array]:
    way = _Way("", str(hidden.dtype), str(head.dtype), kernel=kernel)
    out, back = jax.vjp(lambda *x: _log_probs(*x, targets, way), hidden[None], head)
    return [out, *back(weights)]

  found, wanted = (jax.jit(computed, static_argnums=0)(kernel) for kernel in (True, False))
  return trials.largest_difference(found, wanted)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _log_probs(hidden: jax.Array, head: jax.Array, targets: jax.Array, way: _Way) -> jax.Array:
  return _forward(hidden, _narrow(head, way), targets, way)[0]


def _log_probs_forward(
  hidden: CustomVJPPrimal, head: CustomVJPPrimal, targets: CustomVJPPrimal, way: _Way
) -> tuple[jax.Array, _Kept]:
  weights = _narrow(head.value, way)
  log_probs, *found = _forward(hidden.value, weights, targets.value, way)
  # Under an adapter the head learns nothing, and its gradient is not made.
  learned = () if head.perturbed else None
  return log_probs, (hidden.value, weights, targets.value, *found, learned)


def _log_probs_backward(way: _Way, kept: _Kept, gradient: jax.Array) -> tuple[Any, ...]:
  hidden, head, targets, log_sums, logits, learned = kept
  nothing = np.zeros(targets.shape, jax.dtypes.float0)
  if isinstance(gradient, jax.custom_derivatives.SymbolicZero):
    gradient = jnp.zeros(gradient.shape, gradient.dtype)
  to_hidden, to_head = _backward(
    hidden, head, targets, log_sums, logits, gradient, way=way, learned=learned is not None
  )
  return to_hidden, None if to_head is None else to_head.astype(way.head_dtype), nothing


_log_probs.defvjp(_log_probs_forward, _log_probs_backward, symbolic_zeros=True)


def _narrow(head: jax.Array, way: _Way) -> jax.Array:
  """The head as it is multiplied, of all its width on each device."""
  head = head.astype(way.dtype)
  if not way.on_mesh:
    return head
  return jax.lax.with_sharding_constraint(head, PartitionSpec(way.vocab or None))


def _forward(
  hidden: jax.Array, head: jax.Array, targets: jax.Array, way: _Way
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
  """(log-probs [R, W], log-sum-exps [R, W], the logits where all of them are kept)."""
  run = functools.partial(_forward_of_device, way=way)
  if not way.on_mesh:
    return run(hidden, head, targets)
  rows, vocab = PartitionSpec(way.rows or None), PartitionSpec(way.vocab or None)
  return _apart(run, (rows, vocab, rows), (rows, rows, None))(hidden, head, targets)


def _backward(
  hidden: jax.Array,
  head: jax.Array,
  targets: jax.Array,
  log_sums: jax.Array,
  logits: jax.Array | None,
  gradient: jax.Array,
  *,
  way: _Way,
  learned: bool,
) -> tuple[jax.Array, jax.Array | None]:
  """The gradients of hidden states and, where it is learned, of the head."""
  run = functools.partial(_backward_of_device, way=way, learned=learned)
  if not way.on_mesh:
    return run(hidden, head, targets, log_sums, logits, gradient)
  rows, vocab = PartitionSpec(way.rows or None), PartitionSpec(way.vocab or None)
  of_head = PartitionSpec(way.vocab or None, "fsdp") if way.scattered else vocab
  takes = (rows, vocab, rows, rows, None, rows)
  return _apart(run, takes, (rows, of_head if learned else None))(
    hidden, head, targets, log_sums, logits, gradient
  )


def _apart(run: Callable[..., Any], takes: Any, gives: Any) -> Callable[..., Any]:
  """`run` on each device's part."""
  return jax.shard_map(run, in_specs=takes, out_specs=gives, check_vma=False)


def _forward_of_device(
  hidden: jax.Array, head: jax.Array, targets: jax.Array, way: _Way
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
  def of(part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    states, tokens = part
    if way.kernel:
      return *_by_kernel(states, head, tokens, way), None
    logits = head_product(states, head, way.operands)
    most = logits.max(axis=-1)
    most = jax.lax.pmax(most, way.vocab) if way.vocab else most
    total = _over_vocab(jnp.exp(logits - most[..., None]).sum(axis=-1), way)
    places = _places(tokens, logits.shape[-1], way)
    inside = jnp.clip(places, 0, logits.shape[-1] - 1)
    chosen = jnp.take_along_axis(logits, inside[..., None], axis=-1)[..., 0]
    chosen = _over_vocab(jnp.where(inside == places, chosen, 0.0), way)
    log_sums = most + jnp.log(total)
    return chosen - log_sums, log_sums, logits

  count = 1 if way.kernel else _slices(targets, head)
  if count == 1:
    log_probs, log_sums, logits = of((hidden, targets))
    return log_probs, log_sums, logits if _keeps_logits(way) else None
  parts = (_cut(hidden, count), _cut(targets, count))
  log_probs, log_sums = jax.lax.map(lambda part: of(part)[:2], parts)
  return _join(log_probs, targets.shape[1]), _join(log_sums, targets.shape[1]), None


def _backward_of_device(
  hidden: jax.Array,
  head: jax.Array,
  targets: jax.Array,
  log_sums: jax.Array,
  logits: jax.Array | None,
  gradient: jax.Array,
  way: _Way,
  learned: bool,
) -> tuple[jax.Array, jax.Array | None]:
  def of(
    states: jax.Array,
    tokens: jax.Array,
    sums: jax.Array,
    to_log_probs: jax.Array,
    logits: jax.Array | None = None,
  ) -> tuple[jax.Array, jax.Array | None]:
    if way.kernel:
      places = _places(tokens, len(head), way)
      flat = [x.reshape(-1, *x.shape[2:]) for x in (states, places, sums, to_log_probs)]
      to_logits = head_flash.gradient_of_logits(flat[0], head, *flat[1:])
      to_states, to_head = head_gradients(flat[0], head, to_logits, way.operands, learned)
      return _over_vocab(to_states, way).astype(states.dtype).reshape(states.shape), to_head
    if logits is None:
      logits = head_product(states, head, way.operands)
    chosen = _places(tokens, logits.shape[-1], way)[..., None] == jnp.arange(logits.shape[-1])
    # By comparing, not by adding to the places of the tokens: that would copy all logits.
    to_logits = (chosen - jnp.exp(logits - sums[..., None])) * to_log_probs[..., None]
    to_states, to_head = head_gradients(states, head, to_logits, way.operands, learned)
    return _over_vocab(to_states, way).astype(states.dtype), to_head

  count = _slices(targets, head)
  if count == 1:
    to_hidden, to_head = of(hidden, targets, log_sums, gradient, logits)
  else:

    def add(total: jax.Array | None, part: tuple[jax.Array, ...]) -> tuple[Any, jax.Array]:
      to_states, own = of(*part)
      return None if total is None or own is None else total + own, to_states

    nothing = jnp.zeros(head.shape, jnp.float32) if learned else None
    parts = tuple(_cut(x, count) for x in (hidden, targets, log_sums, gradient))
    to_head, to_hidden = jax.lax.scan(add, nothing, parts)
    to_hidden = _join(to_hidden, targets.shape[1])
  if to_head is not None and way.rows:
    # As other weights' gradients are sent.
    to_head = to_head.astype(way.dtype)
    if way.scattered:
      to_head = jax.lax.psum_scatter(to_head, "fsdp", scatter_dimension=1, tiled=True)
    rest = [axis for axis in way.rows if not (way.scattered and axis == "fsdp")]
    to_head = jax.lax.psum(to_head, tuple(rest))
  return to_hidden, to_head


def _by_kernel(
  states: jax.Array, head: jax.Array, tokens: jax.Array, way: _Way
) -> tuple[jax.Array, jax.Array]:
  """(log-probs, log-sum-exps), each [R, W]."""
  places = _places(tokens, len(head), way)
  flat = states.reshape(-1, states.shape[-1])
  parts = head_flash.log_sum_parts(flat, head, places.reshape(-1))
  own, total, chosen = (x.reshape(tokens.shape) for x in parts)
  most = jax.lax.pmax(own, way.vocab) if way.vocab else own
  log_sums = most + jnp.log(_over_vocab(total * jnp.exp(own - most), way))
  return _over_vocab(chosen, way) - log_sums, log_sums


def _keeps_logits(way: _Way) -> bool:
  """Whether the backward pass reads the logits of a single slice instead of computing them again:
  float32 on a CPU, where the product is dearer than the memory."""
  return platforms.platform() == "cpu" and way.dtype == "float32" and not way.on_mesh


def _over_vocab(x: jax.Array, way: _Way) -> jax.Array:
  """The sum over the parts of the vocabulary."""
  return jax.lax.psum(x, way.vocab) if way.vocab else x


def _places(tokens: jax.Array, size: int, way: _Way) -> jax.Array:
  """Where tokens stand in this device's part of the vocabulary; outside of it for others."""
  return tokens - jax.lax.axis_index(way.vocab) * size if way.vocab else tokens


def _slices(targets: jax.Array, head: jax.Array) -> int:
  """In how many slices a device goes through its positions."""
  wanted = -(-targets.size * len(head) // logits_at_once())
  width = -(-targets.shape[1] // max(1, min(wanted, targets.shape[1])))
  return -(-targets.shape[1] // width)


def _cut(x: jax.Array, count: int) -> jax.Array:
  """[R, W, ...] as [slices, R, positions of a slice, ...], padded at the end."""
  width = -(-x.shape[1] // count)
  x = jnp.pad(x, [(0, 0), (0, count * width - x.shape[1])] + [(0, 0)] * (x.ndim - 2))
  return jnp.moveaxis(x.reshape(x.shape[0], count, width, *x.shape[2:]), 1, 0)


def _join(x: jax.Array, length: int) -> jax.Array:
  """The inverse of `_cut` of `length` positions."""
  x = jnp.moveaxis(x, 0, 1)
  return x.reshape(x.shape[0], -1, *x.shape[3:])[:, :length]
