"""English: the grammar of `grammars/english/`, and the forms that its slots ask for."""

from __future__ import annotations

import functools
from pathlib import Path

from spftsql_jax.questions.grammar import FOLDER, Grammar, GrammarError, Value, read_folder, rows_of
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.parts import article


def form(value: Value, name: str) -> str:
  """What a slot stands for, in a form. Raises GrammarError: English has no such form."""
  match name:
    case "a":
      return article(str(value))
    case "plural" if isinstance(value, Noun):
      return value.plural
  raise GrammarError(f"no form {name!r} of {value!r} in English")


@functools.cache
def grammar(phrases: str = "") -> Grammar:
  """The wordings of English, with more rows of constructs that it has.

  Raises GrammarError: a line of `phrases` that is no row, or a construct or slot that is not known.
  """
  own = Grammar(read_folder(FOLDER / "english"), form)
  return own.with_rows(rows_of(phrases, "phrases")) if phrases else own


def read_phrases(path: str | Path) -> str:
  """The rows of a file of wordings, checked against the grammar that they add to.

  Raises:
    FileNotFoundError: nothing is there.
    ValueError: a line is no row (GrammarError), or the file is no text; the message names it.
  """
  path = Path(path)
  if not path.is_file():
    raise FileNotFoundError(f"{path}: no such file of phrases")
  try:
    text = path.read_text(encoding="utf-8")
    grammar(text)
  except (GrammarError, UnicodeDecodeError) as error:
    raise ValueError(f"{path}: {error}") from error
  return text
