"""The part of the report page that lists examples: question, both queries, both results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.report.sql_differences import ShownSql, show_sql
from spftsql_jax.report.text import shorten

ROWS_SHOWN = 10
CELL_LENGTH = 80
MESSAGE_LENGTH = 600
# Cells longer than this wrap.
LONG_CELL = 30


@dataclasses.dataclass(frozen=True)
class Cell:
  """A cell's text, and how it is set: "null", "number", "long" or ""."""

  text: str
  css_class: str


@dataclasses.dataclass(frozen=True)
class ResultRows:
  """A result's first rows, how many there are in words, and a message; no rows: not recorded."""

  columns: tuple[str, ...]
  rows: tuple[tuple[Cell, ...], ...]
  count: str
  message: str
  recorded: bool


@dataclasses.dataclass(frozen=True)
class Side:
  """One query and what came of it."""

  title: str
  sql: ShownSql
  result: ResultRows


@dataclasses.dataclass(frozen=True)
class ShownExample:
  """A question with the gold query and the predicted one; `status` is "" where that ran."""

  verdict: str
  status: str
  question: str
  db_id: str
  model: str
  sides: tuple[Side, Side]


@dataclasses.dataclass(frozen=True)
class Examples:
  """The list, and what its filter offers."""

  models: tuple[str, ...]
  correct: int
  items: tuple[ShownExample, ...]


def shown_examples(examples: Sequence[Mapping[str, Any]]) -> Examples:
  """The list of examples.

  Args:
    examples: dicts with `db_id`, `question`, `gold`, `model`, `prediction`, `correct`, and
      optionally `status`, `message`, `gold_columns`, `gold_rows`, `predicted_columns`,
      `predicted_rows`.
  """
  return Examples(
    tuple(dict.fromkeys(str(example.get("model", "")) for example in examples)),
    sum(bool(example.get("correct")) for example in examples),
    tuple(map(_shown, examples)),
  )


def _shown(example: Mapping[str, Any]) -> ShownExample:
  correct = bool(example.get("correct"))
  status = str(example.get("status") or "ok")
  gold, prediction = str(example.get("gold", "")), str(example.get("prediction", ""))
  gold_result = _result(
    example.get("gold_columns"), example.get("gold_rows"), example.get("gold_row_count"), ""
  )
  message = str(example.get("message") or "")
  if status == "ok":
    predicted = _result(
      example.get("predicted_columns"),
      example.get("predicted_rows"),
      example.get("predicted_row_count"),
      message,
    )
  else:
    predicted = ResultRows((), (), "", shorten(message or status, MESSAGE_LENGTH), recorded=False)
  return ShownExample(
    "correct" if correct else "wrong",
    "" if status == "ok" else status,
    str(example.get("question", "")),
    str(example.get("db_id", "")),
    str(example.get("model", "")),
    (
      Side("Gold", show_sql(gold, None if correct else prediction), gold_result),
      Side("Prediction", show_sql(prediction, None if correct else gold), predicted),
    ),
  )


def _result(
  columns: Sequence[Any] | None,
  rows: Sequence[Sequence[Any]] | None,
  row_count: int | None,
  message: str,
) -> ResultRows:
  """A result's first rows; `row_count` where more were returned than are kept here."""
  if rows is None:
    return ResultRows((), (), "", message, recorded=False)
  return ResultRows(
    tuple(shorten(str(column), CELL_LENGTH) for column in columns or ()),
    tuple(tuple(map(_cell, row)) for row in rows[:ROWS_SHOWN]),
    _rows_in_words(len(rows), row_count),
    message,
    recorded=True,
  )


def _rows_in_words(kept: int, row_count: int | None) -> str:
  whole, shown = max(row_count or 0, kept), min(kept, ROWS_SHOWN)
  if not whole:
    return "no rows"
  if row_count is None and kept == ROWS_SHOWN:
    return f"the first {shown} rows; how many there are was not recorded"
  told = f"{whole:,} row{'' if whole == 1 else 's'}"
  return f"{told}, the first {shown} shown" if whole > shown else told


def _cell(value: Any) -> Cell:
  if value is None:
    return Cell("NULL", "null")
  if isinstance(value, (int, float)) and not isinstance(value, bool):
    return Cell(str(value), "number")
  text = shorten(str(value), CELL_LENGTH)
  return Cell(text, "long" if len(text) > LONG_CELL else "")
