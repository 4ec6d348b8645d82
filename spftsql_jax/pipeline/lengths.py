"""The lengths of a run where its config leaves them open: by its schemas, its examples and the
tokenizer at hand.

Rows are packed, so room for a longer example costs nothing until there is one. What is chosen for
schemas, branches and answers that are trained on is therefore ample; the longest answer that is
written costs time with every model that does not come to an end, and is closer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.examples.batches import Branch
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.training_units import UnitMaker

# Lengths are multiples of this.
_STEP = 16
# Examples to come may be so many times as long as the longest there is; an answer that is written,
# as those that all but a few are no longer than.
_AMPLE, _CLOSE = 2.0, 1.25
_ALL_BUT_A_FEW = 0.995
# An answer that is written is given so many tokens at least.
_LEAST_ANSWER = 32


@dataclasses.dataclass(frozen=True)
class Measured:
  """Lengths in tokens of what a run has at hand.

  Attributes:
    schemas: of each schema.
    branch, answer: of the longest branch, and the longest answer, SQL or question.
    usual_answer: what all answers but a few in a thousand are no longer than.
  """

  schemas: tuple[int, ...]
  branch: int
  answer: int
  usual_answer: int


@dataclasses.dataclass(frozen=True)
class Lengths:
  """The lengths of a run: `Packing`'s, the longest answer that is written, and in words what was
  chosen ("" for nothing).
  """

  packing: Packing
  max_new_tokens: int
  said: str


def are_open(config: RunConfig) -> bool:
  """Whether a config leaves any length to be chosen."""
  packing = config.packing
  lengths = (packing.longest_prefix, packing.longest_branch, packing.longest_answer)
  return not all((*lengths, config.max_new_tokens))


def measure(
  tokenizer: Tokenizer, databases: Mapping[str, PromptDatabase], examples: Sequence[Example]
) -> Measured:
  """The lengths of all schemas, and of examples in both directions."""
  endless = Packing(longest_prefix=1 << 30, longest_branch=1 << 30, longest_answer=1 << 30)
  maker = UnitMaker(tokenizer, databases, endless, split_schemas=False, say=lambda line: None)
  branches: list[Branch] = []
  for example in examples:
    schema = databases[example.db_id].schema
    branches.append(maker.sql_branch(example, example.query, schema))
    branches.append(tokenizer.sql_to_text(schema, example.query, example.question))
  answers = sorted(len(b.answer) for b in branches) or [0]
  return Measured(
    schemas=schema_lengths(tokenizer, databases),
    branch=max((b.length for b in branches), default=0),
    answer=answers[-1],
    usual_answer=answers[int(_ALL_BUT_A_FEW * (len(answers) - 1))],
  )


def schema_lengths(
  tokenizer: Tokenizer, databases: Mapping[str, PromptDatabase]
) -> tuple[int, ...]:
  """Tokens of each schema's prompt."""
  return tuple(tokenizer.prefix_length(each.schema) for each in databases.values())


def choose_lengths(config: RunConfig, measured: Measured, positions: int) -> Lengths:
  """The config's lengths, and those chosen that it leaves open.

  A row has room for a schema with a pair over it. Schemas that leave no room for that are to be
  split.

  Args:
    positions: tokens of the longest sequence that the model can read.
  """
  given, longest = config.packing, min(positions, _row(config.packing))
  written = _up(max(_CLOSE * measured.usual_answer, _LEAST_ANSWER))
  max_new_tokens = config.max_new_tokens or min(written, longest // 4)
  answer = given.longest_answer or min(
    max(_up(_AMPLE * measured.answer), max_new_tokens), longest // 4
  )
  branch = given.longest_branch or min(_up(_AMPLE * measured.branch) or 2 * answer, longest // 2)
  schema = _up(max(measured.schemas, default=_STEP))
  prefix = given.longest_prefix or min(schema, (longest - branch - answer) // _STEP * _STEP)
  packing = dataclasses.replace(
    given, longest_prefix=prefix, longest_branch=branch, longest_answer=answer
  )
  said = ""
  if are_open(config):
    over = sum(length > prefix for length in measured.schemas)
    split = f" ({over} of {len(measured.schemas)} are longer)" if over else ""
    said = (
      f"Lengths in tokens: schema {prefix:,} at most{split}, question with answer {branch}, "
      f"answer {answer}; {max_new_tokens} of an answer are written"
    )
  return Lengths(packing, max_new_tokens, said)


def longest_unit(packing: Packing) -> int:
  """Tokens of a schema with a pair over it at most: y- is a further answer to the same prompt."""
  return packing.longest_prefix + packing.longest_branch + packing.longest_answer


def _row(packing: Packing) -> int:
  """Tokens of a row at most."""
  return packing.row_tokens or packing.longest_row


def _up(length: float) -> int:
  """The next multiple of the step."""
  return -int(-length // _STEP) * _STEP
