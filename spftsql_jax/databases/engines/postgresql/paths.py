"""Which SQL/JSON paths PostgreSQL may evaluate: those whose work grows with the document and no
faster.

The server does not stop a path in the middle, and one of thirty characters can take it minutes and
gigabytes. A path is run only where it stands in the statement as a literal, so that it can be read:
`$.items[*].price`, `$.items[*] ? (@.price > 3)`. A filter may look at its item (@) but not back at
the document ($), nor walk through lists or compare two paths, since each of these is a product of
sizes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from spftsql_jax.databases.engines.postgresql import type_names as postgresql_types
from spftsql_jax.databases.engines.postgresql.tokens import Token, is_mark

_FUNCTION = re.compile(r"jsonb_path_\w+$|json_(?:exists|value|query|table)$")
# What may follow a path within a call.
_CLAUSES_NAMES = (
  "as columns default empty error false null passing returning true unknown with without"
)
_CLAUSES = frozenset(_CLAUSES_NAMES.split())
_OPERATORS = ("@?", "@@")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_COMPARISON = re.compile(r"==|!=|<>|<=?|>=?")
# Where one comparison ends and the next begins.
_BETWEEN_COMPARISONS = re.compile(r"&&|\|\||[()]")
# The document itself, not a variable.
_DOCUMENT = re.compile(r"\$(?![\w\"])")
_VARIABLE = re.compile(r"\$[\w\"]")
_SUBSCRIPT = re.compile(r"\[[^\]]*+\]")
_LONGEST = 1_000
_WALKS = 4


def refusal(tokens: Sequence[Token]) -> str:
  """Why the paths in a statement are not evaluated, or ""."""
  for i, token in enumerate(tokens):
    reason = ""
    if token.is_name and _FUNCTION.match(token.text) and is_mark(tokens, i + 1, "("):
      reason = _path_refusal(tokens, _path_argument(tokens, i + 1), _other_arguments(tokens, i + 1))
    elif token.is_word("path") and i + 1 < len(tokens) and tokens[i + 1].kind == "string":
      # Of a column of JSON_TABLE.
      reason = path_refusal(tokens[i + 1].text)
    elif token.kind == "operator" and token.text in _OPERATORS:
      reason = _operand_refusal(tokens, i)
    elif token.is_name and token.text in ("jsonpath", "_jsonpath"):
      reason = _cast_refusal(tokens, i)
    if reason:
      return reason
  return ""


def path_refusal(path: str) -> str:
  """Why a path is not evaluated, or ""."""
  if len(path) > _LONGEST or "\\" in path or "/*" in path:
    return "a JSON path that is not plain"
  path = _QUOTED.sub('""', path)
  if path.count('"') % 2 or "like_regex" in path:
    return (
      "a JSON path with like_regex" if "like_regex" in path else "a JSON path that is not plain"
    )
  if "**" in path.replace(" ", ""):
    return "a JSON path that visits every level (**)"
  if any(_DOCUMENT.search(part) or "@" in part for part in _SUBSCRIPT.findall(path)):
    return "a JSON path with a path in a subscript"
  for part in _filters(path):
    if _DOCUMENT.search(part) or "*" in part or "[" in part or "?" in part:
      return "a JSON path whose filter looks beyond its item"
  walks = path.replace("[ * ]", "[*]").count("*") + path.count("?")
  if walks > _WALKS or len(_DOCUMENT.findall(path)) > _WALKS:
    return f"a JSON path with more than {_WALKS} wildcards and filters"
  for part in _BETWEEN_COMPARISONS.split(path):
    sides = _COMPARISON.split(part)
    if (
      len(sides) > 1
      and sum("@" in side or _DOCUMENT.search(side) is not None for side in sides) > 1
    ):
      return "a JSON path that compares two paths"
  return ""


def _filters(path: str) -> list[str]:
  """The insides of `? ( ... )`, to the parenthesis that closes each; to the end where none does."""
  found = []
  for match in re.finditer(r"\?\s*\(", path):
    depth, end = 1, match.end()
    while depth and end < len(path):
      depth += {"(": 1, ")": -1}.get(path[end], 0)
      end += 1
    found.append(path[match.end() : end])
  return found


def _other_arguments(tokens: Sequence[Token], opening: int) -> Sequence[Token]:
  """The tokens behind a call's path: with the variables of the path among them."""
  start = end = max(_path_argument(tokens, opening), opening)
  depth = 1
  while end < len(tokens) and depth:
    if tokens[end].kind == "mark" and end > opening:
      depth += {"(": 1, ")": -1}.get(tokens[end].text, 0)
    end += 1
  return tokens[start + 1 : end - 1]


def _path_argument(tokens: Sequence[Token], opening: int) -> int:
  """The index of the first token of a call's second argument or of the one called path, or -1."""
  depth = 0
  for i in range(opening, len(tokens) - 1):
    if tokens[i].kind == "mark":
      depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(tokens[i].text, 0)
      if depth == 0:
        break
    elif (
      depth == 1
      and tokens[i].is_name
      and tokens[i].text == "path"
      and tokens[i + 1].text in ("=>", ":=")
    ):
      return i
  depth = 0
  for i in range(opening, len(tokens)):
    if tokens[i].kind == "mark":
      depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(tokens[i].text, 0)
      if depth == 0:
        return -1
      if depth == 1 and tokens[i].text == ",":
        return i + 1
  return -1


def _path_refusal(tokens: Sequence[Token], at: int, others: Sequence[Token]) -> str:
  if 0 <= at < len(tokens) - 2 and tokens[at].is_name and tokens[at + 1].text in ("=>", ":="):
    if tokens[at].text != "path":
      return "a JSON path that is not a literal"
    at += 2
  if (
    at < 0 or at >= len(tokens) or tokens[at].kind != "string" or not _ends_literal(tokens, at + 1)
  ):
    return "a JSON path that is not a literal"
  path = tokens[at].text
  # A variable may be a list, and be compared item by item.
  if _VARIABLE.search(path) and not _are_plain(others):
    return "a JSON path with variables that are not literals"
  return path_refusal(path)


def _are_plain(others: Sequence[Token]) -> bool:
  """Whether variables are given as literals, none of them a list."""
  words = [token for token in others if token.kind != "mark" or token.text not in (",", ")", "::")]
  return all(token.kind == "string" and "[" not in token.text and token.text != "\\" or
             token.is_word("jsonb", "jsonpath", "true", "false", "vars", "silent") or
             token.text in ("=>", ":=") for token in words)  # fmt: skip


def _ends_literal(tokens: Sequence[Token], at: int) -> bool:
  """Whether a literal ends before `at` (two literals in a row are one, and an operator makes
  another value of it).
  """
  if at >= len(tokens):
    return True
  if tokens[at].text == "::" and tokens[at].kind == "mark":
    return (
      at + 1 < len(tokens) and tokens[at + 1].text == "jsonpath" and _ends_literal(tokens, at + 2)
    )
  return tokens[at].text in (",", ")") or tokens[at].is_word(*_CLAUSES)


def _operand_refusal(tokens: Sequence[Token], at: int) -> str:
  """`@?` and `@@`, the latter of which full text search has too."""
  text = tokens[at].text
  i = at + 1
  while is_mark(tokens, i, "("):
    i += 1
  operand = tokens[i] if i < len(tokens) else None
  if operand is None or operand.is_word("any", "all", "some") or is_mark(tokens, i, ")"):
    return f"{text} on a JSON path that is not a literal"
  if operand.kind == "string":
    behind = tokens[i + 1] if i + 1 < len(tokens) else None
    if behind is not None and behind.kind in ("string", "operator"):
      return f"{text} on a JSON path that is not a literal"
    if is_mark(tokens, i + 1, "::") and i + 2 < len(tokens) and tokens[i + 2].is_word("tsquery"):
      return ""
    return path_refusal(operand.text)
  return "" if text == "@@" else f"{text} on a JSON path that is not a literal"


def _cast_refusal(tokens: Sequence[Token], at: int) -> str:
  """The type's name: `'$.a'::jsonpath`, `jsonpath '$.a'`, `CAST('$.a' AS jsonpath)`, or a column
  called so.
  """
  behind = tokens[at + 1] if at + 1 < len(tokens) else None
  if behind is not None and behind.kind == "string":
    return path_refusal(behind.text)
  if at > 1 and tokens[at - 1].text == "." and tokens[at - 2].text == "pg_catalog":
    at -= 2
  before = tokens[at - 1] if at else None
  value = tokens[at - 2] if at > 1 else None
  if before is not None and (before.text == "::" or before.is_word("as")):
    first = tokens[at - 3] if at > 2 else None
    if (
      value is None
      or value.kind != "string"
      or (first is not None and first.kind in ("string", "operator"))
    ):
      # `x AS jsonpath` names a column; behind a cast's it stands before a parenthesis.
      is_alias = before.is_word("as") and not (behind is not None and behind.text in (")", "["))
      return "" if is_alias else "a JSON path that is not a literal"
    return path_refusal(value.text)
  # Behind a dot it may be a cast as well.
  is_cast = (behind is not None and behind.text == "(") or (
    before is not None and before.text == "."
  )
  # Of a column: json_to_record(x) AS r(p jsonpath).
  is_cast = is_cast or postgresql_types.may_be_type(tokens, at)
  return "a JSON path that is not a literal" if is_cast else ""
