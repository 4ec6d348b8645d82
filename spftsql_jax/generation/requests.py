"""What is asked of a generator, what it answers, and what that cost."""

from __future__ import annotations

import dataclasses
from typing import Literal

from spftsql_jax.generation.automaton import TokenAutomaton

Status = Literal["stop", "length", "empty_prompt", "too_long", "unknown_token"]


@dataclasses.dataclass(frozen=True)
class Request:
  """One answer wanted.

  Attributes:
    prefix: token ids of the schema prompt; requests with equal prefixes share its computation. May
      be empty.
    prompt: token ids of the question, tokenized apart.
    id: names the request's randomness, 0 to 2**32 - 1; None takes its place in the list. Two
      samples of one question need different ids.
    automaton: which tokens may follow which in the answer; None for no constraint.
  """

  prefix: tuple[int, ...]
  prompt: tuple[int, ...]
  id: int | None = None
  automaton: TokenAutomaton | None = None

  def __post_init__(self) -> None:
    for name in ("prefix", "prompt"):
      if not isinstance(value := getattr(self, name), tuple):
        object.__setattr__(self, name, tuple(int(token) for token in value))
    if self.id is not None and not 0 <= self.id < 2**32:
      raise ValueError(f"a request's id must be 0 to 2**32 - 1, is {self.id}")


@dataclasses.dataclass(frozen=True)
class Answer:
  """What was generated.

  Attributes:
    tokens: token ids, the end token included where one was reached.
    log_prob: of `tokens` under the model at temperature 1 and without constraint, summed, in nats.
    status: "stop" (an end token) or "length" (max_new_tokens reached); where nothing is generated
      "empty_prompt" (no tokens), "too_long" (prompt and answer would exceed the model's positions)
      or "unknown_token" (an id that the model does not have).
  """

  tokens: tuple[int, ...]
  log_prob: float
  status: Status


@dataclasses.dataclass
class Statistics:
  """What generation has cost so far.

  Attributes:
    answers, tokens: generated.
    prefill_tokens: of prefixes and prompts, padding not counted. prefill_computed: with padding.
    lane_steps: decoding steps times lanes, idle ones included.
    seconds: spent in `generate`.
    idle_seconds: of these, at most so long the device had nothing to do: from the end of a stretch
      of decoding to the start of the next, and all time in which it may have ended unobserved.
  """

  answers: int = 0
  tokens: int = 0
  prefill_tokens: int = 0
  prefill_computed: int = 0
  lane_steps: int = 0
  seconds: float = 0.0
  idle_seconds: float = 0.0

  @property
  def tokens_per_second(self) -> float:
    return self.tokens / self.seconds if self.seconds else 0.0
