"""What a compiled program needs of each chip, and how fast it can be at best."""

from __future__ import annotations

import dataclasses
from typing import Any

from jax.sharding import Mesh

from spftsql_jax.ahead.hlo import read_program
from spftsql_jax.ahead.programs import Lowered
from spftsql_jax.ahead.work import Work, count_work
from spftsql_jax.models.chips import Chip, chip_of

_GIB = 1 << 30
# Of what is wrong so many places are shown.
_FIRST_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Bound:
  """The least time of a run of a program by each of a chip's limits, in seconds; None where a limit
  is not known.

  Attributes:
    products: all operations at the peak. memory: arguments and results moved once. links: all that
      is sent, nothing hidden behind anything.
  """

  products: float
  memory: float
  links: float | None

  @property
  def seconds(self) -> float:
    """What a run takes at least where each is hidden behind the slowest."""
    return max(self.products, self.memory, self.links or 0.0)


def describe(
  compiled: Any, lowered: Lowered, mesh: Mesh, vocabulary: int, layers: int
) -> dict[str, Any]:
  """The report of a compiled program: memory, whether it fits, what is multiplied and sent, time
  bounds and the MFU that these allow, and what it costs.

  Args:
    vocabulary: tokens. layers: of the model, by whose stack a collective over whole stacks is told.
  """
  devices = list(mesh.devices.flat)
  chip = chip_of(devices[0].device_kind)
  work = count_work(read_program(compiled.as_text()))
  memory = _memory(compiled)
  found = {
    "chips": len(devices),
    "chip": devices[0].device_kind,
    "mesh": dict(mesh.shape),
    "trained_params": lowered.trained,
    "frozen_params": lowered.frozen,
    "gib_a_chip": {
      "arguments": _gib(memory["arguments"]),
      "temporary": _gib(memory["temporary"]),
      "output": _gib(memory["output"]),
      "all": _gib(sum(memory.values())),
      "there": chip and chip.memory_gib,
    },
    "fits": None if chip is None else sum(memory.values()) <= chip.memory_gib * _GIB,
    "flops": {"by_formula": lowered.flops, "in_program_a_chip": work.flops()},
    "sent_a_chip": {
      "bytes": work.sent(),
      "calls": _calls(work),
      "whole_layer_stacks": _whole_stacks(work, layers),
      "of_vocabulary_share": round(_vocabulary_share(work, vocabulary, mesh), 4),
    },
    "kernels": dict(work.kernels),
    "loops_of_unknown_length": work.unknown_loops,
  }
  if chip is not None:
    found |= _bounds(chip, lowered, work, memory, len(devices))
  return found


def _memory(compiled: Any) -> dict[str, int]:
  """Bytes of a chip's memory that are in use at once, by what for."""
  sizes = compiled.memory_analysis()
  return {
    "arguments": sizes.argument_size_in_bytes,
    "temporary": sizes.temp_size_in_bytes,
    # What is donated lies where its result lies.
    "output": sizes.output_size_in_bytes - sizes.alias_size_in_bytes,
    "code": sizes.generated_code_size_in_bytes,
  }


def _bounds(
  chip: Chip, lowered: Lowered, work: Work, memory: dict[str, int], chips: int
) -> dict[str, Any]:
  moved = memory["arguments"] + memory["output"]
  sent = sum(work.sent().values())
  bound = Bound(
    lowered.flops / chips / chip.products,
    moved / chip.memory,
    sent / chip.links if chip.links else None,
  )
  hours = bound.seconds * chips / 3600
  return {
    "seconds_at_least": {**dataclasses.asdict(bound), "all": bound.seconds},
    "mfu_at_most": round(bound.products / bound.seconds, 4),
    "usd_for_1000_examples_at_least": round(chip.usd_an_hour * hours / lowered.examples * 1000, 6)
    if chip.usd_an_hour
    else None,
  }


def _calls(work: Work) -> dict[str, int]:
  found: dict[str, int] = {}
  for each in work.collectives:
    found[each.kind] = found.get(each.kind, 0) + each.times
  return found


def _whole_stacks(work: Work, layers: int) -> list[str]:
  """Where the weights of all layers are gathered at once, which no chip should have to hold."""
  return [
    each.source
    for each in work.collectives
    if each.kind == "all-gather"
    and any(len(s.sizes) > 2 and s.sizes[0] == layers and s.elements > 1 << 20 for s in each.shapes)
  ][:_FIRST_SHOWN]


def _vocabulary_share(work: Work, vocabulary: int, mesh: Mesh) -> float:
  """The share of what is sent that has an axis as long as the vocabulary or a chip's part of it."""
  axes = mesh.shape
  parts = {
    vocabulary // n for n in (1, axes["tensor"], axes["fsdp"], axes["tensor"] * axes["fsdp"])
  }
  sent = sum(each.sent * each.times for each in work.collectives)
  of_vocabulary = sum(
    each.sent * each.times
    for each in work.collectives
    if any(set(shape.sizes) & parts for shape in each.shapes)
  )
  return of_vocabulary / sent if sent else 0.0


def _gib(size: int) -> float:
  return round(size / _GIB, 2)
