"""Compiles a training step for a TPU slice on a machine without one, and says what it needs of each
chip.

    python experiments/compile_ahead.py --topology=v5e:4x4 --model_config=FILE.json --step=sft \
      --mesh=data:1,fsdp:8,tensor:2

FILE.json is the config.json of a Hugging Face model; no weights are read, no arrays are made. Needs
libtpu (`pip install libtpu`). The last line on stdout is JSON: memory a chip (GiB: arguments,
temporary, in all, of how much there is), whether it fits, and the time to compile. Exit code 1
where the step does not fit.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import InputError, check_output, launch

# isort: split
import json
import os
import time
from pathlib import Path
from typing import Any

from absl import flags

# What libtpu would ask a cloud's metadata server for; there is none, and nothing is run.
os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu"}

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from spftsql_jax.examples.batches import PrefixBatch
from spftsql_jax.files import write_json
from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, sharding
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import (
  Objective,
  TrainState,
  init_state,
  make_train_step,
  numbers_of,
  program_of,
  state_shardings,
)

_TOPOLOGY = flags.DEFINE_string(
  "topology", None, "TPU slice, such as v5e:4x4 or v5p:2x2x2.", required=True
)
_MODEL_CONFIG = flags.DEFINE_string(
  "model_config", None, "config.json of a Hugging Face model.", required=True
)
_STEP = flags.DEFINE_enum("step", "sft", ["sft", "self_play"], "Which training step.")
_MESH = flags.DEFINE_string(
  "mesh", "fsdp:-1", "Sizes of the mesh axes data, fsdp and tensor; -1 for what remains."
)
_LORA_RANK = flags.DEFINE_integer(
  "lora_rank", 64, "Rank of the adapter; 0 trains all weights.", lower_bound=0
)
_OPTIMIZER = flags.DEFINE_enum(
  "optimizer", "adamw", ["adamw", "adafactor", "rmsprop"], "Optimizer."
)
_SCHEMAS = flags.DEFINE_integer(
  "schemas", 0, "Schemas a microbatch, over all chips; 0: one for each part of the batch."
)
_BRANCHES = flags.DEFINE_integer(
  "branches", 32, "Branches (answers) over each schema.", lower_bound=2
)
_PREFIX = flags.DEFINE_integer("prefix", 1024, "Tokens of a schema.", lower_bound=1)
_BRANCH = flags.DEFINE_integer(
  "branch", 128, "Tokens of a question with its answer.", lower_bound=2
)
_ANSWER = flags.DEFINE_integer("answer", 96, "Tokens of an answer.", lower_bound=1)
_REMAT = flags.DEFINE_enum(
  "remat", "full", ["none", "full", "dots"], "What the backward pass computes again in each layer."
)
_ACCUMULATE = flags.DEFINE_integer("accumulate", 1, "Microbatches a step.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write as well.")

_GIB = 1 << 30
# Memory of a chip, GiB, by the start of its `device_kind` (the data sheets' figures).
_CHIP_MEMORY = {
  "TPU v4": 32,
  "TPU v5 lite": 16,
  "TPU v5p": 95,
  "TPU v5": 95,
  "TPU v6 lite": 32,
  "TPU v6e": 32,
}


def main() -> None:
  if _OUTPUT.value:
    check_output(_OUTPUT.value)
  config = _model_config(_MODEL_CONFIG.value)
  devices = _devices(_TOPOLOGY.value)
  mesh = sharding.make_mesh(_MESH.value, devices)
  lora = (
    LoraConfig(rank=_LORA_RANK.value, alpha=2.0 * _LORA_RANK.value) if _LORA_RANK.value else None
  )
  objective = (
    Objective("sft") if _STEP.value == "sft" else Objective("error_driven", nll_weight=0.5)
  )
  optimizer = OptimizerConfig(
    _OPTIMIZER.value, learning_rate=0.0, schedule="constant", warmup_share=0.0
  )
  parts = mesh.shape["data"] * mesh.shape["fsdp"]
  schemas = _SCHEMAS.value or parts
  if schemas % parts or _BRANCHES.value % 2 or _ANSWER.value >= _BRANCH.value:
    raise InputError(
      f"--schemas={schemas} must be a multiple of the {parts} parts of the batch (data x fsdp), "
      "--branches even, and --answer shorter than --branch"
    )
  state, frozen = _abstract_state(config, lora, optimizer, mesh)
  batch = _abstract_batch(schemas, objective, mesh)
  step = make_train_step(
    Decoder(config, lora=lora),
    optimizer,
    program_of(objective),
    state_shardings(optimizer, state.trainable),
  )
  start = time.perf_counter()
  with sharding.use_mesh(mesh):
    compiled = step.lower(state, frozen, batch, 1e-5, numbers_of(objective)).compile()
  report = _report(compiled, devices, mesh, state, frozen) | {
    "compile_seconds": round(time.perf_counter() - start, 1)
  }
  if _OUTPUT.value:
    write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps(report), flush=True)
  if report["fits"] is False:
    raise RuntimeError(
      f"the step needs {report['gib_a_chip']['all']} GiB of each chip's "
      f"{report['gib_a_chip']['there']}: more chips, fewer or "
      "shorter branches, or an adapter instead of all weights make it fit"
    )


def _devices(topology: str) -> list[jax.Device]:
  try:
    return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
  except Exception as error:  # The plugin raises errors of several kinds.
    try:
      import libtpu  # noqa: F401
    except ImportError:
      raise InputError(
        "libtpu is not installed, the compiler for TPUs: pip install libtpu"
      ) from error
    raise InputError(
      f"--topology={topology}: {str(error).splitlines()[0]} (known are slices such as v5e:4x4)"
    ) from error


def _model_config(path: str) -> ModelConfig:
  try:
    values = json.loads(Path(path).read_text())
  except json.JSONDecodeError as error:
    raise InputError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
  return ModelConfig.from_hf(values, dtype="bfloat16", remat=_REMAT.value)


def _abstract(shapes: Any, shardings: Any) -> Any:
  return jax.tree.map(
    lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
    shapes,
    shardings,
  )


def _abstract_state(
  config: ModelConfig, lora: LoraConfig | None, optimizer: OptimizerConfig, mesh: Mesh
) -> tuple[TrainState, Any]:
  """(state, frozen params) without values, each array with its sharding."""
  params = _abstract(nn.meta.unbox(abstract_params(config)), sharding.param_shardings(config, mesh))
  trainable, frozen = params, None
  if lora is not None:
    shapes = jax.eval_shape(lambda key: init_lora(config, lora, key), jax.random.key(0))
    trainable, frozen = _abstract(shapes, sharding.lora_shardings(config, lora, mesh)), params
  shapes = jax.eval_shape(lambda tree: init_state(optimizer, tree), jax.tree.map(_plain, trainable))
  return _abstract(shapes, state_shardings(optimizer, trainable)), frozen


def _plain(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _abstract_batch(schemas: int, objective: Objective, mesh: Mesh) -> PrefixBatch:
  place = NamedSharding(mesh, PartitionSpec(None, ("data", "fsdp")))
  lead, branches = (_ACCUMULATE.value, schemas), _BRANCHES.value

  def array(*shape: int, dtype: Any = jnp.int32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((*lead, *shape), dtype, sharding=place)

  pairs = objective.loss != "sft"
  return PrefixBatch(
    prefix=array(_PREFIX.value),
    prefix_lengths=array(),
    branch=array(branches, _BRANCH.value),
    answer_start=array(branches),
    answer_lengths=array(branches),
    reward=array(branches // 2, dtype=jnp.float32) if pairs else None,
    opponent_log_probs=array(branches, dtype=jnp.float32) if pairs else None,
    max_answer=_ANSWER.value,
  )


def _report(
  compiled: Any, devices: list[jax.Device], mesh: Mesh, state: TrainState, frozen: Any
) -> dict[str, Any]:
  memory = compiled.memory_analysis()
  there = next(
    (gib for kind, gib in _CHIP_MEMORY.items() if devices[0].device_kind.startswith(kind)), None
  )
  # The state is donated: its results lie where it lay.
  outputs = memory.output_size_in_bytes - memory.alias_size_in_bytes
  needed = (
    memory.argument_size_in_bytes
    + outputs
    + memory.temp_size_in_bytes
    + memory.generated_code_size_in_bytes
  )
  gib = lambda size: round(size / _GIB, 2)  # noqa: E731
  count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))  # noqa: E731
  return {
    "topology": _TOPOLOGY.value,
    "chips": len(devices),
    "chip": devices[0].device_kind,
    "mesh": dict(mesh.shape),
    "step": _STEP.value,
    "trained_params": count(state.trainable),
    "frozen_params": count(frozen),
    "gib_a_chip": {
      "arguments": gib(memory.argument_size_in_bytes),
      "temporary": gib(memory.temp_size_in_bytes),
      "all": gib(needed),
      "there": there,
    },
    "fits": None if there is None else needed <= there * _GIB,
  }


if __name__ == "__main__":
  launch(main)
