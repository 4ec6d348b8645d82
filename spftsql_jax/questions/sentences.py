"""Writes the question that a SQL query answers, by rule and in many ways.

The query is read into relations and conditions (`query_meaning`), worded bottom up (names, values,
conditions, relations, entities, groups), and put into one of the forms in which people ask:
commands, questions, terse notes, indirect requests, with the small irregularities of human writing.
"""

from __future__ import annotations

import collections
import random
import re

from sqlglot import exp

from spftsql_jax.questions import english
from spftsql_jax.questions import wordings as word_tables
from spftsql_jax.questions.agreement import agree
from spftsql_jax.questions.grammar import Grammar
from spftsql_jax.questions.naming import names_of
from spftsql_jax.questions.parts import Message, is_plural, pick
from spftsql_jax.questions.query_meaning import Query, SetQuery, UnsupportedQuery, read_query
from spftsql_jax.questions.writer import QuestionWriter
from spftsql_jax.schema import Schema

__all__ = ["UnsupportedQuery", "joints", "strain", "wordings", "write_question"]

_QUOTED = re.compile(r"""(?<!\w)("[^"]*"|'[^']*'(?!\w))""")
_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST = 4  # Letters of a word that a reader notices when it comes again.

_FOR_ONE = tuple(c for c in word_tables.COMMANDS if c[0] not in word_tables.OF_SEVERAL)
# Where requests that are no command end, and notes without a verb; the rest are questions.
_WITH_VERB, _TERSE = 0.63, 0.66

_CONTRACTIONS = (
  ("What is ", "What's "),
  *((f"{verb} not ", f"{verb}n't ") for verb in ("do", "does", "is", "are", "did", "have", "has")),
  ("Who is ", "Who's "),
)


def write_question(
  sql: str | exp.Expr, schema: Schema, rng: random.Random, phrases: str = ""
) -> str:
  """One wording of a query as a question in English; the same `rng` state gives the same question.

  Args:
    sql: one SELECT (or set operation) in the dialect of the schema, or its tree.
    schema: the schema of the query's database.
    rng: source of all choices.
    phrases: rows of more wordings, as `grammars/english/` has them.

  Raises:
    UnsupportedQuery: the query cannot be worded faithfully; the message says why.
    GrammarError: a row of `phrases` is none.
  """
  return _word(read_query(sql, schema), schema, rng, english.grammar(phrases))


def joints(question: str) -> int:
  """How many parts of a question hang on others, by the words that join them: 2 in "Which are the
  names of singers with concerts?", whose first word asks. 98 % of people's questions have 3 at most
  (Spider's train split).
  """
  said = _WORD.findall(_QUOTED.sub("", question).lower())
  return sum(word in word_tables.JOINTS for word in said[1:])


def strain(question: str) -> int:
  """How hard a question is to read: its joints, and how often it says a word again ("the share
  with the lowest share"). 92 % of people's questions have 3 at most (Spider's train split).
  """
  said = _WORD.findall(_QUOTED.sub("", question).lower())
  counted = collections.Counter(
    word.rstrip("s")
    for word in said
    if len(word) >= _SHORTEST and word not in word_tables.SAID_AGAIN
  )
  return joints(question) + counted.total() - len(counted)


def wordings(sql: str, schema: Schema, count: int, seed: int) -> list[str]:
  """Up to `count` distinct wordings of one query, fewer where it has no more.

  Raises UnsupportedQuery.
  """
  query = read_query(sql, schema)
  rng = random.Random(seed)
  found: dict[str, None] = {}
  for _ in range(8 * count):
    found.setdefault(_word(query, schema, rng, english.grammar()))
    if len(found) == count:
      break
  return list(found)


def _word(query: Query | SetQuery, schema: Schema, rng: random.Random, grammar: Grammar) -> str:
  writer = QuestionWriter(names_of(schema), rng, grammar)
  return _noise(_frame(writer.message(query), rng), rng)


def _frame(message: Message, rng: random.Random) -> str:
  """Puts what is asked for into a sentence."""
  if message.sentences and rng.random() < message.sentence_rate:
    return rng.choice(message.sentences).replace("the the ", "the ")
  content, lead, tail = message.content, message.lead, message.tail
  if message.after and lead and rng.random() < 0.5:
    content, lead = f"{content} {lead}", ""
  if tail:
    content = (
      f"{content}{'' if tail.startswith(',') else ',' if rng.random() < 0.35 else ''} "
      f"{tail.lstrip(', ')}"
    )
  content = (
    " ".join(content.split())
    .replace(" ,", ",")
    .replace("the the ", "the ")
    .replace(",,", ",")
    .rstrip(",")
  )
  content = _move_rounding(content, rng)
  start = f"{lead[0].upper()}{lead[1:]}, " if lead else ""
  style = rng.random()
  if message.bare == "none":
    style *= _WITH_VERB  # "Each city and the number of doctors" is no question.
  if style < 0.54:
    command = pick(rng, word_tables.COMMANDS if message.plural else _FOR_ONE)
    # "List names of doctors", but not "List number of doctors".
    first = re.split(r",| and ", content.removeprefix("the "), maxsplit=1)[0]
    said = _drop_article(content, rng) if message.plural and is_plural(first) else content
    return f"{start}{_lower(command) if start else command} {said}."
  if style > _TERSE:
    verb = agree("are", message.plural)
    if message.bare and not content.startswith(("the ", "all ")):
      content = f"the {content}"
    what = "who" if message.bare == "who" else "what"
    return f"{start}{what if start else what.capitalize()} {verb} {content}?"
  if style < _WITH_VERB:
    frame = pick(rng, word_tables.INDIRECT).format(content, be=agree("are", message.plural))
    return f"{start}{_lower_first(frame) if start else frame}"
  terse = _drop_article(content, rng, 0.9)
  if len(terse.split()) < 2:
    terse = f"{'list' if start else 'List'} {terse}"  # "Concerts" is no question.
  return f"{start}{terse}" if start else f"{terse[0].upper()}{terse[1:]}"


def _move_rounding(content: str, rng: random.Random) -> str:
  """The one rounding of a question is often said last: "..., rounded to 2 decimals"."""
  found = re.findall(r" \((rounded to [^()]*)\)", content)
  if len(found) != 1 or rng.random() < 0.4:
    return content
  return f"{content.replace(f' ({found[0]})', '')}, {found[0]}"


def _drop_article(content: str, rng: random.Random, probability: float = 0.2) -> str:
  return content[4:] if content.startswith("the ") and rng.random() < probability else content


def _lower(text: str) -> str:
  return text[0].lower() + text[1:]


def _lower_first(text: str) -> str:
  return text if text.startswith(("I ", "I'")) else _lower(text)


def _noise(text: str, rng: random.Random) -> str:
  """Small things that people do: no capital, no full stop, contractions, a please."""
  text, asks = text[0].upper() + text[1:], text.endswith("?")
  if rng.random() < 0.3:
    for long, short in _CONTRACTIONS:
      if long in text and rng.random() < 0.5:
        text = text.replace(long, short, 1)
  if rng.random() < 0.12:
    if rng.random() < 0.6:
      text = text.rstrip(".?")
    if rng.random() < 0.7 and not text.startswith(("I ", "I'")) and not text.split()[0].isupper():
      text = _lower(text)
    if rng.random() < 0.2 and not asks and "please" not in text.lower():
      text = f"{text.rstrip('.')} {rng.choice(('please', 'pls', 'thanks'))}"
  return text
