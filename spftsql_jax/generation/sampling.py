"""Choosing the next token: greedy, or by temperature, top-k and top-p with randomness that belongs
to the request.
"""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct


@dataclasses.dataclass(frozen=True)
class Sampling:
  """How tokens are chosen.

  Attributes:
    temperature: 0 for greedy; otherwise logits are divided by it.
    top_k: only the k likeliest tokens (those tied with the k-th too); 0 for all.
    top_p: then only the likeliest tokens whose mass reaches p; 1 for all.
    seed: of all randomness. A token depends on (seed, request, place in the answer) and the model,
      on nothing else.
  """

  temperature: float = 0.0
  top_k: int = 0
  top_p: float = 1.0
  seed: int = 0

  def __post_init__(self) -> None:
    if not self.temperature >= 0:
      raise ValueError(f"temperature must be 0 or more, is {self.temperature}")
    if self.top_k < 0:
      raise ValueError(f"top_k must be 0 (all) or more, is {self.top_k}")
    if not 0 < self.top_p <= 1:
      raise ValueError(f"top_p must be in (0, 1], is {self.top_p}")


@struct.dataclass
class Sampler:
  """`Sampling` as an argument of a jitted function: a new temperature, top_p or seed does not
  compile anew.
  """

  temperature: jax.Array
  top_p: jax.Array
  key: jax.Array
  greedy: bool = struct.field(pytree_node=False)
  top_k: int = struct.field(pytree_node=False)
  nucleus: bool = struct.field(pytree_node=False)

  @classmethod
  def of(cls, sampling: Sampling) -> Sampler:
    """The sampler of a `Sampling`."""
    return cls(
      jnp.float32(sampling.temperature or 1.0),
      jnp.float32(sampling.top_p),
      jax.random.key(sampling.seed),
      greedy=sampling.temperature == 0,
      top_k=sampling.top_k,
      nucleus=sampling.top_p < 1,
    )

  def choose(
    self, logits: jax.Array, requests: jax.Array, steps: jax.Array, allowed: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """Chooses a token for each row.

    Args:
      logits: float32 [..., V].
      requests: uint32 [...], what tells one request's randomness from another's.
      steps: int32 [...], place of the token in its answer.
      allowed: bool [..., V], the tokens to choose from, at least one in each row; None for all.

    Returns:
      int32 [...] and its log-prob under the model (temperature 1, all tokens), float32 [...].
    """
    candidates = logits if allowed is None else jnp.where(allowed, logits, -jnp.inf)
    if self.greedy:
      tokens = _first_of_the_largest(candidates)
    else:
      tokens = _invert_distribution(self._restricted(candidates), self._uniforms(requests, steps))
    chosen = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    return tokens.astype(jnp.int32), chosen - jax.nn.logsumexp(logits, axis=-1)

  def _restricted(self, logits: jax.Array) -> jax.Array:
    """Tempered logits, -inf where top-k or top-p takes a token out."""
    scaled = logits / self.temperature
    if self.top_k and self.top_k < logits.shape[-1]:
      smallest = jax.lax.top_k(scaled, self.top_k)[0][..., -1:]
      scaled = jnp.where(scaled < smallest, -jnp.inf, scaled)
    if self.nucleus:
      scaled = jnp.where(scaled < _nucleus_threshold(scaled, self.top_p), -jnp.inf, scaled)
    return scaled

  def _uniforms(self, requests: jax.Array, steps: jax.Array) -> jax.Array:
    """One number in [0, 1) for each request and step."""

    def draw(request: jax.Array, step: jax.Array) -> jax.Array:
      return jax.random.uniform(jax.random.fold_in(jax.random.fold_in(self.key, request), step))

    for _ in requests.shape:
      draw = jax.vmap(draw)
    return draw(requests, steps)


def _first_of_the_largest(logits: jax.Array) -> jax.Array:
  """`argmax` over the last axis as two reductions of one array each, which a CPU does several times
  faster.
  """
  size = logits.shape[-1]
  places = jnp.where(logits == jnp.max(logits, axis=-1, keepdims=True), jnp.arange(size), size - 1)
  return jnp.min(places, axis=-1)


def _invert_distribution(logits: jax.Array, uniforms: jax.Array) -> jax.Array:
  """Samples from softmax(logits [..., V]) with one uniform number each [...]: where the cumulated
  mass first exceeds it.

  One number a token instead of one for each entry of the vocabulary: random bits are what sampling
  costs on a CPU. The mass is cumulated over blocks first, then within the block: one pass over V.
  """
  size = logits.shape[-1]
  block = math.isqrt(size - 1) + 1
  mass = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
  mass = jnp.pad(mass, ((0, 0),) * (mass.ndim - 1) + ((0, -size % block),)).reshape(
    *mass.shape[:-1], -1, block
  )
  until = jnp.cumsum(mass.sum(axis=-1), axis=-1)
  target = (uniforms * until[..., -1])[..., None]
  chosen = jnp.argmax(until > target, axis=-1)[..., None]
  before = jnp.where(
    chosen > 0, jnp.take_along_axis(until, jnp.maximum(chosen - 1, 0), axis=-1), 0.0
  )
  inside = jnp.cumsum(jnp.take_along_axis(mass, chosen[..., None], axis=-2)[..., 0, :], axis=-1)
  # Rounding may put the remainder at the block's whole mass; it must stay below, or the choice
  # would fall on nothing.
  remainder = jnp.clip(target - before, 0.0, inside[..., -1:] * (1 - 1e-6))
  return chosen[..., 0] * block + jnp.argmax(inside > remainder, axis=-1)


def _nucleus_threshold(logits: jax.Array, top_p: jax.Array) -> jax.Array:
  """The smallest logit that stays, [..., 1]: a token stays when the mass before it is below top_p,
  so the first always does.
  """
  descending = -jnp.sort(-logits, axis=-1)
  probabilities = jax.nn.softmax(descending, axis=-1)
  before = jnp.cumsum(probabilities, axis=-1) - probabilities
  return jnp.min(jnp.where(before < top_p, descending, jnp.inf), axis=-1, keepdims=True)
