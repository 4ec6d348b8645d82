"""Configs: what is read, what is refused, and the published sizes of the paper's models."""

from __future__ import annotations

import json

import jax
import numpy as np
import pytest
from shared_data import SHARED

from spftsql_jax.models import ModelConfig, RopeScaling
from spftsql_jax.models.transformer import abstract_params

BASE = {
  "vocab_size": 100,
  "hidden_size": 64,
  "intermediate_size": 96,
  "num_hidden_layers": 4,
  "num_attention_heads": 4,
}
# Parameters as published on the models' cards or counted from their checkpoints.
PUBLISHED = {
  "qwen2.5-coder-0.5b-instruct": 494_032_768,
  "qwen2.5-coder-1.5b-instruct": 1_543_714_304,
  "qwen2.5-coder-7b-instruct": 7_615_616_512,
  "qwen2.5-coder-14b-instruct": 14_770_033_664,
  "qwen2.5-coder-32b-instruct": 32_763_876_352,
  "llama-3-8b-instruct": 8_030_261_248,
  "deepseek-coder-7b-instruct-v1.5": 6_910_365_696,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_are_the_published_ones(name):
  path = SHARED / "configs" / f"{name}.json"
  if not path.is_file():
    pytest.skip(f"no shared data at {SHARED}")
  shapes = jax.tree.leaves(abstract_params(ModelConfig.from_hf(path)))
  assert sum(int(np.prod(leaf.shape)) for leaf in shapes) == PUBLISHED[name]


def test_defaults_are_those_of_transformers():
  """Silent configs mean what transformers takes them to mean."""
  transformers = pytest.importorskip("transformers")
  for family in ("llama", "qwen2", "qwen3", "mistral"):
    heads = {"num_attention_heads": 32}
    theirs = transformers.AutoConfig.for_model(family, **BASE | heads)
    ours = ModelConfig.from_hf(BASE | heads | {"model_type": family})
    assert ours.num_key_value_heads == theirs.num_key_value_heads
    assert ours.head_dim == (
      getattr(theirs, "head_dim", None) or theirs.hidden_size // theirs.num_attention_heads
    )
    assert ours.max_position_embeddings == theirs.max_position_embeddings
    assert ours.rms_norm_eps == theirs.rms_norm_eps
    assert ours.rope_theta == theirs.rope_parameters["rope_theta"]
    assert ours.tie_word_embeddings == theirs.tie_word_embeddings
    assert ours.hidden_act == theirs.hidden_act
    window = theirs.sliding_window if family == "mistral" else None
    assert set(ours.windows) == {window}


def test_both_spellings_of_rope_scaling_mean_the_same():
  scaling = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
  }
  old = {
    "model_type": "llama",
    **BASE,
    "rope_theta": 5e5,
    "rope_scaling": {"type": "llama3", **scaling},
  }
  new = {
    "model_type": "llama",
    **BASE,
    "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, **scaling},
  }
  assert ModelConfig.from_hf(old) == ModelConfig.from_hf(new)
  assert ModelConfig.from_hf(old).rope_scaling == RopeScaling("llama3", 8.0, 8192, 1.0, 4.0)


def test_yarn_reaches_beyond_the_length_that_a_config_keeps_from_pretraining():
  yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
  raw = {"model_type": "qwen2", **BASE, "num_key_value_heads": 2, "max_position_embeddings": 32768}
  assert ModelConfig.from_hf(raw).longest_sequence == 32768
  assert ModelConfig.from_hf(raw | {"rope_scaling": yarn}).longest_sequence == 131072
  assert (
    ModelConfig.from_hf(
      raw | {"rope_scaling": yarn, "max_position_embeddings": 131072}
    ).longest_sequence
    == 131072
  )


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"model_type": "gpt2"}, "model_type 'gpt2'"),
    ({"hidden_act": "swiglu"}, "hidden_act 'swiglu'"),
    ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "rope scaling 'dynamic'"),
    ({"rope_scaling": {"rope_type": "linear"}}, "lacks factor"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    ({"quantization_config": {"bits": 4}}, "quantized weights .quantization_config"),
    ({"model_type": "qwen3_moe", "num_experts": 8}, "model_type 'qwen3_moe'"),
    ({"num_local_experts": 8}, "mixtures of experts .num_local_experts=8"),
    ({"attention_sinks": True}, "attention sinks"),
    ({"final_logit_softcapping": 30.0}, "final_logit_softcapping=30.0"),
    ({"is_causal": False}, "is_causal=false"),
    ({"architectures": ["LlamaForSequenceClassification"]}, "LlamaForSequenceClassification"),
    ({"rope_scaling": {"rope_type": "longrope", "long_factor": [1.0]}}, "rope scaling 'longrope'"),
    ({"rope_scaling": {"type": "default", "mrope_section": [16, 24, 24]}}, "mrope_section"),
    ({"rope_scaling": 4.0}, "rope_scaling must be an object"),
    ({"use_mrope": True}, "use_mrope"),
    ({"rope_scaling": {"rope_type": "proportional"}}, "rope scaling 'proportional'"),
    (
      {"model_type": "mistral", "num_key_value_heads": 4, "layer_types": ["full_attention"] * 4},
      "layer_types",
    ),
    ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "differ between layer types"),
    ({"vocab_size": None}, "missing vocab_size"),
    ({"num_key_value_heads": 3}, "num_key_value_heads"),
    ({"head_dim": 15}, "even head_dim"),
    (
      {"model_type": "qwen2", "num_key_value_heads": 4, "layer_types": ["chunked_attention"] * 4},
      "layer_types",
    ),
  ],
)
def test_what_is_not_supported_is_refused_by_name(changes, message):
  with pytest.raises(ValueError, match=message):
    ModelConfig.from_hf({"model_type": "llama", **BASE, **changes})


def test_files_that_are_no_config_are_named(tmp_path):
  (tmp_path / "config.json").write_text("{")
  with pytest.raises(ValueError, match="config.json is not JSON"):
    ModelConfig.from_hf(tmp_path)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral"])
def test_a_config_survives_the_way_out_and_in(family):
  raw = {
    "model_type": family,
    **BASE,
    "num_key_value_heads": 2,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
  }
  raw |= {
    "eos_token_id": [3, 4],
    "use_sliding_window": True,
    "sliding_window": 16,
    "max_window_layers": 2,
  }
  config = ModelConfig.from_hf(raw)
  assert config.eos_token_ids == (3, 4)
  assert ModelConfig.from_hf(json.loads(json.dumps(config.to_hf()))) == config


def test_an_export_that_would_lie_is_refused():
  config = ModelConfig.from_hf({"model_type": "qwen2", **BASE, "num_key_value_heads": 2})
  with pytest.raises(ValueError, match="mlp_bias"):
    config.replace(mlp_bias=True).to_hf()
