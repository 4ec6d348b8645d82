"""A version's tree is the same model as what is exported of it, whatever a run trains."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spftsql_jax.models import Decoder, LoraConfig, ModelConfig, init_lora, init_params
from spftsql_jax.models.variables import model_variables
from spftsql_jax.pipeline.trainable import Adapter, AllWeights

SMALL = ModelConfig.from_hf(
  {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 40,
    "rms_norm_eps": 1e-6,
  }
)


def all_weights() -> AllWeights:
  config = SMALL.replace(param_dtype="bfloat16")
  return AllWeights(Decoder(config), init_params(config, jax.random.key(0)))


def adapter() -> Adapter:
  # Merged into bfloat16 an adapter is rounded: it has float32 here.
  lora = LoraConfig(rank=2, alpha=6.0)
  params = init_params(SMALL, jax.random.key(0))
  first = init_lora(SMALL, lora, jax.random.key(1))
  return Adapter(Decoder(SMALL, lora=lora), lora, params, first)


@pytest.mark.parametrize("make", [all_weights, adapter])
def test_a_version_computes_what_its_whole_params_do(make):
  trainable = make()
  layout = trainable.layout
  assert {leaf.dtype for leaf in jax.tree.leaves(layout)} == {jnp.dtype("float32")}
  trained = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.01, leaf.dtype), layout)
  tokens = np.arange(12, dtype=np.int32).reshape(2, 6)
  used = trainable.to_compute(trained)
  found = trainable.model.apply(model_variables(used.params, used.lora), tokens)
  whole = trainable.whole(trained)
  assert jax.tree.map(jnp.shape, whole) == jax.tree.map(jnp.shape, trainable.start)
  expected = Decoder(trainable.model.config).apply({"params": whole}, tokens)
  np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("make", [all_weights, adapter])
def test_the_first_version_is_the_starting_model(make):
  trainable = make()
  tokens = np.arange(6, dtype=np.int32)[None]
  used = trainable.to_compute(trainable.first)
  found = trainable.model.apply(model_variables(used.params, used.lora), tokens)
  expected = Decoder(trainable.model.config).apply({"params": trainable.start}, tokens)
  np.testing.assert_allclose(found, expected, atol=1e-6)
