"""What a starting model brings along, by what its folder holds."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import jax
import pytest

from spftsql_jax.answering.exported import load_exported, write_prompt_format
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import ModelConfig, init_params, save_hf
from spftsql_jax.models.hf import write_tokenizer
from spftsql_jax.pipeline import recipes
from spftsql_jax.pipeline.config import ModelSource, RunConfig, from_dict, to_dict
from spftsql_jax.pipeline.recipes import RECIPES, count_parameters, recipe_for, resolve

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

from configs.paper import paper_config
from configs.quickstart import from_scratch

CHATML = (
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = ["CREATE TABLE sale ( id INTEGER , price REAL )", "How many sales are there?"] * 20
# As SmolLM2-135M, and as a base of 8 million parameters.
LLM = {
  "model_type": "llama",
  "vocab_size": 49152,
  "hidden_size": 576,
  "intermediate_size": 1536,
  "num_hidden_layers": 30,
  "num_attention_heads": 9,
  "num_key_value_heads": 3,
  "tie_word_embeddings": True,
}
SMALL = {
  "model_type": "qwen2",
  "vocab_size": 8192,
  "hidden_size": 256,
  "intermediate_size": 768,
  "num_hidden_layers": 8,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "tie_word_embeddings": True,
}


def folder_of(path: Path, values: dict, chat: str = "") -> Path:
  """A model folder without weights: a recipe goes by config and tokenizer."""
  path.mkdir()
  (path / "config.json").write_text(json.dumps(values))
  hf = train_bpe(WORDS, 300)
  if chat:
    hf.chat_template = chat
  write_tokenizer(hf, path)
  return path


def started_from(folder: Path, config: RunConfig | None = None, **changes) -> RunConfig:
  config = from_scratch() if config is None else config
  model = dataclasses.replace(config.model, hf_model=str(folder))
  return dataclasses.replace(config, model=model, **changes)


def test_an_llm_under_the_quickstart_is_tuned_by_an_adapter_in_its_conversation(tmp_path):
  folder = folder_of(tmp_path / "llm", LLM, CHATML)
  found = resolve(started_from(folder))
  config, own = found.config, from_scratch()
  assert own.sft.optimizer.name == "muon" and own.sft.optimizer.learning_rate == 5e-3
  assert config.model.lora_rank == 32 and config.model.dtype == "float32"
  for training in (config.sft, config.vbi_ft.training, config.vbi_ft.question_training):
    assert training.optimizer.name == "adamw" and training.optimizer.learning_rate == 1e-3
  gentle = config.self_play.training.optimizer
  assert gentle.name == "adamw" and gentle.learning_rate == pytest.approx(2e-5)
  assert config.prompt.chat and config.prompt.schema_style == "compact"
  # Its lengths are those of another tokenizer.
  packing = config.packing
  assert not any((packing.longest_prefix, packing.longest_branch, packing.longest_answer))
  assert not any((packing.row_tokens, config.max_new_tokens, config.lanes))
  # What no recipe is about stays.
  assert config.sft.steps == own.sft.steps and config.synthesis == own.synthesis
  assert "134,515,008 parameters" in found.said and "LoRA of rank 32" in found.said
  assert "chat template" in found.said and "\n" not in found.said


def test_a_small_base_is_tuned_whole_in_the_format_stored_beside_it(tmp_path):
  folder = folder_of(tmp_path / "base", SMALL)
  style = PromptFormat(schema_style="names", matched_values=5, samples=1)
  write_prompt_format(folder, style, 64)
  found = resolve(started_from(folder))
  assert found.config.model.lora_rank == 0 and found.config.prompt == style
  assert found.config.sft.optimizer.name == "muon"
  assert found.config.sft.optimizer.learning_rate == 1e-3
  assert "all weights" in found.said and "stored beside it" in found.said


def test_a_model_without_template_or_format_is_prompted_plainly(tmp_path):
  folder = folder_of(tmp_path / "plain", LLM)
  assert not resolve(started_from(folder)).config.prompt.chat
  # A template that drops the schema cannot be prompted by.
  odd = folder_of(tmp_path / "odd", LLM, "{{ messages[-1].content[:3] }}")
  assert not resolve(started_from(odd)).config.prompt.chat


def test_what_is_set_by_flag_wins(tmp_path):
  folder = folder_of(tmp_path / "llm", LLM, CHATML)
  config = started_from(folder)
  values = to_dict(config)
  values["sft"]["optimizer"]["learning_rate"] = 7e-4
  values["prompt"]["chat"] = False
  values["lanes"] = 5
  config = from_dict(RunConfig, values)
  given = ("sft.optimizer.learning_rate", "prompt.chat", "lanes", "model.hf_model")
  found = resolve(config, given)
  assert found.config.sft.optimizer.learning_rate == 7e-4
  assert found.config.sft.optimizer.name == "adamw"
  assert found.config.vbi_ft.training.optimizer.learning_rate == 1e-3
  assert not found.config.prompt.chat and found.config.prompt.schema_style == "compact"
  assert found.config.lanes == 5
  assert "set by flag: lanes, prompt.chat, sft.optimizer.learning_rate" in found.said
  whole = resolve(config, ["prompt", "sft"])
  assert whole.config.prompt == config.prompt
  assert whole.config.sft == config.sft


def test_a_config_s_own_values_count_unless_it_was_written_for_random_weights(tmp_path):
  folder = folder_of(tmp_path / "llm", LLM, CHATML)
  paper = from_dict(RunConfig, paper_config("x", "spider").to_dict())
  for config in (
    from_scratch(),
    started_from(folder, paper),
    started_from(folder, recipe="own"),
    RunConfig("a", "b", model=ModelSource(hf_model=str(folder))),
  ):
    assert resolve(config).config == config and not resolve(config).said
  assert resolve(started_from(folder, paper, recipe="model")).config.model.lora_rank == 32


def test_resolving_twice_changes_nothing(tmp_path):
  folder = folder_of(tmp_path / "llm", LLM, CHATML)
  once = resolve(started_from(folder))
  assert resolve(once.config) == once


def test_rates_fall_with_size():
  adapters = [recipe for recipe in RECIPES if recipe.lora_rank]
  rates = [recipe.tuning.learning_rate for recipe in adapters]
  assert rates == sorted(rates, reverse=True)
  assert all(r.gentle.learning_rate < r.tuning.learning_rate / 5 for r in RECIPES)
  sizes = (8e6, 135e6, 1.5e9, 7.6e9, 32e9)
  assert [RECIPES.index(recipe_for(int(size))) for size in sizes] == [0, 1, 2, 3, 4]
  # The paper's models have the rates of their configs.
  for size, rate in ((1.5e9, 2e-4), (7.6e9, 1e-4), (32e9, 5e-5)):
    assert recipe_for(int(size)).tuning.learning_rate == rate


def test_parameters_are_counted_without_weights(tmp_path):
  values = SMALL | {"vocab_size": 300, "num_hidden_layers": 2}
  folder = folder_of(tmp_path / "base", values)
  params = init_params(ModelConfig.from_hf(values), jax.random.key(0))
  assert count_parameters(folder) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_the_dtype_goes_by_the_device(monkeypatch):
  config = RunConfig("a", "b", model=ModelSource(dtype="auto"))
  assert resolve(config).config.model.dtype == "float32"
  monkeypatch.setattr(recipes.jax, "default_backend", lambda: "gpu")
  assert resolve(config).config.model.dtype == "bfloat16"
  assert resolve(RunConfig("a", "b")).config.model.dtype == "float32"


def test_bad_input_is_named(tmp_path):
  with pytest.raises(ValueError, match="takes the recipe of a pretrained model; give one with"):
    resolve(RunConfig("a", "b", recipe="model"))
  with pytest.raises(FileNotFoundError, match="gone: no such model folder"):
    resolve(started_from(tmp_path / "gone"))
  with pytest.raises(ValueError, match=r"config\.accumulate must be positive, or 0"):
    resolve(RunConfig("a", "b", accumulate=-1))
  broken = folder_of(tmp_path / "broken", LLM)
  (broken / "prompt_format.json").write_text("[1]")
  with pytest.raises(ValueError, match=r"prompt_format\.json: not a prompt format"):
    resolve(started_from(broken))


@pytest.mark.parametrize(("chat", "spoken"), [(CHATML, True), ("", False)])
def test_an_instruct_folder_is_asked_in_its_conversation(tmp_path, chat, spoken):
  """What ask.py and predict.py load of a folder that no run has written."""
  hf = train_bpe(WORDS, 300)
  if chat:
    hf.chat_template = chat
  values = SMALL | {
    "vocab_size": len(hf),
    "num_hidden_layers": 1,
    "hidden_size": 32,
    "intermediate_size": 32,
    "eos_token_id": hf.eos_token_id,
  }
  config = ModelConfig.from_hf(values)
  folder = tmp_path / "instruct"
  save_hf(folder, config, init_params(config, jax.random.key(0)), hf)
  asked = load_exported(folder).tokenizer
  assert asked.style.chat is spoken
  text = asked.hf.decode(asked.question("How many sales are there?"))
  assert text.endswith("<|im_start|>assistant\n" if spoken else "\nSQL:")
