"""An exported model folder: weights, tokenizer and the prompt format it was trained with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import Tokenizer, has_chat_template, load_tokenizer
from spftsql_jax.files import write_json
from spftsql_jax.generation.engine import Generator
from spftsql_jax.models import load_hf

PROMPT_FILE = "prompt_format.json"
# Tokens of an answer at most, of a model that does not say.
_LONGEST_ANSWER = 256


@dataclasses.dataclass(frozen=True)
class ExportedModel:
  """What answering needs: a generator over the model, its params, its tokenizer, and the longest
  answer in tokens.
  """

  generator: Generator
  params: Any
  tokenizer: Tokenizer
  max_new_tokens: int


def write_prompt_format(folder: Path, style: PromptFormat, max_new_tokens: int) -> None:
  """Stores the prompt format beside a model: prompts are part of a model."""
  record = dataclasses.asdict(style) | {"max_new_tokens": max_new_tokens}
  write_json(folder / PROMPT_FILE, record)


def load_exported(
  folder: str | Path, lanes: int = 64, dtype: str = "float32", mesh: Mesh | None = None
) -> ExportedModel:
  """Reads an exported folder, or any Hugging Face model folder (then with the default prompt
  format, as a conversation where its tokenizer has a chat template).

  Args:
    folder: the folder.
    lanes, mesh: see `Generator`; the params are spread over the mesh.
    dtype: see `load_hf`.

  Raises:
    FileNotFoundError: no such folder. ValueError: weights, tokenizer or prompt format cannot be
      used; the message says which.
  """
  folder = Path(folder)
  model, params = load_hf(folder, dtype, shardings=mesh)
  stored = stored_prompt(folder)
  style, max_new_tokens = stored or (PromptFormat(chat=has_chat_template(folder)), _LONGEST_ANSWER)
  tokenizer = load_tokenizer(folder, style)
  return ExportedModel(
    Generator(model, lanes=lanes, pad_id=tokenizer.pad_id, mesh=mesh),
    params,
    tokenizer,
    max_new_tokens,
  )


def stored_prompt(folder: Path) -> tuple[PromptFormat, int] | None:
  """The prompt format stored beside a model, and its longest answer; None where there is none.

  Raises ValueError where the file is none of a prompt format.
  """
  path = folder / PROMPT_FILE
  if not path.is_file():
    return None
  try:
    record: dict[str, Any] = json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise ValueError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
  try:
    max_new_tokens = int(record.pop("max_new_tokens", _LONGEST_ANSWER))
    return PromptFormat(**record), max_new_tokens
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(f"{path}: not a prompt format of this version ({error})") from error
