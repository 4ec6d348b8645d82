"""Which texts are run for a gold query and a prediction.

A comparison executes the statement that is read out of either text, and Spider's script changes it
first. Of texts that differ in white space and the case of words alone, one is run for all.
"""

from __future__ import annotations

import functools
import re

from spftsql_jax.sql import model_text, statements

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
  from spftsql_jax.judging.comparison import Comparison

_CURRENT_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)
_SPLIT_OPERATORS = (("> =", ">="), ("< =", "<="), ("! =", "!="))
_STRINGS = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""")
_RARE_QUOTES = re.compile(r"--|/\*|[`\[$]")
_SPACE_AROUND = ((" (", "("), ("( ", "("), (" )", ")"), (" ,", ","), (", ", ","), (" ;", ";"))


def executed_texts(
  gold: str,
  predicted: str,
  comparison: Comparison,
  keep_distinct: bool = False,
  dialect: str = "sqlite",
) -> tuple[str, str]:
  """The texts that a comparison executes for the gold query and the prediction.

  Of both that is the statement which is read there; with "spider" as the script changes it.
  """
  gold, predicted = (model_text.read_statement(text, dialect) for text in (gold, predicted))
  if comparison == "spider":
    gold = spider_query(gold, False, keep_distinct)
    predicted = spider_query(predicted, True, keep_distinct)
  return gold, predicted


def spider_query(sql: str, predicted: bool, keep_distinct: bool = False) -> str:
  """The text that the test-suite evaluator executes for `sql`.

  In a prediction the letters "value" become 1 (its placeholder for a value that a model does not
  predict), wherever they stand. In both, operators split by a space are joined, every DISTINCT
  outside quotes is taken out unless `keep_distinct`, and YEAR(CURDATE()) becomes 2020.
  """
  if predicted:
    sql = sql.replace("value", "1")
  for split, joined in _SPLIT_OPERATORS:
    sql = sql.replace(split, joined)
  if not keep_distinct:
    sql = without_distinct(sql)
  return _CURRENT_YEAR.sub("2020", sql)


def without_distinct(sql: str) -> str:
  """The text without its DISTINCT keywords; strings, quoted names and comments are left alone."""
  if "distinct" not in sql.lower():
    return sql
  return "".join(
    text
    for kind, text in statements.tokens(sql, keep_space=True)
    if kind != "word" or text.lower() != "distinct"
  )


class TextsToRun:
  """One text to run for all that differ in white space and the case of words alone.

  The verdict on a pair hangs on the pair's own texts all the same: whether the order of the rows
  counts is told from its own gold text, not from the one that is run.
  """

  def __init__(self) -> None:
    self._chosen: dict[tuple[str, str], str] = {}
    self._key_of = functools.lru_cache(maxsize=None)(text_key)

  def choose(self, text: str, dialect: str) -> str:
    """The first text that was the same as this one."""
    # In DuckDB the case of a word can be seen in the rows: the names in a structure are spelled as
    # the query spells them.
    if dialect == "duckdb":
      return text
    return self._chosen.setdefault((dialect, self._key_of(text, dialect)), text)


def text_key(sql: str, dialect: str = "") -> str:
  """`statements.same_text_key`, several times faster for text without comments and rare quotes.

  No token is looked at there.
  """
  if dialect == "duckdb" or _RARE_QUOTES.search(sql) or not statements.reads_alike(sql, dialect):
    return statements.same_text_key(sql, dialect)
  parts = _STRINGS.split(sql)
  for i in range(0, len(parts), 2):
    part = parts[i]
    # White space alone may make one string of two.
    if "'" in part or '"' in part or not part.isascii() or (part.isspace() and i):
      return statements.same_text_key(sql, dialect)
    part = " ".join(f".{part.lower()}.".split())
    for spaced, plain in _SPACE_AROUND:
      part = part.replace(spaced, plain)
    parts[i] = part[1:-1]
  return "".join(parts).rstrip("; ")
