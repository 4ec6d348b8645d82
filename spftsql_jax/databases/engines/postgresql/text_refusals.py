"""What PostgreSQL is not let run by the text of a statement alone: what has no function's name, and
single values that are too large.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from spftsql_jax.databases.engines.postgresql import paths, products, type_names
from spftsql_jax.databases.engines.postgresql.names import argument_count, closing
from spftsql_jax.databases.engines.postgresql.tokens import Token, is_mark

# Functions that make a large value of a number, with the largest that may stand in the text. No
# answer is longer, and what the server does with a value without looking up (position, replace,
# distances) takes time by the square of it.
_LARGEST = {
  "array_fill": 100_000,
  "format": 100_000,
  "lpad": 100_000,
  "polygon": 1_000,
  "repeat": 100_000,
  "rpad": 100_000,
}
# The width of a conversion: %10s, %-10s, %2$10s.
_WIDTH = re.compile(r"%(?:\d+\$)?-?(\d+)")
# One that is an argument: %*s.
_WIDTH_GIVEN = re.compile(r"%(?:\d+\$)?-?\*")


def shape_refusal(tokens: Sequence[Token]) -> str:
  """What is refused by its syntax, since it has no function's name: XML that is read, paths that
  are not plain.
  """
  for i, token in enumerate(tokens):
    before = tokens[i - 1] if i else None
    if token.is_word("xmltable", "xmlparse", "xmlexists") and is_mark(tokens, i + 1, "("):
      return f"{token.text}, which runs on when it is to stop"
    negated = before is not None and before.is_word("not")
    if token.is_word("document") and i > negated and tokens[i - 1 - negated].is_word("is"):
      return "IS DOCUMENT, which runs on when it is to stop"
    if token.is_name and token.text in ("xml", "_xml") and type_names.may_be_type(tokens, i):
      return "reading text as XML, which runs on when it is to stop"
  return paths.refusal(tokens) or products.refusal(tokens)


def size_refusal(tokens: Sequence[Token]) -> str:
  """Why one value that the text asks for is too large: repeat('x', 300000000),
  format('%1000000000s', 1).
  """
  for i, token in enumerate(tokens):
    if not (token.is_name and token.text in _LARGEST and is_mark(tokens, i + 1, "(")):
      continue
    most = _LARGEST[token.text]
    product = 1.0
    inside = tokens[i + 2 : closing(tokens, i + 1)]
    for j, each in enumerate(inside):
      counts = _WIDTH.findall(each.text) if each.kind == "string" and token.text == "format" else []
      if each.kind == "number" and (count := _number(each.text)) is not None:
        # 1000 * 1000
        product = product * count if j and inside[j - 1].text in ("*", "^") else count
        counts = [product]
      if any(len(str(count)) > 18 or float(count) > most for count in counts):
        return f"{token.text} makes values of at most {most:,} parts here"
      if token.text == "format" and each.kind == "string" and _WIDTH_GIVEN.search(each.text):
        return "format takes no width from its arguments here"
    if token.text == "polygon" and argument_count(tokens, i + 1) > 1 and inside[0].kind != "number":
      return "polygon takes a number of points only as it stands here"
  return ""


def _number(text: str) -> float | None:
  try:
    return float(text.replace("_", ""))
  except ValueError:
    return None
