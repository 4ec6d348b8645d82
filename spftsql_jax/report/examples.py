"""The part of the report page that lists examples: question, gold and predicted SQL with their
differences, both results.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.report.charts import escape, shorten
from spftsql_jax.report.text import scroll

ROWS_SHOWN = 10
CELL_LENGTH = 80
# Cells longer than this wrap.
LONG_CELL = 30
SQL_LENGTH = 4000
# Beyond this many tokens the two queries are not compared: the matching is quadratic, and the marks
# would help nobody.
COMPARED_TOKENS = 400

_TOKEN = re.compile(
  r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|[^\W\d][\w$]*|\d+(?:\.\d+)?|\s+|<>|[<>!=]=|\|\||.""",
  re.DOTALL,
)
_CLAUSES = frozenset(
  [
    "select",
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "union",
    "intersect",
    "except",
    "window",
  ]
)


def render_examples(examples: Sequence[Mapping[str, Any]]) -> str:
  """The list with its filter bar as HTML. The bar stays hidden until the page's script runs; the
  list works without it.

  Args:
    examples: dicts with `db_id`, `question`, `gold`, `model`, `prediction`, `correct`, and
      optionally `status`, `message`, `gold_columns`, `gold_rows`, `predicted_columns`,
      `predicted_rows`.
  """
  if not examples:
    return '<p class="muted">There are no test questions, so no answers to show.</p>'
  models = list(dict.fromkeys(str(example.get("model", "")) for example in examples))
  choices = "".join(f'<option value="{escape(model)}">{escape(model)}</option>' for model in models)
  chooser = (
    (
      '<label class="choose">Model <select name="model"><option '
      f'value="">all</option>{choices}</select></label>'
    )
    if len(models) > 1
    else ""
  )
  correct = sum(bool(example.get("correct")) for example in examples)
  options = [
    ("", "all", len(examples)),
    ("correct", "correct", correct),
    ("wrong", "wrong", len(examples) - correct),
  ]
  radios = "".join(
    f'<label><input type="radio" name="verdict" value="{value}"{"" if value else " checked"}>'
    f"<span>{name} {count:,}</span></label>"
    for value, name, count in options
  )
  items = "".join(
    _render_example(example, opened=index == 0) for index, example in enumerate(examples)
  )
  return (
    '<p class="about">Both queries and both results; what differs between the queries of a wrong '
    "answer is marked.</p>"
    '<form id="filter" hidden><input type="search" name="text" placeholder="Filter by words" '
    'aria-label="Filter by words">'
    f"<fieldset><legend>Verdict</legend>{radios}</fieldset>{chooser}<output "
    'id="shown"></output></form>'
    f'<div id="examples">{items}</div><p id="none" class="muted" hidden>No example matches.</p>'
  )


def render_sql(sql: str, other: str | None) -> str:
  """SQL as HTML, a line for each outer clause, with what does not stand in `other` marked (None:
  nothing is marked).
  """
  hidden = max(len(sql) - SQL_LENGTH, 0)
  tokens = _lay_out(_TOKEN.findall(sql[:SQL_LENGTH].strip()))
  marked = _differing(tokens, _TOKEN.findall(other)) if other is not None else set()
  pieces, inside = [], False
  for index, token in enumerate(tokens):
    # A blank between two marked tokens is marked too, so that a changed phrase reads as one.
    mark = index in marked or (token.isspace() and index - 1 in marked and index + 1 in marked)
    if mark != inside:
      pieces.append("<mark>" if mark else "</mark>")
      inside = mark
    pieces.append(escape(token))
  if inside:
    pieces.append("</mark>")
  if hidden:
    pieces.append(f'<span class="muted"> … {hidden:,} more characters</span>')
  return f'<pre class="sql">{"".join(pieces)}</pre>' if tokens else '<p class="muted">empty</p>'


def _render_example(example: Mapping[str, Any], opened: bool) -> str:
  correct = bool(example.get("correct"))
  verdict = "correct" if correct else "wrong"
  status = str(example.get("status") or "ok")
  gold, prediction = str(example.get("gold", "")), str(example.get("prediction", ""))
  model = str(example.get("model", ""))
  note = "" if status == "ok" else f'<span class="status">{escape(status)}</span>'
  left = _render_result(
    example.get("gold_columns"), example.get("gold_rows"), example.get("gold_row_count"), ""
  )
  if status == "ok":
    right = _render_result(
      example.get("predicted_columns"),
      example.get("predicted_rows"),
      example.get("predicted_row_count"),
      str(example.get("message") or ""),
    )
  else:
    right = f'<p class="message">{escape(shorten(str(example.get("message") or status), 600))}</p>'
  return (
    f'<details class="example" data-verdict="{verdict}" '
    f'data-model="{escape(model)}"{" open" if opened else ""}><summary>'
    f'<span class="verdict {verdict}">{verdict}</span><span '
    f'class="question">{escape(example.get("question", ""))}</span>'
    "<span "
    f'class="origin">{note}<span>{escape(example.get("db_id", ""))}</span><span>{escape(model)}</span></span></summary>'
    "<div "
    f'class="sides"><section><h3>Gold</h3>{render_sql(gold, None if correct else prediction)}{left}</section>'
    f"<section><h3>Prediction</h3>{render_sql(prediction, None if correct else gold)}{right}</section></div></details>"
  )


def _render_result(
  columns: Sequence[Any] | None,
  rows: Sequence[Sequence[Any]] | None,
  row_count: int | None,
  message: str,
) -> str:
  """A result's first rows, and how many it has: `row_count`, where more were returned than are kept
  here.
  """
  note = f'<p class="message">{escape(message)}</p>' if message else ""
  if rows is None:
    return note or '<p class="muted">result not recorded</p>'
  head = "".join(
    f"<th>{escape(shorten(str(column), CELL_LENGTH))}</th>" for column in columns or ()
  )
  body = "".join(
    f"<tr>{''.join(_render_cell(value) for value in row)}</tr>" for row in rows[:ROWS_SHOWN]
  )
  whole = max(row_count if row_count is not None else 0, len(rows))
  shown = min(len(rows), ROWS_SHOWN)
  count = f"{whole:,} row{'' if whole == 1 else 's'}"
  if row_count is None and len(rows) == ROWS_SHOWN:
    count = f"the first {shown} rows; how many there are was not recorded"
  elif whole > shown:
    count += f", the first {shown} shown"
  if not whole:
    count = "no rows"
  table = scroll(
    f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>',
    "Rows of the result",
  )
  return f'{table if head or body else ""}<p class="count muted">{count}</p>{note}'


def _render_cell(value: Any) -> str:
  if value is None:
    return '<td class="null">NULL</td>'
  if isinstance(value, (int, float)) and not isinstance(value, bool):
    return f'<td class="number">{escape(value)}</td>'
  text = shorten(str(value), CELL_LENGTH)
  return f"<td{' class=long' if len(text) > LONG_CELL else ''}>{escape(text)}</td>"


def _lay_out(tokens: list[str]) -> list[str]:
  """Puts each clause of the outermost level on a line of its own; only blanks between tokens
  change.
  """
  laid_out, depth = list(tokens), 0
  for index, token in enumerate(tokens):
    depth += (token == "(") - (token == ")")
    if depth == 0 and token.lower() in _CLAUSES and index > 1 and tokens[index - 1].isspace():
      laid_out[index - 1] = "\n"
  return laid_out


def _differing(tokens: list[str], others: list[str]) -> set[int]:
  """Indices of the tokens that have no counterpart in `others`; words compare without case, blanks
  do not count.
  """
  places = [index for index, token in enumerate(tokens) if not token.isspace()]
  ours = [_fold(tokens[index]) for index in places]
  theirs = [_fold(token) for token in others if not token.isspace()]
  if max(len(ours), len(theirs)) > COMPARED_TOKENS:
    return set()
  blocks = difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
  matched = {block.a + offset for block in blocks for offset in range(block.size)}
  return {place for order, place in enumerate(places) if order not in matched}


def _fold(token: str) -> str:
  return token if token[0] in "'\"`" else token.lower()
