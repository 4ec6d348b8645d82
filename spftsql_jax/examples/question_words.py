"""Words of English questions, for `known_words`: which words of a question a database knows."""

from __future__ import annotations

from pathlib import Path

from spftsql_jax.columns.word_lists import read_lists

_LISTS = read_lists(Path(__file__).parent / "lists" / "questions.txt")

FUNCTION_WORDS = frozenset(_LISTS["function words"])
BEFORE_THE_VERB = frozenset(_LISTS["before the verb"])
CHANGING_VERBS = frozenset(_LISTS["changing verbs"])
QUESTION_PHRASES = _LISTS["question phrases"]
