"""SPFT-SQL on Spider with a small model trained from scratch: the same pipeline on real data,
within 25 minutes on two cores.

    python experiments/spft.py --config=experiments/configs/spider_small.py --config.data_dir=DIR \
      --workdir=runs/spider_small

DIR holds train_spider.json, dev.json and database/. Seeds are Spider's train questions, examples
are synthesized on its train databases, and the evaluation is Spider dev, whose 20 databases the
model has never seen, with the `spider` comparison. A model of a million parameters without
pretraining scores low there; the figures show that the pipeline runs, not what SPFT-SQL gives.
"""

from ml_collections import ConfigDict

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


def get_config() -> ConfigDict:
  scratch = OptimizerConfig("muon", learning_rate=5e-3, schedule="cosine")
  gentle = OptimizerConfig(learning_rate=1e-4, schedule="constant")
  config = RunConfig(
    name="SPFT-SQL on Spider, small model",
    data_dir="",
    data=DataConfig(
      databases="database",
      seeds="train_spider.json",
      test="dev.json",
      comparison="spider",
      apart=("wta_1",),
    ),
    model=ModelSource(
      hf_config={
        "model_type": "qwen2",
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "initializer_range": 0.05,
      },
      vocab_size=4096,
    ),
    prompt=PromptFormat(schema_style="compact", comments=False, matched_values=2),
    packing=Packing(row_tokens=2048, longest_prefix=448, longest_branch=136, longest_answer=68),
    max_new_tokens=64,
    seed_repeats=1,
    sft=Training(200, scratch),
    synthesis=SynthesisConfig(examples=2000, wordings=1, instances=1, model_questions=0.1),
    vbi_ft=VbiFtConfig(
      rounds=2,
      training=Training(150, scratch),
      question_training=Training(40, scratch),
      verify=128,
      select=128,
    ),
    self_play=SelfPlayConfig(
      iterations=1,
      questions=300,
      training=Training(20, gentle),
      objective=Objective("error_driven", beta=0.1, nll_weight=0.5),
      spin_objective=Objective("spin", beta=0.1),
    ),
  )
  return ConfigDict(to_dict(config))
