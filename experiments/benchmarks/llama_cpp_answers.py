"""Does llama.cpp give the SQL that we do, from the GGUF file of the same model?

    pip install llama-cpp-python
    python experiments/convert_hf.py --checkpoint=RUN --output=DIR --gguf
    python experiments/benchmarks/llama_cpp_answers.py --model=DIR --questions=FILE \
      --databases=DIR|FILE|URL --output=FILE.json [--count=120]

Each question is asked greedily, of DIR's safetensors by this repository and of DIR/model.gguf by
llama.cpp. Counted are the prompts that llama.cpp takes apart into the same tokens, and the answers
that are the same SQL.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, check_output, launch

# isort: split
from absl import flags
from answers import answers_of, share

from spftsql_jax.answering.exported import ExportedModel, load_exported
from spftsql_jax.answering.predict import PromptDatabase, question_request
from spftsql_jax.databases.search_path import database_places, find_database
from spftsql_jax.examples.benchmarks import database_ids, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.files import write_json

_MODEL = flags.DEFINE_string("model", None, "Folder of the model, with model.gguf.", required=True)
_QUESTIONS = flags.DEFINE_string("questions", None, "Example file.", required=True)
_DATABASES = flags.DEFINE_string("databases", None, "Folders, files or URLs.", required=True)
_COUNT = flags.DEFINE_integer("count", 120, "Questions, drawn from the file.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the draw.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_CONTEXT = 2048  # Tokens that llama.cpp has room for.


def main() -> None:
  check_output(_OUTPUT.value)
  try:
    llama_cpp = importlib.import_module("llama_cpp")
  except ImportError:
    raise InputError("llama.cpp is not installed; pip install llama-cpp-python") from None
  asked = read_examples(_QUESTIONS.value)
  asked = random.Random(_SEED.value).sample(asked, min(_COUNT.value, len(asked)))
  places = database_places(_DATABASES.value)
  databases = {
    db_id: PromptDatabase.read(find_database(places, db_id)) for db_id in database_ids(asked)
  }
  exported = load_exported(Path(_MODEL.value))
  ours = answers_of(exported, databases, asked)
  theirs = llama_cpp.Llama(f"{_MODEL.value}/model.gguf", n_ctx=_CONTEXT, verbose=False)
  tokens, answers = [], []
  for example in asked:
    prompt = _prompt(exported, databases[example.db_id], example)
    text = exported.tokenizer.hf.decode(prompt)
    tokens.append(theirs.tokenize(text.encode(), add_bos=False, special=True) == prompt)
    answers.append(_answer(theirs, prompt, exported.max_new_tokens))
  same = [_plain(one) == _plain(other) for one, other in zip(ours, answers, strict=True)]
  differ = [(o, t) for o, t, alike in zip(ours, answers, same, strict=True) if not alike]
  found = {"n": len(asked), "same_tokens": share(tokens), "same_sql": share(same)}
  write_json(Path(_OUTPUT.value), found | {"differ": differ})
  print(json.dumps(found))


def _prompt(exported: ExportedModel, database: PromptDatabase, example: Example) -> list[int]:
  """The token ids of schema and question."""
  shown = exported.schemas.choose(database, example.question)
  request = question_request(exported.tokenizer, database, example.question, "", shown)
  return [*map(int, request.prefix), *map(int, request.prompt)]


def _answer(model: Any, prompt: list[int], most: int) -> str:
  """The greedy answer of llama.cpp, up to its end token, its semicolon or the limit."""
  model.reset()
  said: list[int] = []
  for token in model.generate(prompt, temp=0.0, top_k=1, repeat_penalty=1.0):
    if token == model.token_eos() or len(said) == most:
      break
    said.append(token)
    if b";" in model.detokenize(said):
      break
  return model.detokenize(said).decode(errors="replace").partition(";")[0]


def _plain(sql: str) -> str:
  return " ".join(sql.split())


if __name__ == "__main__":
  launch(main)
