"""Which names in a statement of PostgreSQL may be called, and what else a name may stand for.

The text decides only what might be meant, and always for more than less.
"""

from __future__ import annotations

from collections.abc import Sequence

from spftsql_jax.databases.engines.postgresql.tokens import Token, is_mark

# Reserved words: no function, table or type is called by one of them unless it is quoted.
_RESERVED_NAMES = """
  all analyse analyze and any array as asc asymmetric both case cast check collate column
  constraint create current_catalog current_date current_role current_time current_timestamp
  current_user default deferrable desc distinct do else end except false fetch for foreign from
  grant group having in initially intersect into lateral leading limit localtime localtimestamp
  not null offset on only or order placing primary references returning select session_user some
  symmetric table then to trailing true union unique user using variadic when where window with
"""
_RESERVED = frozenset(_RESERVED_NAMES.split())
# Behind these words a name is no alias.
_BEFORE_NO_ALIAS_NAMES = (
  "and case distinct else from having in join on only or select then when where"
)
_BEFORE_NO_ALIAS = frozenset(_BEFORE_NO_ALIAS_NAMES.split())
# Functions without parentheses: in FROM they are tables of these names.
_BARE_FUNCTIONS_NAMES = """
  current_catalog current_date current_role current_schema current_time current_timestamp
  current_user localtime localtimestamp session_user system_user user
"""
BARE_FUNCTIONS = frozenset(_BARE_FUNCTIONS_NAMES.split())


def means(token: Token, name: str) -> bool:
  """Whether the server may read a token as this name."""
  if name in (token.text, token.other):
    return True
  # Other encodings have room for more characters in a name than UTF-8.
  return len(token.other) > len(token.text) and name.startswith(token.text)


def names_of(tokens: Sequence[Token]) -> set[str]:
  names: set[str] = set()
  for i, token in enumerate(tokens):
    # Behind a dot any word is a name.
    if token.is_name and (
      token.kind == "quoted" or token.text not in _RESERVED or is_mark(tokens, i - 1, ".")
    ):
      names.add(token.text)
      if token.other:
        names.add(token.other)
  return names


def sign(operator: str) -> str:
  return "<>" if operator == "!=" else operator


def calls_of(tokens: Sequence[Token]) -> tuple[set[int], set[int]]:
  """The places of the names that may be called, and of those behind a dot that may be."""
  called, dotted = set(), set()
  for i, token in enumerate(tokens):
    if not token.is_name:
      continue
    behind = tokens[i + 1] if i + 1 < len(tokens) else None
    before = tokens[i - 1] if i else None
    if behind is not None and behind.text == "(" and behind.kind == "mark":
      if not _names_columns(tokens, i):
        called.add(i)
    elif before is not None and before.kind == "mark" and before.text == ".":
      dotted.add(i)
  return called, dotted


def _names_columns(tokens: Sequence[Token], at: int) -> bool:
  """Whether the parenthesis behind a name lists columns: `AS name (`, `WITH name (`, `, name (...)
  AS (SELECT`.
  """
  before = tokens[at - 1] if at else None
  if before is None:
    return False
  if before.is_word("as", "with", "recursive"):
    return True
  if before.text != "," or before.kind != "mark":
    return False
  end = closing(tokens, at + 1)
  rest = tokens[end + 1 : end + 5]
  if not rest or not rest[0].is_word("as"):
    return False
  words = [token for token in rest[1:] if not token.is_word("not", "materialized")]
  # A function's own list of columns begins with a name that is not reserved.
  return len(words) > 1 and words[0].text == "(" and words[1].is_word("select", "with")


def closing(tokens: Sequence[Token], at: int) -> int:
  """The index of the parenthesis that closes the one at `at`, the number of tokens where there is
  none.
  """
  depth = 0
  for i in range(at, len(tokens)):
    if tokens[i].kind == "mark":
      depth += {"(": 1, ")": -1}.get(tokens[i].text, 0)
      if depth == 0:
        return i
  return len(tokens)


def tables_called(tokens: Sequence[Token], owner: Token) -> set[str]:
  """The tables that `owner`, a name before a dot, may stand for; none where it may stand for
  something else.

  Every other place where the name stands must be a table or the alias of one: no common table, no
  subquery, no function, no new names for the columns.
  """
  tables: set[str] = set()
  if owner.text in BARE_FUNCTIONS and any(token.is_word(owner.text) for token in tokens):
    return tables
  for i, token in enumerate(tokens):
    if not token.is_name or token.text != owner.text or is_mark(tokens, i + 1, "."):
      continue
    if len(token.other) > len(token.text):
      return set()
    if _binds_otherwise(tokens, i):
      return set()
    j = i - 1
    if j >= 0 and tokens[j].is_word("as"):
      j -= 1
    before = tokens[j] if j >= 0 else None
    if before is not None and before.is_name and not before.is_word(*_BEFORE_NO_ALIAS):
      if any(
        each.is_name and each.text == before.text and _binds_otherwise(tokens, k)
        for k, each in enumerate(tokens)
      ):
        return set()
      if len(before.other) > len(before.text):
        return set()
      tables.add(before.text)
    elif (
      before is not None
      and j == i - 1
      and (before.is_name or (before.kind == "mark" and before.text in (",", "(", ".")))
    ):
      tables.add(token.text)
    else:
      return set()
  return tables


def _binds_otherwise(tokens: Sequence[Token], at: int) -> bool:
  """Whether the name at `at` is followed by a list of columns or a common table's query."""
  if is_mark(tokens, at + 1, "("):
    return True
  behind = tokens[at + 1] if at + 1 < len(tokens) else None
  if behind is None or not behind.is_word("as"):
    return False
  after = tokens[at + 2] if at + 2 < len(tokens) else None
  return after is None or after.text == "(" or after.is_word("not", "materialized")


def argument_count(tokens: Sequence[Token], opening: int) -> int:
  """How many arguments a call has, at least one."""
  count, depth = 1, 0
  for token in tokens[opening : closing(tokens, opening)]:
    if token.kind == "mark":
      depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
      count += depth == 1 and token.text == ","
  return count
