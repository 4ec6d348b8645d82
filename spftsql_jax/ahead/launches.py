"""What a GPU's program launches, one kernel after the other, and how much memory each moves.

By the data sheet a launch takes as long as its products or its bytes do, whichever is longer. The
sum of all is closer to a run than what the whole program cannot do without. It is no bound: what
one kernel leaves in the cache the next one does not read from memory.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from spftsql_jax.ahead.hlo import Instruction, Program, Shape
from spftsql_jax.ahead.work import (
  COLLECTIVES,
  Product,
  is_cublas,
  kernel_of,
  product_of,
  turns_of,
)
from spftsql_jax.models.chips import Chip

# What is known before the program runs, or only names what is there.
_FREE = frozenset(
  {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "domain"}
  | {"partition-id", "replica-id", "optimization-barrier", "add-dependency"}
)
_PARTS = ("slice", "dynamic-slice", "gather")
# Of the peak of bfloat16: products of float32 are made of TF32.
_FLOAT32_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Launch:
  """One thing that the device is told to do.

  Attributes:
    kind: "cublas", the name of an opaque kernel, or the opcode.
    bytes: that it reads and writes once. 0 of collectives, whose bytes go over links.
    products: in it.
    times: how often it is launched.
  """

  kind: str
  bytes: int
  products: tuple[Product, ...]
  times: int

  def seconds(self, chip: Chip, opaque: float = 0.0) -> float:
    """What one takes at least. `opaque`: operations of products that are not seen."""
    multiplied = opaque + sum(
      each.flops / (_FLOAT32_SHARE if each.dtype == "f32" else 1.0) for each in self.products
    )
    return max(self.bytes / chip.memory, multiplied / chip.products)


def launches(program: Program) -> list[Launch]:
  """All launches of a run; the body of a loop whose length stands in data counts once."""
  return list(_launches(program, program.entry, 1))


def counted(found: Sequence[Launch]) -> dict[str, int]:
  """How many there are by kind, the most first."""
  kinds: collections.Counter[str] = collections.Counter()
  for each in found:
    kinds[each.kind] += each.times
  return dict(kinds.most_common())


def _launches(program: Program, name: str, times: int) -> Iterator[Launch]:
  instructions = program.computations.get(name, ())
  shapes = {each.name: each.shapes for each in instructions}
  for each in instructions:
    if each.opcode in _FREE or each.opcode.endswith(("-done", "-update")):
      continue
    if each.opcode == "while":
      turns = turns_of(program, each)
      # Of a known number the host counts the turns.
      names = (*each.called("body"), *(each.called("condition") if turns is None else ()))
      for called in names:
        yield from _launches(program, called, times * (turns or 1))
    elif each.opcode in ("call", "conditional", "async-start"):
      for attribute in ("calls", "to_apply", "called_computations", "branch_computations"):
        for called in each.called(attribute):
          yield from _launches(program, called, times)
    else:
      yield _launch(program, each, shapes, times)


def _launch(
  program: Program, each: Instruction, shapes: Mapping[str, tuple[Shape, ...]], times: int
) -> Launch:
  within = [(inner, names) for inner, names in _within(program, each, shapes)]
  products = [product_of(inner, names) for inner, names in within]
  if each.opcode.removesuffix("-start") in COLLECTIVES:
    return Launch(each.opcode.removesuffix("-start"), 0, (), times)
  is_product = any(is_cublas(inner) for inner, _ in within)
  kind = "cublas" if is_product else kernel_of(each) or each.opcode
  moved = _read(program, each, shapes) + _written(program, each, shapes, is_product)
  return Launch(kind, moved, tuple(p for p in products if p is not None), times)


def _within(
  program: Program, each: Instruction, shapes: Mapping[str, tuple[Shape, ...]]
) -> Iterator[tuple[Instruction, Mapping[str, tuple[Shape, ...]]]]:
  """An instruction and all that is fused in it, with the shapes of what these name."""
  yield each, shapes
  for called in each.called("calls") if each.opcode == "fusion" else ():
    inner = program.computations.get(called, ())
    names = {one.name: one.shapes for one in inner}
    for one in inner:
      yield from _within(program, one, names)


def _fused(program: Program, each: Instruction) -> tuple[Instruction, ...]:
  return program.computations.get(next(iter(each.called("calls")), ""), ())


def _read(program: Program, each: Instruction, shapes: Mapping[str, tuple[Shape, ...]]) -> int:
  whole = [sum(shape.bytes for shape in shapes.get(name, ())) for name in each.operands]
  if each.opcode in _PARTS:
    return _bytes(each)
  if each.opcode == "dynamic-update-slice":
    return whole[1]
  if each.opcode != "fusion":
    return sum(whole)
  inner = _fused(program, each)
  places = {one.name: int(one.given) for one in inner if one.opcode == "parameter"}
  return sum(min(whole[place], _taken(inner, name, whole[place])) for name, place in places.items())


def _taken(inner: Sequence[Instruction], name: str, whole: int) -> int:
  """Bytes of a fusion's operand that are read: of what is cut out of it, only these."""
  taken = 0
  for each in inner:
    if name not in each.operands:
      continue
    first = each.operands[0] == name
    if each.opcode == "bitcast":
      taken += _taken(inner, each.name, whole)
    elif each.opcode in _PARTS and first:
      taken += _bytes(each)
    elif each.opcode != "dynamic-update-slice" or not first:
      return whole
  return taken


def _written(
  program: Program, each: Instruction, shapes: Mapping[str, tuple[Shape, ...]], is_product: bool
) -> int:
  if each.opcode == "dynamic-update-slice":
    return sum(shape.bytes for shape in shapes.get(each.operands[1], ()))
  inner = {one.name: one for one in _fused(program, each)} if each.opcode == "fusion" else {}
  whole = _bytes(each)
  if is_product:  # Not the memory that it works in.
    whole -= sum(shape.bytes for shape in each.shapes if shape.dtype == "s8")
  if not inner:
    return whole
  [root] = [one for one in inner.values() if one.root]
  results = [inner[n] for n in root.operands if n in inner] if root.opcode == "tuple" else [root]
  spared = 0
  for one in results:
    while one.opcode == "bitcast" and one.operands[0] in inner:
      one = inner[one.operands[0]]
    if one.opcode == "dynamic-update-slice" and one.operands[1] in inner:
      spared += _bytes(one) - _bytes(inner[one.operands[1]])
  return max(whole - spared, 0)


def _bytes(each: Instruction) -> int:
  return sum(shape.bytes for shape in each.shapes)
