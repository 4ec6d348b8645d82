"""An exported folder elsewhere: transformers 4 and 5 read its config and its tokenizer, and stop
where answers end.

SPFTSQL_TRANSFORMERS4 names a Python with torch and transformers 4.57 (`python -m venv DIR`; its pip
installs torch==2.13.0 and then transformers==4.57.6). Without it what that version needs is checked
in the files alone.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import transformers
from model_cards import run_example
from shared_data import SHARED

from spftsql_jax.answering.exported import load_exported, write_prompt_format
from spftsql_jax.answering.predict import PromptDatabase, answer_questions
from spftsql_jax.examples.batches import Unit, choose_shape
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import load_tokenizer, train_bpe
from spftsql_jax.models import (
  Decoder,
  LoraConfig,
  ModelConfig,
  init_lora,
  init_params,
  save_adapter,
  save_hf,
)
from spftsql_jax.models.hf import copy_tokenizer, write_generation_config, write_tokenizer
from spftsql_jax.report.model_card import CardModel, write_model_card
from spftsql_jax.schema import Column, Schema, Table
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.trainer import FitConfig, fit

SCHEMA = Schema(
  "shop",
  "sqlite",
  (Table("sale", (Column("id", "INTEGER", "number"), Column("price", "REAL", "number"))),),
)
QUESTION, SQL = "How many sales are there?", "SELECT count(*) FROM sale"
CHATML = (
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
STYLE = PromptFormat(matched_values=0, chat=True)
# What another version of transformers makes of a folder: its tokens for a text, and the greedy
# answer to given ids.
_ELSEWHERE = """
import json, sys
import torch, transformers
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
folder, model_folder, text, ids = json.loads(sys.argv[1])
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
out = {"ids": tokenizer.encode(text, add_special_tokens=False), "template": tokenizer.chat_template}
if model_folder:
  model = transformers.AutoModelForCausalLM.from_pretrained(model_folder)
  rope = model.model.rotary_emb.inv_freq.tolist()
  if folder != model_folder:
    import peft
    model = peft.PeftModel.from_pretrained(model, folder)
  config = transformers.GenerationConfig.from_pretrained(folder)
  given = torch.tensor([ids])
  answer = model.generate(input_ids=given, generation_config=config, max_new_tokens=48)
  answer = answer[0, len(ids):].tolist()
  text = tokenizer.decode(answer, skip_special_tokens=True)
  out |= {"answer": answer, "dtype": str(model.dtype), "text": text, "rope": rope}
print(json.dumps(out))
"""


def pythons() -> list:
  """This Python, and one with transformers 4 where there is one."""
  four = os.environ.get("SPFTSQL_TRANSFORMERS4", "")
  missing = pytest.mark.skipif(
    not four, reason="SPFTSQL_TRANSFORMERS4 names no Python with transformers 4"
  )
  return [
    pytest.param(sys.executable, id="installed"),
    pytest.param(four, id="transformers4", marks=missing),
  ]


def elsewhere(
  python: str,
  folder: pathlib.Path,
  model_folder: pathlib.Path | None = None,
  ids: tuple[int, ...] = (),
) -> dict:
  pytest.importorskip("torch", reason="torch is not installed: see tests/requirements-parity.txt")
  asked = json.dumps([str(folder), model_folder and str(model_folder), SQL, list(ids)])
  environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
  command = [python, "-c", _ELSEWHERE, asked]
  done = subprocess.run(
    command, capture_output=True, text=True, check=False, timeout=600, env=environment
  )
  assert done.returncode == 0, done.stderr[-2000:]
  return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def start(tmp_path_factory):
  """A base model as they are published: its texts end with <|endoftext|>, those of its chat
  template with <|im_end|>.
  """
  folder = tmp_path_factory.mktemp("start")
  hf = train_bpe([f"Question: {QUESTION}\nSQL: {SQL}"] * 4, 330)
  hf.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
  hf.chat_template = CHATML
  values = {
    "model_type": "qwen2",
    "vocab_size": 384,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "rope_theta": 50000.0,
    "initializer_range": 0.3,
    "max_position_embeddings": 1024,
    "eos_token_id": hf.eos_token_id,
  }
  config = ModelConfig.from_hf(values)
  save_hf(folder, config, init_params(config, jax.random.key(0)), hf)
  # As somebody else wrote it: other blanks, and a field that nobody here knows.
  path = folder / "tokenizer_config.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | {"somebody": "else's"}, indent=7))
  (folder / "vocab.txt").write_bytes(b"\x00not ours\r\n")
  (folder / "spiece.model").write_bytes(b"\x08\x01")
  sampling = {
    "eos_token_id": [hf.eos_token_id, 7],
    "do_sample": True,
    "temperature": 0.7,
    "repetition_penalty": 1.3,
  }
  (folder / "generation_config.json").write_text(json.dumps(sampling))
  return folder


@pytest.fixture(scope="module")
def tuned(start, tmp_path_factory):
  """(export, adapter, the ids of its prompt) of models tuned until they know one answer by
  heart.
  """
  tokenizer = load_tokenizer(start, STYLE)
  units = [Unit((tokenizer.text_to_sql(SCHEMA, QUESTION, SQL),))]
  shape = choose_shape(units, 1, 1)
  config = ModelConfig.from_hf(start)
  params = init_params(config, jax.random.key(0))
  optimizer = OptimizerConfig(learning_rate=2e-2, schedule="constant")
  whole = fit(
    Decoder(config),
    params,
    units,
    FitConfig(60, shape, optimizer=optimizer),
    pad_id=tokenizer.pad_id,
  )
  lora = LoraConfig(rank=16, alpha=32.0)
  adapter = init_lora(config, lora, jax.random.key(1))
  model = Decoder(config, lora=lora)
  part = fit(
    model,
    params,
    units,
    FitConfig(200, shape, optimizer=optimizer),
    pad_id=tokenizer.pad_id,
    lora=adapter,
  )
  assert whole.summary["loss"] < 0.05 and part.summary["loss"] < 0.05, (whole.summary, part.summary)
  folder = tmp_path_factory.mktemp("tuned")
  ends = {"end_ids": tokenizer.end_ids, "pad_id": tokenizer.pad_id}
  save_hf(folder / "export", config, whole.trained, start, **ends)
  write_prompt_format(folder / "export", STYLE, 48)
  save_adapter(folder / "adapter", config, lora, part.trained, base_model=str(start))
  copy_tokenizer(start, folder / "adapter")
  write_generation_config(folder / "adapter", config, start, **ends)
  [branch] = units[0].branches
  return folder / "export", folder / "adapter", branch.prefix + branch.prompt


def test_ends_of_the_chat_and_of_the_base_are_named_everywhere(start, tuned):
  tokenizer = load_tokenizer(start, STYLE)
  chat, base = tokenizer.hf.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
  assert tokenizer.end_id == chat and tokenizer.end_ids == (chat, base, 7)
  for folder in tuned[:2]:
    written = json.loads((folder / "generation_config.json").read_text())
    assert written == {
      "eos_token_id": [chat, base, 7],
      "pad_token_id": tokenizer.pad_id,
      "do_sample": False,
    }
  config = json.loads((tuned[0] / "config.json").read_text())
  assert config["eos_token_id"] == [chat, base, 7] and config["pad_token_id"] == tokenizer.pad_id
  # Our own engine stops on the same ones, and a loaded export on no others.
  assert load_tokenizer(tuned[0], STYLE).end_ids == tokenizer.end_ids
  assert load_tokenizer(tuned[0], PromptFormat()).end_ids == (base, chat, 7)
  for end in tokenizer.end_ids:
    assert (
      tokenizer.decode((*tokenizer.encode("SELECT 1"), end, *tokenizer.encode("2"))) == "SELECT 1"
    )


def test_our_engine_answers_and_stops(tuned):
  exported = load_exported(tuned[0])
  database = PromptDatabase("unused", SCHEMA, None, found={QUESTION: ()})
  [[answer]] = answer_questions(
    exported.generator,
    exported.params,
    exported.tokenizer,
    {"": database},
    [Example("", QUESTION, "")],
    max_new_tokens=48,
  )
  assert (answer.sql, answer.status) == (SQL, "stop")


@pytest.mark.parametrize("python", pythons())
def test_an_export_answers_and_stops_elsewhere(start, tuned, python):
  tokenizer = load_tokenizer(start, STYLE)
  for model_folder, folder in ((tuned[0], tuned[0]), (start, tuned[1])):
    found = elsewhere(python, folder, model_folder, tuned[2])
    assert found["ids"] == list(tokenizer.encode(SQL)) and found["template"] == CHATML
    assert found["answer"] == list(tokenizer.answer(SQL, "sqlite")) and found["text"].strip() == SQL
    assert found["dtype"] == "torch.float32"
    np.testing.assert_allclose(found["rope"], 50000.0 ** -(np.arange(0, 24, 2) / 24), rtol=1e-5)


def test_tokenizer_files_are_copied_byte_for_byte_and_older_ones_removed(start, tuned, tmp_path):
  names = {
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "vocab.txt",
    "spiece.model",
  }
  for folder in tuned[:2]:
    assert {
      name for name in names if (folder / name).read_bytes() == (start / name).read_bytes()
    } == names
  # A tokenizer of vocabulary and merges alone must not be read from an older export's
  # tokenizer.json.
  (tmp_path / "from").mkdir()
  (tmp_path / "from" / "vocab.json").write_text("{}")
  copy_tokenizer(start, tmp_path / "to")
  assert copy_tokenizer(tmp_path / "from", tmp_path / "to") == ["vocab.json"]
  assert (
    not (tmp_path / "to" / "tokenizer.json").exists()
    and (tmp_path / "to" / "vocab.json").read_text() == "{}"
  )


@pytest.mark.parametrize("python", pythons())
def test_a_tokenizer_of_our_own_is_read_elsewhere(tmp_path, python):
  hf = train_bpe([SQL] * 4, 300)
  hf.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
  hf.chat_template = CHATML
  write_tokenizer(hf, tmp_path)
  record = json.loads((tmp_path / "tokenizer_config.json").read_text())
  # Names that transformers 4 does not know.
  assert record["tokenizer_class"] == "PreTrainedTokenizerFast" and not isinstance(
    record.get("extra_special_tokens"), list
  )
  again = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
  assert (
    again.eos_token == hf.eos_token and again.pad_token == hf.pad_token and len(again) == len(hf)
  )
  assert set(again.all_special_tokens) == {hf.eos_token, hf.pad_token, "<|im_start|>", "<|im_end|>"}
  found = elsewhere(python, tmp_path)
  assert found["ids"] == hf.encode(SQL, add_special_tokens=False) and found["template"] == CHATML


@pytest.mark.parametrize("python", pythons())
def test_real_tokenizer_files_are_read_elsewhere(tmp_path, python):
  if not (SHARED / "tokenizers" / "qwen2").is_dir():
    pytest.skip(f"no shared data at {SHARED}")
  source = SHARED / "tokenizers" / "qwen2"
  copy_tokenizer(source, tmp_path)
  for name in (
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
  ):
    assert (tmp_path / name).read_bytes() == (source / name).read_bytes()
  assert elsewhere(python, tmp_path)["ids"] == list(
    load_tokenizer(source, PromptFormat()).encode(SQL)
  )


def test_a_base_that_names_its_ends_already_keeps_them(start, tmp_path):
  config = ModelConfig.from_hf(start).replace(eos_token_id=(5, 6), pad_token_id=3)
  (tmp_path / "from").mkdir()
  (tmp_path / "from" / "generation_config.json").write_text(
    '{"eos_token_id": 9, "pad_token_id": 4, "bos_token_id": 1}'
  )
  save_hf(
    tmp_path / "to",
    config,
    init_params(config, jax.random.key(0)),
    tmp_path / "from",
    end_ids=(6, 9),
    pad_id=8,
  )
  written = json.loads((tmp_path / "to" / "generation_config.json").read_text())
  assert written == {
    "bos_token_id": 1,
    "eos_token_id": [6, 9, 5],
    "pad_token_id": 4,
    "do_sample": False,
  }
  config = json.loads((tmp_path / "to" / "config.json").read_text())
  assert config["eos_token_id"] == [6, 9, 5] and config["pad_token_id"] == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_dtype_is_named_for_both_versions(start, tmp_path, dtype):
  config = ModelConfig.from_hf(start)
  params = jax.tree.map(
    lambda x: x.astype(jnp.dtype(dtype)), init_params(config, jax.random.key(0))
  )
  save_hf(tmp_path, config, params)
  record = json.loads((tmp_path / "config.json").read_text())
  assert record["torch_dtype"] == record["dtype"] == dtype
  assert record["rope_theta"] == 50000.0  # the name that transformers 4 knows


@pytest.mark.parametrize("python", pythons())
def test_the_examples_of_a_model_card_give_the_same_sql(start, tuned, python):
  pytest.importorskip("torch", reason="torch is not installed: see tests/requirements-parity.txt")
  schema_text, question_text = load_tokenizer(start, STYLE).prompt_texts(SCHEMA, QUESTION)
  example = {"schema_text": schema_text, "question_text": question_text}
  example |= {"db_id": "shop", "question": QUESTION, "sql": SQL}
  results = {"title": "Shop", "best": "sft", "prompt_example": example}
  for folder, adapter in zip(tuned[:2], (False, True), strict=True):
    model = CardModel("sft", 1, "qwen2", "float32", str(start), 48, adapter=adapter)
    write_model_card(folder, results, model)
    library = "AutoPeftModelForCausalLM" if adapter else "import AutoModelForCausalLM"
    assert run_example(folder, library, python) == SQL
