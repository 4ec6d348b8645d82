"""Where no pretrained model is at hand: a small one from random weights, and how it is trained."""

from __future__ import annotations

from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.pipeline.config import ModelSource
from spftsql_jax.training.optimizer import OptimizerConfig

# 0.7 million parameters, its tokenizer trained on the run's own schemas and sentences.
SMALL_MODEL = ModelSource(
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
)
SMALL_PROMPT = PromptFormat(schema_style="names", matched_values=3)
# Muon learns from scratch in less than half of AdamW's steps here.
SCRATCH = OptimizerConfig("muon", learning_rate=5e-3, schedule="cosine")
GENTLE = OptimizerConfig(learning_rate=1e-4, schedule="constant")
