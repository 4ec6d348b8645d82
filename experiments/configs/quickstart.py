"""SPFT-SQL on the demo databases: the whole method in minutes on two cores.

make quickstart        (python experiments/quickstart.py --workdir=runs/quickstart)

It starts from the base in the box; `quickstart.py:from_scratch` from random weights.
"""

import dataclasses
from pathlib import Path

from ml_collections import ConfigDict

from spftsql_jax.base import base_in_the_box
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.pipeline.config import (
  DataConfig,
  ModelSource,
  RunConfig,
  SelfPlayConfig,
  SynthesisConfig,
  Training,
  VbiFtConfig,
  to_dict,
)
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective


def get_config(start: str = "") -> ConfigDict:
  if start not in ("", "from_scratch"):
    raise ValueError(f"unknown start {start!r}; there is from_scratch, or none for the base")
  return ConfigDict(to_dict(from_scratch() if start else quickstart()))


def quickstart() -> RunConfig:
  """From the base in the box, which brings its prompt format, rates and lengths
  (`pipeline/recipes.py`).
  """
  return from_base(base_in_the_box())


def from_base(folder: Path) -> RunConfig:
  """From the base in a folder: seven times as large a model, so fewer steps."""
  config = from_scratch()
  vbi_ft = dataclasses.replace(
    config.vbi_ft,
    training=dataclasses.replace(config.vbi_ft.training, steps=220),
  )
  return dataclasses.replace(
    config,
    model=dataclasses.replace(config.model, hf_model=str(folder)),
    packing=dataclasses.replace(config.packing, most_row_tokens=2048),
    vbi_ft=vbi_ft,
  )


def from_scratch() -> RunConfig:
  """From random weights, with a tokenizer of the run's own."""
  # Muon learns from scratch in less than half of AdamW's steps here.
  scratch = OptimizerConfig("muon", learning_rate=5e-3, schedule="cosine")
  gentle = OptimizerConfig(learning_rate=1e-4, schedule="constant")
  return RunConfig(
    name="SPFT-SQL quickstart",
    data_dir="",
    data=DataConfig(databases=".", seeds="seeds.json", test="test.json", comparison="strict"),
    model=ModelSource(
      hf_config={
        "model_type": "qwen2",
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 1024,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "initializer_range": 0.05,
      },
      vocab_size=2048,
    ),
    prompt=PromptFormat(schema_style="names", matched_values=3),
    packing=Packing(row_tokens=2048, longest_prefix=112, longest_branch=104, longest_answer=64),
    max_new_tokens=64,
    sft=Training(60, scratch),
    synthesis=SynthesisConfig(examples=3600, wordings=8, model_questions=0.02),
    vbi_ft=VbiFtConfig(
      rounds=2,
      training=Training(280, scratch),
      question_training=Training(20, scratch),
      verify=128,
      select=128,
    ),
    self_play=SelfPlayConfig(
      iterations=2,
      questions=320,
      training=Training(20, gentle),
      objective=Objective("error_driven", beta=0.1, nll_weight=0.5),
      spin_objective=Objective("spin", beta=0.1),
    ),
  )
