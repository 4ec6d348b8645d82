"""The programs of a run for devices that are not there: no weights are read, no arrays are made."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.packing import PackedBatch, choose_row_shape, pack, plan_rows
from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.generation.sampling import Sampler, Sampling
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, sharding
from spftsql_jax.models.caches import PrefixRows
from spftsql_jax.models.chips import chip_of
from spftsql_jax.models.flops import forward_flops, step_flops
from spftsql_jax.models.lora import kernel_shapes
from spftsql_jax.models.packed_attention import Implementation
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.models.variables import model_variables
from spftsql_jax.training.objective import numbers_of, program_of
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.state import init_state, state_shardings
from spftsql_jax.training.step import Objective, make_train_step

Step = Literal["sft", "self_play", "prefill", "decode"]
STEPS: tuple[Step, ...] = ("sft", "self_play", "prefill", "decode")

# Tokens that may end an answer.
_ENDS = 2


@dataclasses.dataclass(frozen=True)
class Workload:
  """What a program is given.

  Attributes:
    prefix, prompt, answer: tokens of a schema, of a question, and of an answer.
    row_tokens: T of a packed row of training. rows: of a microbatch; 0 for one for each part of the
      batch. microbatches: of an update.
    lanes: answers that are decoded at once over a prefix. decoded_rows: prefixes that are read, and
      decoded over, at once; 0 for one for each part of the batch.
    attention: over packed rows, see `models.packed_attention`.
  """

  prefix: int = 1024
  prompt: int = 64
  answer: int = 64
  row_tokens: int = 4096
  rows: int = 0
  microbatches: int = 1
  lanes: int = 64
  decoded_rows: int = 1
  attention: Implementation = "auto"


@dataclasses.dataclass(frozen=True)
class Prepared:
  """A program and what it is given, as shapes with their places on a mesh.

  Attributes:
    function: of `jax.jit`. arguments: what it is traced with.
    reads: of the arguments what it needs, in a tree.
    beside: bytes of a chip's memory that a run holds meanwhile and this program does not read.
    flops: operations that the mathematics needs, of all devices (`models.flops`), of one run.
    scores: of them those of one product over all scores of a layer, as attention has two forward,
      of a microbatch. logits: of one product of all states that predict an answer's token with the
      head, of an update.
    examples: answers that an update learns, that are written at once, or whose schemas are read.
    runs: of the program until these are done: a token is decoded in each.
    trained, frozen: parameters.
  """

  function: Any
  arguments: tuple[Any, ...]
  reads: Any
  mesh: Mesh
  flops: float
  examples: int
  runs: int
  trained: int
  frozen: int
  scores: float = 0.0
  logits: float = 0.0
  beside: int = 0

  @property
  def device(self) -> Any:
    """One of those that it is for, which are all of a kind."""
    return self.mesh.devices.flat[0]

  def lower(self) -> Any:
    """The program of JAX, not compiled yet."""
    with sharding.use_mesh(self.mesh):
      return self.function.lower(*self.arguments)

  def bytes_a_chip(self) -> int:
    """Of what it reads: it cannot need less memory."""
    return _bytes(self.reads)


def prepare(
  step: Step,
  config: ModelConfig,
  mesh: Mesh,
  workload: Workload,
  lora: LoraConfig | None = None,
  optimizer: OptimizerConfig | None = None,
) -> Prepared:
  """A program for the devices of a mesh.

  Raises:
    ValueError: rows that the mesh does not divide, or a branch that exceeds a row.
  """
  if step in ("sft", "self_play"):
    chosen = optimizer or OptimizerConfig()
    return _training(config, mesh, workload, lora, chosen, step == "self_play")
  return _generation(config, mesh, workload, lora, step == "decode")


def _training(
  config: ModelConfig,
  mesh: Mesh,
  workload: Workload,
  lora: LoraConfig | None,
  optimizer: OptimizerConfig,
  pairs: bool,
) -> Prepared:
  objective = Objective("error_driven", nll_weight=0.5) if pairs else Objective("sft")
  parts = sharding.batch_parts(mesh)
  rows = workload.rows or parts
  if rows % parts:
    raise ValueError(f"{rows} rows are no multiple of the {parts} parts of the batch (data x fsdp)")
  params, adapter = _weights(config, mesh, lora)
  trainable, frozen = (params, None) if adapter is None else (adapter, params)
  shapes = jax.eval_shape(lambda tree: init_state(optimizer, tree), jax.tree.map(_plain, trainable))
  placed = state_shardings(optimizer, trainable)
  state = jax.tree.map(_at, shapes, placed)
  batch = _row(workload, pairs)
  place = NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp")))
  lead = (workload.microbatches, rows)
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((*lead, *x.shape[1:]), x.dtype, sharding=place), batch
  )
  model = Decoder(config, lora=lora, row_attention=workload.attention)
  step: Any = make_train_step(model, optimizer, program_of(objective), placed)
  copies = rows * workload.microbatches
  return Prepared(
    function=step,
    arguments=(state, frozen, abstract, 1e-5, numbers_of(objective)),
    reads=(state, frozen),
    mesh=mesh,
    flops=copies * step_flops(config, batch, lora),
    scores=rows * forward_flops(config, batch)[1] / 2 / config.num_hidden_layers,
    logits=copies * 2.0 * int(batch.answer_lengths.sum()) * config.vocab_size * config.hidden_size,
    examples=copies * int((batch.answer_lengths > 0).sum()) // (2 if pairs else 1),
    runs=1,
    trained=_count(trainable),
    frozen=_count(frozen),
  )


def _generation(
  config: ModelConfig, mesh: Mesh, workload: Workload, lora: LoraConfig | None, decoding: bool
) -> Prepared:
  model, count = Decoder(config, lora=lora), workload.decoded_rows or sharding.batch_parts(mesh)
  params, adapter = _weights(config, mesh, lora)
  variables, frozen = model_variables(params, adapter), _count(params) + _count(adapter)
  empty = (
    jax.eval_shape(lambda: lanes_lib.empty_rows(model, count, workload.prefix)),
    jax.eval_shape(
      lambda: lanes_lib.empty_lanes(model, count, workload.lanes, workload.prompt, workload.answer)
    ),
  )
  rows, lanes = (
    jax.tree.map(_at, shapes, places)
    for shapes, places in zip(empty, lanes_lib.mesh_shardings(*empty, mesh), strict=True)
  )
  everywhere = NamedSharding(mesh, PartitionSpec())

  def integers(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.int32, sharding=everywhere)

  stacked = {name: tree["layers"] for name, tree in variables.items()}
  layers = _layers_apart(model, variables, stacked, mesh)
  if layers is not None:
    params, adapter = {n: tree for n, tree in params.items() if n != "layers"}, None
  answers = count * workload.lanes
  # With layers by themselves the stacked ones stay in memory, unread.
  beside = 0 if layers is None else _bytes(stacked)
  shared: dict[str, Any] = dict(
    mesh=mesh, examples=answers, trained=0, frozen=frozen, beside=beside
  )
  if not decoding:
    tokens, one = integers(count, workload.prefix), integers(count, 1)
    prefixes: Any = PrefixRows(tokens, tokens, tokens, one, one, workload.prefix)  # type: ignore[arg-type]
    given = (prefixes, integers(count))
    # No token is predicted from a prefix.
    without_head = {name: tree for name, tree in params.items() if name != "lm_head"}
    return Prepared(
      function=lanes_lib.place_prefixes,
      arguments=(model, variables, layers, rows, *given),
      reads=(without_head, adapter, layers, rows),
      flops=count * _prefill_flops(config, workload.prefix),
      scores=count * _scores(config, workload.prefix * (workload.prefix + 1) / 2),
      runs=1,
      **shared,
    )
  sampler = jax.eval_shape(lambda: Sampler.of(Sampling()))
  sampler = jax.tree.map(lambda x: _at(x, everywhere), sampler)
  ends, wake = integers(_ENDS), integers()
  return Prepared(
    function=lanes_lib.advance,
    arguments=(model, variables, layers, rows, lanes, sampler, ends, wake, None),
    reads=(params, adapter, layers, rows, lanes),
    flops=answers * _token_flops(config, workload),
    scores=answers * _scores(config, _seen(workload)),
    runs=workload.answer,
    **shared,
  )


def _layers_apart(
  model: Decoder, variables: dict[str, Any], stacked: dict[str, Any], mesh: Mesh
) -> lanes_lib.Layers:
  """The layers by themselves, as a run reads them where a chip has room for its part of them; see
  `generation.engine`. None where it has not, or its memory is not known.
  """
  chip = chip_of(str(mesh.devices.flat[0].device_kind))
  if chip is None:
    return None
  free = chip.memory_gib * (1 << 30) - _bytes(variables)
  if not lanes_lib.has_room_apart(free, _bytes(stacked)):
    return None
  fuse = mesh.size == 1 and "lora" not in variables
  shapes = jax.eval_shape(lambda tree: lanes_lib.layers_of(model, tree, fuse), variables)
  if fuse:
    return jax.tree.map(lambda x: _at(x, NamedSharding(mesh, PartitionSpec())), shapes)
  places = jax.tree.map(
    lambda leaf: NamedSharding(mesh, PartitionSpec(*leaf.sharding.spec[1:])), stacked
  )
  return tuple(jax.tree.map(_at, layer, places) for layer in shapes)


def _weights(config: ModelConfig, mesh: Mesh, lora: LoraConfig | None) -> tuple[Any, Any]:
  """(params, adapter or None), each array with its sharding."""
  params = jax.tree.map(
    _at, nn.meta.unbox(abstract_params(config)), sharding.param_shardings(config, mesh)
  )
  if lora is None:
    return params, None
  shapes = jax.eval_shape(lambda key: init_lora(config, lora, key), jax.random.key(0))
  return params, jax.tree.map(_at, shapes, sharding.lora_shardings(config, lora, mesh))


@functools.cache
def _row(workload: Workload, pairs: bool) -> PackedBatch:
  """A row that is full of one schema's questions, with an answer or a pair of answers each."""
  ids = [range(1, count + 1) for count in (workload.prefix, workload.prompt, workload.answer)]
  branch = Branch(*map(tuple, ids))
  unit = Unit((branch, branch), 1.0, (0.0, 0.0)) if pairs else Unit((branch,))
  taken = workload.prompt + workload.answer * (2 if pairs else 1)
  count = (workload.row_tokens - workload.prefix) // taken
  if count < 1:
    raise ValueError(
      f"a row of {workload.row_tokens} tokens does not hold a schema of {workload.prefix} and a "
      f"question with its answers, {taken}"
    )
  units = [unit] * count
  shape = choose_row_shape(units, tokens=workload.row_tokens)
  [row, *_] = plan_rows(units, shape, np.random.default_rng(0))
  return pack(units, [row], shape, 0)


def _sequence_flops(config: ModelConfig, length: int) -> float:
  """Of one sequence's forward pass, without logits; see `models.flops.forward_flops`."""
  layer = sum(fan_in * fan_out for fan_in, fan_out in kernel_shapes(config).values())
  heads = config.num_attention_heads * config.head_dim
  seen = length * (length + 1) / 2
  return config.num_hidden_layers * (2.0 * length * layer + 4.0 * seen * heads)


def _prefill_flops(config: ModelConfig, length: int) -> float:
  """Of the keys and values of a prefix: behind those of the last layer nothing is needed."""
  layers, kernels = config.num_hidden_layers, kernel_shapes(config)
  last = sum(math.prod(kernels[name]) for name in ("q", "k", "v"))
  return _sequence_flops(config, length) * (layers - 1) / layers + 2.0 * length * last


def _token_flops(config: ModelConfig, workload: Workload) -> float:
  """Of a token that is decoded when half of its answer is written, with its logits."""
  seen = _seen(workload)
  whole, before = _sequence_flops(config, seen), _sequence_flops(config, seen - 1)
  return whole - before + 2.0 * config.vocab_size * config.hidden_size


def _seen(workload: Workload) -> int:
  """Tokens that one sees which is decoded when half of its answer is written."""
  return workload.prefix + workload.prompt + workload.answer // 2


def _scores(config: ModelConfig, seen: float) -> float:
  """Operations of one product over so many pairs of a token and one that it sees, of a layer."""
  return 2.0 * seen * config.num_attention_heads * config.head_dim


def _at(leaf: Any, place: NamedSharding) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def _plain(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _count(tree: Any) -> int:
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _bytes(tree: Any) -> int:
  """Of a chip's part of arrays with places on a mesh."""
  return sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
    for leaf in jax.tree.leaves(tree)
  )
