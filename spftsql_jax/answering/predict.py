"""Answering questions: what a prompt needs of a database, and the SQL that a model writes for
it.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spftsql_jax.answering.copied_values import as_stored
from spftsql_jax.answering.schema_choice import SchemaChooser
from spftsql_jax.databases import ValueIndex
from spftsql_jax.databases.introspection import read_schema, tell_left_out
from spftsql_jax.databases.schema_view import WHOLE, SchemaView, seen_through
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.linking import NameIndex
from spftsql_jax.examples.prompts import MatchedValue, Mentions, PromptFormat
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.generation.automaton import TokenAutomaton
from spftsql_jax.generation.engine import Generator
from spftsql_jax.generation.identifiers import identifier_automaton, token_bytes
from spftsql_jax.generation.requests import Answer, Request, Status
from spftsql_jax.schema import Schema
from spftsql_jax.sql import identifiers, model_text


@dataclasses.dataclass(frozen=True)
class Prediction:
  """SQL for a question.

  Attributes:
    sql: the statement that was read out of the answer (`model_text.read`), with its line breaks and
      comments; "" where nothing was generated.
    status: see `Answer`. log_prob: of the answer's tokens, summed, in nats.
  """

  sql: str
  status: Status
  log_prob: float


@dataclasses.dataclass(frozen=True)
class PromptDatabase:
  """A database as the prompt sees it: its schema, and a search for what a question mentions."""

  location: str
  schema: Schema
  values: ValueIndex
  # What was found, by question and limits: every round looks for the same questions again.
  found: dict[tuple[str, int, int, bool], Mentions] = dataclasses.field(
    default_factory=dict, compare=False, repr=False
  )

  @classmethod
  def read(cls, location: str | os.PathLike, view: SchemaView = WHOLE) -> PromptDatabase:
    """Reads schema and text values, of what `view` shows. Raises DatabaseError, and ValueError
    where the view does not fit."""
    schema = seen_through(view, read_schema(os.fspath(location)))
    tell_left_out(schema.name, schema.left_out)
    return cls(os.fspath(location), schema, ValueIndex.build(location, schema))

  @functools.cached_property
  def names(self) -> NameIndex:
    """The names of the schema, searchable."""
    return NameIndex(self.schema)

  def mentions(self, question: str, style: PromptFormat, shown: Schema | None = None) -> Mentions:
    """What `question` mentions, as far as prompts of this style show it; values best first.

    Args:
      shown: the part of the schema that the prompt has, whose names alone are given; by default the
        whole.
    """
    key = question, style.matched_names, style.matched_values, style.codes
    if key not in self.found:
      limit = style.matched_names
      asked, marked = limit and not style.codes, limit and style.codes
      names = self.names.search(question, limit) if asked else ()
      marks = self.names.marks(" ".join(question.split()), limit) if marked else ()
      values = self._values_in(question, style.matched_values) if style.matched_values else ()
      self.found[key] = Mentions(names, values, marks)
    found = self.found[key]
    if shown is None or shown is self.schema or not found.names:
      return found
    tables = {identifiers.written_path(t.parts, shown.dialect) for t in shown.tables}
    return dataclasses.replace(found, names=tuple(n for n in found.names if n.table in tables))

  def _values_in(self, question: str, limit: int) -> tuple[MatchedValue, ...]:
    dialect = self.schema.dialect
    return tuple(
      MatchedValue(
        identifiers.written_path(self.schema.table(m.table).parts, dialect),
        identifiers.written(m.column, dialect),
        m.value,
      )
      for m in self.values.search(question, limit=limit)
    )


def question_request(
  tokenizer: Tokenizer,
  database: PromptDatabase,
  question: str,
  evidence: str = "",
  schema: Schema | None = None,
) -> Request:
  """The request for the SQL of a question. An empty question gives an empty prompt, which the
  generator refuses.

  Args:
    schema: the part of the database's schema that is shown (`SchemaChooser.choose`); by default the
      whole.
  """
  mentions = database.mentions(question, tokenizer.style, schema)
  shown = schema or database.schema
  prompt = tokenizer.question(question, mentions, evidence, shown) if question.strip() else ()
  return Request(tokenizer.prefix(shown), prompt)


def query_request(tokenizer: Tokenizer, schema: Schema, query: str) -> Request:
  """The request for the question of an SQL query: what `Tokenizer.sql_to_text` teaches, up to where
  the question begins.
  """
  return Request(tokenizer.prefix(schema), tokenizer.query(query, schema.dialect, schema))


def predict(
  generator: Generator,
  params: Any,
  tokenizer: Tokenizer,
  databases: Mapping[str, PromptDatabase],
  examples: Sequence[Example],
  *,
  max_new_tokens: int,
  lora: Any = None,
  constrain: bool = False,
  schemas: SchemaChooser | None = None,
) -> list[str]:
  """Greedy SQL for each example's question; "" where the request was refused. See
  `answer_questions`.
  """
  return [
    prediction.sql
    for (prediction,) in answer_questions(
      generator,
      params,
      tokenizer,
      databases,
      examples,
      max_new_tokens=max_new_tokens,
      lora=lora,
      constrain=constrain,
      schemas=schemas,
    )
  ]


def answer_questions(
  generator: Generator,
  params: Any,
  tokenizer: Tokenizer,
  databases: Mapping[str, PromptDatabase],
  examples: Sequence[Example],
  *,
  max_new_tokens: int,
  samples: int = 1,
  temperature: float = 0.0,
  top_p: float = 1.0,
  top_k: int = 0,
  seed: int = 0,
  lora: Any = None,
  constrain: bool = False,
  schemas: SchemaChooser | None = None,
  places: Sequence[int] | None = None,
  on_question: Callable[[int, tuple[Prediction, ...]], None] | None = None,
) -> list[tuple[Prediction, ...]]:
  """A model's SQL for each example's question: up to the end token, the semicolon of its statement,
  or the limit.

  Args:
    databases: by db_id.
    samples: answers a question.
    temperature, top_p, top_k, seed: see `Sampling`; greedy by default.
    constrain: identifiers are restricted to those of the schema that the prompt shows
      (`generation.identifiers`).
    schemas: chooses the part of too long a schema that a question is put over. Questions over the
      same part share its computation. By default the whole schema is shown.
    places: what names each question's randomness; its place in the list by default. With the same
      places a part of the questions gets the answers that it gets among all.
    on_question: called with (index, answers) as a question's answers are complete, in no particular
      order, while the device decodes others.

  Raises:
    ValueError: identifiers are to be restricted in a prompt format without identifiers.
  """
  if constrain and tokenizer.style.answer_style == "linked":
    raise ValueError(
      "this model writes a line of names and values before its SQL, to which the restriction to "
      "identifiers does not apply; leave constrain out"
    )
  if constrain and tokenizer.style.codes:
    raise ValueError(
      "this model calls names by codes, which are those of the schema already; leave constrain out"
    )
  shown = [
    schemas.choose(databases[e.db_id], e.question, e.evidence)
    if schemas is not None
    else databases[e.db_id].schema
    for e in examples
  ]
  asked = [
    question_request(tokenizer, databases[e.db_id], e.question, e.evidence, schema)
    for e, schema in zip(examples, shown, strict=True)
  ]
  automata = _automata(tokenizer, shown, generator.model.config.vocab_size) if constrain else {}
  requests = [
    dataclasses.replace(request, id=place * samples + i, automaton=automata.get(id(schema)))
    for request, schema, place in zip(asked, shown, places or range(len(examples)), strict=True)
    for i in range(samples)
  ]
  answered: list[dict[int, Prediction]] = [{} for _ in examples]
  semicolons = _semicolons(tokenizer)
  cut_off: list[int] = []

  def dialect_of(index: int) -> str:
    return databases[examples[index // samples].db_id].schema.dialect

  def read(index: int, answer: Answer) -> Prediction:
    example = examples[index // samples]
    database, schema = databases[example.db_id], shown[index // samples]
    return _prediction(tokenizer, answer, schema, database, example.question)

  def finish(index: int, prediction: Prediction) -> None:
    question, sample = divmod(index, samples)
    answered[question][sample] = prediction
    if on_question is not None and len(answered[question]) == samples:
      on_question(question, _in_order(answered[question]))

  def first(index: int, answer: Answer) -> None:
    stopped = bool(answer.tokens) and answer.tokens[-1] in semicolons
    if stopped and not _has_ended(tokenizer, answer, dialect_of(index)):
      cut_off.append(index)
    else:
      finish(index, read(index, answer))

  options = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "lora": lora}
  stop = (*tokenizer.end_ids, *semicolons)
  answers = generator.generate(
    params,
    requests,
    max_new_tokens=max_new_tokens,
    eos_id=stop,
    seed=seed,
    on_answer=first,
    **options,
  )
  if cut_off:
    # A semicolon in a literal or a fence ends nothing: these go on behind it. Rare, so the
    # literal's automaton is not taken up again.
    more = [
      dataclasses.replace(
        requests[i], prompt=requests[i].prompt + answers[i].tokens, automaton=None
      )
      for i in cut_off
    ]
    ends = tokenizer.end_ids
    rest = generator.generate(
      params, more, max_new_tokens=max_new_tokens, eos_id=ends, seed=seed + 1, **options
    )
    for i, end in zip(cut_off, rest, strict=True):
      tokens = (answers[i].tokens + end.tokens)[:max_new_tokens]
      whole = Answer(
        tokens, answers[i].log_prob + end.log_prob, end.status if tokens[-1] in ends else "length"
      )
      finish(i, read(i, whole))
  return [_in_order(predictions) for predictions in answered]


def _in_order(samples: Mapping[int, Prediction]) -> tuple[Prediction, ...]:
  """The samples of a question, by their number."""
  return tuple(samples[number] for number in sorted(samples))


def written_names(schema: Schema) -> dict[str, list[str]]:
  """The columns of each table, all as SQL has to write them."""
  return {
    identifiers.written_path(table.parts, schema.dialect): [
      identifiers.written(c.name, schema.dialect) for c in table.columns
    ]
    for table in schema.tables
  }


def _automata(
  tokenizer: Tokenizer, schemas: Sequence[Schema], vocab_size: int
) -> dict[int, TokenAutomaton]:
  """The automaton of each schema, by its identity."""
  spelled = token_bytes(tokenizer.hf)
  return {
    key: identifier_automaton(
      written_names(schema),
      spelled,
      set(tokenizer.end_ids),
      vocab_size,
    )
    for key, schema in {id(schema): schema for schema in schemas}.items()
  }


@functools.lru_cache(maxsize=8)
def _semicolons(tokenizer: Tokenizer) -> frozenset[int]:
  """The tokens that end in a semicolon."""
  spelled = token_bytes(tokenizer.hf)
  return frozenset(
    i for i, text in enumerate(spelled) if text is not None and text.rstrip().endswith(b";")
  )


def _has_ended(tokenizer: Tokenizer, answer: Answer, dialect: str) -> bool:
  """Whether the semicolon that an answer stopped at ends its statement."""
  sql = tokenizer.statement(answer.tokens)
  return sql is not None and model_text.has_ended(sql, dialect)


def _prediction(
  tokenizer: Tokenizer, answer: Answer, schema: Schema, database: PromptDatabase, question: str
) -> Prediction:
  sql = model_text.read_statement(tokenizer.sql(answer.tokens, schema), schema.dialect)
  mentioned = database.mentions(question, tokenizer.style).values
  if mentioned:
    sql = as_stored(sql, question, schema, database.values, mentioned)
  return Prediction(sql, answer.status, answer.log_prob)
