"""The compiled part of decoding: lanes over shared prefixes that are filled, advanced and filled
again.

B rows hold a prefix each, K lanes a row hold a request each. All shapes are static; a finished lane
keeps computing until it is filled again, and what it computes reaches no other lane.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spftsql_jax.generation.automaton import Automata
from spftsql_jax.generation.sampling import Sampler
from spftsql_jax.models import transformer
from spftsql_jax.models.branch_attention import NEVER
from spftsql_jax.models.caches import BranchCache, PrefixCache, PrefixRows, Prompts
from spftsql_jax.models.transformer import Decoder

Array = jax.Array | np.ndarray  # made by the host, read by a compiled function


@struct.dataclass
class Rows:
  """The prefixes.

  Attributes:
    key, value: tuple over layers of [B, N, H, P]: in this order the products of a decoding step
      read them as they lie. In the model's own order, [B, P, N, H], a CPU would transpose them in
      every step.
    lengths: int32 [B].
  """

  key: tuple[jax.Array, ...]
  value: tuple[jax.Array, ...]
  lengths: jax.Array

  @property
  def cache(self) -> PrefixCache:
    """As the model takes them."""
    return PrefixCache(
      *(tuple(jnp.moveaxis(layer, 3, 1) for layer in layers) for layers in (self.key, self.value))
    )


@struct.dataclass
class Lanes:
  """The requests being answered.

  Attributes:
    cache: keys and values of prompts and answers.
    token: int32 [B, K], chosen last and not yet in the cache.
    request: uint32 [B, K], whose randomness the lane uses.
    count: int32 [B, K], tokens of the answer so far. done: bool [B, K].
    log_prob: float32 [B, K], of the answer so far. answer: int32 [B, K, R].
    step: int32 scalar, decoding steps made.
    automaton, state: int32 [B, K], which automaton constrains the lane (0: none), and its state.
  """

  cache: BranchCache
  token: jax.Array
  request: jax.Array
  count: jax.Array
  done: jax.Array
  log_prob: jax.Array
  answer: jax.Array
  step: jax.Array
  automaton: jax.Array
  state: jax.Array


@struct.dataclass
class Newcomers:
  """Requests to put into lanes: A places a row.

  Attributes:
    prompts: A of each row.
    lane: int32 [B, A], the lane to fill; K or more for an unused place.
    request: uint32 [B, A].
    automaton: int32 [B, A].
  """

  prompts: Prompts
  lane: Array
  request: Array
  automaton: Array


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def empty_rows(model: Decoder, rows: int, prefix_slots: int) -> Rows:
  """Rows without a prefix."""
  config = model.config
  shape = (rows, config.num_key_value_heads, config.head_dim, prefix_slots)

  def zeros() -> tuple[jax.Array, ...]:
    return tuple(jnp.zeros(shape, config.dtype) for _ in range(config.num_hidden_layers))

  return Rows(zeros(), zeros(), jnp.zeros(rows, jnp.int32))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def empty_lanes(
  model: Decoder, rows: int, lanes: int, prompt_slots: int, answer_slots: int
) -> Lanes:
  """Lanes without a request: all done."""
  config = model.config
  shape = (rows, lanes, prompt_slots + answer_slots, config.num_key_value_heads, config.head_dim)

  def zeros() -> tuple[jax.Array, ...]:
    return tuple(jnp.zeros(shape, config.dtype) for _ in range(config.num_hidden_layers))

  def integers(*more: int) -> jax.Array:
    return jnp.zeros((rows, lanes, *more), jnp.int32)

  cache = BranchCache(
    zeros(), zeros(), jnp.full(shape[:3], NEVER, jnp.int32), integers(), prompt_slots
  )
  return Lanes(
    cache=cache,
    token=integers(),
    request=integers().astype(jnp.uint32),
    count=integers(),
    done=jnp.ones((rows, lanes), bool),
    log_prob=jnp.zeros((rows, lanes), jnp.float32),
    answer=integers(answer_slots),
    step=jnp.int32(0),
    automaton=integers(),
    state=integers(),
  )


def mesh_shardings(rows: Rows, lanes: Lanes, mesh: Mesh) -> tuple[Any, Any]:
  """Trees like them of shardings: rows, or lanes where the mesh does not divide the rows, are
  spread over "data" and "fsdp", key-value heads over "tensor".
  """
  spread, parts = ("data", "fsdp"), mesh.shape["data"] * mesh.shape["fsdp"]
  row_count, lane_count = lanes.done.shape
  over_rows = spread if row_count % parts == 0 else None
  over_lanes = spread if over_rows is None and lane_count % parts == 0 else None
  over_heads = "tensor" if rows.key[0].shape[1] % mesh.shape["tensor"] == 0 else None

  def of_rows(array: jax.Array) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(*(over_rows, over_heads)[: array.ndim]))

  def of_lanes(array: jax.Array) -> NamedSharding:
    axes = (over_rows, over_lanes, None, over_heads)[: array.ndim]
    return NamedSharding(mesh, PartitionSpec(*axes))

  return jax.tree.map(of_rows, rows), jax.tree.map(of_lanes, lanes)


def place_on_mesh(rows: Rows, lanes: Lanes, mesh: Mesh) -> tuple[Rows, Lanes]:
  """Puts them where `mesh_shardings` says."""
  of_rows, of_lanes = mesh_shardings(rows, lanes, mesh)
  return jax.device_put(rows, of_rows), jax.device_put(lanes, of_lanes)


# The variables of each layer by itself; None where there is no room for them, and the model's own
# are read layer by layer.
Layers = tuple[dict[str, Any], ...] | None


def has_room_apart(free: float, layers: int) -> bool:
  """Whether a device with so many bytes free takes its part of the layers by themselves, and as
  much again for caches.
  """
  return free >= 2 * layers


@functools.partial(jax.jit, static_argnums=(0, 2))
def layers_of(model: Decoder, variables: dict[str, Any], fuse: bool) -> Layers:
  """`transformer.layers_of`: as much memory again as the layers take, and a decoding step that
  copies no weights.
  """
  return transformer.layers_of(model.config, variables, fuse)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def place_prefixes(
  model: Decoder,
  variables: dict[str, Any],
  layers: Layers,
  rows: Rows,
  prefixes: PrefixRows,
  places: jax.Array,
) -> Rows:
  """Computes prefixes and puts them into rows `places`, as many as there are prefixes (B or more:
  nowhere).
  """
  cache: Any = model.apply(variables, prefixes, layers, method="prefill")

  def put(old: tuple[jax.Array, ...], new: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    return tuple(
      o.at[places].set(jnp.moveaxis(n, 1, 3), mode="drop") for o, n in zip(old, new, strict=True)
    )

  lengths = prefixes.lengths.reshape(-1)
  return Rows(
    put(rows.key, cache.key),
    put(rows.value, cache.value),
    rows.lengths.at[places].set(lengths, mode="drop"),
  )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def admit(
  model: Decoder,
  variables: dict[str, Any],
  rows: Rows,
  lanes: Lanes,
  new: Newcomers,
  sampler: Sampler,
  stop: jax.Array,
  automata: Automata | None,
) -> Lanes:
  """Puts newcomers into lanes: their prompts in one pass, and the first token of their answers.
  `stop` int32 [E] ends one.
  """
  request, automaton = jnp.asarray(new.request), jnp.asarray(new.automaton)
  arguments = (rows.cache, rows.lengths, new.prompts, 0)
  found: Any = model.apply(variables, *arguments, method="prefill_branches")
  logits, cache = found
  first = jnp.zeros_like(new.lane)
  token, log_prob, state = _choose(sampler, logits, request, first, automata, automaton, first)
  answer_slots, prompt_slots = lanes.answer.shape[-1], new.prompts.slots
  index = (jnp.arange(new.lane.shape[0])[:, None], new.lane)

  def put(old: jax.Array, values: jax.Array) -> jax.Array:
    return old.at[index].set(values, mode="drop")

  def put_cache(old: tuple[jax.Array, ...], values: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    return tuple(
      o.at[(*index, slice(prompt_slots))].set(v, mode="drop")
      for o, v in zip(old, values, strict=True)
    )

  free = ((0, 0), (0, 0), (0, answer_slots))
  return Lanes(
    cache=BranchCache(
      put_cache(lanes.cache.key, cache.key),
      put_cache(lanes.cache.value, cache.value),
      put(lanes.cache.positions, jnp.pad(cache.positions, free, constant_values=NEVER)),
      put(lanes.cache.lengths, cache.lengths),
      prompt_slots,
    ),
    token=put(lanes.token, token),
    request=put(lanes.request, request),
    count=put(lanes.count, first + 1),
    done=put(lanes.done, jnp.isin(token, stop) | (answer_slots == 1)),
    log_prob=put(lanes.log_prob, log_prob),
    answer=put(lanes.answer, jnp.pad(token[..., None], ((0, 0), (0, 0), (0, answer_slots - 1)))),
    step=lanes.step,
    automaton=put(lanes.automaton, automaton),
    state=put(lanes.state, state),
  )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=4)
def advance(
  model: Decoder,
  variables: dict[str, Any],
  layers: Layers,
  rows: Rows,
  lanes: Lanes,
  sampler: Sampler,
  stop: jax.Array,
  wake: jax.Array,
  automata: Automata | None,
) -> Lanes:
  """Decodes until all lanes are done, or at least `wake` of them (so that the caller can fill them
  again).
  """
  places = jnp.arange(lanes.answer.shape[-1])

  def working(lanes: Lanes) -> jax.Array:
    done = jnp.sum(lanes.done)
    return (done < lanes.done.size) & (done < wake)

  def step(lanes: Lanes) -> Lanes:
    arguments = (rows.cache, rows.lengths, lanes.cache, lanes.token, lanes.step, layers)
    found: Any = model.apply(variables, *arguments, method="decode_step")
    logits, cache = found
    chosen = _choose(
      sampler, logits, lanes.request, lanes.count, automata, lanes.automaton, lanes.state
    )
    token, log_prob, state = chosen
    token = jnp.where(lanes.done, lanes.token, token)
    here = (places == lanes.count[..., None]) & ~lanes.done[..., None]
    count = lanes.count + ~lanes.done
    return dataclasses.replace(
      lanes,
      cache=cache,
      token=token,
      count=count,
      log_prob=lanes.log_prob + jnp.where(lanes.done, 0.0, log_prob),
      answer=jnp.where(here, token[..., None], lanes.answer),
      done=lanes.done | jnp.isin(token, stop) | (count >= len(places)),
      step=lanes.step + 1,
      state=state,
    )

  return jax.lax.while_loop(working, step, lanes)


def _choose(
  sampler: Sampler,
  logits: jax.Array,
  requests: jax.Array,
  places: jax.Array,
  automata: Automata | None,
  automaton: jax.Array,
  state: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Tokens [B, K] that the automata allow, their log-probs without constraint, and the states
  behind them.
  """
  if automata is None:
    return *sampler.choose(logits, requests, places), state
  following = automata.following(automaton, state)  # [B, K, V]
  token, log_prob = sampler.choose(logits, requests, places, following >= 0)
  return token, log_prob, jnp.take_along_axis(following, token[..., None], axis=-1)[..., 0]
