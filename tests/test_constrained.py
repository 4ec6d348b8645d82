"""SQL-aware decoding: what the automaton of a schema allows, checked by a reader of its own, and
that decoding obeys it.
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shared_data import SPIDER, needs_spider

from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.generation import Generator, Request
from spftsql_jax.generation.automaton import Automata
from spftsql_jax.generation.identifiers import KEYWORDS, accepts, identifier_automaton, token_bytes
from spftsql_jax.models import Decoder, ModelConfig, init_params

TABLES = {
  "singer": ["singer_id", "Name", "country"],
  "concert": ["concert_id", "venue_name", "year"],
  "singer_in": ["fee"],
}
GOOD = (
  " SELECT count(*) FROM singer",
  (
    " select T1.Name, t2.venue_name from SINGER as T1 join concert AS t2 on T1.singer_id = "
    "t2.concert_id where T1.fee >= 2.5e3"
  ),
  (
    " SELECT DISTINCT \"anything\", 'it''s \"free\"; text' FROM `odd name` WHERE name LIKE '%x y%' "
    "ORDER BY year DESC LIMIT 3"
  ),
  (
    " SELECT singer.country FROM singer_in , singer WHERE singer_in.fee IN (SELECT max(s.fee) FROM "
    "(SELECT * FROM singer_in) s)"
  ),
  " SELECT CAST(fee AS REAL) AS made_up_name FROM concert;",
  " SELECT .5 , x.* FROM singer x",
)
BAD = (
  " SELECT count(*) FROM singers",
  " SELECT nam FROM singer",
  " SELECT Name FROM country",
  " SELECT singer.fee FROM singer",
  " SELECT T1.venue FROM concert AS T1",
  " SELECT Name FROM singer WHERE colour = 'red'",
  " SELECT frobnicate(Name) FROM singer",
  " SELECT singer. FROM singer",
  " SELECT Name FROM",
)


@pytest.fixture(scope="module")
def tokenizer():
  return train_bpe(
    [*GOOD, *BAD, "the venue_names of every singer in the country; nothing else"] * 3, 420
  )


@pytest.fixture(scope="module")
def automaton(tokenizer):
  return identifier_automaton(
    TABLES, token_bytes(tokenizer), {tokenizer.eos_token_id}, vocab_size=440
  )


def ids(tokenizer, text):
  return [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]


def test_tokens_are_spelled_as_the_tokenizer_decodes_them(tokenizer):
  spelled = token_bytes(tokenizer)
  assert spelled[tokenizer.eos_token_id] is None
  for text in (*GOOD, "naïve 東京 \n\t"):
    assert (
      b"".join(spelled[i] for i in tokenizer.encode(text, add_special_tokens=False))
      == text.encode()
    )


@pytest.mark.parametrize("sql", GOOD)
def test_what_names_the_schema_is_allowed_in_every_tokenization(tokenizer, automaton, sql):
  assert accepts(automaton, ids(tokenizer, sql))
  alphabet = {text: i for i, text in enumerate(token_bytes(tokenizer)) if text}
  assert accepts(automaton, [*(alphabet[bytes([b])] for b in sql.encode()), tokenizer.eos_token_id])


@pytest.mark.parametrize("sql", BAD)
def test_other_names_are_not_allowed(tokenizer, automaton, sql):
  assert not accepts(automaton, ids(tokenizer, sql))


def test_some_token_may_follow_everywhere_and_padding_nowhere(tokenizer, automaton):
  assert (automaton.table >= 0).any(axis=1).all()
  never = automaton.classes[[tokenizer.pad_token_id, *range(len(tokenizer), 440)]]
  assert (automaton.table[:, never] == -1).all()


def test_random_answers_under_the_automaton_hold_allowed_words_only(tokenizer, automaton):
  """A model of random weights writes nonsense, but no word outside literals that the schema does
  not know.
  """
  config = ModelConfig(
    "qwen2", 440, 32, 48, 1, 2, 1, 16, max_position_embeddings=256, initializer_range=0.3
  )
  params = init_params(config, jax.random.key(0))
  generator = Generator(Decoder(config), lanes=16)
  free = [Request((5, 6, 7), (8 + i,)) for i in range(16)]
  bound = [Request(r.prefix, r.prompt, automaton=automaton) for r in free]
  options = {"max_new_tokens": 40, "eos_id": tokenizer.eos_token_id, "temperature": 1.0}
  plain = generator.generate(params, free, **options)
  answers = generator.generate(params, bound, **options)
  mixed = generator.generate(params, [*free[:8], *bound[8:]], **options)
  assert [a.tokens for a in mixed] == [a.tokens for a in plain[:8] + answers[8:]]
  known = {
    *KEYWORDS.split(),
    *(t.lower() for t in TABLES),
    *(c.lower() for columns in TABLES.values() for c in columns),
  }

  def strange(answer) -> list[str]:
    text = tokenizer.decode(answer.tokens, skip_special_tokens=True)
    # Whatever is quoted, or named by AS and WITH, is free; the last word may be cut off by the
    # limit.
    text = re.sub(r"'[^']*('|$)|\"[^\"]*(\"|$)|`[^`]*(`|$)|\[[^\]]*(\]|$)", " ' ", text)
    text = re.sub(r"(?i)\b(as|with)\b[^\w'(]*\w*", " ", text)
    words = re.findall(
      r"(?<![\w.])[^\W\d]\w*", text if answer.status == "stop" else re.sub(r"\w*$", "", text)
    )
    return [w for w in words if w.lower() not in known and not re.fullmatch(r"[a-zA-Z]\d*", w)]

  assert not [w for answer in answers for w in strange(answer)]
  assert sum(bool(strange(answer)) for answer in plain) > 8


def test_automata_of_several_schemas_stand_side_by_side(tokenizer, automaton):
  other = identifier_automaton(
    {"pets": ["weight"]}, token_bytes(tokenizer), {tokenizer.eos_token_id}, vocab_size=440
  )
  automata, number = Automata.of([None, automaton, other, automaton])
  assert [number(a) for a in (None, automaton, other)] == [0, 1, 2]
  states = np.arange(20)
  for each in (automaton, other):
    following = automata.following(jnp.full(20, number(each)), jnp.asarray(states))
    np.testing.assert_array_equal(following, each.table[states][:, each.classes])
  assert (np.asarray(automata.following(jnp.array([0]), jnp.array([0]))) == 0).all()
  assert Automata.of([None])[0] is None


@needs_spider
def test_gold_queries_of_spider_dev_are_allowed(tokenizer):
  from spftsql_jax.databases.introspection import read_schema
  from spftsql_jax.examples.benchmarks import database_ids, find_database, read_examples

  examples, spelled = read_examples(SPIDER / "dev.json"), token_bytes(tokenizer)
  for db_id in database_ids(examples)[:8]:
    schema = read_schema(str(find_database(SPIDER / "database", db_id)))
    tables = {t.name: [c.name for c in t.columns] for t in schema.tables}
    automaton = identifier_automaton(tables, spelled, {tokenizer.eos_token_id})
    refused = [
      e.query
      for e in examples
      if e.db_id == db_id and not accepts(automaton, ids(tokenizer, " " + e.query))
    ]
    assert not refused
