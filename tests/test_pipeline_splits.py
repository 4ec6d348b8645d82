"""Training, verification, self-play, selection and test are apart by query, whatever its wordings
and spellings.
"""

import dataclasses
import itertools
import json
import random
import shutil
import sqlite3

import pytest
import tiny_runs

from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline import data, evaluation, run
from spftsql_jax.pipeline.model_base import Score
from spftsql_jax.pipeline.queries import Queries, hold_back
from spftsql_jax.pipeline.stages import consistency, vbi_ft
from spftsql_jax.sql.statements import same_text_key
from spftsql_jax.synthesis.normal_form import normal_form

demo = tiny_runs.demo  # a fixture


@pytest.fixture(scope="module")
def sets(demo, tmp_path_factory):
  """The examples of each split of a run with several wordings a query, by name; model-written
  wordings are in them.
  """
  workdir = tmp_path_factory.mktemp("run")
  config, replace = tiny_runs.tiny_config(str(demo)), dataclasses.replace
  config = replace(
    config,
    data=replace(config.data, seed_limit=0),
    synthesis=replace(config.synthesis, examples=480, wordings=8, model_questions=0.3),
    vbi_ft=replace(config.vbi_ft, verify=60, select=40),
    self_play=replace(config.self_play, questions=60, iterations=1, baselines=("spin",)),
  )

  def word_again(bench, writer, queries):
    return [replace(e, question=f"again: {e.question}", source="model") for e in queries]

  def all_right(examples, outcomes, verdicts):
    return Score(1.0, 1.0, (True,) * len(examples))

  with pytest.MonkeyPatch.context() as patch:
    tiny_runs.short_tokenizer(patch)
    # A model that answers, and words what it likes: without one this path is never gone.
    patch.setattr(evaluation, "score_of", all_right)
    patch.setattr(vbi_ft, "write_model_questions", word_again)
    patch.setattr(
      vbi_ft,
      "check_questions",
      lambda b, v, written, n: consistency.Consistency(tuple(written), (0,) * n + (1,)),
    )
    run.run(config, workdir, stop_after="baselines", say=tiny_runs.quiet)
  steps = tiny_runs.journal_of(workdir)

  def read(*files):
    return [
      json.loads(line) for file in files for line in (workdir / file).read_text().splitlines()
    ]

  rounds = [f"vbi_ft/round_{n}" for n in (1, 2)]
  examples = {
    "train": read(
      *(steps[f"{r}/synthesis"]["train"] for r in rounds),
      *(steps[f"{r}/questions"]["model"] for r in rounds),
    )
    + [dataclasses.asdict(e) for e in read_examples(demo / "seeds.json")],
    "verification 1": read(steps[f"{rounds[0]}/synthesis"]["verify"]),
    "verification 2": read(steps[f"{rounds[1]}/synthesis"]["verify"]),
    "selection": read(steps["prepare/data"]["selection"]),
    "self-play": read(steps["prepare/data"]["self_play"]),
    "played": [
      r["example"]
      for name in ("self_play", "spin")
      for r in read(steps[f"{name}/iteration_1/pairs"]["file"])
    ],
    "test": [dataclasses.asdict(e) for e in read_examples(demo / "test.json")],
  }
  return {name: [Example(**record) for record in records] for name, records in examples.items()}


def test_every_two_splits_have_no_query_in_common(sets):
  assert sum(e.source == "model" for e in sets["train"]) > 100
  wordings = [same_text_key(e.query) + e.db_id for e in sets["train"] if e.source == "rules"]
  # Several wordings a query, else this shows nothing.
  assert len(wordings) - len(set(wordings)) > 80
  assert all(len(examples) >= 20 for examples in sets.values())
  # By two keys of their own, not by what the pipeline goes by.
  keys = {
    name: {(e.db_id, same_text_key(e.query)) for e in examples}
    | {(e.db_id, normal_form(e.query)) for e in examples}
    for name, examples in sets.items()
  }
  for one, other in itertools.combinations(keys, 2):
    if {one, other} != {"self-play", "played"}:
      assert not keys[one] & keys[other], (one, other, sorted(keys[one] & keys[other])[:3])
  assert keys["played"] <= keys["self-play"]


def test_held_back_queries_come_with_all_their_wordings(sets):
  for name in ("verification 1", "verification 2"):
    assert len(sets[name]) == 60
  assert any(
    len({e.query for e in sets[name]}) < len(sets[name])
    for name in ("verification 1", "verification 2")
  )


@pytest.fixture
def queries(tmp_path):
  with sqlite3.connect(tmp_path / "d.sqlite") as connection:
    connection.executescript(
      "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, age INT);"
      "CREATE TABLE pet (id INTEGER PRIMARY KEY, owner INT REFERENCES person (id), kind TEXT);"
    )
  connection.close()
  location = str(tmp_path / "d.sqlite")
  return Queries({"d": location, "other": location})


@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("SELECT name FROM person WHERE age > 5", "select NAME\nfrom Person -- all\nwhere AGE>5;"),
    ("SELECT name FROM person WHERE age > 5", "SELECT p.name FROM person AS p WHERE p.age > 5"),
    ("SELECT name FROM person WHERE age > 5", "SELECT name AS who FROM person WHERE age > 5"),
    ("SELECT name FROM person WHERE age > 5", 'SELECT "name" FROM [person] WHERE `age` > 5'),
    ("SELECT name FROM person WHERE age > 5", "SELECT name FROM person WHERE (age > 5)"),
    (
      "SELECT name FROM person WHERE age > 5 AND id = 3",
      "SELECT name FROM person WHERE id = 3 AND age > 5",
    ),
    ("SELECT name FROM person ORDER BY age", "SELECT name FROM person ORDER BY age ASC"),
    ("SELECT name FROM person WHERE age != 5", "SELECT name FROM person WHERE age <> 5"),
    (
      "SELECT T1.name FROM person AS T1 JOIN pet AS T2 ON T1.id = T2.owner WHERE T2.kind = 'cat'",
      "SELECT a.name FROM person a INNER JOIN pet b ON a.id = b.owner WHERE b.kind = 'cat'",
    ),
    (
      "SELECT T1.name FROM person AS T1 JOIN pet AS T2 ON T1.id = T2.owner WHERE T2.kind = 'cat'",
      "SELECT person.name FROM person, pet WHERE person.id = pet.owner AND pet.kind = 'cat'",
    ),
    ("this is no SQL at all", "THIS  is no\tsql AT all"),
  ],
)
def test_one_query_in_two_spellings_is_one(queries, one, other):
  a, b = Example("d", "a", one), Example("d", "b", other)
  assert queries.among([a], [b]) == [True] and len(set(queries.groups([a, b]))) == 1
  assert queries.apart([a], [b]) == []
  # On another database it is another query.
  assert queries.among([a], [dataclasses.replace(b, db_id="other")]) == [False]


@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("SELECT name FROM person WHERE age > 5", "SELECT name FROM person WHERE age > 6"),
    ("SELECT id FROM pet WHERE kind = 'cat'", "SELECT id FROM pet WHERE kind = 'Cat'"),
    ("SELECT id FROM pet WHERE kind = 'cat'", "SELECT id FROM pet WHERE kind = ' cat'"),
    ("SELECT name, age FROM person", "SELECT age, name FROM person"),
    ("SELECT name FROM person ORDER BY age", "SELECT name FROM person ORDER BY age DESC"),
    ("SELECT name FROM person", "SELECT DISTINCT name FROM person"),
  ],
)
def test_two_queries_are_two(queries, one, other):
  assert queries.among([Example("d", "a", one)], [Example("d", "b", other)]) == [False]


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "sqlite"])
@pytest.mark.parametrize(
  ("one", "other"),
  [
    ("SELECT name FROM person WHERE age != 5", "SELECT name FROM person WHERE NOT (age = 5)"),
    (
      "SELECT name FROM person WHERE (age > 5 AND (id = 3))",
      "SELECT name FROM person WHERE 3 = id AND 5 < age",
    ),
    (
      "SELECT name FROM person WHERE age > 5 OR (id = 3 AND age < 2)",
      "SELECT name FROM person WHERE age < 2 AND id = 3 OR age > 5",
    ),
    ("SELECT name FROM person ORDER BY age", "SELECT name FROM person ORDER BY age ASC"),
    (
      "SELECT x.name FROM person x LEFT JOIN pet y ON x.id = y.owner",
      "SELECT p.name FROM person p LEFT OUTER JOIN pet o ON o.owner = p.id",
    ),
    (
      "SELECT b.name FROM person b JOIN pet a ON a.owner = b.id",
      "SELECT y.name FROM person AS y INNER JOIN pet AS z ON y.id = z.owner",
    ),
  ],
)
def test_one_query_in_two_spellings_is_one_where_nothing_compiles_it(dialect, one, other):
  a, b = Example("d", "a", one), Example("d", "b", other)
  assert Queries({}, {"d": dialect}).among([a], [b]) == [True]


@pytest.mark.parametrize("dialect", ["duckdb", "postgres", "sqlite"])
@pytest.mark.parametrize(
  ("one", "other"),
  [
    (
      "SELECT id FROM pet WHERE (id = 1 OR id = 2) AND owner = 3",
      "SELECT id FROM pet WHERE id = 1 OR id = 2 AND owner = 3",
    ),
    (
      "SELECT id FROM pet WHERE NOT (id = 1 AND owner = 3)",
      "SELECT id FROM pet WHERE NOT id = 1 AND owner = 3",
    ),
    ("SELECT (age + 1) * 2 FROM person", "SELECT age + 1 * 2 FROM person"),
    ("SELECT -(age + 1) FROM person", "SELECT -age + 1 FROM person"),
    (
      "SELECT age FROM person WHERE (age - id) - 1 = 2",
      "SELECT age FROM person WHERE age - (id - 1) = 2",
    ),
    ("SELECT name FROM person WHERE age < 5", "SELECT name FROM person WHERE 5 < age"),
    (
      "SELECT a.id FROM person a JOIN person b ON a.id < b.id",
      "SELECT a.id FROM person a JOIN person b ON a.id > b.id",
    ),
    (
      "SELECT p.id FROM person p LEFT JOIN pet t ON p.id = t.owner",
      "SELECT p.id FROM person p JOIN pet t ON p.id = t.owner",
    ),
    (
      "SELECT id FROM pet EXCEPT SELECT id FROM person",
      "SELECT id FROM person EXCEPT SELECT id FROM pet",
    ),
    ("SELECT id FROM pet WHERE kind = 'cat'", "SELECT id FROM pet WHERE kind = 'Cat'"),
  ],
)
def test_two_queries_are_two_where_nothing_compiles_them(dialect, one, other):
  assert Queries({}, {"d": dialect}).among(
    [Example("d", "a", one)], [Example("d", "b", other)]
  ) == [False]


def test_a_query_is_read_in_the_dialect_of_its_database():
  a, b = (
    Example("d", "a", f"SELECT name FROM person WHERE {c} AND age::int > 3")
    for c in ("id = 1", "1 = id")
  )
  assert Queries({"d": "postgresql://reader@host/d"}).among([a], [b]) == [True]


def test_a_query_that_is_two_others_neighbour_keeps_all_three_together():
  """The first and the last share no key, but each shares one with the middle one."""
  keys = {"one": "a", "middle": "ab", "last": "b", "alone": "c"}
  queries = Queries({})
  queries.keys = lambda examples: [frozenset(keys[e.query]) for e in examples]
  examples = [Example("d", "", query) for query in keys]
  for order in itertools.permutations(examples):
    groups = dict(zip((e.query for e in order), queries.groups(order), strict=True))
    assert groups["one"] == groups["middle"] == groups["last"] != groups["alone"]


def test_a_database_that_is_missing_is_told_apart_by_text_and_form():
  queries = Queries({})
  one = Example("gone", "", "SELECT a FROM t WHERE b = 1 AND c = 2")
  assert queries.among([one], [Example("gone", "", "select A from T where C = 2 and B = 1")]) == [
    True
  ]


@pytest.mark.parametrize("count", [0, 1, 5, 17, 40])
def test_what_is_held_back_is_whole_queries(count):
  rng = random.Random(count)
  groups = [rng.randrange(12) for _ in range(40)]
  held, rest = hold_back(groups, count, random.Random(1), barred=frozenset({3, 4}))
  allowed = sum(g not in (3, 4) for g in groups)
  assert len(held) == min(count, allowed) and held == sorted(held) and rest == sorted(rest)
  assert not {groups[p] for p in held} & {groups[p] for p in rest}
  assert {3, 4} <= {groups[p] for p in rest}
  # At most the other wordings of one query are on neither side.
  lost = {groups[p] for p in range(40)} - {groups[p] for p in (*held, *rest)}
  missing = [p for p in range(40) if p not in held and p not in rest]
  assert not lost and len({groups[p] for p in missing}) <= 1


def test_seeds_that_ask_a_query_of_the_test_are_left_out_and_counted(demo, tmp_path):
  folder = shutil.copytree(demo, tmp_path / "data")
  seeds, test = (json.loads((folder / f"{name}.json").read_text()) for name in ("seeds", "test"))
  again = [
    {**record, "question": "said otherwise", "query": record["query"].lower() + " ;"}
    for record in test[-3:]
  ]
  (folder / "seeds.json").write_text(json.dumps([*seeds, *again]))
  config = tiny_runs.tiny_config(str(folder))
  # Those beyond the limit count too: they are of the test's file.
  config = dataclasses.replace(
    config, data=dataclasses.replace(config.data, test_limit=2, seed_limit=0)
  )
  found = data.read_data(config)
  assert found.leaked == 3 and len(found.seeds) == len(seeds)
  assert data.read_data(tiny_runs.tiny_config(str(demo))).leaked == 0
  (folder / "seeds.json").write_text(json.dumps(again))
  with pytest.raises(ValueError, match=r"every seed asks a query of the test"):
    data.read_data(config)
