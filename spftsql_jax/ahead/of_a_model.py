"""The programs of one model on any slices and meshes: each is prepared and compiled once."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax

from spftsql_jax.ahead.compiled import compiled
from spftsql_jax.ahead.faults import faults
from spftsql_jax.ahead.optimized import Recipe
from spftsql_jax.ahead.programs import Prepared, Step, Workload
from spftsql_jax.ahead.report import describe, floor_of
from spftsql_jax.ahead.search import Candidate, Measured
from spftsql_jax.models import LoraConfig, ModelConfig
from spftsql_jax.models.chips import Chip
from spftsql_jax.training.optimizer import OptimizerConfig


class Programs:
  """What is known of a model's programs.

  Args:
    devices: of a slice, by its name.
    chips: what is known of them.
    kept: folder of compiled programs, see `compiled`.
    machine_code: whether it is made for TPUs, too (`optimized`).
  """

  def __init__(
    self,
    config: ModelConfig,
    workload: Workload,
    lora: LoraConfig | None,
    optimizer: OptimizerConfig,
    devices: Callable[[str], list[jax.Device]],
    chips: Sequence[Chip],
    kept: str | os.PathLike | None = None,
    machine_code: bool = False,
  ):
    self.config, self.chips = config, chips
    self._sizes = (workload, lora, optimizer)
    self._devices, self._kept, self._machine_code = devices, kept, machine_code
    self._reports: dict[tuple[Candidate, str], dict[str, Any]] = {}
    self.prepared = functools.cache(self._prepare)
    self.floor = functools.cache(self._floor)

  def _prepare(self, candidate: Candidate, step: Step) -> Prepared:
    """Raises ValueError for a mesh or sizes that do not fit."""
    return self._recipe(candidate, step).prepare(self._devices)

  def _floor(self, candidate: Candidate, step: Step) -> dict[str, Any]:
    """`report.floor_of` with the names of slice and program."""
    told = {"topology": candidate.topology, "step": step, "compiled": False}
    return told | floor_of(self.prepared(candidate, step), self.chips)

  def report(self, candidate: Candidate, step: Step) -> dict[str, Any]:
    """Compiles a program, says so on stderr, and gives its report."""
    if (candidate, step) not in self._reports:
      program, config = self.prepared(candidate, step), self.config
      optimize = program.device.platform == "tpu" and not self._machine_code
      recipe = self._recipe(candidate, step) if optimize else None
      made = compiled(program, self._kept, recipe)
      told = {"topology": candidate.topology, "step": step, "compiled": True}
      told |= describe(program, made, config.vocab_size, config.num_hidden_layers, self.chips)
      print(_line(told), file=sys.stderr, flush=True)
      self._reports[candidate, step] = told
    return self._reports[candidate, step]

  def _recipe(self, candidate: Candidate, step: Step) -> Recipe:
    return Recipe(step, self.config, candidate.topology, candidate.mesh, *self._sizes)

  def least_usd(self, candidate: Candidate, step: Step) -> float | None:
    """What 1,000 examples cost at least before it is compiled; None where it cannot fit.

    Raises:
      ValueError: the chip is not known or has no price.
    """
    floor = self.floor(candidate, step)
    if floor["usd_for_1000_examples_at_least"] is None:
      raise ValueError(
        f"{candidate.topology}: the table of chips has no price of a {floor['chip']!r}"
      )
    return None if floor["fits"] is False else floor["usd_for_1000_examples_at_least"]

  def measure(self, candidate: Candidate, step: Step, checked: bool, most: int) -> Measured | None:
    """What compiling it shows; None where `most` programs have been compiled already (0: no limit).

    Args:
      checked: see `faults`.
    """
    if most and len(self._reports) >= most and (candidate, step) not in self._reports:
      return None
    report = self.report(candidate, step)
    return Measured(not faults(report, checked), report["usd_for_1000_examples_at_least"])


def _line(report: dict[str, Any]) -> str:
  memory = report["gib_a_chip"]
  mesh = ",".join(f"{axis}:{size}" for axis, size in report["mesh"].items())
  fits = {True: "fits", False: "does not fit", None: "unknown chip"}[report["fits"]]
  usd = report.get("usd_for_1000_examples_at_least")
  cost = f", {usd:.4g} USD for 1,000 examples at least" if usd else ""
  kernels = f", kernels {', '.join(report['kernels'])}" if report["kernels"] else ""
  launched = f", {report['launches']['all']} launches" if "launches" in report else ""
  seconds = report["compile_cpu_seconds"]
  where = f"{report['topology']} {mesh} {report['step']}"
  told = f"{where}: {memory['all']} GiB, {fits}{cost}{kernels}{launched}"
  return f"{told}; compiled in {seconds} CPU seconds"
