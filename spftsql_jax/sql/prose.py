"""Prose around SQL, as models write it: where it begins behind a query, and what holds a query
within it.

A line is prose only where no query can go on with it, so that SQL is never cut: behind an operand a
query goes on with a word of the grammar, or with one alias and a word of the grammar behind it.
"This query returns the names" is neither.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator, Mapping

from spftsql_jax.sql import identifiers

_WORD_LISTS: Mapping[str, frozenset[str]] = {
  name: frozenset(" ".join(lines).split())
  for name, lines in json.loads(
    (pathlib.Path(__file__).parent / "grammar_words.json").read_text(encoding="utf-8")
  ).items()
}
# Words, besides those that some engine reserves, with which a query may go on behind an operand.
_GO_ON = _WORD_LISTS["go_on"]
# Words that may stand behind an alias.
_BEHIND_ALIAS = _WORD_LISTS["behind_alias"]
# Words of the grammar behind which an operand is still to come.
_OPERAND_TO_COME = _WORD_LISTS["operand_to_come"]
_WORD = r"[^\W\d_][\w'’-]*"
# Words that reserve their name and stand for a value, or end one.
_OPERANDS = _WORD_LISTS["reserved_operands"]
_WORDS = rf"{_WORD}(?:[ ]{_WORD})*"
# A line that may be prose: a label, a mark of Markdown, or words with single spaces between them.
_LINE = re.compile(
  rf"""[ \t]*(?:
    (?P<label>(?:\*\*|\#{{1,6}}[ ]+)?{_WORDS}(?:\*\*)?[ ]?(?::(?:\*\*)?(?=\s|\Z)|：))
    |(?P<mark>\#{{1,6}}[ ]+(?={_WORD})|\*\*[^*\n]+\*\*(?=[\s:]|\Z)
      |\|[^|\n]+\|(?:[^\n]*\|)?[ \t\r]*(?:\n|\Z))
    |(?P<item>[-*•–>][ ]+(?P<listed>{_WORDS}))
    |(?P<numbered>\d+[.)][ ]+(?i:SELECT|WITH)\b)
    |(?:\d+[.)][ ]+)?(?P<words>{_WORDS})
    |(?P<quoted>[`"(])
  )""",
  re.VERBOSE,
)
_PARAGRAPH = re.compile(r"(?s:.*?)(?=\n[ \t\r]*\n|\Z)")
# The last words of a paragraph without its quoted words; not behind a comment or an open quotation
# mark, in which a full stop says nothing.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|(?<=\w)'(?=\w)")
_SENTENCE = re.compile(r"(?!.*(?:--|/\*|['\"`$])).*[^\W\d_][.!?。！？]\)?\s*\Z", re.DOTALL)
# What nothing is prose without, for a quick look.
MAY_FOLLOW = re.compile(r"\n[ \t]*(?:[-*•–>#|`\"(]|\d+[.)] |[^\W\d_][\w'’-]*(?:[^\w(.]|\Z))")


def begins_prose(text: str, at: int, behind_blank_line: bool, previous: str) -> bool:
  """Whether the line at `at` is none that a query can go on with.

  Args:
    text: a query, and what follows.
    at: where a line begins, outside brackets, literals and comments.
    behind_blank_line: a blank line stands before it.
    previous: the lexeme before it, which ends an operand.
  """
  match = _LINE.match(text, at)
  if match is None:
    return False
  if match["label"]:
    words = re.findall(_WORD, match["label"])
    clauses = any(_goes_on(word) or word.lower() in _BEHIND_ALIAS for word in words)
    return not clauses and (len(words) > 1 or previous != ")")
  if match["mark"]:
    return behind_blank_line
  if match["numbered"]:
    return True
  # Behind "DISTINCT ON (a)", as behind the minus that "- " may be, stands an operand: its alias may
  # follow, and a clause.
  if match["quoted"]:
    return behind_blank_line and _is_sentence(text, match.start())
  if match["item"] or previous == ")":
    words = (match["listed"] or match["words"]).split(" ")
    return (len(words) > 2 and not any(map(_goes_on, words[:3]))) or (
      behind_blank_line and _is_sentence(text, match.start())
    )
  words = match["words"].split(" ")
  # Behind a blank line two words are enough; else a third is asked for, so that a misspelled word
  # of SQL ("ODER BY x") stays the error that it is.
  if (
    len(words) > 2 - behind_blank_line
    and not _goes_on(words[0])
    and words[1].lower() not in _BEHIND_ALIAS
  ):
    return behind_blank_line or not any(map(_goes_on, words[1:3]))
  # "In this query, ...": no query ends in a full stop.
  return behind_blank_line and _is_sentence(text, match.start())


def awaits_operand(kind: str, lexeme: str) -> bool:
  """Whether a query may go on behind this lexeme with an operand, so that any word may follow."""
  if kind == "word":
    word = lexeme.lower()
    return word in _OPERAND_TO_COME or (
      word in identifiers.reserved_words("") and word not in _OPERANDS
    )
  return kind == "other" and lexeme not in (")", "]", "}")


def strings_of_json(text: str) -> Iterator[str]:
  """The strings in a text that is JSON, in order, keys left out."""
  try:
    value = json.loads(text, strict=False)
  except (ValueError, RecursionError):
    return
  waiting = [value]
  while waiting:
    each = waiting.pop(0)
    if isinstance(each, str):
      yield each
    elif isinstance(each, (dict, list)):
      waiting[:0] = each.values() if isinstance(each, dict) else each


def _is_sentence(text: str, at: int) -> bool:
  """Whether the paragraph that begins at `at` ends in a full stop."""
  paragraph = _PARAGRAPH.match(text, at)
  return paragraph is not None and _SENTENCE.match(_QUOTED.sub("a", paragraph[0])) is not None


def _goes_on(word: str) -> bool:
  return word.lower() in _GO_ON or word.lower() in identifiers.reserved_words("")
