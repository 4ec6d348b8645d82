"""Answering many requests over few schemas: each prefix is computed once, and lanes that finish make room for the next request.

generator = Generator(model)
answers = generator.generate(params, [Request(prefix_ids, question_ids), ...], max_new_tokens=64, eos_id=eos)
log_probs = generator.score(params, [Branch(prefix_ids, question_ids, answer_ids), ...])
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from spftsql_jax.examples.batches import BatchShape, Branch, PrefixBatch, Unit, collate, plan_epoch
from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.generation.sampling import Sampler, Sampling
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.models.transformer import Decoder, Params

T = TypeVar("T")

# Prefixes that are computed in one pass. On a CPU one is enough for the matrix products, and its scores stay in the caches.
_PREFILL_ROWS = 1 if jax.default_backend() == "cpu" else 8
Status = Literal["stop", "length", "empty_prompt", "too_long"]


@dataclasses.dataclass(frozen=True)
class Request:
  """One answer wanted.

  Attributes:
    prefix: token ids of the schema prompt; requests with equal prefixes share its computation. May be empty.
    prompt: token ids of the question, tokenized apart.
    id: names the request's randomness, 0 to 2**32 - 1; None takes its place in the list. Two samples of one question need
      different ids.
  """

  prefix: tuple[int, ...]
  prompt: tuple[int, ...]
  id: int | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
  """What was generated.

  Attributes:
    tokens: token ids, the end token included where one was reached.
    log_prob: of `tokens` under the model at temperature 1, summed, in nats.
    status: "stop" (an end token), "length" (max_new_tokens reached), "empty_prompt" or "too_long" (nothing generated: the
      prompt has no tokens, or prompt and answer would exceed the model's positions).
  """

  tokens: tuple[int, ...]
  log_prob: float
  status: Status


@dataclasses.dataclass
class Statistics:
  """What generation has cost so far. `lane_steps` counts decoding steps times lanes, idle ones included."""

  answers: int = 0
  tokens: int = 0
  prefill_tokens: int = 0
  lane_steps: int = 0
  seconds: float = 0.0

  @property
  def tokens_per_second(self) -> float:
    return self.tokens / self.seconds if self.seconds else 0.0


@dataclasses.dataclass
class _Group:
  """Requests (by index) over one prefix."""

  prefix: tuple[int, ...]
  waiting: collections.deque[int]


class Generator:
  """Generates and scores answers with static shapes, so that few programs are compiled whatever is asked.

  Args:
    model: the decoder. With a LoRA config, adapters of its shape can be switched from call to call without compiling.
    lanes: answers decoded at once.
    pad_id: fills unused places; any token id will do.
  """

  def __init__(self, model: Decoder, lanes: int = 64, pad_id: int = 0):
    if lanes < 1:
      raise ValueError(f"lanes must be positive, is {lanes}")
    self.model = model
    self.lanes = lanes
    self.pad_id = pad_id
    self.statistics = Statistics()

  def generate(
    self,
    params: Params,
    requests: Sequence[Request],
    *,
    max_new_tokens: int,
    eos_id: int | Sequence[int],
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    lora: Params | None = None,
    on_answer: Callable[[int, Answer], None] | None = None,
  ) -> list[Answer]:
    """Answers requests; the answer to one does not depend on the others.

    Args:
      params: the model's params.
      requests: what to answer.
      max_new_tokens: length limit of an answer, the end token included.
      eos_id: the token or tokens that end an answer.
      temperature, top_p, top_k, seed: see `Sampling`.
      lora: an adapter, for a model with a LoRA config.
      on_answer: called with (index, answer) as answers become complete, in no particular order.

    Returns:
      Answers in the order of the requests.
    """
    if max_new_tokens < 1:
      raise ValueError(f"max_new_tokens must be positive, is {max_new_tokens}")
    began = time.perf_counter()
    answers: list[Answer | None] = [None] * len(requests)

    def finish(index: int, answer: Answer) -> None:
      answers[index] = answer
      self.statistics.answers += 1
      self.statistics.tokens += len(answer.tokens)
      if on_answer is not None:
        on_answer(index, answer)

    accepted = []
    for index, request in enumerate(requests):
      status = self._refusal(request, max_new_tokens)
      if status is None:
        accepted.append(index)
      else:
        finish(index, Answer((), 0.0, status))
    sampler = Sampler.of(Sampling(temperature, top_k, top_p, seed))
    stop = jnp.array([eos_id] if isinstance(eos_id, int | np.integer) else list(eos_id), jnp.int32)
    for shape, groups in self._plan(requests, accepted).items():
      run = _Run(self, _variables(params, lora), requests, groups, shape, max_new_tokens, sampler, stop, finish)
      run.finish_all()
    self.statistics.seconds += time.perf_counter() - began
    return answers  # type: ignore[return-value] (every place has been filled)

  def score(self, params: Params, branches: Sequence[Branch], *, lora: Params | None = None) -> np.ndarray:
    """log p(answer | prefix, prompt), summed over the answer's tokens: float32 [N], through the prefix-branch forward.

    Raises ValueError for a branch without prompt or answer.
    """
    for index, branch in enumerate(branches):
      if not branch.prompt or not branch.answer:
        raise ValueError(f"branch {index} has an empty {'answer' if branch.prompt else 'prompt'}")
    scores = np.zeros(len(branches), np.float32)
    variables = _variables(params, lora)
    for shape, indices in self._score_plan(branches).items():
      units = [Unit((branches[i],)) for i in indices]
      for groups in plan_epoch(units, shape, np.random.default_rng(0)):
        batch = collate(units, groups, shape, self.pad_id)
        result = np.asarray(_score(self.model, variables, batch))
        for row, group in enumerate(groups):
          for place, unit in enumerate(group):
            scores[indices[unit]] = result[row, place]
    return scores

  def _refusal(self, request: Request, max_new_tokens: int) -> Status | None:
    if not request.prompt:
      return "empty_prompt"
    length = len(request.prefix) + len(request.prompt) + max_new_tokens
    return "too_long" if length > self.model.config.max_position_embeddings else None

  def _plan(self, requests: Sequence[Request], accepted: Iterable[int]) -> dict[tuple[int, int, int, int], list[_Group]]:
    """Groups by prefix, gathered by the static shape (B, K, P, Q) they are decoded in."""
    by_prefix: dict[tuple[int, ...], list[int]] = {}
    for index in accepted:
      by_prefix.setdefault(tuple(requests[index].prefix), []).append(index)
    by_slots: dict[tuple[int, int], list[_Group]] = {}
    for prefix, indices in by_prefix.items():
      prompt_slots = _bucket(max(len(requests[i].prompt) for i in indices), smallest=32)
      key = (_bucket(len(prefix), smallest=128), prompt_slots)
      by_slots.setdefault(key, []).append(_Group(prefix, collections.deque(indices)))
    plan: dict[tuple[int, int, int, int], list[_Group]] = {}
    for slots, groups in by_slots.items():
      for lanes, chosen in self._split_lanes(groups, lambda group: len(group.waiting)).items():
        plan[(self._row_count(len(chosen), lanes), lanes, *slots)] = chosen
    return plan

  def _score_plan(self, branches: Sequence[Branch]) -> dict[BatchShape, list[int]]:
    """Indices of branches by the batch shape they are scored in."""
    by_prefix: dict[tuple[int, ...], list[int]] = {}
    for index, branch in enumerate(branches):
      by_prefix.setdefault(branch.prefix, []).append(index)
    by_slots: dict[int, list[list[int]]] = {}
    for prefix, indices in by_prefix.items():
      by_slots.setdefault(_bucket(len(prefix), smallest=128), []).append(indices)
    plan = {}
    for prefix_slots, groups in by_slots.items():
      for lanes, chosen in self._split_lanes(groups, len).items():
        indices = [i for group in chosen for i in group]
        lengths = {_bucket(branches[i].length, smallest=64) for i in indices}
        answers = {_bucket(len(branches[i].answer), smallest=64) for i in indices}
        rows = self._row_count(sum(-(-len(group) // lanes) for group in chosen), lanes)
        plan[BatchShape(rows, lanes, (prefix_slots,), tuple(sorted(lengths)), tuple(sorted(answers)))] = indices
    return plan

  def _split_lanes(self, groups: list[T], size: Callable[[T], int]) -> dict[int, list[T]]:
    """Groups by the number of lanes each gets: 1, about an eighth of all, or all.

    Few lanes leave many idle when few groups are left, many lanes leave idle what a small group cannot fill. Of the ways to cut
    the groups by size into the three kinds, the one that is done first is taken, in rounds of all lanes.
    """
    kinds = sorted({1, max(self.lanes // 8, 1), self.lanes})
    best: tuple[float, dict[int, list[T]]] = (math.inf, {})
    for limits in itertools.combinations_with_replacement((0, 1, 2, 4, self.lanes // 2, self.lanes, math.inf), len(kinds) - 1):
      split: dict[int, list[T]] = {}
      for group in groups:
        kind = sum(size(group) > limit for limit in limits)
        split.setdefault(kinds[kind], []).append(group)
      rounds = 0
      for lanes, chosen in split.items():
        turns = [-(-size(group) // lanes) for group in chosen]
        rounds += max(-(-sum(turns) // (self.lanes // lanes)), max(turns))
      # A tenth of a round for each kind: fewer shapes, unless it matters.
      cost = rounds + 0.1 * len(split)
      if cost < best[0]:
        best = (cost, split)
    return best[1]

  def _row_count(self, groups: int, lanes: int) -> int:
    """Rows in use at once: enough to fill the lanes, else the smallest power of four that holds the groups."""
    full = max(self.lanes // lanes, 1)
    return min(full, 4 ** math.ceil(math.log(groups, 4))) if groups < full else full


class _Run:
  """The requests of one static shape, from the first prefill to the last answer."""

  def __init__(self, generator, variables, requests, groups, shape, max_new_tokens, sampler, stop, finish):
    self.generator, self.model, self.variables = generator, generator.model, variables
    self.requests, self.queue = requests, collections.deque(groups)
    self.row_count, self.lane_count, self.prefix_slots, self.prompt_slots = shape
    self.sampler, self.stop, self.finish = sampler, stop, finish
    self.rows = lanes_lib.empty_rows(self.model, self.row_count, self.prefix_slots)
    self.lanes = lanes_lib.empty_lanes(self.model, self.row_count, self.lane_count, self.prompt_slots, max_new_tokens)
    self.groups: list[_Group | None] = [None] * self.row_count
    # The index of the request in each lane, -1 where there is none.
    self.occupants = np.full((self.row_count, self.lane_count), -1)

  def finish_all(self) -> None:
    statistics = self.generator.statistics
    while True:
      self._place_prefixes()
      self._admit()
      busy = int((self.occupants >= 0).sum())
      if not busy:
        return
      # With work waiting, come back when a quarter of the busy lanes is free; otherwise when all are done.
      waiting = bool(self.queue) or any(group and group.waiting for group in self.groups)
      wake = self.occupants.size - busy + max(busy // 4, 1) if waiting else self.occupants.size
      before = int(self.lanes.step)
      arguments = (self.rows, self.lanes, self.sampler, self.stop, np.int32(wake))
      self.lanes = lanes_lib.advance(self.model, self.variables, *arguments)
      self._collect()
      statistics.lane_steps += (int(self.lanes.step) - before) * self.occupants.size

  def _place_prefixes(self) -> None:
    """Gives rows whose group is answered the next group's prefix."""
    placed = []
    for row in range(self.row_count):
      group = self.groups[row]
      if (self.occupants[row] >= 0).any() or (group is not None and group.waiting):
        continue
      self.groups[row] = self.queue.popleft() if self.queue else None
      if self.groups[row] is not None:
        placed.append(row)
    for part in _parts(placed, min(_PREFILL_ROWS, self.row_count)):
      size = len(part)
      prefixes = np.full((size, self.prefix_slots), self.generator.pad_id, np.int32)
      lengths = np.zeros(size, np.int32)
      for i, row in enumerate(part):
        if row is None:
          continue
        prefix = self.groups[row].prefix
        prefixes[i, : len(prefix)], lengths[i] = prefix, len(prefix)
      places = np.array([self.row_count if row is None else row for row in part], np.int32)
      self.rows = lanes_lib.place_prefixes(self.model, self.variables, self.rows, prefixes, lengths, places)
      self.generator.statistics.prefill_tokens += int(lengths.sum())

  def _admit(self) -> None:
    """Fills free lanes with waiting requests of their row's group."""
    chosen: list[list[tuple[int, int]]] = [[] for _ in range(self.row_count)]
    for row, group in enumerate(self.groups):
      for lane in np.flatnonzero(self.occupants[row] < 0) if group is not None else ():
        if not group.waiting:
          break
        index = group.waiting.popleft()
        self.occupants[row, lane] = index
        chosen[row].append((int(lane), index))
    most = max(map(len, chosen))
    if not most:
      return
    # Two sizes of a round of admissions: all lanes, or a quarter of them.
    quarter = max(self.lane_count // 4, 1)
    size = quarter if most <= quarter else self.lane_count
    shape = (self.row_count, size)
    prompts = np.full((*shape, self.prompt_slots), self.generator.pad_id, np.int32)
    lengths, lane_of = np.ones(shape, np.int32), np.full(shape, self.lane_count, np.int32)
    ids = np.zeros(shape, np.uint32)
    for row, pairs in enumerate(chosen):
      for place, (lane, index) in enumerate(pairs):
        request = self.requests[index]
        prompts[row, place, : len(request.prompt)] = request.prompt
        lengths[row, place], lane_of[row, place] = len(request.prompt), lane
        ids[row, place] = index if request.id is None else request.id
        self.generator.statistics.prefill_tokens += len(request.prompt)
    new = lanes_lib.Newcomers(prompts, lengths, lane_of, ids)
    arguments = (self.rows, self.lanes, new, self.sampler, self.stop)
    self.lanes = lanes_lib.admit(self.model, self.variables, *arguments)

  def _collect(self) -> None:
    lanes = self.lanes
    done, count, log_prob, answer = jax.device_get((lanes.done, lanes.count, lanes.log_prob, lanes.answer))
    stop = set(np.asarray(self.stop).tolist())
    for row, lane in zip(*np.nonzero(done & (self.occupants >= 0)), strict=True):
      tokens = tuple(answer[row, lane, : count[row, lane]].tolist())
      status = "stop" if tokens[-1] in stop else "length"
      self.finish(int(self.occupants[row, lane]), Answer(tokens, float(log_prob[row, lane]), status))
      self.occupants[row, lane] = -1


def _variables(params: Params, lora: Params | None) -> dict[str, Any]:
  return {"params": params} if lora is None else {"params": params, "lora": lora}


@functools.partial(jax.jit, static_argnums=0)
def _score(model: Decoder, variables: dict[str, Any], batch: PrefixBatch) -> jax.Array:
  return answer_log_probs(model, variables, batch)


def _bucket(length: int, smallest: int) -> int:
  """The smallest of `smallest` times 1, 1.5, 2, 3, 4, 6, 8, ... that holds `length`."""
  size = smallest
  while size < length:
    if size * 3 // 2 >= length:
      return size * 3 // 2
    size *= 2
  return size


def _parts(places: list[int], full: int) -> list[list[int | None]]:
  """`places` cut into parts of size `full` and, of what is left over, of size one: two sizes, two programs."""
  whole = len(places) - len(places) % full
  return [places[i : i + full] for i in range(0, whole, full)] + [[place] for place in places[whole:]]
