"""What a starting model brings along: how it is prompted and fine-tuned, by what its folder holds.

A config that was written for random weights suits no pretrained model: its rates are too high by
orders of magnitude, its prompts are none that the model has seen, and its lengths are those of
another tokenizer. `resolve` puts the recipe's values in their place, once, before a run begins; the
run's config and results hold what was chosen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from spftsql_jax.answering.exported import stored_prompt
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import has_chat_template
from spftsql_jax.models import ModelConfig
from spftsql_jax.models.transformer import abstract_params
from spftsql_jax.pipeline.config import RunConfig, from_dict, to_dict
from spftsql_jax.training.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How starting models of a size are fine-tuned.

  Attributes:
    name: in words.
    up_to: parameters of the largest model that it is for.
    lora_rank: of the adapter; 0 trains all weights.
    tuning: the optimizer of supervised fine-tuning, of both models.
    gentle: that of self-play.
    prompt: how schemas are written, where no format is stored beside the model. It is a
      conversation where the tokenizer has a chat template.
  """

  name: str
  up_to: float
  lora_rank: int
  tuning: OptimizerConfig
  gentle: OptimizerConfig
  prompt: PromptFormat


def _adapter(name: str, up_to: float, rank: int, rate: float, prompt: PromptFormat) -> Recipe:
  """An adapter trained by AdamW; self-play takes a fiftieth of the rate."""
  tuning = OptimizerConfig("adamw", learning_rate=rate, schedule="cosine")
  gentle = OptimizerConfig("adamw", learning_rate=rate / 50, schedule="constant")
  return Recipe(name, up_to, rank, tuning, gentle, prompt)


_COMPACT = PromptFormat(schema_style="compact", comments=True, matched_values=3)
_DDL = PromptFormat(schema_style="ddl", comments=True, matched_values=5)
# By size, the smallest first. The rates of models from a billion parameters on are those of the
# paper's configs; see experiments/configs/paper.py.
RECIPES = (
  Recipe(
    "all weights of a small base",
    50e6,
    0,
    OptimizerConfig("muon", learning_rate=1e-3, schedule="cosine"),
    OptimizerConfig("adamw", learning_rate=1e-4, schedule="constant"),
    PromptFormat(schema_style="names", matched_values=3),
  ),
  _adapter("an adapter, under a billion parameters", 1e9, 32, 1e-3, _COMPACT),
  _adapter("an adapter, under 3 billion parameters", 3e9, 64, 2e-4, _DDL),
  _adapter("an adapter, under 20 billion parameters", 20e9, 64, 1e-4, _DDL),
  _adapter("an adapter", math.inf, 64, 5e-5, _DDL),
)
# Fields of a training that the optimizers go to.
_TUNED = ("sft", "vbi_ft.training", "vbi_ft.question_training")
_GENTLE = ("self_play.training",)
# Lengths that suit one tokenizer; 0 has them chosen for the one at hand.
_CHOSEN_LATER = (
  "packing.row_tokens",
  "packing.longest_prefix",
  "packing.longest_branch",
  "packing.longest_answer",
  "max_new_tokens",
  "lanes",
)


@dataclasses.dataclass(frozen=True)
class Resolved:
  """A run's config with what its starting model brings.

  Attributes:
    config: the config.
    said: what was taken from the recipe, in a line; "" where the config's own values count.
  """

  config: RunConfig
  said: str = ""


def resolve(config: RunConfig, given: Collection[str] = ()) -> Resolved:
  """The config that a run goes by: with the recipe of its starting model where one is wanted (see
  `RunConfig.recipe`), and a dtype for the device at hand.

  Args:
    given: fields that were set by flag ("sft.optimizer.learning_rate", "prompt"): they stay.

  Raises:
    ValueError: a number that is none to choose by, the recipe of a model is wanted and none is
      given, or its folder cannot be read.
    FileNotFoundError: no such folder.
  """
  _check_numbers(config)
  source = config.model.hf_model
  if config.recipe == "model" and not source:
    raise ValueError(
      "this config takes the recipe of a pretrained model; give one with "
      "--config.model.hf_model=FOLDER"
    )
  wanted = config.recipe == "model" or (config.recipe == "auto" and bool(config.model.hf_config))
  if not source or not wanted:
    return Resolved(_for_device(config))
  folder = Path(source)
  if not folder.is_dir():
    raise FileNotFoundError(f"{folder}: no such model folder (--config.model.hf_model)")
  parameters = count_parameters(folder)
  recipe = recipe_for(parameters)
  prompt, where = _prompt_of(folder, recipe)
  values = to_dict(config)
  kept = sorted(
    name for name, value in _values(recipe, prompt).items() if not _put(values, name, value, given)
  )
  chosen = _for_device(from_dict(RunConfig, values))
  return Resolved(chosen, _line(chosen, recipe, parameters, where, kept))


def recipe_for(parameters: int) -> Recipe:
  """The recipe of models of this size."""
  return next(recipe for recipe in RECIPES if parameters < recipe.up_to)


def count_parameters(folder: Path) -> int:
  """Parameters of the model in a Hugging Face folder, by its config.json alone.

  Raises FileNotFoundError or ValueError.
  """
  shapes = nn.meta.unbox(abstract_params(ModelConfig.from_hf(folder)))
  return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def _check_numbers(config: RunConfig) -> None:
  """Raises ValueError where a number that is given or chosen is below 0."""
  numbers = {
    f"packing.{name}": getattr(config.packing, name)
    for name in ("longest_prefix", "longest_branch", "longest_answer", "row_tokens")
  }
  numbers |= {
    name: getattr(config, name) for name in ("max_new_tokens", "lanes", "accumulate", "host_gb")
  }
  for name, value in numbers.items():
    if value < 0:
      raise ValueError(f"config.{name} must be positive, or 0 to have it chosen; it is {value}")


def _for_device(config: RunConfig) -> RunConfig:
  """With the dtype that "auto" stands for on the device at hand."""
  if config.model.dtype != "auto":
    return config
  dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
  return dataclasses.replace(config, model=dataclasses.replace(config.model, dtype=dtype))


def _prompt_of(folder: Path, recipe: Recipe) -> tuple[PromptFormat, str]:
  """How a model is prompted, and where that is from, in words."""
  if stored := stored_prompt(folder):
    return stored.style, "the prompt format stored beside it"
  chat = has_chat_template(folder)
  words = "its chat template" if chat else "plain prompts, as its tokenizer has no chat template"
  return dataclasses.replace(recipe.prompt, chat=chat), words


def _values(recipe: Recipe, prompt: PromptFormat) -> dict[str, Any]:
  """What a recipe sets, by field."""
  values: dict[str, Any] = dict.fromkeys(_CHOSEN_LATER, 0)
  values |= {"model.dtype": "auto", "model.lora_rank": recipe.lora_rank}
  groups = {"prompt": to_dict(prompt)}
  groups |= {f"{name}.optimizer": to_dict(recipe.tuning) for name in _TUNED}
  groups |= {f"{name}.optimizer": to_dict(recipe.gentle) for name in _GENTLE}
  for group, fields in groups.items():
    values |= {f"{group}.{name}": value for name, value in fields.items()}
  return values


def _put(values: dict[str, Any], name: str, value: Any, given: Collection[str]) -> bool:
  """Sets a field of nested dicts, unless it or a group that holds it was given; whether it did."""
  parts = name.split(".")
  if any(".".join(parts[:count]) in given for count in range(1, len(parts) + 1)):
    return False
  for part in parts[:-1]:
    values = values[part]
  values[parts[-1]] = value
  return True


def _line(
  config: RunConfig, recipe: Recipe, parameters: int, prompt: str, kept: Collection[str]
) -> str:
  """What was chosen for a model, in a line."""
  rank = config.model.lora_rank
  what = f"LoRA of rank {rank}" if rank else "all weights"
  tuning, gentle = config.sft.optimizer, config.self_play.training.optimizer
  mine = f"; set by flag: {', '.join(kept)}" if kept else ""
  return (
    f"Recipe for {parameters:,} parameters ({recipe.name}): {what}, {tuning.name} at "
    f"{tuning.learning_rate:g}, self-play {gentle.name} at {gentle.learning_rate:g}, "
    f"{config.model.dtype}, {prompt}{mine} (--config.recipe=own keeps the config's values)"
  )
