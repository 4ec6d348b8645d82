"""Answering questions: what a prompt needs of a database, and the SQL that a model writes for it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spftsql_jax.databases import Schema, ValueIndex
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import MatchedValue
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.generation.engine import Answer, Generator, Request


@dataclasses.dataclass(frozen=True)
class PromptDatabase:
  """A database as the prompt sees it: its schema, and a search for the stored values that a question mentions."""

  location: str
  schema: Schema
  values: ValueIndex
  # What was found: every round looks for the same questions again.
  found: dict[str, tuple[MatchedValue, ...]] = dataclasses.field(default_factory=dict, compare=False, repr=False)

  @classmethod
  def read(cls, location: str | os.PathLike) -> PromptDatabase:
    """Reads schema and text values. Raises DatabaseError."""
    return cls(os.fspath(location), read_schema(os.fspath(location)), ValueIndex.build(location))

  def matched(self, question: str, limit: int) -> tuple[MatchedValue, ...]:
    """The stored values that `question` mentions, best first."""
    if limit and question not in self.found:
      matches = self.values.search(question, limit=limit)
      self.found[question] = tuple(MatchedValue(m.table, m.column, m.value) for m in matches)
    return self.found[question][:limit] if limit else ()


def question_request(tokenizer: Tokenizer, database: PromptDatabase, question: str, evidence: str = "") -> Request:
  """The request for the SQL of a question. An empty question gives an empty prompt, which the generator refuses."""
  matched = database.matched(question, tokenizer.style.matched_values)
  prompt = tokenizer.question(question, matched, evidence) if question.strip() else ()
  return Request(tokenizer.prefix(database.schema), prompt)


def predict(
  generator: Generator,
  params: Any,
  tokenizer: Tokenizer,
  databases: Mapping[str, PromptDatabase],
  examples: Sequence[Example],
  *,
  max_new_tokens: int,
  lora: Any = None,
  on_answer: Callable[[int, str], None] | None = None,
) -> list[str]:
  """Greedy SQL for each example's question, on one line; "" where the request was refused.

  Args:
    databases: by db_id.
    on_answer: called with (index, SQL) as answers become complete, in no particular order.
  """
  requests = [question_request(tokenizer, databases[e.db_id], e.question, e.evidence) for e in examples]

  def finished(index: int, answer: Answer) -> None:
    if on_answer is not None:
      on_answer(index, _text(tokenizer, answer))

  answers = generator.generate(
    params, requests, max_new_tokens=max_new_tokens, eos_id=tokenizer.end_id, lora=lora, on_answer=finished
  )
  return [_text(tokenizer, answer) for answer in answers]


def _text(tokenizer: Tokenizer, answer: Answer) -> str:
  return " ".join(tokenizer.decode(answer.tokens).split("\n"))
