"""Memory of a training step: what there is, what a step takes by estimate, and how one is made to
fit.

    there = device_memory()
    plan = plan_step(model_config, training_kind, packing, longest_unit, there)

The estimate follows what XLA allocates (`tests/test_training_memory.py` compares the two). Letters:
R rows of a microbatch, T tokens of a row, V vocabulary.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp

from spftsql_jax.examples.packing import ROW_LENGTHS, Packing
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.lora import LoraConfig, kernel_shapes
from spftsql_jax.models.token_log_probs import logits_at_once
from spftsql_jax.training.step import UNROLLED_LAYERS

Remat = Literal["none", "dots", "full"]

MIB = 1 << 20
# Python, JAX, its programs, and what a run knows of its databases and examples.
_PROCESS = 1100 * MIB
# What a plan may use of the memory that is there: the rest is for workers and for what an estimate
# misses.
_USABLE = 0.9
# Numbers kept for the backward pass without remat, beside a layer's input, as a multiple of what
# its products give: norms, rotations, activations and the softmax's sums.
_KEPT_WITHOUT_REMAT = 3.15
# Of the tokens of a row so many are answers at most, in the estimate of the logits.
_ANSWER_SHARE = 0.25


@dataclasses.dataclass(frozen=True)
class TrainingKind:
  """What of a model is trained.

  Attributes:
    parameters: of the model. trained: of what is trained of it.
    lora: the adapter's config; None where all weights are trained.
    moments: float32 numbers that the optimizer keeps of each trained weight.
  """

  parameters: int
  trained: int
  lora: LoraConfig | None = None
  moments: int = 2


@dataclasses.dataclass(frozen=True)
class StepPlan:
  """How an update is computed.

  Attributes:
    rows: rows of an update. most_row_tokens: T at most.
    accumulate: microbatches that the rows are cut into.
    remat: see `ModelConfig.remat`.
    needed: bytes by estimate.
    there: bytes that the plan may use; None where they are not known.
  """

  rows: int
  most_row_tokens: int
  accumulate: int
  remat: Remat
  needed: int
  there: int | None

  @property
  def fits(self) -> bool:
    """Whether there is as much memory as is needed."""
    return self.there is None or self.needed <= self.there


def kind_of(config: ModelConfig, parameters: int, lora: LoraConfig | None) -> TrainingKind:
  """What is trained of a model of so many parameters: an adapter, or all weights."""
  if lora is None:
    return TrainingKind(parameters, parameters)
  shapes = kernel_shapes(config)
  rows = sum(sum(shapes[name]) for name in lora.modules)
  return TrainingKind(parameters, config.num_hidden_layers * lora.rank * rows, lora)


def step_bytes(
  config: ModelConfig,
  kind: TrainingKind,
  rows: int,
  tokens: int,
  remat: Remat,
  accumulate: int = 1,
) -> int:
  """Bytes of a device that a run holds while a step over microbatches [R, T] is computed.

  Args:
    config: of the model. kind: what is trained. rows: R, of this device. tokens: T.
  """
  return resident_bytes(config, kind) + _activation_and_update_bytes(
    config, kind, rows, tokens, remat, accumulate
  )


def resident_bytes(config: ModelConfig, kind: TrainingKind) -> int:
  """Bytes that stay through all steps: the process (on a CPU), weights, and the state of training.

  The starting weights stay beside the state that trains a copy of them or of an adapter, and so
  does the version that this stage has begun with.
  """
  width, master = jnp.dtype(config.param_dtype).itemsize, 4
  state = kind.trained * (master + 4 * kind.moments)
  if width < master:
    state += kind.trained * width
  version = kind.trained * master
  process = _PROCESS if jax.default_backend() == "cpu" else 0
  return process + kind.parameters * width + state + version


def _activation_and_update_bytes(
  config: ModelConfig, kind: TrainingKind, rows: int, tokens: int, remat: Remat, accumulate: int
) -> int:
  """Bytes of what is kept for the backward pass, of the logits, gradients and the update."""
  width = jnp.dtype(config.dtype).itemsize
  shapes = kernel_shapes(config)
  products = sum(out for name, (_, out) in shapes.items() if name != "down")
  kept = {
    "none": config.hidden_size + _KEPT_WITHOUT_REMAT * products,
    "dots": config.hidden_size + products,
    "full": config.hidden_size,
  }[remat]
  # A layer that is computed again holds what it would have kept, for as long as its backward pass.
  again = _KEPT_WITHOUT_REMAT * products if remat != "none" else products
  layers = rows * tokens * width * (config.num_hidden_layers * kept + again)
  answers = rows * tokens * _ANSWER_SHARE * config.vocab_size
  logits = 4 * 2 * min(answers, logits_at_once())
  gradients = 4 * kind.trained * (2 if accumulate > 1 else 1)
  update = 2 * 4 * kind.trained
  return int(gradients + max(layers + logits, update))


def plan_step(
  config: ModelConfig,
  kind: TrainingKind,
  packing: Packing,
  longest_unit: int,
  there: int | None,
  *,
  accumulate: int = 0,
  remat: Remat | Literal["auto"] = "auto",
  parts: int = 1,
) -> StepPlan:
  """The cheapest plan that fits: cut into more microbatches first, which costs hardly anything,
  then shorter rows, then what the backward pass computes again.

  Where none fits, the one that takes the least.

  Args:
    packing: rows of an update and their length at most, or their length. Where it has neither,
      rows are the longest that fit.
    longest_unit: tokens of a schema with one unit over it at most: a row is no shorter.
    there: bytes of a device; None where they are not known.
    accumulate, remat: held fast where they are given (0 and "auto": chosen).
    parts: in how many parts a mesh cuts the rows of a microbatch.
  """
  usable = None if there is None else int(there * _USABLE)
  plans = []
  for policy in _policies(config) if remat == "auto" else (remat,):
    for length in _lengths(packing, longest_unit, parts, known=there is not None):
      # As many tokens an update, however long its rows are.
      rows = max(packing.rows, 1) * packing.longest_row / max(length, 1)
      rows = packing.rows if packing.row_tokens else max(1, round(rows))
      for cut in (accumulate,) if accumulate else _cuts(rows):
        of_device = -(-rows // (cut * parts))
        needed = step_bytes(config, kind, of_device, max(length, longest_unit), policy, cut)
        plan = StepPlan(rows, length, cut, policy, needed, usable)
        if plan.fits:
          return plan
        plans.append(plan)
  return min(plans, key=lambda plan: plan.needed)


def _policies(config: ModelConfig) -> tuple[Remat, ...]:
  """What the backward pass computes again, the quickest first."""
  # What a loop over layers keeps is written into stacks and read again, which takes an accelerator
  # longer than all but the products takes it.
  stacked = config.num_hidden_layers > UNROLLED_LAYERS
  if stacked and jax.default_backend() != "cpu":
    return "dots", "full"
  return "none", "dots", "full"


def _lengths(packing: Packing, longest_unit: int, parts: int, known: bool) -> Iterator[int]:
  """Lengths that rows may have at most, the longest first.

  Args:
    parts: see `plan_step`. known: whether the memory is.
  """
  if packing.row_tokens:
    yield packing.row_tokens
    return
  most = packing.longest_row
  if not packing.most_row_tokens and known and jax.default_backend() != "cpu":
    # A row is no longer than what an update has for each part of a mesh.
    room = packing.rows * most // parts
    most = max([length for length in ROW_LENGTHS if length <= room], default=most)
  yield most
  for length in sorted(ROW_LENGTHS, reverse=True):
    if longest_unit <= length < most:
      yield length


def _cuts(rows: int) -> list[int]:
  """Into how many equal microbatches so many rows can be cut."""
  return [cut for cut in range(1, rows + 1) if rows % cut == 0]


def device_memory(host_gb: float = 0.0, sharing: int = 1) -> int | None:
  """Bytes that this process may take of a device: of an accelerator what its allocator may, of a
  CPU `host_memory`; None where that is not known.

  Args:
    host_gb: of a CPU's memory take no more than this, in GB of 10^9 bytes; 0 for what is there.
    sharing: devices of this process among which a CPU's memory is shared out; each has the process
      itself (`resident_bytes`) in its share.
  """
  if jax.default_backend() == "cpu":
    there = host_memory()
    given = int(host_gb * 1e9) if host_gb else None
    known = [each for each in (there, given) if each is not None]
    return (min(known) - _PROCESS) // sharing + _PROCESS if known else None
  limits = [(device.memory_stats() or {}).get("bytes_limit") for device in jax.local_devices()]
  known = [limit for limit in limits if limit]
  return min(known) if known else None


def host_memory(root: Path = Path("/")) -> int | None:
  """Bytes that this process may have in all: what it has, and what is free in the machine and in
  its control group. None where nothing is known of them.

  Args:
    root: where /proc and /sys lie.
  """
  free = [each for each in (_available(root), _of_control_group(root)) if each is not None]
  if not free:
    return None
  return min(free) + _resident(root)


def _available(root: Path) -> int | None:
  """Bytes that the machine has free, caches that it can do without counted in."""
  for line in _lines(root / "proc/meminfo"):
    if line.startswith("MemAvailable:"):
      return int(line.split()[1]) * 1024
  try:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  except (ValueError, OSError):
    return None


def _of_control_group(root: Path) -> int | None:
  """Bytes that the limits of this process's control groups leave free; None without a limit."""
  free = []
  for line in _lines(root / "proc/self/cgroup"):
    _, controllers, path = line.split(":", 2)
    if controllers == "":  # version 2
      top, limit, used = root / "sys/fs/cgroup", "memory.max", "memory.current"
    elif "memory" in controllers.split(","):
      top = root / "sys/fs/cgroup/memory"
      limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
    else:
      continue
    group = top / path.lstrip("/")
    # In a container the path may be the host's: then the group is what stands at the top.
    for each in (group, *group.parents):
      if each.is_relative_to(top) and (found := _left_of(each, limit, used)) is not None:
        free.append(found)
  return min(free, default=None)


def _left_of(group: Path, limit: str, used: str) -> int | None:
  """Bytes that a control group may still take; None where it has no limit."""
  text = "".join(_lines(group / limit)).strip()
  # Without a limit: "max", or a number that no machine has.
  if not text.isdigit() or int(text) >= 1 << 60:
    return None
  taken = int("".join(_lines(group / used)) or 0)
  statistics = dict(line.split() for line in _lines(group / "memory.stat"))
  caches = int(statistics.get("total_inactive_file", statistics.get("inactive_file", 0)))
  return max(0, int(text) - taken + caches)


def _resident(root: Path) -> int:
  """Bytes of memory that this process has."""
  found = "".join(_lines(root / "proc/self/statm")).split()
  return int(found[1]) * os.sysconf("SC_PAGE_SIZE") if len(found) > 1 else 0


def _lines(path: Path) -> list[str]:
  """The lines of a file of the system; none where there is none."""
  try:
    return path.read_text().splitlines()
  except OSError:
    return []
