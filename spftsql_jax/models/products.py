"""Products of activations with weights, and their gradients, as each machine is quick at them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint

from spftsql_jax.models import platforms

# How training computes them: in the model's dtype, or rounded to bfloat16 first (see `product`).
Settled: TypeAlias = Literal["exact", "rounded"]
Products: TypeAlias = Literal["auto", "exact", "rounded"]

_Kept = tuple[jax.Array, jax.Array]

# What Linux calls a CPU's products of bfloat16 with sums of float32.
_BFLOAT16_FLAGS = frozenset(("amx_bf16", "avx512_bf16"))


def product(x: jax.Array, kernel: jax.Array, operands: str = "") -> jax.Array:
  """x [..., in] @ kernel [in, out], in the dtype of x.

  Args:
    operands: the dtype that x, kernel and the gradient are rounded to before they are multiplied;
      "" for their own. With "bfloat16" on float32 the sums stay float32, as in a TPU's default
      precision: 1.7 to 4 times as fast on a CPU that has them (see `has_fast_bfloat16`).
  """
  return _rounded_product(x, kernel, 0) if operands == "bfloat16" else _product(x, kernel)


def head_product(hidden: jax.Array, head: jax.Array, operands: str = "") -> jax.Array:
  """Logits, float32 [..., V]: hidden [..., D] times head [V, D]; `operands` as of `product`."""
  if operands == "bfloat16":
    return _rounded_product(hidden.astype(jnp.float32), head.astype(jnp.float32), 1)
  head = head.astype(hidden.dtype)
  return jnp.einsum("...d,vd->...v", hidden, head, preferred_element_type=jnp.float32)


def head_gradients(
  hidden: jax.Array, head: jax.Array, to_logits: jax.Array, operands: str = "", learned: bool = True
) -> tuple[jax.Array, jax.Array | None]:
  """The gradients, float32, of hidden [..., D] and, where it is learned, of head [V, D], through
  `head_product`.

  Args:
    to_logits: the gradient of the logits, float32 [..., V]: rounded to the operands' dtype, not
      they to its.
  """
  if operands == "bfloat16":
    kept = hidden.astype(jnp.bfloat16), head.astype(jnp.bfloat16)
    return _rounded_backward(1, kept, to_logits)
  to_logits, leading = to_logits.astype(hidden.dtype), tuple(range(hidden.ndim - 1))
  to_hidden = jnp.einsum("...v,vd->...d", to_logits, head, preferred_element_type=jnp.float32)
  if not learned:
    return to_hidden, None
  by_position = functools.partial(
    jax.lax.dot_general,
    dimension_numbers=((leading, leading), ((), ())),
    preferred_element_type=jnp.float32,
  )
  if hidden.dtype != jnp.float32:
    return to_hidden, by_position(to_logits, hidden)
  # With the small operand turned around, as in `_product`. A CPU cannot do so with narrow ones.
  return to_hidden, by_position(hidden, to_logits).T


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """The kernel's gradient is written with the smaller of x and the output's gradient turned around.

  JAX's own rule turns the latter around always; on a CPU, where XLA computes an activation's
  derivative again while it does so, that took a third of a training step.
  """
  return x @ kernel


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, _Kept]:
  return x @ kernel, (x, kernel)


def _backward(kept: _Kept, gradient: jax.Array) -> _Kept:
  x, kernel = kept
  to_x = jax.lax.dot_general(gradient, kernel, (((gradient.ndim - 1,), (1,)), ((), ())))
  leading = tuple(range(x.ndim - 1))
  if x.shape[-1] <= gradient.shape[-1]:
    return to_x, jax.lax.dot_general(x, gradient, ((leading, leading), ((), ())))
  return to_x, jax.lax.dot_general(gradient, x, ((leading, leading), ((), ()))).T


_product.defvjp(_forward, _backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _rounded_product(x: jax.Array, kernel: jax.Array, summed: int) -> jax.Array:
  """x [..., in] times kernel, [in, out] or, `summed` over axis 1, [out, in]; both of one dtype."""
  return _rounded_forward(x, kernel, summed)[0]


def _rounded_forward(x: jax.Array, kernel: jax.Array, summed: int) -> tuple[jax.Array, _Kept]:
  narrow, weights = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
  y = _by_rows(narrow.reshape(-1, x.shape[-1]), weights, summed)
  return y.astype(x.dtype).reshape(*x.shape[:-1], -1), (narrow, weights)


def _rounded_backward(summed: int, kept: _Kept, gradient: jax.Array) -> _Kept:
  x, kernel = kept
  rows = x.reshape(-1, x.shape[-1])
  to_y = gradient.astype(jnp.bfloat16).reshape(-1, gradient.shape[-1])
  to_x = _by_rows(to_y, kernel, 1 - summed)
  # As the kernel lies: XLA's quick product does not turn around what comes out of it.
  to_kernel = _by_rows(turned(to_y), rows) if summed else _by_rows(turned(rows), to_y)
  return to_x.astype(gradient.dtype).reshape(x.shape), to_kernel.astype(gradient.dtype)


_rounded_product.defvjp(_rounded_forward, _rounded_backward)


@jax.custom_vjp
def scaled(x: jax.Array, scale: jax.Array) -> jax.Array:
  """x [..., D] times scale [D], in float32.

  The gradient of `scale` is a product with ones: XLA's sum over rows takes eight times as long on a
  CPU, and was a tenth of a training step.
  """
  return x.astype(jnp.float32) * scale.astype(jnp.float32)


def _scaled_forward(x: jax.Array, scale: jax.Array) -> tuple[jax.Array, _Kept]:
  return scaled(x, scale), (x, scale)


def _scaled_backward(kept: _Kept, gradient: jax.Array) -> _Kept:
  x, scale = kept
  by_row = (gradient * x).reshape(-1, x.shape[-1])
  to_scale = jnp.ones((1, len(by_row)), by_row.dtype) @ by_row
  return (gradient * scale).astype(x.dtype), to_scale[0].astype(scale.dtype)


scaled.defvjp(_scaled_forward, _scaled_backward)


def _by_rows(x: jax.Array, kernel: jax.Array, summed: int = 0) -> jax.Array:
  """float32 [rows, out]: each row of x times the kernel, whose axis `summed` is summed over."""
  axes = (((1,), (summed,)), ((), ()))
  return jax.lax.dot_general(x, kernel, axes, preferred_element_type=jnp.float32)


def turned(x: jax.Array) -> jax.Array:
  """The last two axes of x swapped, on a CPU in memory too: its quick product sums over neighbours,
  and XLA would only call the axes by each other's names.
  """
  swapped = jnp.swapaxes(x, -1, -2)
  if platforms.platform() != "cpu":
    return swapped
  return with_layout_constraint(swapped, Layout(major_to_minor=tuple(range(x.ndim))))


def settle(products: Products, dtype: str, alone: bool = True) -> Settled:
  """What "auto" stands for: rounded where float32 is computed on a CPU that is faster so.

  Args:
    alone: whether one device does the work: rounded products have not been spread over a mesh.
  """
  if products != "auto":
    return products
  return "rounded" if dtype == "float32" and alone and has_fast_bfloat16() else "exact"


@functools.cache
def has_fast_bfloat16() -> bool:
  """Whether this is a CPU that multiplies bfloat16 faster than float32: with matrix units for it
  (AMX) or with products of vectors (AVX-512 BF16, as of Zen 4). On others float32 is as fast.
  """
  if jax.default_backend() != "cpu":
    return False
  try:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
  except OSError:
    return False
  return not _BFLOAT16_FLAGS.isdisjoint(flags)
