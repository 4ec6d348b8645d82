"""Compiles the programs of a run for devices that are not there, and says what they need of each
chip and how fast they can be at best.

    python experiments/compile_ahead.py --topology=v5e:4x4 --model_config=FILE.json --step=sft \
      --mesh=data:1,fsdp:8,tensor:2

FILE.json is the config.json of a Hugging Face model; no weights are read, no arrays are made. Needs
libtpu (`pip install libtpu`). Several topologies (a comma between them), several --mesh and
--step=all compile all of them one after the other. The last line on stdout is JSON: memory a chip
(GiB), whether it fits, what is multiplied and sent, time bounds by the data sheet. Exit code 1
where a program does not fit, or with --check where it gathers a whole stack of layers or sends more
than a tenth for the vocabulary.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import InputError, check_output, launch

# isort: split
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from absl import flags

# What libtpu would ask a cloud's metadata server for; there is none, and nothing is run.
os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu"}

import jax
from jax.experimental import topologies

from spftsql_jax.ahead.programs import STEPS, Workload, lower
from spftsql_jax.ahead.report import describe
from spftsql_jax.files import write_json
from spftsql_jax.models import LoraConfig, ModelConfig, sharding
from spftsql_jax.training.optimizer import OptimizerConfig

_TOPOLOGY = flags.DEFINE_list(
  "topology", None, "TPU slices, such as v5e:4x4 or v5p:2x2x2.", required=True
)
_MODEL_CONFIG = flags.DEFINE_string(
  "model_config", None, "config.json of a Hugging Face model.", required=True
)
_STEP = flags.DEFINE_enum("step", "sft", [*STEPS, "all"], "Which program.")
_MESH = flags.DEFINE_multi_string(
  "mesh",
  ["fsdp:-1"],
  "Sizes of the mesh axes data, fsdp and tensor; -1 for what remains. May be repeated.",
)
_LORA_RANK = flags.DEFINE_integer(
  "lora_rank", 64, "Rank of the adapter; 0 trains all weights.", lower_bound=0
)
_OPTIMIZER = flags.DEFINE_enum(
  "optimizer", "adamw", ["adamw", "adafactor", "rmsprop"], "Optimizer."
)
_PREFIX = flags.DEFINE_integer("prefix", 1024, "Tokens of a schema.", lower_bound=1)
_PROMPT = flags.DEFINE_integer("prompt", 64, "Tokens of a question.", lower_bound=1)
_ANSWER = flags.DEFINE_integer("answer", 64, "Tokens of an answer.", lower_bound=1)
_ROW_TOKENS = flags.DEFINE_integer("row_tokens", 4096, "Tokens of a packed row.", lower_bound=128)
_ROWS = flags.DEFINE_integer(
  "rows", 0, "Rows of a microbatch, over all chips; 0: one for each part of the batch."
)
_LANES = flags.DEFINE_integer("lanes", 64, "Answers decoded at once over a schema.", lower_bound=1)
_DECODED_ROWS = flags.DEFINE_integer(
  "decoded_rows", 1, "Schemas that answers are decoded over at once.", lower_bound=1
)
_REMAT = flags.DEFINE_enum(
  "remat", "full", ["none", "full", "dots"], "What the backward pass computes again in each layer."
)
_ACCUMULATE = flags.DEFINE_integer("accumulate", 1, "Microbatches a step.", lower_bound=1)
_CHECK = flags.DEFINE_boolean(
  "check", False, "Fail where a whole stack of layers is gathered, or the vocabulary costs much."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write as well.")

# What collectives over the vocabulary may be of all that is sent.
_VOCABULARY_SHARE = 0.1


def main() -> None:
  if _OUTPUT.value:
    check_output(_OUTPUT.value)
  config = _model_config(_MODEL_CONFIG.value)
  slices = {topology: _devices(topology) for topology in _TOPOLOGY.value}
  steps = STEPS if _STEP.value == "all" else (_STEP.value,)
  reports = []
  for (topology, devices), mesh, step in itertools.product(slices.items(), _MESH.value, steps):
    report = {"topology": topology, "step": step} | _compiled(config, devices, mesh, step)
    reports.append(report)
    if len(slices) * len(_MESH.value) * len(steps) > 1:
      print(_line(report), file=sys.stderr, flush=True)
  found = reports[0] if len(reports) == 1 else {"programs": reports}
  if _OUTPUT.value:
    write_json(_OUTPUT.value, found, end="\n")
  print(json.dumps(found), flush=True)
  if faults := [fault for report in reports for fault in _faults(report)]:
    raise RuntimeError("; ".join(faults))


def _compiled(
  config: ModelConfig, devices: list[jax.Device], spec: str, step: str
) -> dict[str, Any]:
  """The report of a program on a mesh. Raises InputError for a mesh or sizes that do not fit."""
  lora = (
    LoraConfig(rank=_LORA_RANK.value, alpha=2.0 * _LORA_RANK.value) if _LORA_RANK.value else None
  )
  workload = Workload(
    prefix=_PREFIX.value,
    prompt=_PROMPT.value,
    answer=_ANSWER.value,
    row_tokens=_ROW_TOKENS.value,
    rows=_ROWS.value,
    microbatches=_ACCUMULATE.value,
    lanes=_LANES.value,
    decoded_rows=_DECODED_ROWS.value,
  )
  try:
    mesh = sharding.make_mesh(spec, devices)
    lowered = lower(step, config, mesh, workload, lora, OptimizerConfig(_OPTIMIZER.value))
  except ValueError as error:
    raise InputError(str(error)) from error
  start = time.perf_counter()
  with sharding.use_mesh(mesh):
    compiled = lowered.lowered.compile()
  seconds = round(time.perf_counter() - start, 1)
  report = describe(compiled, lowered, mesh, config.vocab_size, config.num_hidden_layers)
  return report | {"compile_seconds": seconds}


def _line(report: dict[str, Any]) -> str:
  memory = report["gib_a_chip"]
  mesh = ",".join(f"{axis}:{size}" for axis, size in report["mesh"].items())
  fits = {True: "fits", False: "does not fit", None: "unknown chip"}[report["fits"]]
  return f"{report['topology']} {mesh} {report['step']}: {memory['all']} GiB, {fits}"


def _faults(report: dict[str, Any]) -> list[str]:
  """What is wrong with a program, a line each."""
  found = []
  if report["fits"] is False:
    memory = report["gib_a_chip"]
    found.append(
      f"{report['step']} on {report['topology']} needs {memory['all']} GiB of each chip's "
      f"{memory['there']}: more chips, shorter rows, or an adapter instead of all weights make it "
      "fit"
    )
  sent = report["sent_a_chip"]
  if _CHECK.value and sent["whole_layer_stacks"]:
    found.append(
      f"{report['step']} gathers all layers at once: {', '.join(sent['whole_layer_stacks'])}"
    )
  if _CHECK.value and sent["of_vocabulary_share"] > _VOCABULARY_SHARE:
    found.append(f"{report['step']} sends {sent['of_vocabulary_share']:.0%} for the vocabulary")
  return found


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


if __name__ == "__main__":
  launch(main)
