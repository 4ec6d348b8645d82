"""Locations as text: no password is printed or stored, and a list of them is taken apart where one
begins.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import postgresql_server
import pytest

from spftsql_jax.databases import DatabaseError, open_database
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.databases.locations import (
  absolute_location,
  name_of,
  path_of,
  schemas_of,
  server_url,
  split_locations,
  with_schemas,
)
from spftsql_jax.databases.passwords import hide_in, hide_passwords, without_password
from spftsql_jax.judging import verdicts
from spftsql_jax.pipeline.config import DataConfig, RunConfig, to_record

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
# A location, and what of it nobody may read anywhere.
SECRETS = [
  ("postgresql://reader:hushhush@127.0.0.1:1/shop", ["hushhush"]),
  ("postgres://reader:hushhush@127.0.0.1:1/shop", ["hushhush"]),
  ("postgresql+psycopg://reader:hushhush@127.0.0.1:1/shop", ["hushhush"]),
  ("postgresql://reader:hu@shhush@127.0.0.1:1/shop", ["hu@", "shhush"]),
  ("postgresql://reader:hu/shh?ush@127.0.0.1:1/shop", ["hu/", "shh", "ush@"]),
  ("postgresql://reader:hu:shh:ush@127.0.0.1:1/shop", ["shh", "hu:"]),
  ("postgresql://reader:hush%40hush%zz@127.0.0.1:1/shop", ["hush%40", "hush@", "%zz"]),
  ("postgresql://reader:hush%2Fhush@127.0.0.1:1/shop", ["hush%2F", "hush/hush"]),
  ("postgresql://reader:hush,hush@127.0.0.1:1,127.0.0.1:2/shop?target_session_attrs=any", ["hush"]),
  ("postgresql://reader@127.0.0.1:1/shop?password=hushhush", ["hushhush"]),
  (
    "postgresql://127.0.0.1:1/shop?user=reader&password=hush%40hush&sslpassword=quietquiet",
    ["hush%40", "hush@", "quiet"],
  ),
  ("postgresql://reader@127.0.0.1:1/shop?passfile=/etc/.hushpass", ["hushpass"]),
  ("postgresql://:hushhush@127.0.0.1:1/shop", ["hushhush"]),
  ("postgresql://reader:xyz@127.0.0.1:1/shop", ["xyz"]),
  ("host=127.0.0.1 port=1 dbname=shop user=reader password=hushhush", ["hushhush"]),
  ("host=127.0.0.1 port=1 password='hush \\'hush' dbname=shop", ["hush"]),
  ("mysql://reader:hushhush@127.0.0.1/shop", ["hushhush"]),
]


def leaks(text, secrets):
  return [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(("location", "secrets"), SECRETS)
def test_a_location_is_shown_without_its_secrets_alone_and_in_a_text(location, secrets):
  shown = without_password(location)
  assert not leaks(shown, secrets) and "127.0.0.1" in shown
  assert without_password(shown) == shown
  for text in (
    f"cannot open {location}",
    f"'{location}' or {location},{location}: no",
    f'{{"databases": "{location}"}}',
  ):
    assert not leaks(hide_passwords(text, location), secrets), text
  assert not leaks(hide_passwords(str(Path("runs") / location), location), secrets), (
    "a path made of it"
  )
  assert not leaks(json.dumps(hide_in({"a": [{"b": (location,)}]})), secrets)


@pytest.mark.parametrize(("location", "secrets"), SECRETS)
def test_no_error_of_ours_or_of_the_driver_tells_a_secret(location, secrets):
  for read in (open_database, read_schema):
    with pytest.raises(DatabaseError) as caught:
      read(location)
    assert not leaks(str(caught.value), secrets)
  from spftsql_jax.databases import Executor

  with Executor() as executor:
    assert not leaks(executor.execute(location, "SELECT 1").message, secrets)


def test_pieces_of_a_url_that_a_driver_repeats_are_hidden():
  location = "postgresql://reader:p%40ss,word@db.example/shop?sslpassword=abc"
  text = (
    'host name "ss" p@ss,word or p%40ss,word; sslpassword abc; abcd; reader at db.example, shop'
  )
  assert (
    hide_passwords(text, location)
    == 'host name "ss" *** or ***; sslpassword ***; abcd; reader at db.example, shop'
  )
  # What is the user's or the database's name is no secret.
  assert hide_passwords('database "shop"', "postgresql://shop:shop@db/shop") == 'database "shop"'


@pytest.mark.parametrize(
  "text",
  ["shop.sqlite", "/data/a@b:c/shop.sqlite", "sqlite:////data/a:b@c.sqlite",
   "duckdb:///x.duckdb?schemas=a,b", "postgresql://db/shop",
   "postgresql://reader@db:5432/shop?sslmode=require", "12:30@noon", "see https://example.org/a"],
)  # fmt: skip
def test_what_holds_no_secret_is_left_alone(text):
  assert without_password(text) == text == hide_passwords(text, text)


def test_the_driver_gets_the_password_as_it_was_meant():
  import psycopg

  for location, password in (
    ("postgresql://u:p@ss@h:1/db", "p@ss"),
    ("postgres://u:p%40ss@h:1/db", "p@ss"),
    ("postgresql://u:a/b?c#d@h:1/db", "a/b?c#d"),
    ("postgresql://u:50%@h:1/db", "50%"),
    ("postgresql+psycopg://u:a,b:c@h:1/db?schemas=x", "a,b:c"),
  ):
    values = psycopg.conninfo.conninfo_to_dict(server_url(location))
    assert (values["user"], values["password"], values["host"], values["dbname"]) == (
      "u",
      password,
      "h",
      "db",
    ), location
    assert name_of(location) == "db"
  assert server_url("postgresql:///db?host=/tmp&schemas=a") == "postgresql:///db?host=/tmp"
  assert (
    server_url("postgresql://db/x?schemas=a,b&sslmode=disable")
    == "postgresql://db/x?sslmode=disable"
  )


@pytest.mark.parametrize(
  ("values", "found"),
  [
    (["a.sqlite,b.sqlite"], ["a.sqlite", "b.sqlite"]),
    (["a.sqlite", "b.sqlite"], ["a.sqlite", "b.sqlite"]),
    (["postgresql://u:p,w@h/db"], ["postgresql://u:p,w@h/db"]),
    (["postgresql://h1:1,h2:2/db?options=a,b"], ["postgresql://h1:1,h2:2/db?options=a,b"]),
    (
      ["postgresql://u:p,w@h/a,postgresql://u:,@h/b"],
      ["postgresql://u:p,w@h/a", "postgresql://u:,@h/b"],
    ),
    (
      ["postgresql://u@h/a?schemas=x,y,duckdb:///c.duckdb"],
      ["postgresql://u@h/a?schemas=x,y", "duckdb:///c.duckdb"],
    ),
    (["postgresql://u@h/a,/data/b.sqlite,./c"], ["postgresql://u@h/a", "/data/b.sqlite", "./c"]),
    (["a.sqlite,postgresql://u:p,,w@h/db", "x"], ["a.sqlite", "postgresql://u:p,,w@h/db", "x"]),
    (["postgresql://u@h/a,there"], ["postgresql://u@h/a", "there"]),
    (["odd,name.sqlite"], ["odd,name.sqlite"]),
    (["a.sqlite, b.sqlite,"], ["a.sqlite", "b.sqlite"]),
  ],
)
def test_a_comma_ends_a_location_where_another_begins(values, found, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "there").mkdir()
  (tmp_path / "odd,name.sqlite").touch()
  assert split_locations(values) == found


def test_schemas_are_a_part_of_a_location(tmp_path):
  server = with_schemas("postgresql://u@h/db?sslmode=disable", ["a", "b,c", "Ö"])
  assert schemas_of(server) == ("a", "b,c", "Ö") and name_of(server) == "db"
  assert with_schemas(server, ["x"]) == "postgresql://u@h/db?sslmode=disable&schemas=x"
  assert with_schemas(server, []) == server
  path = tmp_path / "a ?#%.duckdb"
  location = with_schemas(str(path), ["main"])
  assert path_of(location) == path_of(absolute_location(location)) == str(path)
  assert schemas_of(absolute_location(location)) == ("main",) and name_of(location) == "a ?#%"
  with pytest.raises(DatabaseError, match="an SQLite file has no schemas"):
    with_schemas("shop.sqlite", ["main"])


def test_a_stored_config_and_a_verdict_hold_no_password():
  config = RunConfig(
    "a",
    "b",
    data=DataConfig(databases="postgresql://reader:hushhush@db/shop,x.sqlite", schemas=("a",)),
  )
  record = to_record(config)
  assert record["data"]["databases"] == "postgresql://reader@db/shop,x.sqlite" and record["data"][
    "schemas"
  ] == ("a",)
  other = RunConfig(
    "a",
    "b",
    data=DataConfig(databases="postgresql://reader:changed@db/shop,x.sqlite", schemas=("a",)),
  )
  assert to_record(other) == record, "a run goes on under another password"
  assert "hush" not in verdicts.difference("postgresql://reader:hushhush@db/shop", "rows")


def run_script(name, *arguments, **environment):
  return subprocess.run(
    [sys.executable, str(EXPERIMENTS / name), *arguments],
    capture_output=True,
    text=True,
    timeout=170,
    check=False,
    env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
  )


@pytest.mark.parametrize(
  "script", ["synthesize.py", "predict.py", "ask.py", "spft.py", "evaluate.py"]
)
@pytest.mark.parametrize("traceback", ["", "1"])
def test_no_script_prints_or_keeps_a_password(script, traceback, tmp_path):
  location = "postgresql://reader:hush@hush,quiet@127.0.0.1:1/shop"
  examples = tmp_path / "examples.json"
  examples.write_text(json.dumps([{"db_id": "shop", "question": "How many?", "query": "SELECT 1"}]))
  (tmp_path / "predictions.sql").write_text("SELECT 1\n")
  (tmp_path / "model").mkdir()
  # Enough of a model that the database is looked at.
  (tmp_path / "model" / "config.json").write_text("{}")
  out = tmp_path / "out"
  out.mkdir()
  arguments = {
    "synthesize.py": [f"--databases={location}", "--num_examples=3", f"--output={out}/a.jsonl"],
    "predict.py": [f"--databases={location}", f"--model={tmp_path}/model", f"--examples={examples}",
      f"--output={out}/a.sql"],
    "ask.py": [f"--database={location}", f"--model={tmp_path}/model", "How many?"],
    "spft.py": [f"--config={EXPERIMENTS}/configs/demo_tiny.py",
      f"--config.data.databases={location}",
                f"--config.data_dir={tmp_path}", "--config.data.seeds=",
                "--config.data.test=examples.json", f"--workdir={out}"],
    "evaluate.py": [f"--databases={location}", f"--examples={examples}",
      f"--predictions={tmp_path}/predictions.sql",
                    "--comparison=strict", f"--output={out}/a.json"],
  }[script]  # fmt: skip
  done = run_script(script, *arguments, SPFTSQL_TRACEBACK=traceback)
  texts = [
    done.stdout,
    done.stderr,
    *(path.read_bytes().decode(errors="replace") for path in out.rglob("*") if path.is_file()),
  ]
  assert not [text for text in texts if re.search("hush|quiet", text)]
  if script != "evaluate.py":  # which counts what cannot run as wrong
    assert done.returncode in (1, 2) and "127.0.0.1" in done.stderr, done.stderr
  if not traceback:
    assert "Traceback" not in done.stderr


SHOP = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price NUMERIC(8,2), colour TEXT);
INSERT INTO item SELECT i, 'Item ' || i, i * 1.5, (ARRAY['red', 'blue', 'green'])[1 + i % 3]
  FROM generate_series(1, 60) i;
"""


@pytest.fixture(scope="module")
def server():
  with postgresql_server.running_server(SHOP) as running:
    yield running


def test_a_good_url_is_kept_nowhere_either_and_a_run_goes_on_under_another_password(
  server, tmp_path
):
  out = tmp_path / "out"
  out.mkdir()
  for part, column in (("seeds", "name"), ("test", "price")):
    (tmp_path / f"{part}.json").write_text(json.dumps([
      {
        "db_id": "shop",
        "question": f"What is the {column} of item {i}?",
        "query": f"SELECT {column} FROM item WHERE id = {i}",
      }
      for i in range(1, 6)
    ]))  # fmt: skip
  texts = []
  for password in ("hush@hush", "quiet/quiet"):
    location = server.reader.replace("reader@", f"reader:{password}@")
    done = run_script(
      "spft.py",
      f"--config={EXPERIMENTS}/configs/demo_tiny.py",
      f"--config.data.databases={location}",
      f"--config.data_dir={tmp_path}",
      "--config.data.seeds=seeds.json",
      "--config.data.test=test.json",
      f"--workdir={out}/run",
      "--stop_after=prepare",
    )
    assert done.returncode == 0, done.stderr
    texts += [done.stdout, done.stderr]
    done = run_script(
      "synthesize.py",
      f"--databases={location}",
      "--num_examples=5",
      "--workers=1",
      f"--output={out}/made.jsonl",
    )
    assert done.returncode == 0, done.stderr
    texts += [done.stdout, done.stderr]
  texts += [path.read_bytes().decode(errors="replace") for path in out.rglob("*") if path.is_file()]
  assert not [text for text in texts if re.search("hush|quiet", text)]
  assert f"reader@{server.reader.partition('@')[2]}" in (out / "run" / "config.json").read_text()


def test_scripts_take_a_duckdb_file_by_its_name_alone(tmp_path):
  import duckdb

  with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
    shop = SHOP.replace("(ARRAY['red', 'blue', 'green'])", "['red', 'blue', 'green']")
    connection.execute(shop.replace("generate_series(1, 60) i", "range(1, 61) r(i)"))
  done = run_script(
    "synthesize.py",
    f"--databases={tmp_path}/shop.duckdb",
    "--num_examples=5",
    "--workers=1",
    f"--output={tmp_path}/made.jsonl",
  )
  assert done.returncode == 0, done.stderr
  assert len((tmp_path / "made.jsonl").read_text().splitlines()) == 5
