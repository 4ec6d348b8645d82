"""Bad input to every launch script: exit code 2 (or 1 where it fails at run time), one line that
names it, no traceback.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest
from forked import run_script

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

import config_file

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
TINY = f"--config={EXPERIMENTS}/configs/demo_tiny.py"
LONG_TOKEN = "--token=0123456789abcdef"
MODEL = ["--model=model", "--database=shop.sqlite", "How many?"]
PREDICT = ["--model=model", "--examples=one.json", "--databases=dbs", "--output=out.sql"]
EVALUATE = ["--examples=one.json", "--predictions=one.sql", "--databases=dbs", "--output=out.json"]
SYNTHESIZE = ["--databases=shop.sqlite", "--output=out.jsonl", "--num_examples=2", "--workers=1"]
AHEAD = ["--topology=v5e:2x2", "--model_config=model/config.json"]
SPECIALIZE = ["--database=shop.sqlite", "--workdir=work", "--base_model=model"]
SPFT = [TINY, "--workdir=work"]
TPU = ["--name=run1", "--zone=us-west4-a", "--accelerator_type=v5e-16", "--shared_dir=/work"]
ON_TPU = ["--", "experiments/spft.py", "--distributed", "--workdir=/work/run1"]
SLURM = ["--name=run1", "--time=60"]
ON_SLURM = ["--", "experiments/spft.py", "--distributed"]

# (script, arguments, what the line says); the files are those of the fixture `folder`.
CASES = [
  ("ask", [], "--model"),
  ("ask", ["--model=model"], "--database"),
  ("ask", MODEL[:2], "no question"),
  ("ask", [*MODEL[:2], " ?! "], "no question"),
  ("ask", [*MODEL, "--modle=x"], "Unknown command line flag 'modle'. Did you mean: model"),
  ("ask", [*MODEL, "--model=gone"], "gone: no model folder there"),
  ("ask", [*MODEL, "--model=one.json"], "one.json: a file; a model is a folder"),
  ("ask", [*MODEL, "--model=dbs"], "dbs: no model there"),
  ("ask", [*MODEL, "--model=run"], "run: a run's folder without an export"),
  (
    "ask",
    [*MODEL, "--model=run/model_base"],
    "run/model_base: a model base; convert_hf.py --checkpoint=",
  ),
  ("ask", [*MODEL, "--database=gone.sqlite"], "gone.sqlite"),
  ("ask", [*MODEL, "--database=one.json"], "one.json"),
  ("ask", [*MODEL, "--samples=0"], "--samples=0"),
  ("ask", [*MODEL, "--samples=many"], "--samples=many"),
  ("ask", [*MODEL, "--min_agreement=1.5"], "--min_agreement=1.5"),
  ("ask", [*MODEL, "--temperature=0"], "--temperature=0"),
  ("ask", [*MODEL, "--timeout_s=0"], "--timeout_s=0"),
  ("ask", [*MODEL, "--max_rows=0"], "--max_rows=0"),
  ("ask", [*MODEL, "--serve"], "--serve takes no question"),
  ("ask", [*MODEL[:2], "--serve", "--port=70000"], "--port=70000"),
  ("ask", [*MODEL[:2], "--serve", "--port=http"], "--port=http"),
  ("ask", [*MODEL[:2], "--serve", "--host=0.0.0.0"], "other machines reach this address"),
  ("ask", [*MODEL[:2], "--serve", "--host=::"], "so --token must be given"),
  ("ask", [*MODEL[:2], "--serve", "--host=a b"], "not the name or address of this machine"),
  ("ask", [*MODEL[:2], "--serve", "--host=no.such.host.invalid", LONG_TOKEN], "--host=no.such"),
  ("ask", [*MODEL[:2], "--serve", "--token=short"], "at least 16 characters"),
  ("ask", [*MODEL[:2], "--serve", "--model=gone"], "gone: no model folder there"),
  ("ask", [*MODEL, "--seed=-1"], "--seed=-1"),
  ("ask", [*MODEL[:2], "Please delete all the products"], "only questions are answered"),
  ("predict", [], "--model"),
  ("predict", [*PREDICT, "--model=run"], "run: a run's folder without an export"),
  ("predict", [*PREDICT, "--model=gone"], "gone: no model folder there"),
  ("predict", [*PREDICT, "--examples=gone.json"], "gone.json: no such file"),
  ("predict", [*PREDICT, "--examples=broken.json"], "broken.json:2"),
  ("predict", [*PREDICT, "--examples=dbs"], "dbs: a folder where a file of examples is expected"),
  ("predict", [*PREDICT, "--databases=gone"], "gone"),
  ("predict", [*PREDICT, "--output=gone/out.sql"], "gone: no such folder"),
  ("predict", [*PREDICT, "--output=dbs"], "dbs: a folder where a file is to be written"),
  ("predict", [*PREDICT, "--lanes=0"], "--lanes=0"),
  ("predict", [*PREDICT, "--dtype=float8"], "--dtype=float8"),
  ("predict", [*PREDICT, "--samples=0"], "--samples=0"),
  ("predict", [*PREDICT, "--top_p=0"], "--top_p=0"),
  ("predict", [*PREDICT, "--top_k=-1"], "--top_k=-1"),
  ("predict", [*PREDICT, "--seed=-1"], "--seed=-1"),
  ("predict", [*PREDICT, "--workers=0"], "--workers=0"),
  ("predict", [*PREDICT, "--mesh=data:x"], "data:x"),
  ("evaluate", [], "--"),
  ("evaluate", [*EVALUATE, "--examples=gone.json"], "gone.json: no such file"),
  ("evaluate", [*EVALUATE, "--examples=broken.json"], "broken.json:2"),
  ("evaluate", [*EVALUATE, "--examples=dbs"], "dbs: a folder where a file of examples is expected"),
  ("evaluate", [*EVALUATE, "--predictions=gone.sql"], "gone.sql: no such file"),
  ("evaluate", [*EVALUATE, "--predictions=two.sql"], "two.sql: 2 predictions for 1 examples"),
  ("evaluate", [*EVALUATE, "--databases=gone"], "gone"),
  ("evaluate", [*EVALUATE, "--output=gone/x.json"], "gone: no such folder"),
  ("evaluate", [*EVALUATE, "--output=dbs"], "dbs: a folder where a file is to be written"),
  ("evaluate", [*EVALUATE, "--comparison=lax"], "--comparison=lax"),
  ("evaluate", [*EVALUATE, "--metrics=ex,tss"], "'tss'"),
  ("evaluate", [*EVALUATE, "--timeout_s=-1"], "--timeout_s=-1"),
  ("evaluate", [*EVALUATE, "--workers=0"], "--workers=0"),
  ("evaluate", [*EVALUATE, "--metrics=em", "--tables=gone.json"], "gone.json: no such file"),
  ("evaluate", [*EVALUATE, "--metrics=em", "--tables=broken.json"], "broken.json:2"),
  ("synthesize", [], "--"),
  ("synthesize", [*SYNTHESIZE, "--databases=gone.sqlite"], "gone.sqlite: no such database"),
  ("synthesize", [*SYNTHESIZE, "--databases=run"], "run: no databases in it"),
  ("synthesize", [*SYNTHESIZE, "--num_examples=0"], "--num_examples=0"),
  ("synthesize", [*SYNTHESIZE, "--workers=x"], "--workers=x"),
  ("synthesize", [*SYNTHESIZE, "--shard=3/2"], "--shard=3/2"),
  ("synthesize", [*SYNTHESIZE, "--engine=spark"], "--engine=spark"),
  ("synthesize", [*SYNTHESIZE, "--engine=ray", "--shard=0/2"], "--engine=ray makes all shards"),
  ("synthesize", [*SYNTHESIZE, "--templates=seeds"], "--templates=seeds needs"),
  ("synthesize", [*SYNTHESIZE, "--balance=colour"], "--balance=colour"),
  ("synthesize", [*SYNTHESIZE, "--balance=join=2"], "--balance=join=2"),
  ("synthesize", [*SYNTHESIZE, "--decay=2"], "--decay=2"),
  ("synthesize", [*SYNTHESIZE, "--format=csv"], "--format=csv"),
  ("synthesize", [*SYNTHESIZE, "--seed_examples=broken.json"], "broken.json:2"),
  ("synthesize", [*SYNTHESIZE, "--exclude=gone.json"], "gone.json: no such file"),
  ("synthesize", [*SYNTHESIZE, "--query_log=gone.txt"], "gone.txt: no such file"),
  ("synthesize", [*SYNTHESIZE, "--phrases=gone.txt"], "gone.txt: no such file"),
  ("synthesize", [*SYNTHESIZE, "--phrases=broken.json"], "broken.json: phrases: ["),
  ("synthesize", [*SYNTHESIZE, "--names=gone.csv"], "gone.csv: no such file of names"),
  ("synthesize", [*SYNTHESIZE, "--names=one.json"], "one.json: no column table"),
  ("synthesize", [*SYNTHESIZE, "--names=names.csv"], "no table 'gone'"),
  ("synthesize", [*SYNTHESIZE, "--output=gone/out.jsonl"], "gone: no such folder"),
  (
    "synthesize",
    [*SYNTHESIZE, "--output=dbs", "--format=jsonl"],
    "dbs: a folder where a file is to be written",
  ),
  ("convert_hf", [], "--output"),
  ("convert_hf", ["--output=x"], "give one of --hf_model, --checkpoint, --gguf=FILE"),
  ("convert_hf", ["--output=x", "--hf_model=run"], "run: a run's folder without an export"),
  ("convert_hf", ["--output=x", "--hf_model=gone"], "gone: no model folder there"),
  ("convert_hf", ["--output=x", "--hf_model=model", "--peft"], "--peft goes with --checkpoint"),
  ("convert_hf", ["--output=x", "--checkpoint=gone"], "gone: no such folder"),
  ("convert_hf", ["--output=x", "--peft_adapter=gone"], "gone: no such folder"),
  ("convert_hf", ["--output=x", "--peft_adapter=model"], "adapter_config.json is missing"),
  ("convert_hf", ["--output=x", "--checkpoint=one.json"], "one.json: a file"),
  (
    "convert_hf",
    ["--output=x", "--checkpoint=model"],
    "model: holds no model base, but a model folder",
  ),
  ("convert_hf", ["--output=x", "--checkpoint=run:v9"], "run"),
  ("convert_hf", ["--output=x", "--checkpoint=run", "--dtype=int3"], "--dtype=int3"),
  ("convert_hf", ["--output=one.json", "--hf_model=model"], "one.json"),
  ("convert_hf", ["--output=x", "--checkpoint=run", "--lora_alpha=-1"], "--lora_alpha=-1"),
  ("model_base", ["list"], "--base"),
  ("model_base", ["--base=run/model_base"], "say what to do"),
  ("model_base", ["rm", "--base=run/model_base"], "say what to do"),
  ("model_base", ["list", "--base=gone"], "gone: no model base there"),
  ("model_base", ["show", "--base=run/model_base"], "which version?"),
  ("model_base", ["show", "--base=run/model_base", "--version=v9"], "v9"),
  ("model_base", ["best", "--base=run/model_base"], "no version has a score"),
  ("compile_ahead", [], "--"),
  ("compile_ahead", [*AHEAD, "--model_config=gone.json"], "gone.json: no such file"),
  ("compile_ahead", [*AHEAD, "--step=dpo"], "--step=dpo"),
  ("compile_ahead", [*AHEAD, "--lanes=0"], "--lanes=0"),
  ("compile_ahead", AHEAD[1:], "--topology: which slices? (or --search)"),
  ("compile_ahead", ["--topology=h100:0", *AHEAD[1:]], "h100:N is N of these GPUs"),
  ("compile_ahead", [*AHEAD, "--search", "--most_chips=0"], "--most_chips=0"),
  ("compile_ahead", [*AHEAD, "--most_programs=-1"], "--most_programs=-1"),
  ("compile_ahead", [*AHEAD, "--attention=fast"], "--attention=fast"),
  ("compile_ahead", [*AHEAD, "--chips=gone.toml"], "gone.toml: no such file"),
  ("compile_ahead", [*AHEAD, "--chips=one.json"], "one.json: not TOML"),
  ("compile_ahead", [*AHEAD, "--kept=one.json"], "one.json: a file is there"),
  ("specialize", [], "--database"),
  ("specialize", SPECIALIZE[:1], "--workdir"),
  ("specialize", [*SPECIALIZE, "--base_model=gone"], "gone: no such model folder"),
  ("specialize", [*SPECIALIZE, "--database=gone.sqlite"], "gone.sqlite"),
  ("specialize", [*SPECIALIZE, "--descriptions=gone.csv"], "gone.csv: no such file"),
  ("specialize", [*SPECIALIZE, "--descriptions=one.json"], "one.json: no column table"),
  ("specialize", [*SPECIALIZE, "--descriptions=dbs"], "dbs: no CSV file"),
  ("specialize", [*SPECIALIZE, "--names=gone.csv"], "gone.csv: no such file of names"),
  ("specialize", [*SPECIALIZE, "--names=names.csv"], "no table 'gone'"),
  ("specialize", [*SPECIALIZE, "--phrases=gone.txt"], "gone.txt: no such file"),
  ("specialize", [*SPECIALIZE, "--include=gone"], "no table 'gone' to include"),
  ("specialize", [*SPECIALIZE, "--exclude=product"], "no table is left"),
  ("specialize", [*SPECIALIZE, "--mask=name"], "no column 'name'; give it as table.column"),
  ("specialize", [*SPECIALIZE, "--schemas=main"], "an SQLite file has no schemas"),
  ("specialize", [*SPECIALIZE, "--steps=0"], "--steps=0"),
  ("specialize", [*SPECIALIZE, "--query_log=gone.sql"], "gone.sql: no such file"),
  ("specialize", [*SPECIALIZE, "--query_log=config.txt"], "config.txt: there is no query in it"),
  ("synthetic_databases", [], "--count"),
  ("synthetic_databases", ["--count=0", "--output=x"], "--count=0"),
  ("synthetic_databases", ["--count=2", "--start=-1", "--output=x"], "--start=-1"),
  ("synthetic_databases", ["--count=2", "--output=one.json"], "one.json"),
  ("pretrain_small", [], "--workdir"),
  ("pretrain_small", ["--workdir=one.json"], "one.json"),
  ("pretrain_small", ["--workdir=x", "--workers=0"], "--workers=0"),
  ("pretrain_small", ["--config=gone.py", "--workdir=x"], "gone.py: no such config file"),
  ("quickstart", ["--workdir=one.json"], "one.json"),
  ("quickstart", ["--seed=x"], "--seed=x"),
  ("quickstart", ["--workdir=q", "--stop_after=lunch"], "lunch"),
  ("quickstart", ["--workdr=q"], "Did you mean: workdir"),
  ("study", ["--workdir=work"], "--config"),
  ("study", [*SPFT, "--preregistration=gone.toml"], "gone.toml"),
  ("study", [*SPFT, "--preregistration=syntax.py"], "syntax.py: not TOML"),
  ("study", [*SPFT, "--config.data_dir=gone"], "gone"),
  ("spft", ["--workdir=work"], "--config"),
  ("spft", [TINY], "--workdir"),
  ("spft", ["--config=syntax.py", "--workdir=work"], "syntax.py:2: not Python"),
  (
    "spft",
    [*SPFT, "--config.vbi_ft.round=3"],
    "config.vbi_ft has no field 'round'; did you mean config.vbi_ft.rounds?",
  ),
  ("spft", [*SPFT, "--config.vbi_ft.rounds=many"], "--config.vbi_ft.rounds=many"),
  ("spft", [*SPFT, "--config.self_play.opponent=strongest"], "must be one of 'weakest'"),
  ("spft", ["--config=fields.py", "--workdir=work"], "no field 'rounds'"),
  ("spft", [*SPFT, "--config.data_dir=gone"], "gone"),
  ("spft", [*SPFT, "--config.recipe=best"], "config.recipe must be one of 'auto'"),
  ("spft", [*SPFT, "--config.remat=some"], "config.remat must be one of 'auto'"),
  ("spft", [*SPFT, "--config.accumulate=two"], "--config.accumulate=two"),
  ("spft", [*SPFT, "--stop_after=lunch"], "lunch"),
  ("spft", [*SPFT, "--start_from=lunch"], "lunch"),
  ("spft", [*SPFT, "--mesh=data:x"], "data:x"),
  (
    "spft",
    [*SPFT, "--num_processes=2"],
    "--coordinator, --num_processes and --process_id belong together",
  ),
  ("tpu/launch", [], "--"),
  ("tpu/launch", TPU, "which script?"),
  ("tpu/launch", [*TPU, "--name=Run 1", *ON_TPU], "--name=Run 1: not small letters"),
  ("tpu/launch", [*TPU, "--zone=west", *ON_TPU], "--zone=west: not a zone"),
  ("tpu/launch", [*TPU, "--accelerator_type=h100-8", *ON_TPU], "h100-8: not a type of TPU"),
  ("tpu/launch", [*TPU, "--bucket=gs://b", *ON_TPU], "give one of --bucket and --shared_dir"),
  ("tpu/launch", [*TPU, "--shared_dir=", *ON_TPU], "give one of --bucket and --shared_dir"),
  ("tpu/launch", [*TPU, "--shared_dir=work", *ON_TPU], "neither HOST:/EXPORT nor a whole path"),
  ("tpu/launch", [*TPU, "--shared_dir=", "--bucket=gs://b/x", *ON_TPU], "not a folder in it"),
  ("tpu/launch", [*TPU, "--mount=work", *ON_TPU], "--mount=work: give the whole path"),
  ("tpu/launch", [*TPU, "--source=dbs", *ON_TPU], "--source=dbs: no clone of this project"),
  ("tpu/launch", [*TPU, "--source=https://host/x.git", *ON_TPU], "needs its revision"),
  ("tpu/launch", [*TPU, "--action=halt", *ON_TPU], "--action=halt"),
  ("tpu/launch", [*TPU, "--max_restarts=-1", *ON_TPU], "--max_restarts=-1"),
  ("tpu/launch", [*TPU, "--", "experiments/gone.py"], "experiments/gone.py: no such script"),
  ("tpu/launch", [*TPU, "--", "experiments/spft.py"], "4 hosts, which work together with"),
  ("tpu/launch", [*TPU, *ON_TPU, "--workdir=runs/x"], "--workdir=runs/x: outside /work"),
  ("slurm/launch", [], "--time"),
  ("slurm/launch", SLURM, "which script?"),
  ("slurm/launch", [*SLURM, "--time=noon", *ON_SLURM], "--time=noon: not a time of Slurm's"),
  ("slurm/launch", [*SLURM, "--name=a/b", *ON_SLURM], "--name=a/b: not the name of a file"),
  ("slurm/launch", [*SLURM, "--account=my lab", *ON_SLURM], "--account=my lab: no blanks"),
  ("slurm/launch", [*SLURM, "--sbatch_flag=qos", *ON_SLURM], "--sbatch_flag=qos: not an option"),
  ("slurm/launch", [*SLURM, "--nodes=0", *ON_SLURM], "--nodes=0"),
  ("slurm/launch", [*SLURM, "--signal_s=5", *ON_SLURM], "--signal_s=5"),
  ("slurm/launch", [*SLURM, "--source=dbs", *ON_SLURM], "experiments/spft.py: no such script in"),
  ("slurm/launch", [*SLURM, "--venv=gone", *ON_SLURM], "--venv=gone: no "),
  ("slurm/launch", [*SLURM, "--nodes=2", *ON_SLURM[:2]], "work together with --distributed"),
]
# The same of --config alone, judged in this process: what the file and the names of fields can have
# wrong.
CONFIG_CASES = [
  (["--config=gone.py"], "gone.py: no such config file"),
  (["--config=dbs"], "dbs: a folder where a config file"),
  (["--config=one.json"], "one.json"),
  (["--config=syntax.py"], "syntax.py:2: not Python"),
  (["--config=empty.py"], "empty.py: there is no function get_config"),
  (["--config=raises.py"], "raises.py:2: the config cannot be made (ZeroDivisionError"),
  (["--config=module.py"], "module.py:1: the config cannot be made (ModuleNotFoundError"),
  (["--config=dict.py"], "dict.py: get_config() returns dict"),
  (
    [TINY, "--config.vbi_ft.round=3"],
    "config.vbi_ft has no field 'round'; did you mean config.vbi_ft.rounds?",
  ),
  ([TINY, "--config.vbi_ft.training.stepz=3"], "did you mean config.vbi_ft.training.steps?"),
  ([TINY, "--config.selfplay.beta=3"], "did you mean config.self_play?"),
  ([TINY, "--config.shape.branches=8"], "was replaced by config.packing"),
  ([TINY, "--config.Seed=3"], "did you mean config.seed?"),
  ([TINY, "--config.vbi_ft=3"], "config.vbi_ft is a group of fields"),
  ([TINY, "--config.seed.x=3"], "config.seed is a value"),
  ([TINY, "--config.self_play.baselines[9]=1"], "baselines"),
  ([TINY, "--config.model.hf_config.hidden=3"], "did you mean config.model.hf_config.hidden_size?"),
  (
    [TINY, "--config.vbi_ft.training.optimizer=3"],
    "config.vbi_ft.training.optimizer is a group of fields",
  ),
  ([TINY, "--config.self_play.baselines.x=1"], "it has no fields"),
  (["--config", "gone.py"], "gone.py: no such config file"),
  ([f"--config={EXPERIMENTS}/configs/quickstrat.py"], "quickstart.py?"),
  ([f"--config={EXPERIMENTS}/configs/baselines.py:spinn"], "baselines.py"),
  (["--config="], "--config names no file"),
]
NAMES = [
  f"{i}-{script}{''.join(' ' + a for a in arguments[-1:])}"
  for i, (script, arguments, _) in enumerate(CASES)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder with one of each kind of input that scripts take, and some that are broken."""
  folder = tmp_path_factory.mktemp("input")
  for name in ("dbs/shop", "run/model_base/versions", "model"):
    (folder / name).mkdir(parents=True)
  for place in ("shop.sqlite", "dbs/shop/shop.sqlite"):
    connection = sqlite3.connect(folder / place)
    connection.executescript(
      "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO product VALUES (1, "
      "'a')"
    )
    connection.close()
  example = {"db_id": "shop", "question": "How many?", "query": "SELECT COUNT(*) FROM product"}
  texts = {
    "model/config.json": "{}",
    "run/journal.jsonl": "",
    "run/config.json": "{}",
    "one.json": json.dumps([example]),
    "broken.json": '[\n{"db_id": "shop",,}\n]',
    "one.sql": "SELECT 1\n",
    "config.txt": "SET x = 1;\n",
    "names.csv": "table,column,name\ngone,,thing\n",
    "two.sql": "SELECT 1\nSELECT 2\n",
    "syntax.py": "import os\ndef get_config(:\n  pass\n",
    "empty.py": "x = 1\n",
    "raises.py": "def get_config():\n  return 1 / 0\n",
    "module.py": "import no_such_module_anywhere\n",
    "dict.py": "def get_config():\n  return {}\n",
    "fields.py": "from ml_collections import ConfigDict\n\n\ndef get_config():\n"
    "  return ConfigDict({'name': 'x', 'data_dir': '.', 'rounds': 3})\n",
  }
  for name, text in texts.items():
    (folder / name).write_text(text)
  return folder


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_bad_input_is_one_line_and_exit_code_2(folder, case):
  done = run_script(EXPERIMENTS / f"{case[0]}.py", *case[1], cwd=folder)
  assert done.returncode == 2, done.stderr
  lines = done.stderr.splitlines()
  assert len(lines) == 1 and lines[0].startswith(f"{Path(case[0]).name}.py: "), done.stderr
  assert case[2] in lines[0]


@pytest.mark.parametrize(
  ("arguments", "says"), CONFIG_CASES, ids=[a[-1][-60:] for a, _ in CONFIG_CASES]
)
def test_a_bad_config_is_named_with_what_was_meant(folder, monkeypatch, arguments, says):
  monkeypatch.chdir(folder)
  with pytest.raises(config_file.InputError) as raised:
    config_file.check(["spft.py", *arguments])
  assert says in str(raised.value)


def test_a_good_config_passes(folder, monkeypatch):
  monkeypatch.chdir(folder)
  fields = [
    "--config.vbi_ft.rounds=3",
    "--config.self_play.baselines=()",
    "--config.model.hf_config={'a': 1}",
  ]
  config_file.check(
    ["spft.py", TINY, *fields, "--config.packing.rows=2", "--noconfig.paper_splits"]
  )
  config_file.check(["spft.py", TINY, "--", "--config.none.such=1"])
  config_file.check(["spft.py", "--workdir=x"])


def test_every_launch_script_has_bad_inputs_here():
  scripts = {
    path.relative_to(EXPERIMENTS).with_suffix("").as_posix()
    for pattern in ("*.py", "*/launch.py")
    for path in EXPERIMENTS.glob(pattern)
    if '__name__ == "__main__"' in path.read_text()
  }
  assert scripts == {script for script, _, _ in CASES}
