"""A run is gone on with over the inputs that it began with, by content, wherever they and the run's
folder lie now.
"""

import dataclasses
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_runs import EXPERIMENTS, make_demo, quiet, short_tokenizer, tiny_config

from spftsql_jax.pipeline import fine_tuning, inputs, run
from spftsql_jax.pipeline.data import inputs_of_run, read_data
from spftsql_jax.pipeline.finished_run import FinishedRun, find_version
from spftsql_jax.pipeline.inputs import InputsChanged, inputs_of, keep_inputs
from spftsql_jax.pipeline.journal import ConfigChanged
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.schema import Column, Schema, Table


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
  """(data, model folder, work folder, config) of a run from a model folder, stopped behind its
  first stage.
  """
  root = tmp_path_factory.mktemp("inputs")
  data, first, model, workdir = (root / name for name in ("data", "first", "model", "run"))
  make_demo(data)
  for db_id in ("clinic", "library"):
    (data / db_id / "database_description").mkdir()
    (data / db_id / "database_description" / "visit.csv").write_text(
      "column,meaning\nfee,in euros\n"
    )
  config, replace = tiny_config(str(data)), dataclasses.replace
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    run.run(config, first, stop_after="prepare", say=quiet)
    shutil.copytree(first / "start", model)
    config = replace(config, model=replace(config.model, hf_model=str(model), lora_rank=2))
    run.run(config, workdir, stop_after="prepare", say=quiet)
  return data, model, workdir, config


def flip(path: Path, place: int) -> None:
  """Changes one byte and nothing that `stat` shows but the times of change; not even its
  modification time.
  """
  before, content = path.stat(), bytearray(path.read_bytes())
  content[place] ^= 1
  path.write_bytes(content)
  os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
  ("which", "named"),
  [
    ("data/test.json", "data.test was "),
    ("data/seeds.json", "data.seeds was "),
    ("data/clinic/clinic.sqlite", "database clinic was "),
    ("data/festival/festival.sqlite", "database festival was "),
    ("data/library/database_description/visit.csv", "descriptions of library, visit.csv was "),
    ("model/model.safetensors", "model.hf_model, model.safetensors was "),
    ("model/tokenizer.json", "model.hf_model, tokenizer.json was "),
    ("model/config.json", "model.hf_model, config.json was "),
  ],
)
@pytest.mark.parametrize("place", [0.02, 0.98])
def test_one_changed_byte_of_an_input_is_refused_with_its_name(begun, which, named, place):
  data, _, workdir, config = begun
  path = data.parent / which
  kept = path.read_bytes()
  before = (workdir / "journal.jsonl").read_bytes()
  flip(path, _inside_text(path, place))
  try:
    with pytest.raises(InputsChanged) as caught:
      run.run(config, workdir, stop_after="prepare", say=quiet)
  finally:
    path.write_bytes(kept)
  message = str(caught.value)
  assert (
    named in message
    and ", is " in message
    and message.count(" was ") == 1
    and "--workdir" in message
  )
  assert (workdir / "journal.jsonl").read_bytes() == before
  # as it was: it goes on
  keep_inputs(workdir, inputs_of_run(config, read_data(config)))


def _inside_text(path: Path, share: float) -> int:
  """A place near `share` of the file whose byte may change and leave the file what it is: a letter,
  where it is JSON.
  """
  content = path.read_bytes()
  place = int(share * len(content))
  if path.suffix == ".csv":
    return place
  if path.suffix != ".json":
    return max(place, 200)
  if path.name in ("test.json", "seeds.json"):
    return content.index(b'"question": "', place if share < 0.5 else len(content) // 2) + 14
  # The second letter of a name that nobody asks for: what the file means is not the point here.
  return content.index(b'"', place if share < 0.5 else len(content) // 2) + 1


@pytest.mark.parametrize(
  ("change", "named"),
  [
    ({"data": {"seeds": ""}}, r"data\.seeds was \w+ of [\d,]+ bytes, is none"),
    ({"data": {"test": ""}}, r"data\.test was \w+ of [\d,]+ bytes, is none"),
    ({"data": {"test": "fewer.json"}}, r"data\.test was \w+ of [\d,]+ bytes, is \w+ of"),
    (
      {"model": {"hf_model": ""}},
      r"model\.hf_model, config\.json was \w+ of [\d,]+ bytes, is none",
    ),
  ],
)
def test_another_input_is_refused_with_what_it_was_and_is(begun, change, named):
  data, _, workdir, config = begun
  (data / "fewer.json").write_text(json.dumps(json.loads((data / "test.json").read_text())[:9]))
  parts = {
    part: dataclasses.replace(getattr(config, part), **fields) for part, fields in change.items()
  }
  with pytest.raises(InputsChanged, match=named):
    run.run(dataclasses.replace(config, **parts), workdir, say=quiet)
  with pytest.raises(ConfigChanged, match="seed: 0 there, 1 now"):
    run.run(dataclasses.replace(config, seed=1), workdir, say=quiet)


def test_the_command_says_it_in_one_line_and_exits_with_2(begun):
  data, _, workdir, config = begun
  path = data / "test.json"
  kept = path.read_bytes()
  path.write_bytes(kept + b"\n")
  command = [
    sys.executable,
    str(EXPERIMENTS / "spft.py"),
    f"--config={EXPERIMENTS}/configs/demo_tiny.py",
  ]
  command += [
    f"--config.data_dir={data}",
    f"--config.model.hf_model={config.model.hf_model}",
    f"--workdir={workdir}",
  ]
  try:
    done = subprocess.run(
      [*command, "--config.model.lora_rank=2"],
      capture_output=True,
      text=True,
      timeout=300,
      check=False,
    )
  finally:
    path.write_bytes(kept)
  said = [line for line in done.stderr.splitlines() if line.startswith("spft.py: ")]
  assert (
    done.returncode == 2
    and len(said) == 1
    and "data.test was " in said[0]
    and "Traceback" not in done.stderr
  )


def test_a_copy_of_everything_goes_on_and_hashes_only_what_may_have_changed(
  begun, tmp_path, monkeypatch
):
  data, model, workdir, config = begun
  hashed = []
  real = inputs.hashlib.file_digest
  monkeypatch.setattr(
    inputs.hashlib, "file_digest", lambda file, name: hashed.append(file.name) or real(file, name)
  )
  noted = inputs_of_run(config, read_data(config))
  keep_inputs(workdir, noted)
  hashed.clear()
  keep_inputs(workdir, noted)
  assert not [name for name in hashed if "model_base" not in name]
  again, theirs = (
    shutil.copytree(workdir, tmp_path / "run"),
    shutil.copytree(data, tmp_path / "data"),
  )
  moved = dataclasses.replace(config, data_dir=str(theirs))
  run.run(moved, again, stop_after="prepare", say=quiet)
  assert sum(name.startswith(str(theirs)) for name in hashed) >= 7 and not any(
    name.startswith(str(model)) for name in hashed
  )
  assert json.loads((again / "config.json").read_text())["data_dir"] == str(theirs)


def test_what_another_program_has_committed_beside_a_database_is_part_of_it(tmp_path):
  path = tmp_path / "d" / "d.sqlite"
  path.parent.mkdir()
  connection = sqlite3.connect(path)
  connection.executescript(
    "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)"
  )
  connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
  keep_inputs(tmp_path, inputs_of({}, {"d": str(path)}, None))
  keep_inputs(tmp_path, inputs_of({}, {"d": str(path)}, None))
  connection.execute("INSERT INTO t VALUES (2)")
  connection.commit()
  with pytest.raises(InputsChanged, match=r"database d-wal was none, is \w+ of"):
    keep_inputs(tmp_path, inputs_of({}, {"d": str(path)}, None))
  connection.close()


def test_what_lies_beside_a_linked_database_is_part_of_it(tmp_path):
  (tmp_path / "there").mkdir()
  connection = sqlite3.connect(tmp_path / "there" / "d.sqlite")
  connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a)")
  connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
  link = tmp_path / "d.sqlite"
  link.symlink_to("there/d.sqlite")
  keep_inputs(tmp_path, inputs_of({}, {"d": str(link)}, None))
  connection.execute("INSERT INTO t VALUES (2)")
  connection.commit()
  with pytest.raises(InputsChanged, match=r"database d-wal was none, is \w+ of"):
    keep_inputs(tmp_path, inputs_of({}, {"d": str(link)}, None))
  connection.close()


def test_what_duckdb_has_committed_to_its_log_is_part_of_a_database(tmp_path):
  duckdb = pytest.importorskip("duckdb")
  path = tmp_path / "d.duckdb"
  with duckdb.connect(str(path)) as connection:
    connection.execute("CREATE TABLE t (a INTEGER)")
  keep_inputs(tmp_path, inputs_of({}, {"d": str(path)}, None))
  with duckdb.connect(str(path)) as connection:
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute("INSERT INTO t VALUES (2)")
  with pytest.raises(InputsChanged, match=r"database d\.wal was none, is \w+ of"):
    keep_inputs(tmp_path, inputs_of({}, {"d": str(path)}, None))


def test_a_server_s_database_is_told_by_what_does_not_depend_on_which_rows_come_first(monkeypatch):
  url = "postgresql://reader@host/shop"
  column = Column(
    "day",
    "integer",
    "number",
    samples=(20240517, 20240518),
    distinct_count=900,
    date_format="%Y%m%d",
  )
  shop = Schema(
    "shop",
    "postgres",
    (Table("sale", (column,), row_count=1000), Table("v", (column,), row_count=5, is_view=True)),
  )

  def outline(schema: Schema) -> dict:
    monkeypatch.setattr(inputs, "read_schema", lambda location: schema)
    return inputs_of({}, {"shop": url}, None)["database shop"]

  def changed(number: int, **fields) -> Schema:
    tables = list(shop.tables)
    tables[number] = dataclasses.replace(tables[number], **fields)
    return dataclasses.replace(shop, tables=tuple(tables))

  others = dataclasses.replace(
    column, kind="text", samples=(7,), distinct_count=880, date_format=""
  )
  for same in (
    changed(0, columns=(others,)),
    changed(1, row_count=0),
    dataclasses.replace(shop, left_out=("late",)),
  ):
    assert outline(same) == outline(shop)
  wider = dataclasses.replace(column, type="bigint")
  for other in (
    changed(0, row_count=1001),
    changed(0, columns=(wider,)),
    changed(1, name="w"),
    changed(0, primary_key=("day",)),
  ):
    assert outline(other) != outline(shop)


def test_a_moved_run_goes_on_to_the_same_result_and_nothing_names_the_old_place(
  tmp_path, monkeypatch
):
  """Killed in the middle of training, then moved with its data and its model; the old place is
  gone.
  """
  short_tokenizer(monkeypatch)
  old, new = tmp_path / "old_place", tmp_path / "new_place"
  make_demo(old / "run" / "demo")
  replace = dataclasses.replace

  def config_at(root: Path):
    config = tiny_config(str(root / "run" / "demo"))
    return replace(
      config,
      checkpoint_every=1,
      vbi_ft=replace(config.vbi_ft, rounds=1),
      self_play=replace(config.self_play, iterations=1, baselines=("sft_control",)),
    )

  run.run(config_at(old), old / "run", stop_after="sft", say=quiet)
  real_log, logged = fine_tuning.fit, []

  def fit_until_killed(*arguments, on_metrics, **options):
    def counted(step, values):
      on_metrics(step, values)
      if options["description"] == "vbi_ft/round_1":
        logged.append(step)
        if step == 2:
          raise KeyboardInterrupt

    return real_log(*arguments, on_metrics=counted, **options)

  monkeypatch.setattr(fine_tuning, "fit", fit_until_killed)
  with pytest.raises(KeyboardInterrupt):
    run.run(config_at(old), old / "run", say=quiet)
  assert list((old / "run" / "checkpoints" / "vbi_ft-round_1").iterdir())
  monkeypatch.setattr(fine_tuning, "fit", real_log)
  kept = shutil.copytree(old, tmp_path / "kept")
  undisturbed = run.run(config_at(old), old / "run", say=quiet)
  params = {
    v: jax.tree.leaves(ModelBase(old / "run" / "model_base").load(v))
    for v in ("vbi_ft-1", "self_play-1")
  }
  shutil.rmtree(old)
  kept.rename(new)
  results = run.run(config_at(new), new / "run", say=quiet)
  assert results["table"] == undisturbed["table"] and results["best"] == undisturbed["best"]
  for version, leaves in params.items():
    found = jax.tree.leaves(ModelBase(new / "run" / "model_base").load(version))
    assert all(np.array_equal(a, b) for a, b in zip(leaves, found, strict=True)), version
  # Orbax notes for people where it has committed a checkpoint; nobody reads that.
  files = [p for p in new.rglob("*") if p.is_file() and p.name != "commit_success.txt"]
  named = [p for p in files if b"old_place" in p.read_bytes() or b"/kept/" in p.read_bytes()]
  assert not named
  assert find_version(new / "run", None)[1] == results["best"]


def test_a_starting_model_that_was_moved_is_found_where_the_run_goes_on_with_it(begun, tmp_path):
  _, model, workdir, config = begun
  copy, moved = (
    shutil.copytree(workdir, tmp_path / "run"),
    shutil.copytree(model, tmp_path / "elsewhere"),
  )
  config = dataclasses.replace(config, model=dataclasses.replace(config.model, hf_model=str(moved)))
  run.run(config, copy, stop_after="prepare", say=quiet)
  assert FinishedRun(copy).find_start("a/place/that/is/gone") == moved


def test_a_model_that_has_learned_before_competes_with_what_is_made_of_it(begun, tmp_path):
  _, _, workdir, config = begun
  assert ModelBase(workdir.parent / "first" / "model_base").candidates() == []
  shutil.copytree(workdir, tmp_path / "run")
  with pytest.MonkeyPatch.context() as patch:
    short_tokenizer(patch)
    run.run(config, tmp_path / "run", stop_after="sft", say=quiet)
  models = ModelBase(tmp_path / "run" / "model_base")
  assert models.candidates() == ["base", "sft"]
  assert models.score("base", "selection") is not None
