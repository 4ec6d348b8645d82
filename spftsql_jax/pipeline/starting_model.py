"""The model that fine-tuning starts from: one that was given, or random weights with a tokenizer of
the run's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases.file_state import identity_of
from spftsql_jax.databases.schema_view import SchemaView
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import NO_MENTIONS, question_prompt, schema_prompt, styled_answer
from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import ModelConfig, init_params, save_hf
from spftsql_jax.models.transformer import Params
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.data import RunData
from spftsql_jax.pipeline.records import StartingModel
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

# A tokenizer of our own learns its words from so many examples at least: the seeds, and rule-worded
# ones where these are few.
_TOKENIZER_SENTENCES = 1500
# Schemas are few beside the sentences, and every prompt begins with one.
_SCHEMA_REPEATS = 5


def start_folder(config: RunConfig, workdir: Path) -> Path:
  """The Hugging Face folder of the starting model and its tokenizer."""
  return Path(config.model.hf_model or workdir / "start")


def base_model_name(config: RunConfig) -> str:
  """What lineages call the starting model."""
  return config.model.hf_model or "random weights"


def is_pretrained(config: RunConfig) -> bool:
  """Whether a run starts from a model that has learned before, and not from random weights."""
  return bool(config.model.hf_model)


def make_starting_model(
  config: RunConfig, data: RunData, prompts: Mapping[str, PromptDatabase], folder: Path
) -> StartingModel:
  """Where no model is given: writes a tokenizer trained on schemas, seeds and rule-worded
  sentences, and random weights, as a Hugging Face folder."""
  if config.model.hf_model:
    return StartingModel(hf_model=config.model.hf_model)
  texts, source = _texts(config, data, prompts), config.model
  return StartingModel(
    vocab_size=write_random_start(
      folder,
      texts,
      source.hf_config,
      source.vocab_size,
      config.seed,
      codes=config.prompt.codes,
    )
  )


def write_random_start(
  folder: Path,
  texts: Sequence[str],
  hf_config: Mapping[str, Any],
  vocab_size: int,
  seed: int,
  draw: Callable[[ModelConfig, jax.Array], Params] = init_params,
  words_apart: bool = False,
  codes: bool = False,
) -> int:
  """Writes random weights and a tokenizer trained on texts as a Hugging Face folder.

  Args:
    hf_config: values of its config.json, the vocabulary and special tokens left out.
    vocab_size: entries of the tokenizer at most.
    draw: makes the weights.
    words_apart, codes: see `train_bpe`.

  Returns:
    The entries that it has.
  """
  hf = train_bpe(texts, vocab_size, words_apart, codes)
  values = dict(hf_config) | {
    "vocab_size": len(hf),
    "eos_token_id": hf.eos_token_id,
    "pad_token_id": hf.pad_token_id,
    "bos_token_id": None,
  }
  model_config = ModelConfig.from_hf(values)
  save_hf(folder, model_config, draw(model_config, jax.random.key(seed)), hf)
  return len(hf)


def _texts(config: RunConfig, data: RunData, prompts: Mapping[str, PromptDatabase]) -> list[str]:
  """What the tokenizer learns its words from."""
  schemas = [schema_prompt(prompts[d].schema, config.prompt) for d in data.seed_databases]
  texts = schemas * _SCHEMA_REPEATS
  more = rule_worded_examples(config, data, prompts, _TOKENIZER_SENTENCES)
  for example in [*data.seeds, *more]:
    schema = prompts[example.db_id].schema
    texts += [
      question_prompt(example.question, NO_MENTIONS, config.prompt),
      styled_answer(example.query, schema.dialect, config.prompt, schema),
    ]
  return texts


def rule_worded_examples(
  config: RunConfig, data: RunData, prompts: Mapping[str, PromptDatabase], count: int
) -> list[Example]:
  """Rule-worded examples beside fewer than `count` seeds, as many as are missing; none of them with
  a query of the test.
  """
  if (wanted := count - len(data.seeds)) <= 0:
    return []
  locations = tuple(prompts[d].location for d in data.seed_databases)
  exclude = tuple(e.query for e in data.held_out)
  states = tuple(map(identity_of, locations))
  return list(_rule_worded(locations, states, wanted, config.seed, exclude, config.data.view))


@functools.lru_cache(maxsize=4)
def _rule_worded(
  locations: tuple[str, ...],
  states: tuple[tuple, ...],
  count: int,
  seed: int,
  exclude: tuple[str, ...],
  view: SchemaView,
) -> tuple[Example, ...]:
  """Made once for all that ask for the same: a run whose speed is measured first opens twice.

  Args:
    states: of the databases, so that of a changed one others are made.
  """
  del states
  options = SynthesisOptions(count, seed=seed, exclude=exclude, instances=0, view=view)
  made = synthesize(locations, builtin_templates(), options)
  return tuple(e.example() for e in made.examples)
