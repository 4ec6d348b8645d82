"""Packed rows: schemas' prefixes and their branches of any lengths, end to end.

    shape = choose_row_shape(units)               # T and the room for answers, from the data
    rows = plan_rows(units, shape, rng)           # an epoch: every unit in exactly one row
    batch = pack(units, rows[:4], shape, pad_id)  # PackedBatch of four rows

A row holds pieces. A piece is a prefix and some of its units; a unit is one branch or a pair. The
branches of a unit that have the same prompt share its tokens. Letters in shapes: R rows, T tokens
of a row, A answers of a row at most, W answer tokens of a row at most.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import flax.struct
import numpy as np

from spftsql_jax.examples.batches import Branch, PrefixBatch, Unit

# Lengths that a row may have; the smallest is that of a CPU.
ROW_LENGTHS = (2048, 4096, 8192, 16384, 32768)
# T at most where neither a config nor a device says otherwise.
USUAL_ROW_TOKENS = 4096
# Groups are packed in windows of so many: more fill rows no better and take longer.
_WINDOW = 256
# Lengths are multiples of this: attention goes by blocks of so many tokens.
_BLOCK = 128
# Of so few rows the last one's padding counts: their length is fitted to what they hold.
_FEW_ROWS = 32


@flax.struct.dataclass
class PackedBatch:
  """R rows of prefixes and branches.

  A token sees those before it that reach as far as it: i sees j iff j <= i < ends[j]. So a branch
  sees its prefix and, causally, itself; never another branch. The mathematics is that of separate
  sequences.

  Attributes:
    tokens: int32 [R, T], padded at the end.
    schemas: int32 [R, T], which piece of the row a token is of, from 1; 0 for padding.
    branches: int32 [R, T], which answer of the piece, from 1; 0 for the prefix and for padding. A
      prompt that answers share is the first one's.
    positions: int32 [R, T] in the token's own sequence: a branch starts at its prefix's length.
    ends: int32 [R, T], the place in the row behind the last token that sees this one; 0: padding.
    answer_start: int32 [R, A], place in the row of each answer's first token.
    answer_lengths: int32 [R, A], tokens of each answer (end token counted); 0 for none. Answers 2i
      and 2i + 1 are y+ and y- of a pair.
    sources: int32 [R, W], of each answer token the place whose hidden state predicts it.
    targets: int32 [R, W], the answer tokens.
    owners: int32 [R, W], which answer of the row each is of; A for padding.
    reward: float32 [R, A / 2] R of each pair, or None without pairs.
    opponent_log_probs: float32 [R, A] of each answer under the opponent, or None without pairs.
    weights: float32 [R, A / 2] how much each pair counts, or None where all count alike.
  """

  tokens: np.ndarray
  schemas: np.ndarray
  branches: np.ndarray
  positions: np.ndarray
  ends: np.ndarray
  answer_start: np.ndarray
  answer_lengths: np.ndarray
  sources: np.ndarray
  targets: np.ndarray
  owners: np.ndarray
  reward: np.ndarray | None = None
  opponent_log_probs: np.ndarray | None = None
  weights: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class RowShape:
  """What a row holds at most; one shape serves a run.

  Attributes:
    tokens: T.
    answers: A; even for pairs.
    answer_tokens: W.
  """

  tokens: int
  answers: int
  answer_tokens: int


@dataclasses.dataclass(frozen=True)
class Packing:
  """How examples are put into rows, as a run's config says it.

  Attributes:
    rows: rows of an update; in `FitConfig`, of a microbatch of it.
    row_tokens: T; 0 for the length of `ROW_LENGTHS`, `most_row_tokens` at most, that computes the
      fewest tokens.
    most_row_tokens: T at most where it is chosen. A run's config may have 0: on a CPU
      `USUAL_ROW_TOKENS`, elsewhere as long as an update and the device's memory allow; `rows` are
      then of that many tokens each, however they are cut.
    longest_prefix, longest_branch, longest_answer: of an example that is trained on, in tokens; a
      branch is a prompt with its answer. A run's config may have 0, to be chosen by the data.
  """

  rows: int = 1
  row_tokens: int = 0
  most_row_tokens: int = USUAL_ROW_TOKENS
  longest_prefix: int = 1024
  longest_branch: int = 192
  longest_answer: int = 128

  @property
  def longest_row(self) -> int:
    """T at most, where no device's memory says more."""
    return self.most_row_tokens or USUAL_ROW_TOKENS


@dataclasses.dataclass(frozen=True)
class Piece:
  """Units of one prefix that stand together in a row, by their indices, in order."""

  units: tuple[int, ...]


Row = tuple[Piece, ...]
# What a training step and scoring take.
TokenBatch = PrefixBatch | PackedBatch


@dataclasses.dataclass(frozen=True)
class RowCounts:
  """What rows of a shape hold.

  Attributes:
    computed: tokens of all rows, padding included. real: tokens that are none.
    repeated: tokens of prefixes that stand in more than one row, beyond their first time.
    answers: number of answers. answer_tokens: their tokens.
    seen: pairs of tokens of which one sees the other: what attention needs.
  """

  computed: int
  real: int
  repeated: int
  answers: int
  answer_tokens: int
  seen: int

  @property
  def padding_share(self) -> float:
    """Share of the computed tokens that are padding."""
    return 1.0 - self.real / self.computed


@dataclasses.dataclass(frozen=True)
class _Size:
  """What a unit takes of a row besides its prefix."""

  tokens: int
  answers: int
  answer_tokens: int


def unit_tokens(unit: Unit) -> int:
  """Tokens of a unit in a row besides its prefix: of its prompts, each once, and its answers."""
  prompts = {branch.prompt for branch in unit.branches}
  return sum(map(len, prompts)) + sum(len(branch.answer) for branch in unit.branches)


def fits_row(unit: Unit, shape: RowShape) -> bool:
  """Whether a row holds the unit with its prefix. What does not fit is for the caller to count and
  name.
  """
  size = _size(unit)
  return (
    len(unit.branches[0].prefix) + size.tokens <= shape.tokens
    and size.answers <= shape.answers
    and size.answer_tokens <= shape.answer_tokens
  )


def within(unit: Unit, packing: Packing) -> bool:
  """Whether every branch of the unit is as short as the packing wants it. What is not is for the
  caller to count and name.
  """
  return all(
    len(b.prefix) <= packing.longest_prefix
    and b.length <= packing.longest_branch
    and len(b.answer) <= packing.longest_answer
    for b in unit.branches
  )


def shape_of_rows(units: Sequence[Unit], packing: Packing) -> RowShape:
  """The one shape of all rows of a run."""
  return choose_row_shape(units, packing.longest_row, packing.row_tokens)


def choose_row_shape(units: Sequence[Unit], most_tokens: int = 8192, tokens: int = 0) -> RowShape:
  """The shape of rows for units: the T of `ROW_LENGTHS` that computes the fewest tokens an epoch,
  and room for answers that hinders hardly any row.

  Few units, all shorter together than the smallest T, get a row as long as they are.

  Args:
    most_tokens: T at most, by the device's memory. It is exceeded where a single unit needs more.
    tokens: T, instead of one that is chosen; it too is exceeded where a unit needs more.

  Raises:
    ValueError: no units.
  """
  if not units:
    raise ValueError("no units to choose the shape of rows for")
  longest = max(len(u.branches[0].prefix) + unit_tokens(u) for u in units)
  prefixes = {u.branches[0].prefix for u in units}
  whole = sum(map(len, prefixes)) + sum(map(unit_tokens, units))
  if tokens:
    lengths: tuple[int, ...] = (max(_up(tokens), _up(longest)),)
  elif whole <= ROW_LENGTHS[0]:
    lengths = (_power(whole),)
  else:
    allowed = [t for t in ROW_LENGTHS if longest <= t <= most_tokens]
    lengths = tuple(allowed) or (_up(longest),)
  plans = {}
  for length in lengths:
    free = RowShape(length, 1 << 30, 1 << 30)
    plans[length] = plan_rows(units, free, np.random.default_rng(0))
  # A longer row must save something: a hundredth, or the shorter is taken.
  length = min(lengths, key=lambda t: len(plans[t]) * t * (1 + 0.01 * lengths.index(t)))
  rows = plans[length]
  if not tokens and len(rows) <= _FEW_ROWS:
    length, rows = _shortened(units, length, rows, longest)
  sizes = [[_size(units[i]) for piece in row for i in piece.units] for row in rows]
  words = [sum(s.answer_tokens for s in row) for row in sizes]
  least = max(_size(u).answer_tokens for u in units)
  # Coarse steps, so that stages whose data differ a little share a program.
  answers = _power(max(sum(s.answers for s in row) for row in sizes), least=8)
  step = max(length // 8, 32)
  top = -(-max(words) // step) * step
  for width in range(-(-max(least, int(np.mean(words))) // step) * step, top, step):
    shape = RowShape(length, answers, width)
    if len(plan_rows(units, shape, np.random.default_rng(0))) <= len(rows) * 1.01:
      return shape
  return RowShape(length, answers, top)


def _shortened(
  units: Sequence[Unit], length: int, rows: list[Row], longest: int
) -> tuple[int, list[Row]]:
  """The shortest T, and its rows, at which there are no more rows; an epoch's last is then full."""
  held = sum(
    len(units[piece.units[0]].branches[0].prefix) + sum(unit_tokens(units[i]) for i in piece.units)
    for row in rows
    for piece in row
  )
  for shorter in range(_up(max(held / len(rows), longest)), length, _BLOCK):
    found = plan_rows(units, RowShape(shorter, 1 << 30, 1 << 30), np.random.default_rng(0))
    if len(found) <= len(rows):
      return shorter, found
  return length, rows


def plan_rows(units: Sequence[Unit], shape: RowShape, rng: np.random.Generator) -> list[Row]:
  """An epoch's rows: every unit exactly once, the order random and a function of `rng` alone.

  The units of a prefix are shuffled and kept together as far as a row has room: groups are placed
  largest first, each where it fills a row best. A group that exceeds a row, or that can fill what
  a row has left, is split, and its prefix stands in each of those rows.

  Raises:
    ValueError: a unit exceeds a row (filter with `fits_row` first).
  """
  groups: dict[tuple[int, ...], list[int]] = {}
  for index, unit in enumerate(units):
    if not fits_row(unit, shape):
      raise ValueError(f"unit {index} exceeds a row of {shape}")
    groups.setdefault(unit.branches[0].prefix, []).append(index)
  shuffled = list(groups.values())
  shuffled = [shuffled[i] for i in rng.permutation(len(shuffled))]
  rows: list[Row] = []
  for start in range(0, len(shuffled), _WINDOW):
    window = [
      [group[i] for i in rng.permutation(len(group))] for group in shuffled[start : start + _WINDOW]
    ]
    rows += _fill(units, window, shape)
  return [rows[i] for i in rng.permutation(len(rows))]


class _Open:
  """A row that is being filled: what room it has left, and its pieces."""

  def __init__(self, shape: RowShape):
    self.tokens, self.answers, self.answer_tokens = shape.tokens, shape.answers, shape.answer_tokens
    self.pieces: list[Piece] = []

  def holds(self, prefix: int, sizes: Sequence[_Size]) -> int:
    """How many of the units, from the first, the row has room for behind their prefix."""
    tokens, answers, words = self.tokens - prefix, self.answers, self.answer_tokens
    for count, size in enumerate(sizes):
      tokens, answers, words = (
        tokens - size.tokens,
        answers - size.answers,
        words - size.answer_tokens,
      )
      if min(tokens, answers, words) < 0:
        return count
    return len(sizes)

  def add(self, prefix: int, units: Sequence[int], sizes: Sequence[_Size]) -> None:
    self.tokens -= prefix + sum(s.tokens for s in sizes)
    self.answers -= sum(s.answers for s in sizes)
    self.answer_tokens -= sum(s.answer_tokens for s in sizes)
    self.pieces.append(Piece(tuple(units)))


def _fill(units: Sequence[Unit], groups: list[list[int]], shape: RowShape) -> list[Row]:
  """Rows of the groups: best fit, largest first, with splits where they are worth their prefix."""
  rows: list[_Open] = []
  open_rows: list[_Open] = []
  waiting = [
    (len(units[g[0]].branches[0].prefix), list(g), [_size(units[i]) for i in g]) for g in groups
  ]
  waiting.sort(key=lambda item: -(item[0] + sum(s.tokens for s in item[2])))
  for prefix, indices, sizes in waiting:
    while indices:
      whole = [row for row in open_rows if row.holds(prefix, sizes) == len(sizes)]
      if whole:
        row = min(whole, key=lambda r: r.tokens)
      else:
        found = _worth_splitting(open_rows, prefix, sizes)
        row = _Open(shape) if found is None else found
        if found is None:
          rows.append(row)
          open_rows.append(row)
      count = row.holds(prefix, sizes)
      row.add(prefix, indices[:count], sizes[:count])
      indices, sizes = indices[count:], sizes[count:]
      if row.tokens < shape.tokens // 64:
        open_rows.remove(row)
  return [tuple(row.pieces) for row in rows]


def _worth_splitting(rows: list[_Open], prefix: int, sizes: Sequence[_Size]) -> _Open | None:
  """The row in which a part of the group leaves the least room unused; None where no row holds
  units worth more tokens than their prefix, which is computed once more for them.
  """
  best, most = None, prefix
  for row in rows:
    count = row.holds(prefix, sizes)
    tokens = sum(s.tokens for s in sizes[:count])
    if tokens > most:
      best, most = row, tokens
  return best


def pack(
  units: Sequence[Unit],
  rows: Sequence[Row],
  shape: RowShape,
  pad_id: int,
  count: int | None = None,
  pairs: bool | None = None,
) -> PackedBatch:
  """The batch of the rows.

  Args:
    count: R, by default as many as there are; further rows are empty.
    pairs: whether there are rewards and opponent log-probs; by default where units have two
      branches.
  """
  count = max(len(rows), 1) if count is None else count
  chosen = [i for row in rows for piece in row for i in piece.units]
  pairs = bool(chosen) and len(units[chosen[0]].branches) == 2 if pairs is None else pairs
  weighted = pairs and any(unit.weight != 1.0 for unit in units)  # one program for all batches
  whole = lambda size, value=0: np.full((count, size), value, np.int32)  # noqa: E731
  batch = PackedBatch(
    tokens=whole(shape.tokens, pad_id),
    schemas=whole(shape.tokens),
    branches=whole(shape.tokens),
    positions=whole(shape.tokens),
    ends=whole(shape.tokens),
    answer_start=whole(shape.answers),
    answer_lengths=whole(shape.answers),
    sources=whole(shape.answer_tokens),
    targets=whole(shape.answer_tokens),
    owners=whole(shape.answer_tokens, shape.answers),
    reward=np.zeros((count, shape.answers // 2), np.float32) if pairs else None,
    opponent_log_probs=np.zeros((count, shape.answers), np.float32) if pairs else None,
    weights=np.zeros((count, shape.answers // 2), np.float32) if weighted else None,
  )
  for number, row in enumerate(rows):
    _fill_row(batch, number, units, row)
  return batch


def _fill_row(batch: PackedBatch, number: int, units: Sequence[Unit], row: Row) -> None:
  """Writes one row of a batch."""
  tokens, schemas, branches = batch.tokens[number], batch.schemas[number], batch.branches[number]
  positions, ends = batch.positions[number], batch.ends[number]
  place = answer = word = 0

  def put(ids: tuple[int, ...], schema: int, branch: int, position: int) -> slice:
    nonlocal place
    part = slice(place, place + len(ids))
    tokens[part], schemas[part], branches[part] = ids, schema, branch
    positions[part] = np.arange(position, position + len(ids))
    place = part.stop
    return part

  for schema, piece in enumerate(row, 1):
    prefix = units[piece.units[0]].branches[0].prefix
    beginning, of_piece = put(prefix, schema, 0, 0), 0
    for index in piece.units:
      unit = units[index]
      first = answer
      for prompt, members in _by_prompt(unit.branches):
        asked = put(prompt, schema, of_piece + 1, len(prefix))
        for side, member in members:
          start, length, slot = place, len(member.answer), first + side
          of_piece += 1
          own = put(member.answer, schema, of_piece, len(prefix) + len(prompt))
          ends[own] = place
          batch.answer_start[number, slot], batch.answer_lengths[number, slot] = start, length
          words = slice(word, word + length)
          batch.targets[number, words] = member.answer
          batch.owners[number, words] = slot
          batch.sources[number, words] = np.arange(start - 1, start + length - 1)
          batch.sources[number, word] = asked.stop - 1
          word += length
          if batch.opponent_log_probs is not None and unit.opponent_log_probs:
            batch.opponent_log_probs[number, slot] = unit.opponent_log_probs[side]
        ends[asked] = place
      answer += len(unit.branches)
      if batch.reward is not None:
        batch.reward[number, first // 2] = unit.reward
      if batch.weights is not None:
        batch.weights[number, first // 2] = unit.weight
    ends[beginning] = place


def places_of(units: Sequence[Unit], rows: Sequence[Row]) -> Iterable[tuple[int, int, int]]:
  """(row, answer in the row, unit) of each unit's first answer, as `pack` lays the rows out."""
  for number, row in enumerate(rows):
    answer = 0
    for piece in row:
      for index in piece.units:
        yield number, answer, index
        answer += len(units[index].branches)


def count_rows(batch: PackedBatch) -> RowCounts:
  """What a batch holds; leading axes (microbatches) count as more rows."""
  ends, tokens, schemas, branches = (
    np.asarray(x).reshape(-1, x.shape[-1])
    for x in (batch.ends, batch.tokens, batch.schemas, batch.branches)
  )
  real, lengths = ends > 0, np.asarray(batch.answer_lengths)
  prefixes: set[bytes] = set()
  repeated = 0
  for row in range(len(ends)):
    of_prefix = real[row] & (branches[row] == 0)
    for schema in range(1, int(schemas[row].max()) + 1):
      ids = tokens[row][of_prefix & (schemas[row] == schema)]
      repeated += len(ids) if ids.tobytes() in prefixes else 0
      prefixes.add(ids.tobytes())
  return RowCounts(
    computed=ends.size,
    real=int(real.sum()),
    repeated=repeated,
    answers=int((lengths > 0).sum()),
    answer_tokens=int(lengths.sum()),
    seen=int((ends - np.arange(ends.shape[-1]))[real].sum()),
  )


def _by_prompt(branches: Sequence[Branch]) -> list[tuple[tuple[int, ...], list]]:
  """The prompts of a unit's branches, each once, with the (place, branch) that begin with it."""
  found: dict[tuple[int, ...], list[tuple[int, Branch]]] = {}
  for side, branch in enumerate(branches):
    found.setdefault(branch.prompt, []).append((side, branch))
  return list(found.items())


def _size(unit: Unit) -> _Size:
  words = sum(len(branch.answer) for branch in unit.branches)
  return _Size(unit_tokens(unit), len(unit.branches), words)


def _up(length: float) -> int:
  """The next multiple of the block."""
  return math.ceil(length / _BLOCK) * _BLOCK


def _power(number: int, least: int = _BLOCK) -> int:
  """The next power of two, `least` at least."""
  return max(least, 1 << max(number - 1, 0).bit_length())
