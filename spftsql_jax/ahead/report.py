"""What a compiled program needs of each chip, and how fast it can be at best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from jax.sharding import Mesh

from spftsql_jax.ahead.compiled import Compiled
from spftsql_jax.ahead.hlo import read_program
from spftsql_jax.ahead.launches import Launch, counted, launches
from spftsql_jax.ahead.programs import Prepared
from spftsql_jax.ahead.work import Work, count_work
from spftsql_jax.models import branch_flash, head_flash, packed_flash
from spftsql_jax.models.chips import Chip, chip_of

_GIB = 1 << 30
# Products over the scores of a layer that attention's kernels make.
_OVER_SCORES = packed_flash.PRODUCTS | {branch_flash.NAME: branch_flash.PRODUCTS}
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
  program: Prepared,
  made: Compiled,
  vocabulary: int,
  layers: int,
  chips: Sequence[Chip] | None = None,
) -> dict[str, Any]:
  """The report of a compiled program: memory, whether it fits, what is multiplied and sent, time
  bounds and the MFU that these allow, and what it costs.

  Args:
    vocabulary: tokens. layers: of the model, by whose stack a collective over whole stacks is told.
    chips: what is known of chips; by default this package's table.
  """
  memory = made.memory | {"beside": program.beside}
  chip = chip_of(_kind(program), chips)
  text = read_program(made.text)
  work = count_work(text)
  sent = work.sent()
  all_sent = sum(sent.values())
  of_vocabulary = _sent_for_vocabulary(work, vocabulary, program.mesh)
  found = _named(program) | {
    "gib_a_chip": {
      "arguments": _gib(memory["arguments"]),
      "temporary": _gib(memory["temporary"]),
      "output": _gib(memory["output"]),
      "beside": _gib(memory["beside"]),
      "all": _gib(sum(memory.values())),
      "there": chip and chip.memory_gib,
    },
    "fits": None if chip is None else sum(memory.values()) <= chip.memory_gib * _GIB,
    "flops": {"by_formula": program.flops, "in_program_a_chip": work.flops()},
    "sent_a_chip": {
      "bytes": sent,
      "calls": _calls(work),
      "whole_layer_stacks": _whole_stacks(work, layers),
      "of_vocabulary_share": round(of_vocabulary / (all_sent or 1.0), 4),
    },
    "kernels": dict(work.kernels),
    "loops_of_unknown_length": work.unknown_loops,
  }
  if chip is not None:
    bound = bound_of(program, chip, memory["arguments"] + memory["output"], all_sent)
    found |= _bounded(program, chip, bound) | {
      # By the links alone, of the least that a run takes.
      "of_vocabulary_share_of_time": round(of_vocabulary / chip.links / bound.seconds, 4)
      if chip.links
      else None,
    }
  if program.device.platform == "gpu":
    found["launches"] = _launched(program, launches(text), chip)
  return found | {
    "compile_seconds": round(made.seconds, 1),
    # Of all cores; the other tells little on a machine that does something else besides.
    "compile_cpu_seconds": round(made.cpu_seconds, 1),
  }


def floor_of(program: Prepared, chips: Sequence[Chip] | None = None) -> dict[str, Any]:
  """What is known of a program before it is compiled: bounds from below, by its operations and by
  the arguments that it reads. In the form of `describe`; "fits" is False or None.

  Raises:
    ValueError: nothing is known of the chip.
  """
  read, kind = program.bytes_a_chip(), _kind(program)
  chip = chip_of(kind, chips)
  if chip is None:
    raise ValueError(f"nothing is known of a {kind!r}: it is not in the table of chips")
  held = read + program.beside
  bound = bound_of(program, dataclasses.replace(chip, links=0), read, 0.0)
  known = {
    "gib_a_chip": {"arguments": _gib(held), "there": chip.memory_gib},
    "fits": False if held > chip.memory_gib * _GIB else None,
    "flops": {"by_formula": program.flops},
  }
  return _named(program) | known | _bounded(program, chip, bound)


def _kind(program: Prepared) -> str:
  return str(program.device.device_kind)


def _named(program: Prepared) -> dict[str, Any]:
  """For which chips a program is, and what it trains."""
  return {
    "chips": program.mesh.size,
    "chip": _kind(program),
    "mesh": dict(program.mesh.shape),
    "trained_params": program.trained,
    "frozen_params": program.frozen,
  }


def _bounded(program: Prepared, chip: Chip, bound: Bound) -> dict[str, Any]:
  """What the least time of a run allows."""
  return {
    "seconds_at_least": {**dataclasses.asdict(bound), "all": bound.seconds},
    "mfu_at_most": round(bound.products / bound.seconds, 4),
    "usd_for_1000_examples_at_least": usd_for_1000_examples(program, chip, bound.seconds),
  }


def bound_of(program: Prepared, chip: Chip, moved: float, sent: float) -> Bound:
  """The least time of a run that moves so many bytes of arguments and results on each chip, and
  sends so many.
  """
  return Bound(
    program.flops / program.mesh.size / chip.products,
    moved / chip.memory,
    sent / chip.links if chip.links else None,
  )


def usd_for_1000_examples(program: Prepared, chip: Chip, seconds: float) -> float | None:
  """What a thousand examples cost where a run takes so long; None where there is no price."""
  if not chip.usd_an_hour:
    return None
  hours = seconds * program.runs * program.mesh.size / 3600
  return float(f"{chip.usd_an_hour * hours / program.examples * 1000:.4g}")


def _launched(program: Prepared, found: Sequence[Launch], chip: Chip | None) -> dict[str, Any]:
  """How many launches a run has, and how long it takes where each is as quick as the data sheet."""
  told: dict[str, Any] = {"all": sum(each.times for each in found), "by_kind": counted(found)}
  told["bytes"] = sum(each.bytes * each.times for each in found)
  if chip is None:
    return told
  # Kernels do not say what they multiply.
  opaque = {kind: count * program.scores for kind, count in _OVER_SCORES.items()} | {
    kind: program.logits / told["by_kind"].get(kind, 1) for kind in head_flash.NAMES
  }
  seconds = sum(
    each.times * each.seconds(chip, opaque.get(each.kind, 0.0) / program.mesh.size)
    for each in found
  )
  mfu = program.flops / program.mesh.size / chip.products / seconds
  return told | {"seconds_one_by_one": seconds, "mfu_one_by_one": round(mfu, 4)}


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


def _sent_for_vocabulary(work: Work, vocabulary: int, mesh: Mesh) -> float:
  """Bytes that a chip sends of what has an axis as long as the vocabulary, or as its part of it."""
  axes = mesh.shape
  parts = {
    vocabulary // n for n in (1, axes["tensor"], axes["fsdp"], axes["tensor"] * axes["fsdp"])
  }
  return sum(
    each.sent * each.times
    for each in work.collectives
    if any(set(shape.sizes) & parts for shape in each.shapes)
  )


def _gib(size: int) -> float:
  return round(size / _GIB, 2)
