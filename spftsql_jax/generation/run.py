"""The requests of one static shape, from the first prefill to the last answer: the host's side of
continuous batching.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.generation.automaton import Automata
from spftsql_jax.generation.plan import Group, Shape
from spftsql_jax.generation.requests import Answer, Request, Statistics, Status
from spftsql_jax.generation.sampling import Sampler
from spftsql_jax.generation.streams import (
  fill_rows,
  prefix_rows,
  prefix_sizes,
  prompt_rows,
  prompt_tokens,
)
from spftsql_jax.models.sharding import batch_parts
from spftsql_jax.models.transformer import Decoder

# So many of the longest prefixes fit into a row that is read in one pass. On a CPU few are enough
# for the matrix products.
_TOGETHER = {"cpu": 4}
_TOGETHER_ELSEWHERE = 8


class Outbox:
  """Answers that are complete but not yet handed over: that is done while the device decodes the
  next ones.
  """

  def __init__(self, deliver: Callable[[int, Answer], None]):
    self._deliver = deliver
    self._waiting: collections.deque[tuple[int, Answer]] = collections.deque()

  def put(self, index: int, answer: Answer) -> None:
    self._waiting.append((index, answer))

  def send(self) -> None:
    while self._waiting:
      self._deliver(*self._waiting.popleft())


class ShapeRun:
  """Answers groups of requests in one shape.

  Args:
    model, variables: what is run. layers: from `lanes.layers_of`, or None.
    requests: all requests; groups name theirs by index.
    groups: prefixes with the requests over them.
    shape: rows, lanes and slots.
    max_new_tokens: length limit of an answer.
    sampler: chooses tokens. stop: int32 [E], tokens that end an answer.
    pad_id: fills unused places.
    outbox: takes the answers.
    statistics: is kept up to date.
    mesh: devices that share the work, or None.
  """

  def __init__(
    self,
    model: Decoder,
    variables: dict[str, Any],
    layers: lanes_lib.Layers,
    requests: Sequence[Request],
    groups: Sequence[Group],
    shape: Shape,
    *,
    max_new_tokens: int,
    sampler: Sampler,
    stop: np.ndarray,
    pad_id: int,
    outbox: Outbox,
    statistics: Statistics,
    mesh: jax.sharding.Mesh | None = None,
  ):
    self._model, self._variables, self._layers, self._requests = model, variables, layers, requests
    self._queue, self._shape = collections.deque(groups), shape
    self._sampler, self._stop, self._pad_id = sampler, stop, pad_id
    self._outbox, self._statistics = outbox, statistics
    self._automata, self._automaton_of = Automata.of(
      [requests[i].automaton for group in groups for i in group.waiting]
    )
    rows: lanes_lib.Rows = lanes_lib.empty_rows(model, shape.rows, shape.prefix_slots)
    lanes: lanes_lib.Lanes = lanes_lib.empty_lanes(
      model, shape.rows, shape.lanes, shape.prompt_slots, max_new_tokens
    )
    weight = jax.tree.leaves(variables)[0]
    if isinstance(weight, jax.Array) and weight.committed and len(weight.devices()) == 1:
      # As what the programs give back: bound to the device that the weights are bound to, as loaded
      # ones are. Else each program would be compiled again for its second call.
      rows, lanes = jax.device_put((rows, lanes), *weight.devices())
    self._rows, self._lanes = (
      lanes_lib.place_on_mesh(rows, lanes, mesh) if mesh is not None else (rows, lanes)
    )
    together = _TOGETHER.get(jax.default_backend(), _TOGETHER_ELSEWHERE)
    self._readers = batch_parts(mesh)
    self._one, self._several = prefix_sizes([len(group.prefix) for group in groups], together)
    # Prompts of the schemas of each part of the mesh are a row.
    self._prompt_rows = self._readers if shape.rows % self._readers == 0 else 1
    # Places of a round of admissions in each row (see `_admit`), and tokens of its prompts.
    lengths = [len(requests[i].prompt) for group in groups for i in group.waiting]
    share = shape.rows // self._prompt_rows
    self._quarter = max(shape.lanes // 4, 1)
    self._prompt_tokens = {
      size: prompt_tokens(lengths, share * size, shape.prompt_slots)
      for size in (self._quarter, shape.lanes)
    }
    self._steps = 0
    self._idle_since: float | None = None
    self._groups: list[Group | None] = [None] * shape.rows
    # The index of the request in each lane, -1 where there is none.
    self._occupants = np.full((shape.rows, shape.lanes), -1)

  def finish_all(self) -> None:
    """Decodes until every request is answered; the last answers may still lie in the outbox."""
    self._idle_since = time.perf_counter()
    while True:
      self._place_prefixes()
      self._admit()
      busy = int((self._occupants >= 0).sum())
      if not busy:
        return
      # With work waiting, come back when a quarter of the busy lanes is free; otherwise when all
      # are done.
      waiting = bool(self._queue) or any(group and group.waiting for group in self._groups)
      wake = self._occupants.size - busy + max(busy // 4, 1) if waiting else self._occupants.size
      arguments = (
        self._rows,
        self._lanes,
        self._sampler,
        self._stop,
        np.int32(wake),
        self._automata,
      )
      self._lanes = lanes_lib.advance(self._model, self._variables, self._layers, *arguments)
      began = time.perf_counter()
      self._outbox.send()
      # What was handed over while the device worked costs nothing, unless the device was done
      # before it.
      done: Any = self._lanes.done
      done_unobserved = done.is_ready()  # of jax.Array, but not in its stub
      self._collect()
      self._idle_since = began if done_unobserved else time.perf_counter()

  def _device_starts(self) -> None:
    """To be called before the device is given work."""
    if self._idle_since is not None:
      self._statistics.idle_seconds += time.perf_counter() - self._idle_since
      self._idle_since = None

  def _place_prefixes(self) -> None:
    """Gives rows whose group is answered the next group's prefix."""
    placed: list[tuple[int, Group]] = []
    for row in range(self._shape.rows):
      group = self._groups[row]
      if (self._occupants[row] >= 0).any() or (group is not None and group.waiting):
        continue
      following = self._queue.popleft() if self._queue else None
      self._groups[row] = following
      if following is not None:
        placed.append((row, following))
    while placed:
      # Several rows of one prefix, or rows of several: what computes fewer tokens.
      singles = -(-len(placed) // self._readers)
      size = self._one if singles * self._one.tokens <= self._several.tokens else self._several
      lengths = [len(group.prefix) for _, group in placed]
      chosen = fill_rows(lengths, self._readers, size)
      read = {index for row in chosen for index in row}
      places = np.full((len(chosen), size.prefixes), self._shape.rows, np.int32)
      for row, indices in enumerate(chosen):
        places[row, : len(indices)] = [placed[i][0] for i in indices]
      prefixes = [[placed[i][1].prefix for i in indices] for indices in chosen]
      arrays = prefix_rows(prefixes, size, self._shape.prefix_slots, self._pad_id)
      self._device_starts()
      self._rows = lanes_lib.place_prefixes(
        self._model, self._variables, self._layers, self._rows, arrays, places.reshape(-1)
      )
      self._statistics.prefill_tokens += sum(lengths[i] for i in read)
      self._statistics.prefill_computed += arrays.tokens.size
      placed = [one for i, one in enumerate(placed) if i not in read]

  def _admit(self) -> None:
    """Fills free lanes with waiting requests of their row's group."""
    chosen: list[list[tuple[int, int]]] = [[] for _ in range(self._shape.rows)]
    for row, group in enumerate(self._groups):
      for lane in np.flatnonzero(self._occupants[row] < 0):
        if group is None or not group.waiting:
          break
        index = group.waiting.popleft()
        self._occupants[row, lane] = index
        chosen[row].append((int(lane), index))
    most = max(map(len, chosen))
    # Two sizes of a round of admissions: all lanes, or a quarter of them. A stretch of decoding
    # leaves a quarter free and a few more, which are two rounds of the small size; the first round
    # is of the large one: both programs are met at the start.
    size = self._shape.lanes if most > 2 * self._quarter else self._quarter
    while any(chosen):
      chosen = self._admit_round(chosen, size)

  def _admit_round(
    self, chosen: list[list[tuple[int, int]]], size: int
  ) -> list[list[tuple[int, int]]]:
    """Puts requests, as (lane, index) for each row, into their lanes: up to `size` of a row, as
    long as their prompts fit. Returns those that are left.
    """
    share = self._shape.rows // self._prompt_rows
    slots, tokens = self._shape.prompt_slots, self._prompt_tokens[size]
    shape = (self._shape.rows, size)
    lane_of = np.full(shape, self._shape.lanes, np.int32)
    ids, automata = np.zeros(shape, np.uint32), np.zeros(shape, np.int32)
    prompts: list[list[tuple[int, ...]]] = [[] for _ in chosen]
    left: list[list[tuple[int, int]]] = [[] for _ in chosen]
    free = [tokens] * self._prompt_rows
    for row, pairs in enumerate(chosen):
      for lane, index in pairs:
        request, place = self._requests[index], len(prompts[row])
        if place == size or len(request.prompt) > free[row // share]:
          left[row].append((lane, index))
          continue
        free[row // share] -= len(request.prompt)
        prompts[row].append(request.prompt)
        lane_of[row, place] = lane
        ids[row, place] = index if request.id is None else request.id
        automata[row, place] = self._automaton_of(request.automaton)
        self._statistics.prefill_tokens += len(request.prompt)
    packed = prompt_rows(prompts, self._prompt_rows, tokens, size, slots, self._pad_id)
    self._statistics.prefill_computed += packed.tokens.size
    new = lanes_lib.Newcomers(packed, lane_of, ids, automata)
    arguments = (self._rows, self._lanes, new, self._sampler, self._stop, self._automata)
    self._device_starts()
    self._lanes = lanes_lib.admit(self._model, self._variables, *arguments)
    return left

  def _collect(self) -> None:
    """Waits for the device, and frees the lanes whose answers are complete."""
    lanes = self._lanes
    done, count, log_prob, answer, step = jax.device_get(
      (lanes.done, lanes.count, lanes.log_prob, lanes.answer, lanes.step)
    )
    self._statistics.lane_steps += (int(step) - self._steps) * self._occupants.size
    self._steps = int(step)
    stop = set(self._stop.tolist())
    for row, lane in zip(*np.nonzero(done & (self._occupants >= 0)), strict=True):
      tokens = tuple(answer[row, lane, : count[row, lane]].tolist())
      status: Status = "stop" if tokens[-1] in stop else "length"
      self._outbox.put(
        int(self._occupants[row, lane]), Answer(tokens, float(log_prob[row, lane]), status)
      )
      self._occupants[row, lane] = -1
