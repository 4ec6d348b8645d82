"""Compiles the programs of a run for devices that are not there, and says what they need of each
chip and how fast they can be at best.

    python experiments/compile_ahead.py --topology=v5e:4x4 --model_config=FILE.json --step=sft \
      --mesh=data:1,fsdp:8,tensor:2
    python experiments/compile_ahead.py --topology=h100:8 --model_config=FILE.json
    python experiments/compile_ahead.py --search --model_config=FILE.json --step=all --kept=FOLDER

FILE.json is the config.json of a Hugging Face model; no weights are read, no arrays are made. TPUs
need libtpu of the version that JAX asks for, GPUs jax-cuda12-pjrt of JAX's version and
nvidia-cuda-nvcc-cu12, but no driver. Several topologies (a comma between them), several --mesh and
--step=all compile all of them one after the other. --search compiles as few as it can to find the
cheapest slice and mesh that fit. The last line on stdout is JSON: memory a chip (GiB), whether it
fits, what is multiplied and sent, time bounds by the data sheet, what 1,000 examples cost. Exit
code 1 where a program does not fit, or nothing is found that does, or with --check where a program
gathers a whole stack of layers or a tenth of its time goes to the vocabulary.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import InputError, check_output, launch

# isort: split
import functools
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from absl import flags

# What libtpu would ask a cloud's metadata server for; there is none, and nothing is run, so several
# processes may compile at once.
os.environ |= {
  "TPU_SKIP_MDS_QUERY": "1",
  "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
  "JAX_PLATFORMS": "cpu",
}

import jax

from spftsql_jax.ahead.devices import check_name, devices_of, of_this_machine
from spftsql_jax.ahead.faults import faults
from spftsql_jax.ahead.of_a_model import Programs
from spftsql_jax.ahead.programs import STEPS, Step, Workload
from spftsql_jax.ahead.search import Candidate, Found, cheapest, meshes_of
from spftsql_jax.files import write_json
from spftsql_jax.models import LoraConfig, ModelConfig
from spftsql_jax.models.chips import Chip, read_chips, usual_chips
from spftsql_jax.models.packed_attention import Implementation
from spftsql_jax.training.optimizer import OptimizerConfig

_TOPOLOGY = flags.DEFINE_list(
  "topology",
  [],
  "TPU slices, such as v5e:4x4 or v5p:2x2x1; GPUs, such as h100 or h100:8; cpu:N for N devices of "
  "this machine. --search takes all of the table of chips where none are given.",
)
_MODEL_CONFIG = flags.DEFINE_string(
  "model_config", None, "config.json of a Hugging Face model.", required=True
)
_STEP = flags.DEFINE_enum("step", "sft", [*STEPS, "all"], "Which program.")
_MESH = flags.DEFINE_multi_string(
  "mesh",
  [],
  "Sizes of the mesh axes data, fsdp and tensor; -1 for what remains. May be repeated. By default "
  "fsdp:-1, and all that could serve with --search.",
)
_SEARCH = flags.DEFINE_boolean("search", False, "Find the cheapest slice and mesh that fit.")
_MOST_CHIPS = flags.DEFINE_integer("most_chips", 64, "Of a slice, with --search.", lower_bound=1)
_MOST_PROGRAMS = flags.DEFINE_integer(
  "most_programs", 0, "To compile in a search, then it ends; 0: until it is sure.", lower_bound=0
)
_CHIPS = flags.DEFINE_string(
  "chips", None, "TOML file of chips and their prices, instead of the package's models/chips.toml."
)
_KEPT = flags.DEFINE_string(
  "kept", None, "Folder to keep compiled programs in, and to look for them first."
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
  "decoded_rows",
  1,
  "Schemas that are read, or that answers are decoded over, at once; 0: one for each part of the "
  "batch.",
  lower_bound=0,
)
_REMAT = flags.DEFINE_enum(
  "remat", "full", ["none", "full", "dots"], "What the backward pass computes again in each layer."
)
_ACCUMULATE = flags.DEFINE_integer("accumulate", 1, "Microbatches a step.", lower_bound=1)
_ATTENTION = flags.DEFINE_enum(
  "attention",
  "auto",
  ["auto", "loop", "kernel"],
  "Over packed rows: the kernels, the loop, or the kernels where they take the sizes.",
)
_COMPILE = flags.DEFINE_boolean(
  "compile", True, "--nocompile tells what is known without: bounds from below, in seconds."
)
_MACHINE_CODE = flags.DEFINE_boolean(
  "machine_code",
  False,
  "Compile for TPUs to the end, which takes 2 to 16 times as long: it shows that kernels compile, "
  "and how much memory the code takes.",
)
_CHECK = flags.DEFINE_boolean(
  "check", False, "Fail where a whole stack of layers is gathered, or the vocabulary costs much."
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write as well.")


def main() -> None:
  if _OUTPUT.value:
    check_output(_OUTPUT.value)
  if _KEPT.value:
    check_output(_KEPT.value, folder=True)
  if not _TOPOLOGY.value and not _SEARCH.value:
    raise InputError("--topology: which slices? (or --search)")
  if here := max(map(of_this_machine, _TOPOLOGY.value), default=0):
    jax.config.update("jax_num_cpu_devices", here)
  for topology in _TOPOLOGY.value:
    check_name(topology)
  chips = read_chips(_CHIPS.value) if _CHIPS.value else usual_chips()
  programs = _programs(chips)
  steps: tuple[Step, ...] = STEPS if _STEP.value == "all" else (cast(Step, _STEP.value),)
  if _SEARCH.value:
    found, wrong = _search(programs, steps)
  else:
    report_of = programs.report if _COMPILE.value else programs.floor
    reports = [
      report_of(candidate, step)
      for candidate, step in itertools.product(_candidates(programs, ["fsdp:-1"]), steps)
    ]
    found = reports[0] if len(reports) == 1 else {"programs": reports}
    wrong = [fault for report in reports for fault in faults(report, _CHECK.value)]
  if _OUTPUT.value:
    write_json(_OUTPUT.value, found, end="\n")
  print(json.dumps(found), flush=True)
  if wrong:
    raise RuntimeError("; ".join(wrong))


def _programs(chips: tuple[Chip, ...]) -> Programs:
  """What the flags say."""
  rank = _LORA_RANK.value
  workload = Workload(
    prefix=_PREFIX.value,
    prompt=_PROMPT.value,
    answer=_ANSWER.value,
    row_tokens=_ROW_TOKENS.value,
    rows=_ROWS.value,
    microbatches=_ACCUMULATE.value,
    lanes=_LANES.value,
    decoded_rows=_DECODED_ROWS.value,
    attention=cast(Implementation, _ATTENTION.value),
  )
  return Programs(
    _model_config(_MODEL_CONFIG.value),
    workload,
    LoraConfig(rank=rank, alpha=2.0 * rank) if rank else None,
    OptimizerConfig(_OPTIMIZER.value),
    devices_of,
    chips,
    _KEPT.value,
    _MACHINE_CODE.value,
  )


def _candidates(programs: Programs, meshes: list[str]) -> Iterator[Candidate]:
  """Slices with meshes over them, as the flags say; `meshes` where they do not."""
  heads = programs.config.num_key_value_heads
  for topology in _TOPOLOGY.value or [s for chip in programs.chips for s in chip.slices]:
    count = len(devices_of(topology))
    if _SEARCH.value and count > _MOST_CHIPS.value:
      continue
    for mesh in _MESH.value or meshes or meshes_of(count, heads):
      yield Candidate(topology, mesh, count)


def _search(programs: Programs, steps: tuple[Step, ...]) -> tuple[dict[str, Any], list[str]]:
  """(what is cheapest for each program, and for all together on one mesh; what is wrong)."""
  candidates, refused = [], "no slice is that small"
  for candidate in _candidates(programs, []):
    try:
      for step in steps:
        programs.prepared(candidate, step)
      candidates.append(candidate)
    except ValueError as error:  # Rows that it does not divide; others may.
      refused = str(error)
  if not candidates:
    raise InputError(refused)
  found: dict[str, Any] = {}
  wrong = []
  measure = functools.partial(programs.measure, checked=_CHECK.value, most=_MOST_PROGRAMS.value)
  for several in dict.fromkeys([*((step,) for step in steps), steps]):
    name = several[0] if len(several) == 1 else "all"
    best = cheapest(candidates, several, programs.least_usd, measure)
    found[name] = _told(programs, several, best)
    if best.candidate is None:
      ended = f" of the {best.tried} tried" if best.ended else ""
      wrong.append(f"no slice{ended} fits {', '.join(several)}")
  return {"candidates": len(candidates), "cheapest": found}, wrong


def _told(programs: Programs, steps: tuple[Step, ...], best: Found) -> dict[str, Any]:
  found: dict[str, Any] = {
    "tried": best.tried,
    "too_large": best.too_large,
    "cannot_be_cheaper": best.dearer,
    "ended_before_it_was_sure": best.ended,
  }
  if best.candidate is None:
    return {"topology": None} | found
  reports = {step: programs.report(best.candidate, step) for step in steps}
  return {
    "topology": best.candidate.topology,
    "mesh": best.candidate.mesh,
    "usd_for_1000_examples_at_least": float(f"{best.usd:.4g}"),
    **found,
    "programs": reports,
  }


def _model_config(path: str) -> ModelConfig:
  try:
    values = json.loads(Path(path).read_text())
  except json.JSONDecodeError as error:
    raise InputError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
  return ModelConfig.from_hf(values, dtype="bfloat16", remat=_REMAT.value)


if __name__ == "__main__":
  launch(main)
