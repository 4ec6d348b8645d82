"""Text functions of PostgreSQL whose work is the product of two lengths, and that are not stopped
in the middle.

`strpos(text, sought)` with four million and two million characters runs for hours, whatever the
limit. Data of that length is rare, and a literal is short; so what is refused is to seek what the
statement itself makes long.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.databases.engines.postgresql.tokens import Token, is_mark

# Which of its arguments each seeks, counted from 0.
_SOUGHT = {
  "position": 0,
  "strpos": 1,
  "replace": 1,
  "split_part": 1,
  "string_to_array": 1,
  "string_to_table": 1,
  "translate": 1,
  "btrim": 1,
  "ltrim": 1,
  "rtrim": 1,
  "trim": 0,
  "word_similarity": 0,
  "strict_word_similarity": 0,
}
# The operators of LIKE, as words and as signs.
_LIKE_WORDS, _LIKE_SIGNS = ("like", "ilike"), ("~~", "!~~", "~~*", "!~~*")
# Values as long as the rows that they are made of, or as a number says.
_MAKERS_NAMES = """
  array_agg array_fill array_to_string format json_agg json_object_agg jsonb_agg jsonb_object_agg
  lpad range_agg repeat rpad string_agg xmlagg
"""
_MAKERS = frozenset(_MAKERS_NAMES.split())
_COUNTED = ("lpad", "repeat", "rpad")


def refusal(tokens: Sequence[Token]) -> str:
  """Why a statement is not run for what it seeks, or ""."""
  makers = {i for i in range(len(tokens)) if _makes(tokens, i)}
  if not makers:
    return ""
  # Where there is one SELECT only, what has a column's name was not made here.
  selects = sum(token.is_word("select", "values") for token in tokens)
  derived = selects > 1 or any(
    tokens[i - 1].is_word("from", "join", "lateral") or tokens[i - 1].text == "," for i in makers
  )
  for i, token in enumerate(tokens):
    sought: Sequence[int] = ()
    if token.is_name and token.text in _SOUGHT and is_mark(tokens, i + 1, "("):
      sought = _argument(tokens, i + 1, _SOUGHT[token.text])
    elif token.is_word(*_LIKE_WORDS) or (token.kind == "operator" and token.text in _LIKE_SIGNS):
      sought = _operand(tokens, i + 1)
    if any(k in makers or (derived and tokens[k].is_name) for k in sought):
      return f"{token.text} with what the statement makes long, which runs on when it is to stop"
  return ""


def _makes(tokens: Sequence[Token], at: int) -> bool:
  token = tokens[at]
  if token.is_word("recursive"):
    return any(each.text == "||" for each in tokens)
  if not (token.is_name and token.text in _MAKERS and is_mark(tokens, at + 1, "(")):
    return False
  # A count that stands there is looked at elsewhere.
  count = _argument(tokens, at + 1, 1) if token.text in _COUNTED else ()
  return not (len(count) == 1 and tokens[count[0]].kind == "number")


def _argument(tokens: Sequence[Token], opening: int, number: int) -> list[int]:
  """The places of the tokens of one argument of a call, none where it has fewer; FROM and IN part
  arguments as commas do.
  """
  depth, found, part = 0, 0, []
  for i in range(opening, len(tokens)):
    token = tokens[i]
    if token.kind == "mark":
      depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
    if depth == 0:
      break
    if depth == 1 and (token.text == "," and token.kind == "mark" or token.is_word("from", "in")):
      found += 1
    elif found == number and not (depth == 1 and token.kind == "mark" and token.text == "("):
      part.append(i)
  return part


def _operand(tokens: Sequence[Token], start: int) -> list[int]:
  """The places of what stands behind an operator, to the end of the parenthesis, list or clause
  that it stands in.
  """
  depth, part = 0, []
  for i in range(start, len(tokens)):
    token = tokens[i]
    if token.kind == "mark":
      depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
    ends = token.text == "," and token.kind == "mark"
    if depth < 0 or (depth == 0 and (ends or (token.is_name and token.is_word(*_ENDS)))):
      break
    part.append(i)
  return part


_ENDS_NAMES = """
  and as else end escape except fetch for from full group having inner intersect is join left
  limit natural offset or order right then union when where window
"""
_ENDS = frozenset(_ENDS_NAMES.split())
