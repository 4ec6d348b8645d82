"""What `Decoder.apply` takes."""

from __future__ import annotations

from typing import Any

from spftsql_jax.models.transformer import Params


def model_variables(params: Params, lora: Params | None = None) -> dict[str, Any]:
  """Params alone, or with an adapter over them."""
  return {"params": params} if lora is None else {"params": params, "lora": lora}
