"""The text of an optimized HLO program, taken apart.

    program = read_program(compiled.as_text())
    for instruction in program.computations[program.entry]: ...

The form is XLA's own (`HloModule.to_string`): a computation is a head that ends in "{", lines
`%name = shape opcode(operands), attributes`, and "}".
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping

# Bytes of an element. What is not listed (tokens, opaque values) takes none.
_BYTES = {
  **dict.fromkeys(("pred", "s8", "u8", "f8e4m3fn", "f8e5m2"), 1),
  **dict.fromkeys(("s16", "u16", "f16", "bf16"), 2),
  **dict.fromkeys(("s32", "u32", "f32"), 4),
  **dict.fromkeys(("s64", "u64", "f64", "c64"), 8),
}
_HEAD = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
# Other lines that begin so end an attribute.
_END = re.compile(r"\}(, execution_thread=.*)?$")
_INSTRUCTION = re.compile(r"(?:ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r" ?([\w\-]+)\(")
_SHAPE = re.compile(r"([a-z]+[0-9]*(?:e[0-9]m[0-9](?:fn)?)?)\[([0-9,]*)\]")
_NAME = re.compile(r"%([\w.\-]+)")


@dataclasses.dataclass(frozen=True)
class Shape:
  """An array's element type and sizes."""

  dtype: str
  sizes: tuple[int, ...]

  @property
  def elements(self) -> int:
    return math.prod(self.sizes)

  @property
  def bytes(self) -> int:
    """Of its elements, without the padding of a layout."""
    return self.elements * _BYTES.get(self.dtype, 0)


@dataclasses.dataclass(frozen=True)
class Instruction:
  """A line of a computation.

  Attributes:
    shapes: of its result; several for a tuple.
    operands: the names of what it takes. given: what stands in its parentheses, as it is written.
    attributes: what stands behind them.
    root: whether it is what its computation gives.
  """

  name: str
  opcode: str
  shapes: tuple[Shape, ...]
  operands: tuple[str, ...]
  given: str
  attributes: str
  root: bool = False

  def attribute(self, name: str) -> str:
    """The value of an attribute, up to the next one; "" where it is missing."""
    match = re.search(rf"(?:^|, ){name}=(\{{[^}}]*\}}|[^,]*)", self.attributes)
    return match[1] if match else ""

  def called(self, name: str) -> tuple[str, ...]:
    """The computations that an attribute names."""
    return tuple(_NAME.findall(self.attribute(name)))

  @property
  def source(self) -> str:
    """Where the program that was compiled says it: "jit(step)/layers/mlp/gate/dot_general"."""
    match = re.search(r'op_name="([^"]*)"', self.attributes)
    return match[1] if match else ""


@dataclasses.dataclass(frozen=True)
class Program:
  """Computations by name; the one named `entry` is run."""

  computations: Mapping[str, tuple[Instruction, ...]]
  entry: str


def read_program(text: str) -> Program:
  """Takes a program apart.

  Raises:
    ValueError: a text that has no entry computation, or an instruction in no computation.
  """
  computations: dict[str, tuple[Instruction, ...]] = {}
  entry, name = "", ""
  lines: list[str] = []
  for line in text.splitlines():
    if match := _HEAD.match(line):
      name, lines = match[2], []
      entry = name if match[1] else entry
    elif _END.match(line):
      read = map(_read_instruction, lines)
      computations[name] = tuple(found for found in read if found is not None)
      name = ""
    elif name and (line.startswith(" ") or not lines):
      lines.append(line.strip())
    elif name:  # Attributes of kernels are written over several lines.
      lines[-1] += line
    elif line.startswith(" ") and _INSTRUCTION.match(line.strip()):
      raise ValueError(f"an HLO program with an instruction in no computation: {line.strip()[:80]}")
  if not entry:
    raise ValueError("not the text of an HLO program: no ENTRY in it")
  return Program(computations, entry)


def _read_instruction(line: str) -> Instruction | None:
  head = _INSTRUCTION.match(line)
  if head is None:
    return None
  at = head.end()
  behind = _closing(line, at) if line[at : at + 1] == "(" else line.find(" ", at)
  opcode = _OPCODE.match(line, behind)
  if opcode is None:
    return None
  end = _closing(line, opcode.end() - 1)
  given = line[opcode.end() : end - 1]
  shapes = tuple(
    Shape(dtype, tuple(int(size) for size in sizes.split(",") if size))
    for dtype, sizes in _SHAPE.findall(re.sub(r"\{[^}]*\}|/\*.*?\*/", "", line[at:behind]))
  )
  operands = tuple(_NAME.findall(given))
  attributes = line[end:].removeprefix(", ")
  return Instruction(
    head[1], opcode[1], shapes, operands, given, attributes, line.startswith("ROOT ")
  )


def _closing(text: str, start: int) -> int:
  """The place behind the parenthesis that closes the one at `start`."""
  depth = 0
  for place in range(start, len(text)):
    depth += {"(": 1, ")": -1}.get(text[place], 0)
    if not depth:
      return place + 1
  return len(text)
