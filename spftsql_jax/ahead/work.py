"""What a compiled program multiplies and sends, loops counted as often as they go around.

The compiler's own cost analysis counts a loop's body once, and its time can come out below 0; this
walks the program instead. A GPU's products are calls of cuBLAS, which name the axes summed over.
Kernels of ours (Pallas) and cuDNN's attention are opaque: they are named, and what they multiply is
not in the count; `models.flops` has it by formula.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping

from spftsql_jax.ahead.hlo import Instruction, Program, Shape

COLLECTIVES = (
  "all-gather",
  "all-reduce",
  "reduce-scatter",
  "all-to-all",
  "ragged-all-to-all",
  "collective-permute",
  "collective-broadcast",
)
_KERNELS = (
  "tpu_custom_call",
  "__gpu$xla.gpu.triton",
  "triton_kernel_call",
  "mosaic_gpu",
  "__cudnn$fmha",
)
_CUBLAS = "__cublas$"
# What these give begins with what they take, and goes on with what comes of it.
_GIVES_WHAT_IT_TAKES = ("all-gather-start", "collective-permute-start")
# Which attributes name what an instruction runs once, and which what it runs for each element.
_CALLS = ("calls", "to_apply", "called_computations", "branch_computations")
_FOR_ELEMENTS = frozenset(
  {"reduce", "reduce-window", "scatter", "select-and-scatter", "sort", "map", "all-reduce"}
  | {"reduce-scatter", "all-reduce-start"}
)
_WHOLE = [Shape(dtype, ()) for dtype in ("s32", "s64", "u32")]


@dataclasses.dataclass(frozen=True)
class Product:
  """A product of matrices.

  Attributes:
    flops: of one time; a multiplication and an addition are two.
    dtype: of its operands; of two different ones the wider.
    times: how often it is made.
    source: see `Instruction.source`.
  """

  flops: float
  dtype: str
  times: int
  source: str


@dataclasses.dataclass(frozen=True)
class Collective:
  """What chips send each other.

  Attributes:
    kind: "all-gather" and so on.
    shapes: of what each chip has of it in the end.
    group: how many chips take part.
    times, source: as of a product.
  """

  kind: str
  shapes: tuple[Shape, ...]
  group: int
  times: int
  source: str

  @property
  def bytes(self) -> int:
    """Of what a chip has in the end, one time."""
    return sum(shape.bytes for shape in self.shapes)

  @property
  def sent(self) -> float:
    """Bytes that a chip sends in a ring, one time."""
    others = self.group - 1
    whole = {
      "all-reduce": 2.0 * others / self.group,
      "reduce-scatter": float(others),  # What is there in the end is one part of it.
      "collective-permute": 1.0,
    }
    return self.bytes * whole.get(self.kind, others / self.group)


@dataclasses.dataclass(frozen=True)
class Work:
  """What one run of a program does on each chip.

  Attributes:
    kernels: how often each kernel is called, by its name or its target.
    unknown_loops: loops whose number of turns stands in data; their bodies are counted once.
  """

  products: tuple[Product, ...]
  collectives: tuple[Collective, ...]
  kernels: Mapping[str, int]
  unknown_loops: int

  def flops(self) -> dict[str, float]:
    """Operations of all products, by the dtype of their operands."""
    found: dict[str, float] = {}
    for each in self.products:
      found[each.dtype] = found.get(each.dtype, 0.0) + each.flops * each.times
    return found

  def sent(self) -> dict[str, float]:
    """Bytes that a chip sends, by kind of collective."""
    found: dict[str, float] = {}
    for each in self.collectives:
      found[each.kind] = found.get(each.kind, 0.0) + each.sent * each.times
    return found


def count_work(program: Program) -> Work:
  """What a program does. A collective that is spread over several instructions, so that products go
  on meanwhile, has one channel and counts once.
  """
  products: list[Product] = []
  # By channel; one of the same number in a loop and outside of it are two.
  collectives: dict[tuple[int, str], Collective] = {}
  kernels: collections.Counter[str] = collections.Counter()
  unknown = 0

  def walk(name: str, times: int) -> None:
    nonlocal unknown
    instructions = program.computations.get(name, ())
    shapes = {each.name: each.shapes for each in instructions}
    for each in instructions:
      kind = each.opcode.removesuffix("-start")
      if each.opcode == "while":
        turns = turns_of(program, each)
        unknown += turns is None
        for body in each.called("body"):
          walk(body, times * (turns or 1))
        continue
      if (product := product_of(each, shapes, times)) is not None:
        products.append(product)
      elif kind in COLLECTIVES:
        channel = each.attribute("channel_id") or each.name
        collectives.setdefault((times, channel), _collective(each, kind, times))
      elif kernel := kernel_of(each):
        kernels[kernel] += times
      if each.opcode not in _FOR_ELEMENTS:
        for called in itertools.chain.from_iterable(map(each.called, _CALLS)):
          walk(called, times)

  walk(program.entry, 1)
  return Work(tuple(products), tuple(collectives.values()), dict(kernels), unknown)


def turns_of(program: Program, loop: Instruction) -> int | None:
  """How often a loop goes around; None where that stands in data."""
  if match := re.search(r'known_trip_count":\{"n":"(\d+)"', loop.attributes):
    return int(match[1])
  # A loop that counts from 0 up to a constant, as those over layers and slices do.
  [condition], [body] = loop.called("condition"), loop.called("body")
  tested = list(_with_called(program, condition))
  bounds = [int(each.given) for each in tested if _is_whole(each, "constant")]
  compared = [each.attribute("direction") for each in tested if each.opcode == "compare"]
  counters = {
    each.attribute("index")
    for each in program.computations[condition]
    if _is_whole(each, "get-tuple-element")
  }
  if len(bounds) != 1 or compared != ["LT"] or len(counters) != 1:
    return None
  step = _step(program.computations[body], int(counters.pop()))
  return math.ceil(bounds[0] / step) if step else None


def _is_whole(each: Instruction, opcode: str) -> bool:
  """Whether an instruction of this kind gives one whole number."""
  return each.opcode == opcode and each.shapes[0] in _WHOLE


def _step(body: tuple[Instruction, ...], place: int) -> int | None:
  """What a turn adds to a place of a loop's state; None where it is no constant."""
  by_name = {each.name: each for each in body}
  [given] = [each for each in body if each.root]
  if given.opcode != "tuple":
    return None
  found = by_name[given.operands[place]]
  while found.opcode in ("copy", "bitcast"):
    found = by_name[found.operands[0]]
  added = [by_name[name] for name in found.operands if name in by_name]
  counts = [int(each.given) for each in added if each.opcode == "constant"]
  return counts[0] if found.opcode == "add" and len(counts) == 1 else None


def _with_called(program: Program, name: str) -> Iterator[Instruction]:
  for each in program.computations.get(name, ()):
    yield each
    for called in each.called("calls"):
      yield from _with_called(program, called)


def target_of(each: Instruction) -> str:
  """What a custom call calls; "" of other instructions."""
  return each.attribute("custom_call_target").strip('"') if each.opcode == "custom-call" else ""


def is_cublas(each: Instruction) -> bool:
  """Whether it is a product by NVIDIA's library, which names the memory to work in as a result."""
  return target_of(each).startswith(_CUBLAS)


def kernel_of(each: Instruction) -> str:
  """The name of an opaque kernel, or of what calls it where it has none; "" of other
  instructions.
  """
  target = target_of(each)
  if not target.startswith(_KERNELS):
    return ""
  name = re.search(r'[ {]name = "([^"]+)"', each.attributes)
  return name[1] if name else target


def product_of(
  each: Instruction, shapes: Mapping[str, tuple[Shape, ...]], times: int = 1
) -> Product | None:
  """The product that an instruction makes itself; None where it makes none.

  Args:
    shapes: of the instructions of its computation, by name.
    times: how often it is made.
  """
  if each.opcode in ("dot", "convolution"):
    axes = each.attribute("lhs_contracting_dims")
  elif is_cublas(each):
    axes = re.findall(r'"lhs_contracting_dimensions":\[([^\]]*)\]', each.attributes)[0]
  else:
    return None
  left, right = (shapes[name][0] for name in each.operands[:2])
  if each.opcode == "convolution":
    multiplied = _multiplied(each, left, right)
  else:
    summed = (left.sizes[int(n)] for n in re.findall(r"\d+", axes))
    multiplied = each.shapes[0].elements * math.prod(summed)
  wider = max((left, right), key=lambda shape: shape.bytes / max(shape.elements, 1))
  return Product(2.0 * multiplied, wider.dtype, times, each.source)


def _multiplied(each: Instruction, left: Shape, right: Shape) -> int:
  """Multiplications of a convolution: those that meet a value, for products over a batch are
  written as convolutions that mostly meet padding and holes.
  """
  labels = re.split("_|->", each.attribute("dim_labels"))
  of_left, of_right, of_out = (
    dict(zip(label, shape.sizes, strict=True))
    for label, shape in zip(labels, (left, right, each.shapes[0]), strict=True)
  )
  window = dict(re.findall(r"(\w+)=([\dx_\-]+)", each.attribute("window")))
  met = 1
  for place, axis in enumerate(sorted(axis for axis in of_left if axis.isdigit())):
    before = _of_axis(window, "pad", place, 0)
    stride, holes, apart = (
      _of_axis(window, name, place, 1) for name in ("stride", "lhs_dilate", "rhs_dilate")
    )
    last = (of_left[axis] - 1) * holes
    met *= sum(
      0 <= at <= last and at % holes == 0
      for out in range(of_out[axis])
      for at in range(out * stride - before, out * stride - before + of_right[axis] * apart, apart)
    )
  groups = int(each.attribute("batch_group_count") or 1)
  return of_out["b"] * of_out["f"] * of_right["i"] * met // groups


def _of_axis(window: Mapping[str, str], name: str, place: int, usual: int) -> int:
  """A number of a window's axis: "3x1" has one for each, "2_3" is before and behind."""
  return int(window[name].split("x")[place].split("_")[0]) if name in window else usual


def _collective(each: Instruction, kind: str, times: int) -> Collective:
  shapes = each.shapes
  if each.opcode in _GIVES_WHAT_IT_TAKES:
    given = len(each.operands)
    shapes = shapes[given : 2 * given]
  return Collective(kind, shapes, _group(each.attributes), times, each.source)


def _group(attributes: str) -> int:
  """How many chips a collective is among."""
  if match := re.search(r"replica_groups=\{\{([\d,]*)\}", attributes):
    return len(match[1].split(","))
  if match := re.search(r"replica_groups=\[\d+,(\d+)\]<=", attributes):
    return int(match[1])
  if match := re.search(r"replica_groups=mesh\[([^\]]*)\] \{([^}]*)\}", attributes):
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", match[1]))
    return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", match[2]))
  return 2  # A permutation names pairs.
