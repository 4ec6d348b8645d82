"""Answering many requests over few schemas: each prefix is computed once, and lanes that finish
make room for the next request.

    generator = Generator(model)
    requests = [Request(prefix_ids, question_ids), ...]
    answers = generator.generate(params, requests, max_new_tokens=64, eos_id=eos)
    log_probs = generator.score(params, [Branch(prefix_ids, question_ids, answer_ids), ...])
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.packing import (
  PackedBatch,
  choose_row_shape,
  pack,
  places_of,
  plan_rows,
)
from spftsql_jax.generation import lanes as lanes_lib
from spftsql_jax.generation.plan import plan_decoding
from spftsql_jax.generation.requests import Answer, Request, Statistics, Status
from spftsql_jax.generation.run import Outbox, ShapeRun
from spftsql_jax.generation.sampling import Sampler, Sampling
from spftsql_jax.models.log_probs import answer_log_probs
from spftsql_jax.models.sharding import batch_parts, use_mesh
from spftsql_jax.models.transformer import Decoder, Params
from spftsql_jax.models.variables import model_variables

# Tokens of a row of answers that are scored, at most.
_SCORED_TOKENS = 4096
# Answers to one question that are scored over one copy of it, at most.
_SCORED_TOGETHER = 8

__all__ = ["Answer", "Generator", "Request", "Statistics"]


class Generator:
  """Generates and scores answers with static shapes, so that few programs are compiled whatever is
  asked.

  Args:
    model: the decoder. With a LoRA config, adapters of its shape can be switched from call to call
      without compiling.
    lanes: answers decoded at once.
    pad_id: fills unused places; any token id will do.
    mesh: devices that share the work; params (and adapters) are then to be placed by
      `sharding.param_shardings`. Rows, or lanes where there are fewer rows, are spread over "data"
      and "fsdp", key-value heads over "tensor".
  """

  def __init__(
    self, model: Decoder, lanes: int = 64, pad_id: int = 0, mesh: jax.sharding.Mesh | None = None
  ):
    if lanes < 1:
      raise ValueError(f"lanes must be positive, is {lanes}")
    self.model = model
    self.lanes = lanes
    self.pad_id = pad_id
    self.mesh = mesh
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
      on_answer: called with (index, answer) as answers become complete, in no particular order,
        while the device decodes others: what it does costs no time as long as it takes less than
        they do.

    Returns:
      Answers in the order of the requests.
    """
    if max_new_tokens < 1:
      raise ValueError(f"max_new_tokens must be positive, is {max_new_tokens}")
    began = time.perf_counter()
    answers: dict[int, Answer] = {}

    def finish(index: int, answer: Answer) -> None:
      answers[index] = answer
      self.statistics.answers += 1
      self.statistics.tokens += len(answer.tokens)
      if on_answer is not None:
        on_answer(index, answer)

    outbox, accepted = Outbox(finish), []
    known: dict[int, bool] = {}  # by the identity of a prefix: most requests share theirs
    for index, request in enumerate(requests):
      status = self._refusal(request, max_new_tokens, known)
      if status is None:
        accepted.append(index)
      else:
        outbox.put(index, Answer((), 0.0, status))
    with self._on_mesh():
      variables = model_variables(params, lora)
      layers = self._layers_apart(variables) if accepted else None
      for shape, groups in plan_decoding(requests, accepted, self.lanes).items():
        ShapeRun(
          self.model,
          variables,
          layers,
          requests,
          groups,
          shape,
          max_new_tokens=max_new_tokens,
          sampler=Sampler.of(Sampling(temperature, top_k, top_p, seed)),
          stop=np.atleast_1d(np.asarray(eos_id, np.int32)),
          pad_id=self.pad_id,
          outbox=outbox,
          statistics=self.statistics,
          mesh=self.mesh,
        ).finish_all()
    outbox.send()
    self.statistics.seconds += time.perf_counter() - began
    return [answers[index] for index in range(len(requests))]

  def score(
    self, params: Params, branches: Sequence[Branch], *, lora: Params | None = None
  ) -> np.ndarray:
    """log p(answer | prefix, prompt), summed over the answer's tokens: float32 [N], in packed rows.

    Raises ValueError for a branch without prompt or answer.
    """
    for index, branch in enumerate(branches):
      if not branch.prompt or not branch.answer:
        raise ValueError(f"branch {index} has an empty {'answer' if branch.prompt else 'prompt'}")
    scores = np.zeros(len(branches), np.float32)
    if not branches:
      return scores
    variables = model_variables(params, lora)
    together = _by_question(branches)
    units = [Unit(tuple(branches[i] for i in indices)) for indices in together]
    shape = choose_row_shape(units, _SCORED_TOKENS)
    rows = plan_rows(units, shape, np.random.default_rng(0))
    parts = batch_parts(self.mesh)
    with self._on_mesh():
      for start in range(0, len(rows), parts):
        chosen = rows[start : start + parts]
        batch = pack(units, chosen, shape, self.pad_id, count=parts, pairs=False)
        result = np.asarray(_score(self.model, variables, batch))
        for row, answer, unit in places_of(units, chosen):
          for side, index in enumerate(together[unit]):
            scores[index] = result[row, answer + side]
    return scores

  def _layers_apart(self, variables: dict[str, Any]) -> lanes_lib.Layers:
    """`lanes.layers_of`, or None where a device's memory has no room for its part of them and as
    much again for caches.
    """
    stacked = jax.tree.leaves(
      {name: tree["layers"] for name, tree in variables.items() if "layers" in tree}
    )
    for device in jax.local_devices():
      # Of a CPU nothing is known: its memory holds the model several times.
      memory = device.memory_stats() or {}
      parts = (
        shard
        for leaf in stacked
        for shard in getattr(leaf, "addressable_shards", ())
        if shard.device == device
      )
      if "bytes_limit" in memory and not lanes_lib.has_room_apart(
        memory["bytes_limit"] - memory["bytes_in_use"], sum(p.data.nbytes for p in parts)
      ):
        return None
    return lanes_lib.layers_of(self.model, variables, self.mesh is None and "lora" not in variables)

  def _refusal(
    self, request: Request, max_new_tokens: int, known: dict[int, bool]
  ) -> Status | None:
    config = self.model.config
    if not request.prompt:
      return "empty_prompt"
    if len(request.prefix) + len(request.prompt) + max_new_tokens > config.longest_sequence:
      return "too_long"
    if id(request.prefix) not in known:
      known[id(request.prefix)] = _in_vocabulary(request.prefix, config.vocab_size)
    return (
      None
      if known[id(request.prefix)] and _in_vocabulary(request.prompt, config.vocab_size)
      else "unknown_token"
    )

  def _on_mesh(self) -> contextlib.AbstractContextManager:
    return contextlib.nullcontext() if self.mesh is None else use_mesh(self.mesh)


def _by_question(branches: Sequence[Branch]) -> list[list[int]]:
  """Indices of branches by what they answer, so many together at most."""
  groups: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
  for index, branch in enumerate(branches):
    groups.setdefault((tuple(branch.prefix), tuple(branch.prompt)), []).append(index)
  return [
    group[start : start + _SCORED_TOGETHER]
    for group in groups.values()
    for start in range(0, len(group), _SCORED_TOGETHER)
  ]


def _in_vocabulary(tokens: Sequence[int], size: int) -> bool:
  return not tokens or (min(tokens) >= 0 and max(tokens) < size)


@functools.partial(jax.jit, static_argnums=0)
def _score(model: Decoder, variables: dict[str, Any], batch: PackedBatch) -> jax.Array:
  return answer_log_probs(model, variables, batch)
