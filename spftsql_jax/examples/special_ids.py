"""The tokens that begin, end and pad texts, as a Hugging Face model folder names them."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

CONFIG, GENERATION_CONFIG = "config.json", "generation_config.json"
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def read_special_ids(directory: str | os.PathLike, file: str = GENERATION_CONFIG) -> dict[str, Any]:
  """The ids of begin, end and padding in one of a folder's files; {} where it has no such file.

  Raises ValueError where the file is no JSON object.
  """
  path = pathlib.Path(directory) / file
  if not path.is_file():
    return {}
  try:
    raw = json.loads(path.read_text(encoding="utf-8"))
    return {name: raw[name] for name in SPECIAL_IDS if raw.get(name) is not None}
  except (ValueError, AttributeError) as error:
    raise ValueError(f"{path} is no JSON object: {error}") from error


def read_end_ids(directory: str | os.PathLike) -> tuple[int, ...]:
  """Every token that ends a text of a folder's model: its generation_config.json often names more
  than its config.json.
  """
  return joined_ids(
    *(read_special_ids(directory, file).get("eos_token_id") for file in (GENERATION_CONFIG, CONFIG))
  )


def joined_ids(*parts: int | Iterable[int] | None) -> tuple[int, ...]:
  """Each id once, in the order of the parts; a part is an id, several, or None for none."""
  each = (() if part is None else (part,) if isinstance(part, int) else part for part in parts)
  return tuple(dict.fromkeys(int(i) for part in each for i in part))
