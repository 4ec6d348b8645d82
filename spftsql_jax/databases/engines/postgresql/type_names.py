"""Where in a statement of PostgreSQL a name may be that of a type, so that a value of the type is
made of another.

Reading a column runs no check of its type; a cast does: `x::zip`, `CAST(x AS zip)`, `zip 'x'`,
`zip(x)`, `(x).zip`, and a column of a record as in `json_to_record(x) AS r(a zip)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.databases.engines.postgresql.names import BARE_FUNCTIONS
from spftsql_jax.databases.engines.postgresql.tokens import Token, is_mark

# Whose `AS` stands before a type.
_CASTS = ("cast", "treat", "xmlserialize")
# What may follow a column's type in a list of columns.
_AFTER_COLUMN_TYPE = (",", ")", "[", "(")
_IN_COLUMN = ("path", "exists", "format", "default", "collate", "array")
# Words that begin what is no function's call, before a parenthesis.
_NO_FUNCTION_NAMES = """
  all and any as except exists from in intersect join lateral materialized not on only or
  recursive select some then union using when where with
"""
_NO_FUNCTION = frozenset(_NO_FUNCTION_NAMES.split())
_BEFORE_COLUMN_NAMES = """
  all and as asc between by case collate desc distinct else end except false from full group
  having ilike in inner intersect into is isnull join lateral left like limit natural not notnull
  null offset on only or order outer over partition right select similar some then to true union
  using values when where window with
"""
_BEFORE_COLUMN = frozenset(_BEFORE_COLUMN_NAMES.split())


def may_be_type(tokens: Sequence[Token], at: int) -> bool:
  """Whether the name at `at` may stand for a type. A name behind a dot may, unless a relation
  stands before the dot.
  """
  behind = tokens[at + 1] if at + 1 < len(tokens) else None
  if behind is not None and (
    behind.kind == "string" or (behind.kind == "mark" and behind.text == "(")
  ):
    return not _is_alias_with_columns(tokens, at)
  first = at
  while is_mark(tokens, first - 1, ".") and first > 1 and tokens[first - 2].is_name:
    first -= 2
  if is_mark(tokens, first - 1, "."):
    return True
  before = tokens[first - 1] if first else None
  if before is None:
    return False
  if before.text == "::" and before.kind == "mark":
    return True
  if before.is_word("returning", "setof"):
    return True
  if before.is_word("as"):
    opening = _opening_around(tokens, first)
    return opening > 0 and tokens[opening - 1].is_word(*_CASTS)
  if before.is_name and not before.is_word(*_BEFORE_COLUMN) and behind is not None:
    is_column = (
      behind.kind == "mark" and behind.text in _AFTER_COLUMN_TYPE or behind.is_word(*_IN_COLUMN)
    )
    if is_column and _opening_around(tokens, first) >= 0:
      return True
  return first != at and _is_value(tokens, tokens[first])


def _is_alias_with_columns(tokens: Sequence[Token], at: int) -> bool:
  return at > 0 and tokens[at - 1].is_word("as", "with", "recursive")


def _is_value(tokens: Sequence[Token], owner: Token) -> bool:
  """Whether `owner` may be the alias of a function in FROM, which stands for its one value, not for
  a row.
  """
  for i, token in enumerate(tokens):
    if not token.is_name or token.text != owner.text or i == 0:
      continue
    j = i - 1
    if tokens[j].is_word("as"):
      j -= 1
    if tokens[j].is_word(*BARE_FUNCTIONS, "ordinality"):
      return True
    if not is_mark(tokens, j, ")"):
      continue
    opening = _opening_around(tokens, j)
    if (
      opening > 0 and tokens[opening - 1].is_name and not tokens[opening - 1].is_word(*_NO_FUNCTION)
    ):
      return True
  # A function without an alias is called by its own name.
  return any(
    token.is_name and token.text == owner.text and is_mark(tokens, i + 1, "(")
    for i, token in enumerate(tokens)
  )


def _opening_around(tokens: Sequence[Token], at: int) -> int:
  """The index of the parenthesis that is open before `at`, or -1."""
  depth = 0
  for i in range(at - 1, -1, -1):
    if tokens[i].kind == "mark":
      depth += {")": 1, "(": -1}.get(tokens[i].text, 0)
      if depth < 0:
        return i
  return -1
