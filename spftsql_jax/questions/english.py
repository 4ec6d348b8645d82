"""English: the grammar of `grammars/english/`, and the forms that its slots ask for."""

from __future__ import annotations

import functools

from spftsql_jax.questions.grammar import FOLDER, Grammar, GrammarError, Value, read_folder
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
def grammar() -> Grammar:
  """The wordings of English."""
  return Grammar(read_folder(FOLDER / "english"), form)
