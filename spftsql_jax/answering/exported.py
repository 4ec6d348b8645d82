"""An exported model folder: weights, tokenizer and the prompt format it was trained with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from spftsql_jax.answering.model_folder import is_adapter
from spftsql_jax.answering.schema_choice import SchemaChooser
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.special_ids import read_end_ids
from spftsql_jax.examples.tokenizer import Tokenizer, has_chat_template, load_tokenizer
from spftsql_jax.files import write_json
from spftsql_jax.generation.engine import Generator
from spftsql_jax.models import load_hf, load_merged
from spftsql_jax.models.adapters import base_folder
from spftsql_jax.models.config import ModelConfig
from spftsql_jax.models.hf import has_tokenizer

PROMPT_FILE = "prompt_format.json"
# Tokens of an answer at most, of a model that does not say.
_LONGEST_ANSWER = 256
# Kept for a question with its evidence and values where nothing says how long a schema may be.
_QUESTION_TOKENS = 256


@dataclasses.dataclass(frozen=True)
class StoredPrompt:
  """How a model is asked, as it is stored beside it.

  Attributes:
    style: the prompt format.
    max_new_tokens: longest answer.
    longest_prefix: see `write_prompt_format`.
  """

  style: PromptFormat
  max_new_tokens: int = _LONGEST_ANSWER
  longest_prefix: int | None = None


@dataclasses.dataclass(frozen=True)
class ExportedModel:
  """What answering needs: a generator over the model, its params, its tokenizer, the longest
  answer in tokens, and what chooses the part of too long a schema that a question is put over.
  """

  generator: Generator
  params: Any
  tokenizer: Tokenizer
  max_new_tokens: int
  schemas: SchemaChooser


def write_prompt_format(
  folder: Path, style: PromptFormat, max_new_tokens: int, longest_prefix: int | None = None
) -> None:
  """Stores the prompt format beside a model: prompts are part of a model.

  Args:
    longest_prefix: tokens of a schema beyond which the model was trained on parts of it; None where
      it was not.
  """
  record = dataclasses.asdict(style) | {"max_new_tokens": max_new_tokens}
  if longest_prefix is not None:
    record["longest_prefix"] = longest_prefix
  write_json(folder / PROMPT_FILE, record)


def load_exported(
  folder: str | Path, lanes: int = 64, dtype: str = "float32", mesh: Mesh | None = None
) -> ExportedModel:
  """Reads an exported folder, or any Hugging Face model folder (then with the default prompt
  format, as a conversation where its tokenizer has a chat template). An adapter is merged into the
  base that it names.

  Args:
    folder: the folder.
    lanes, mesh: see `Generator`; the params are spread over the mesh.
    dtype: see `load_hf`.

  Raises:
    FileNotFoundError: no such folder. ValueError: weights, tokenizer or prompt format cannot be
      used; the message says which.
  """
  folder = Path(folder)
  words: Path = folder
  more_ends: tuple[int, ...] = ()
  if is_adapter(folder):
    base = base_folder(folder)
    model, params = load_merged(folder, base, dtype, mesh)
    words, more_ends = folder if has_tokenizer(folder) else base, read_end_ids(base)
  else:
    model, params = load_hf(folder, dtype, shardings=mesh)
  stored = stored_prompt(folder) or StoredPrompt(PromptFormat(chat=has_chat_template(words)))
  style, max_new_tokens, longest_prefix = (
    stored.style,
    stored.max_new_tokens,
    stored.longest_prefix,
  )
  tokenizer = load_tokenizer(words, style, more_ends)
  return ExportedModel(
    Generator(model, lanes=lanes, pad_id=tokenizer.pad_id, mesh=mesh),
    params,
    tokenizer,
    max_new_tokens,
    SchemaChooser(tokenizer, _longest_prefix(longest_prefix, model.config, max_new_tokens)),
  )


def stored_prompt(folder: Path) -> StoredPrompt | None:
  """What is stored beside a model of how it is asked; None where there is nothing.

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
    longest_prefix = record.pop("longest_prefix", None)
    return StoredPrompt(PromptFormat(**record), max_new_tokens, longest_prefix)
  except (AttributeError, TypeError, ValueError) as error:
    raise ValueError(f"{path}: not a prompt format of this version ({error})") from error


def _longest_prefix(trained: int | None, config: ModelConfig, max_new_tokens: int) -> int:
  """Tokens of a schema's prompt at most: as trained, or as the model's positions leave room for a
  question and its answer.
  """
  room = max(config.longest_sequence - max_new_tokens - _QUESTION_TOKENS, 1)
  return room if trained is None else min(int(trained), room)
