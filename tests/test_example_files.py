"""Files of examples and logs as people have them: layouts, encodings, fields, folders; one line
where they are malformed.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import pytest

from spftsql_jax.databases import search_path
from spftsql_jax.examples.benchmarks import find_database, read_dataset, read_examples
from spftsql_jax.pipeline.config import RunConfig, from_dict
from spftsql_jax.synthesis.query_log import read_query_log
from spftsql_jax.synthesis.synthetic_example import SyntheticExample

ROOT = pathlib.Path(__file__).parents[1]
RECORDS = [
  {"db_id": "d", "question": f"q{i}\u2028\u00e9", "query": f"SELECT {i}"} for i in range(3)
]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)


def write(path, content):
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  return path


@pytest.mark.parametrize(
  "content",
  [
    json.dumps(RECORDS),
    json.dumps(RECORDS, indent=2).replace("\n", "\r\n"),
    "\ufeff" + json.dumps(RECORDS, ensure_ascii=False),
    LINES,
    LINES.replace("\n", "\r\n"),
    "\ufeff\n" + LINES.replace("\n", "\n\n").rstrip(),
    "\n".join(json.dumps(record, indent=1) for record in RECORDS),
    json.dumps({"version": "1.0", "data": RECORDS}),
    json.dumps({"examples": RECORDS, "databases": ["d"]}),
  ],
)
def test_every_layout_of_a_file_gives_the_same_examples(tmp_path, content):
  found = read_examples(write(tmp_path / "a", content))
  assert [(e.db_id, e.question, e.query) for e in found] == [
    (r["db_id"], r["question"], r["query"]) for r in RECORDS
  ]


def test_one_record_is_a_file_too(tmp_path):
  assert read_examples(write(tmp_path / "a", json.dumps(RECORDS[0])))[0].query == "SELECT 0"


@pytest.mark.parametrize(
  ("record", "question", "query", "evidence"),
  [
    (
      {"SpiderQuestion": "old", "SpiderSynQuestion": "new", "query": "SELECT 1"},
      "new",
      "SELECT 1",
      "",
    ),
    (
      {
        "question": "q",
        "SQL": "SELECT 1",
        "evidence": "e",
        "difficulty": "simple",
        "question_id": 7,
      },
      "q",
      "SELECT 1",
      "e",
    ),
    (
      {"question": "q", "query": None, "SQL": "SELECT 1", "evidence": float("nan")},
      "q",
      "SELECT 1",
      "",
    ),
    (
      {"question": "q", "query": "SELECT 1", "sql": {"select": []}, "query_toks": ["SELECT"]},
      "q",
      "SELECT 1",
      "",
    ),
  ],
)
def test_fields_of_each_benchmark_are_known(tmp_path, record, question, query, evidence):
  (found,) = read_examples(write(tmp_path / "a.json", json.dumps([{"db_id": "d"} | record])))
  assert (found.question, found.query, found.evidence) == (question, query, evidence)


def test_synthesized_pairs_are_examples(tmp_path):
  made = SyntheticExample("d", "q?", "SELECT 1", "t1", "SELECT :num", ("t",), ("t.a",))
  records = [made.to_json()] * 2
  line = json.dumps(records[0]) + "\n"
  path = write(tmp_path / "made.jsonl", line * 2)
  assert [(e.db_id, e.question, e.query) for e in read_examples(path)] == [
    ("d", "q?", "SELECT 1")
  ] * 2
  assert read_query_log(path, {"d": "sqlite"}).queries == (("d", "SELECT 1"),) * 2
  with pytest.raises(ValueError, match="a folder where a file of examples is expected"):
    read_examples(tmp_path)
  datasets = pytest.importorskip("datasets")
  datasets.Dataset.from_list(records).save_to_disk(str(tmp_path / "set"))
  assert read_examples(tmp_path / "set") == read_examples(path)
  assert read_query_log(tmp_path / "set", {"d": "sqlite"}).queries == (("d", "SELECT 1"),) * 2
  datasets.Dataset.from_list(records).to_parquet(str(tmp_path / "set.parquet"))
  assert read_examples(tmp_path / "set.parquet") == read_examples(path)
  asked = read_dataset(path)
  assert asked.column_names == ["db_id", "question", "query", "evidence"]
  assert asked[1] == {"db_id": "d", "question": "q?", "query": "SELECT 1", "evidence": ""}
  write(tmp_path / "cut.parquet", "PAR1 and no more")
  with pytest.raises(ValueError, match="cut.parquet: this Parquet file cannot be read"):
    read_examples(tmp_path / "cut.parquet")


def test_gold_and_database_may_be_missing_where_they_are_not_needed(tmp_path):
  path = write(
    tmp_path / "a.jsonl", '{"question": "a"}\n{"question": "b", "query": null, "db_id": "e"}\n'
  )
  found = read_examples(path, gold=False, db_id="d")
  assert [(e.db_id, e.question, e.query) for e in found] == [("d", "a", ""), ("e", "b", "")]
  for options, message in (
    ({"gold": False}, ":1: record 0: field db_id is missing"),
    ({"db_id": "d"}, "query .* is missing"),
  ):
    with pytest.raises(ValueError, match=message):
      read_examples(path, **options)


GOOD = json.dumps(RECORDS[0])


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("", "the file is empty"),
    ("\ufeff \n", "the file is empty"),
    ("[]", "no examples in it"),
    (json.dumps(RECORDS).encode("utf-16"), "UTF-16 text; save it as UTF-8"),
    (json.dumps(RECORDS).encode("utf-16-le"), "not UTF-8|not JSON"),
    (b"\x1f\x8b\x08\x00", "compressed"),
    (b'[{"question": "\xe9"}]', "not UTF-8 text"),
    (f"[\n{GOOD},\n]", ":3: not JSON .*comma"),
    (f"{GOOD}\n{{,\n", ":2: not JSON"),
    (f"{GOOD},\n{GOOD}\n", ":1: not JSON .*comma"),
    (
      f'{GOOD}\n\n{{"db_id": "d", "question": "q"}}\n',
      r":3: record 1: field query \(or SQL\) is missing",
    ),
    (f"{GOOD}\n3\n", ":2: record 1: expected an object, found int"),
    (
      f'[{GOOD},\n{{"db_id": "d", "question": 4, "query": "s"}}]',
      ":2: record 1: field question is not a string but 4",
    ),
    (
      f'[{GOOD},\n{{"db_id": 4, "question": "q", "query": "s"}}]',
      ":2: record 1: field db_id is not a string but 4",
    ),
    (
      '[{"db_id": "d", "question": NaN, "query": "s"}]',
      ":1: record 0: field question is not a string but NaN",
    ),
    ('[{"db_id": "d", "question": "q", "query": ["s"]}]', r"query \(or SQL\) is not a string"),
    ('[{"db_id": "d", "question": null, "query": "s"}]', "field question is missing"),
    ('[{"db_id": "", "question": "q", "query": "s"}]', "field db_id is empty"),
    ('[{"db_id": "d", "question": "q", "query": " "}]', r"field query \(or SQL\) is empty"),
    ('{"0": "SELECT 1"}', "expected a JSON list of examples, found dict"),
    ('"text"', "expected a JSON list of examples, found str"),
    ("SELECT 1;", ":1: not JSON"),
    (
      json.dumps([RECORDS[0] | {"question_id": 5}] * 2),
      "record 1: question_id 5 stands there a second time, after record 0",
    ),
    ("[" * 100_000, "not JSON|nested too deeply"),
    (f'{GOOD}\n{{"question_id": {"9" * 5000}}}', ":2: not a file of examples .*digits"),
  ],
)
def test_a_malformed_file_is_told_in_one_line(tmp_path, content, message):
  with pytest.raises(ValueError, match=message) as told:
    read_examples(write(tmp_path / "bad.json", content))
  assert str(told.value).startswith(f"{tmp_path}/bad.json") and "\n" not in str(told.value)


def make_database(path, rows):
  path.parent.mkdir(parents=True, exist_ok=True)
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute("CREATE TABLE pet (name TEXT, age INT)")
    connection.executemany("INSERT INTO pet VALUES (?, ?)", rows)
    connection.commit()
  return path


@pytest.fixture
def folders(tmp_path):
  """Two folders of databases, as Spider-DK has them: `both` stands in each with other rows, `old`
  and `new` in one.
  """
  make_database(tmp_path / "one/both/both.sqlite", [("a", 1)])
  make_database(tmp_path / "one/old/old.sqlite", [("b", 2)])
  make_database(tmp_path / "two/both/both.sqlite", [("c", 3), ("d", 4)])
  make_database(tmp_path / "two/new/new.sqlite", [("e", 5)])
  return tmp_path


def test_databases_are_looked_for_in_each_place_in_order(folders, monkeypatch):
  monkeypatch.chdir(folders)
  given = search_path.database_places("one,two")
  found = {db_id: search_path.find_database(given, db_id) for db_id in ("both", "old", "new")}
  assert found == {
    "both": "one/both/both.sqlite",
    "old": "one/old/old.sqlite",
    "new": "two/new/new.sqlite",
  }
  assert search_path.shadowed(given, found) == [
    "both: one/both/both.sqlite is used, the first of several; not used: two/both/both.sqlite"
  ]
  assert (
    search_path.find_database(search_path.database_places("two,one"), "both")
    == "two/both/both.sqlite"
  )
  assert search_path.database_places("one, two", folders) == (f"{folders}/one", f"{folders}/two")
  assert find_database(["one", "two"], "new") == pathlib.Path("two/new/new.sqlite")
  os.rename("one", "with,comma")
  assert search_path.database_places("with,comma") == ("with,comma",)
  file = "two/new/new.sqlite"
  assert (
    search_path.only_database((file,)) == "new"
    and search_path.find_database((file,), "new") == file
  )
  assert (
    search_path.only_database(("two",)) == ""
    and search_path.find_database(("two/new",), "new") == file
  )
  for value, message in (
    ("two,three", "three: no such database or folder"),
    ("", "no databases given"),
  ):
    with pytest.raises(FileNotFoundError, match=message):
      search_path.database_places(value)
  with pytest.raises(FileNotFoundError, match="old: no such database in two or two/new/new.sqlite"):
    search_path.find_database(("two", file), "old")


def script(name, folder, **values):
  arguments = [f"--{key}={value}" for key, value in values.items()]
  command = [sys.executable, str(ROOT / "experiments" / f"{name}.py"), *arguments]
  return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_evaluate_reads_two_folders_and_says_which_is_used(folders):
  records = [
    {"db_id": d, "SpiderSynQuestion": "q", "query": "SELECT age FROM pet"}
    for d in ("both", "old", "new")
  ]
  write(folders / "dk.jsonl", "".join(json.dumps(record) + "\r\n" for record in records))
  write(folders / "p.sql", "SELECT 1\r\nSELECT 2\r\nSELECT 5\r\n")
  done = script(
    "evaluate",
    folders,
    examples="dk.jsonl",
    predictions="p.sql",
    databases="one,two",
    output="o.json",
  )
  assert done.returncode == 0, done.stderr
  assert [e["correct"] for e in json.loads((folders / "o.json").read_text())["per_example"]] == [
    True
  ] * 3
  assert done.stderr == (
    "evaluate.py: both: one/both/both.sqlite is used, the first of several; not used: "
    "two/both/both.sqlite\n"
  )
  done = script(
    "evaluate", folders, examples="dk.jsonl", predictions="p.sql", databases="one", output="o.json"
  )
  assert (
    done.returncode == 2
    and "one/new/new.sqlite: no such database" in done.stderr
    and done.stderr.count("\n") == 1
  )


def test_evaluate_scores_commented_gold_and_answers(folders):
  """As in BIRD: gold and answers with line comments and line breaks, TABs and fences; texts behind
  the end.
  """
  gold = "-- the ages; all\nSELECT age -- in years\nFROM pet;"
  answers = [
    "SELECT age -- it\nFROM pet\t----- bird -----\told",
    "```sql\nSELECT\n\tage\nFROM pet;\n```\t----- bird -----\told",
    "SELECT age FROM pet;;\told",
    "SELECT age FROM pet; That is all.",
    "SELECT name -- age FROM pet\nFROM pet\t----- bird -----\told",
  ]
  records = [{"db_id": "old", "question": "q", "SQL": gold, "evidence": ""}] * len(answers)
  write(folders / "dev.json", json.dumps(records))
  write(folders / "p.json", json.dumps({str(i): answer for i, answer in enumerate(answers)}))
  values = {
    "examples": "dev.json",
    "predictions": "p.json",
    "databases": "one",
    "output": "o.json",
    "comparison": "bird",
  }
  done = script("evaluate", folders, **values)
  assert done.returncode == 0, done.stderr
  report = json.loads((folders / "o.json").read_text())
  assert [entry["correct"] for entry in report["per_example"]] == [True] * 4 + [False]
  met = {entry["name"]: entry["indices"] for entry in report["divergences"]}
  assert met == {"read_out_of_text": [1], "text_behind_the_end": [2, 3]}


def test_evaluate_takes_one_file_or_url_without_db_id(folders):
  write(folders / "q.jsonl", '{"question": "q", "query": "SELECT age FROM pet"}\n')
  write(folders / "p.sql", "SELECT 5\n")
  for place in ("two/new/new.sqlite", "sqlite:///two/new/new.sqlite"):
    done = script(
      "evaluate",
      folders,
      examples="q.jsonl",
      predictions="p.sql",
      databases=place,
      output="o.json",
      metrics="ex,ts",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((folders / "o.json").read_text())["execution_accuracy"] == 1.0


def test_a_run_takes_databases_of_two_folders(folders):
  from spftsql_jax.pipeline.data import read_data

  write(
    folders / "seeds.json",
    json.dumps([{"db_id": d, "question": "q", "query": "SELECT 1"} for d in ("new", "gone")]),
  )
  write(folders / "test.json", json.dumps([{"db_id": "old", "question": "q", "query": "SELECT 1"}]))
  config = from_dict(
    RunConfig, {"name": "x", "data_dir": str(folders), "data": {"databases": "one,two"}}
  )
  config = dataclasses.replace(
    config, data=dataclasses.replace(config.data, seeds="seeds.json", test="test.json")
  )
  data = read_data(config)
  assert [e.db_id for e in data.seeds] == ["new"] and [e.db_id for e in data.test] == ["old"]


def test_a_log_of_a_server_gives_its_queries(tmp_path):
  path = write(
    tmp_path / "postgresql.log",
    "2024-05-17 10:00:00.123 UTC [12] a@shop LOG:  statement: SELECT name,\r\n\tage\r\n\tFROM pet "
    "WHERE name = 'x;y'\r\n"
    "2024-05-17 10:00:01.000 UTC [12] a@shop LOG:  duration: 0.3 ms\r\n"
    "2024-05-17 10:00:02.000 UTC [12] a@shop LOG:  execute <unnamed>: SELECT 2 -- two\r\n"
    "2024-05-17 10:00:03.000 UTC [12] a@shop DETAIL:  parameters: $1 = 'select'\r\n"
    "2024-05-17T10:00:04.123456Z\t   12 Query\tSELECT 3\n"
    "2024-05-17 10:00:05.000 UTC [12] a@shop LOG:  statement: UPDATE pet SET age = 1; SELECT 4;\n",
  )
  log = read_query_log(path, {"shop": "postgresql"})
  first = "SELECT name,\n\tage\n\tFROM pet WHERE name = 'x;y'"
  assert [sql for _, sql in log.queries] == [first, "SELECT 2 -- two", "SELECT 3", "SELECT 4"]
  assert (
    log.others == {"UPDATE": 1}
    and "1 statements that are no SELECT are left out (UPDATE 1)" in log.describe()
  )


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("SELECT 1\tone\n\nSELECT\n 2;\n", "log.sql:3: which database"),
    ("DELETE FROM pet;", "there is no query in it"),
    ("", "the file is empty"),
    (b"\xff\xfeS\0", "UTF-16"),
  ],
)
def test_a_log_that_cannot_be_used_is_told(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    read_query_log(write(tmp_path / "log.sql", text), {"one": "sqlite", "two": "sqlite"})


def test_synthesize_reads_a_log_by_statement(folders):
  log = "-- ages; names\nSELECT name -- only\nFROM pet\nWHERE age > 3;\n\\d pet\nDELETE FROM pet;\n"
  log += "SELECT age FROM pet WHERE name = 'a;b';\n"
  write(folders / "log.sql", log)
  make_database(folders / "big/big.sqlite", [(f"n{i}", i) for i in range(30)])
  done = script(
    "synthesize",
    folders,
    databases="big/big.sqlite",
    query_log="log.sql",
    num_examples=3,
    output="o.jsonl",
    workers=1,
  )
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout.splitlines()[-1])["templates"] == 2
  assert "1 statements that are no SELECT are left out (DELETE 1)" in done.stderr
