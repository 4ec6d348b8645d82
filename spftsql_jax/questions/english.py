"""English: the grammar of `grammars/english/`, and the forms that its slots ask for."""

from __future__ import annotations

import functools

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
