"""The select list of a statement as text: putting its items in another's order."""

from __future__ import annotations

from spftsql_jax.sql.statements import tokens

_SET_OPERATORS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_NAMES = frozenset({"word", "quoted", "string"})
Tokens = list[tuple[str, str]]


def reordered_like(sql: str, model: str) -> str | None:
  """`sql` with the items of its select list in the order in which `model` has the same ones, by
  their text.

  The answer returns the rows of `sql` with their columns permuted, if in no certain order.

  Returns:
    None where the lists do not hold the same items, each once, or hold them in the same order; and
    where the order of the items could change what a row holds: in set operations, with an ordinal
    or one name for two items to group or order by, with two of min and max (they choose the row
    that other columns come from), with LIMIT and with WITH.
  """
  parts = _split(sql)
  wanted = _split(model)
  if parts is None or wanted is None or len(parts[1]) != len(wanted[1]) or len(parts[1]) < 2:
    return None
  head, items, rest = parts
  names = [name for item in items if (name := _alias(item)) is not None]
  if len(set(names)) < len(names) or _depends_on_order(items, rest):
    return None
  by_key = {_key(item): item for item in items}
  keys = [_key(item) for item in wanted[1]]
  if len(by_key) < len(items) or set(by_key) != set(keys) or list(by_key) == keys:
    return None
  return f"SELECT {_text(head)}{' ,'.join(_text(by_key[key]) for key in keys)} {_text(rest)}"


def _split(sql: str) -> tuple[Tokens, list[Tokens], Tokens] | None:
  """(DISTINCT or ALL, the items of the select list, what follows them) of a plain SELECT."""
  found = list(tokens(sql))
  if not found or found[0][1].upper() != "SELECT":
    return None
  start = 2 if len(found) > 1 and found[1][1].upper() in ("DISTINCT", "ALL") else 1
  depth = 0
  items: list[Tokens] = [[]]
  for i in range(start, len(found)):
    kind, text = found[i]
    depth += (text == "(") - (text == ")")
    if depth == 0 and text == ",":
      items.append([])
    elif depth == 0 and kind == "word" and text.upper() == "FROM":
      return found[1:start], items, found[i:]
    else:
      items[-1].append((kind, text))
  return None


def _depends_on_order(items: list[Tokens], rest: Tokens) -> bool:
  """Whether the order of the select list may matter to anything but the order of the columns."""
  if sum(text.upper() in ("MIN", "MAX") for item in items for _, text in item) > 1:
    return True
  depth, listing = 0, False
  for kind, text in rest:
    word = text.upper() if kind == "word" else ""
    depth += (text == "(") - (text == ")")
    if depth == 0 and (word in _SET_OPERATORS or word == "LIMIT"):
      return True
    if depth == 0 and word in ("BY", "HAVING"):
      listing = word == "BY"
    elif listing and kind == "number":
      return True
  return False


def _alias(item: Tokens) -> str | None:
  """The name that an item is given, or what may be one."""
  if len(item) > 1 and item[-1][0] in _NAMES and item[-2][1] != ".":
    return item[-1][1].strip("\"'`[]").lower()
  return None


def _key(item: Tokens) -> tuple[str, ...]:
  """What an item computes, as text: without its name and the tables before its columns."""
  if _alias(item) is not None:
    item = item[: -2 if item[-2][1].upper() == "AS" else -1]
  return tuple(
    text.lower() if kind == "word" else text
    for i, (kind, text) in enumerate(item)
    if text != "." and not (i + 1 < len(item) and item[i + 1][1] == ".")
  )


def _text(part: Tokens) -> str:
  return "".join(f"{text} " for _, text in part)
