"""The language model as pure functions of its params."""

from spftsql_jax.models.config import ModelConfig, RopeScaling
from spftsql_jax.models.lora import LoraConfig, init_lora, merge
from spftsql_jax.models.transformer import Decoder, init_params

__all__ = ["Decoder", "LoraConfig", "ModelConfig", "RopeScaling", "init_lora", "init_params", "merge"]
