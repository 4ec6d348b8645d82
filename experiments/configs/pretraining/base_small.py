"""The base in the box: a small model pretrained on made-up databases.

python experiments/pretrain_small.py --workdir=runs/base
"""

from ml_collections import ConfigDict

from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import PromptFormat, SchemaStyle
from spftsql_jax.pipeline.config import to_dict
from spftsql_jax.pipeline.pretraining.config import CorpusConfig, Phase, PretrainingConfig
from spftsql_jax.training.optimizer import OptimizerConfig


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(base_small()))


def base_small() -> PretrainingConfig:
  return PretrainingConfig(
    corpus=CorpusConfig(shards=9, databases=500, examples=25),
    hf_config={
      "model_type": "qwen2",
      "hidden_size": 256,
      "intermediate_size": 640,
      "num_hidden_layers": 4,
      "num_attention_heads": 4,
      "num_key_value_heads": 2,
      "max_position_embeddings": 2048,
      "rope_theta": 1e6,
      "tie_word_embeddings": False,
      "initializer_range": 0.04,
    },
    vocab_size=4096,
    prompt=_format("compact"),
    other_prompt=_format("names"),
    packing=Packing(longest_prefix=768, longest_branch=224, longest_answer=96, rows=2),
    # Small updates and no schemas until copying and SQL's words are there.
    first=Phase(
      0.03,
      1024,
      0.25,
      OptimizerConfig("muon", 4e-3, adam_share=0.3, schedule="constant"),
      schemas=False,
    ),
    # At one rate, so that a stretch of any length is as good as its start.
    main=Phase(
      0.66, 2048, 0.04, OptimizerConfig("muon", 3e-3, adam_share=0.3, schedule="constant")
    ),
    # Down to nothing: the last of a falling rate is worth more than as many updates before.
    last=Phase(
      0.22,
      2048,
      0.0,
      OptimizerConfig("muon", 3e-3, adam_share=0.3, schedule="linear", warmup_share=0.0),
    ),
    draws=4,
    renamed_share=0.4,
    reworded_share=0.5,
    obscured_share=0.1,
    checkpoint_every=300,
    evaluate_every=1000,
  )


def _format(style: SchemaStyle) -> PromptFormat:
  # Comments are read by marks alone: few made-up databases have any, so a model that is shown them
  # for the first time on a user's database reads worse.
  return PromptFormat(
    schema_style=style,
    comments=False,
    matched_values=3,
    matched_names=8,
    codes=True,
    implied_joins=True,
  )
