"""Comments on tables and columns, which SQLite keeps only inside the text of CREATE TABLE.

CREATE TABLE stay (      -- a night or more in a room
  room TEXT,             -- number on the door
  rate REAL              -- price of a night, in euros
)
"""

from __future__ import annotations

from spftsql_jax.sql import statements

_CONSTRAINTS = frozenset({"CONSTRAINT", "PRIMARY", "FOREIGN", "UNIQUE", "CHECK"})


def read_comments(definition: str) -> tuple[str, dict[str, str]]:
  """The comment on the table and those on its columns (by lower-case name), from the text of its
  CREATE TABLE.

  A comment belongs to the column on whose line it stands, behind it or behind its comma; one on a
  line of its own belongs to the column before it if it goes on with that column's comment, else to
  the column after it. What is in doubt is left out.
  """
  table_comment = ""
  columns: dict[str, str] = {}
  depth = 0
  line_is_blank = True  # nothing but space so far on this line
  current: str | None = None  # the column being defined
  last: str | None = None  # the column that the text on this line belongs to
  lead: list[str] = []  # comments on lines of their own, for the next column
  goes_on: str | None = None  # the column whose comment the next line may go on with
  for kind, text in statements.tokens(definition, keep_space=True):
    if kind == "space":
      if not text.startswith(("--", "/*")):
        if "\n" in text:
          if not line_is_blank:
            goes_on = last if goes_on is not None and goes_on == last else None
          line_is_blank, last = True, current
        continue
      comment = _clean(text)
      if not comment:
        continue
      if depth == 0 or (depth == 1 and not columns and current is None and not line_is_blank):
        table_comment = " ".join(filter(None, (table_comment, comment)))
      elif not line_is_blank and last is not None:
        columns[last] = " ".join(filter(None, (columns.get(last), comment)))
        goes_on = last if text.startswith("--") else None
      elif line_is_blank and goes_on is not None and text.startswith("--"):
        columns[goes_on] = f"{columns[goes_on]} {comment}"
      elif line_is_blank:
        lead.append(comment)
      continue
    line_is_blank = False
    if text == "(":
      depth += 1
    elif text == ")":
      depth -= 1
      if depth == 0:
        current = None
    elif depth == 1:
      if text == ",":
        current = None
      elif current is None and kind in ("word", "quoted", "string"):
        if kind == "word" and text.upper() in _CONSTRAINTS:
          current = last = ""
        else:
          current = last = (text if kind == "word" else text[1:-1]).lower()
          columns.setdefault(current, "")
          if lead:
            columns[current] = " ".join(lead)
        lead, goes_on = [], None
  return table_comment, {name: comment for name, comment in columns.items() if name and comment}


def _clean(comment: str) -> str:
  text = (
    comment.removeprefix("--")
    if comment.startswith("--")
    else comment.removeprefix("/*").removesuffix("*/")
  )
  return " ".join(text.strip("-=* \t\n").split())
