"""Examples of made-up databases as units to train on, in both prompt directions."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import hashlib
import random
from collections.abc import Callable, Collection, Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.benchmarks import find_database, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.name_codes import NameCodes, name_codes
from spftsql_jax.examples.prompts import (
  PromptFormat,
  question_prompt,
  schema_prompt,
  styled_answer,
)
from spftsql_jax.examples.tokenizer import Tokenizer, load_tokenizer
from spftsql_jax.files import replacing
from spftsql_jax.pipeline.pretraining.config import PretrainingConfig
from spftsql_jax.pipeline.pretraining.renaming import common_words, draw_renaming, named_words
from spftsql_jax.pipeline.pretraining.rewording import obscured, reworded
from spftsql_jax.pipeline.training_units import UnitMaker, question_units, sql_units
from spftsql_jax.schema import Schema


@dataclasses.dataclass(frozen=True)
class Shard:
  """A shard of the corpus, on disk.

  Attributes:
    examples: file of its examples.
    databases: folder of its databases.
  """

  examples: Path
  databases: Path

  def database(self, db_id: str) -> PromptDatabase:
    """A database of the shard."""
    return PromptDatabase.read(find_database(self.databases, db_id))


def tokenizer_texts(shard: Shard, style: PromptFormat) -> list[str]:
  """What a tokenizer learns its words from: schemas, questions and queries of a shard."""
  databases: dict[str, PromptDatabase] = {}
  texts = []
  for example in read_examples(shard.examples):
    if example.db_id not in databases:
      databases[example.db_id] = shard.database(example.db_id)
      texts.append(schema_prompt(databases[example.db_id].schema, style))
    database = databases[example.db_id]
    mentions = database.mentions(example.question, style)
    texts.append(question_prompt(example.question, mentions, style))
    schema = database.schema
    texts.append(styled_answer(example.query, schema.dialect, style, schema))
  return texts


def shard_units(
  config: PretrainingConfig, shards: Sequence[Shard], tokenizer: Path, workers: int
) -> list[Unit]:
  """The units of shards, in order. `tokenizer` is the folder of a model with a tokenizer.

  Those of each shard are kept beside its examples, under a name that tells what they depend on.
  """
  work = functools.partial(_keep_units, config, tokenizer, _mark(config, tokenizer))
  with concurrent.futures.ProcessPoolExecutor(workers, get_context("spawn")) as pool:
    kept = list(pool.map(work, shards))
  units = [
    unit for paths in zip(*kept, strict=True) for path in paths for unit in _read_units(path)
  ]
  return units if config.learned == "answers" else [_whole(unit.branches[0]) for unit in units]


def _mark(config: PretrainingConfig, tokenizer: Path) -> str:
  """A short name of what the units of a shard depend on besides its examples."""
  packing = config.packing
  lengths = packing.longest_prefix, packing.longest_branch, packing.longest_answer
  parts = config.prompt, config.other_prompt, lengths, config.seed
  shares = config.other_share, config.to_text_share, config.shuffled_share
  words = (
    config.renamed_share,
    config.invented_share,
    config.reworded_share,
    config.obscured_share,
  )
  told = repr((parts, shares, words)).encode() + (tokenizer / "tokenizer.json").read_bytes()
  return hashlib.sha256(told).hexdigest()[:12]


def _keep_units(config: PretrainingConfig, tokenizer: Path, mark: str, shard: Shard) -> list[Path]:
  """The files of a shard's units, one a draw; those that are missing are made."""
  stem = shard.examples.stem
  paths = [shard.examples.with_name(f"{stem}-{mark}-{d}.npz") for d in range(config.draws)]
  missing = [draw for draw, path in enumerate(paths) if not path.is_file()]
  for draw, units in _units(config, tokenizer, shard, missing).items():
    with replacing(paths[draw]) as unfinished, open(unfinished, "wb") as file:
      np.savez_compressed(file, allow_pickle=False, **_arrays(units))
  return paths


def _arrays(units: Sequence[Unit]) -> dict[str, np.ndarray]:
  """Units of one branch as flat arrays; each prefix once."""
  branches = [unit.branches[0] for unit in units]
  prefixes = list(dict.fromkeys(branch.prefix for branch in branches))
  numbers = {prefix: number for number, prefix in enumerate(prefixes)}
  arrays = {"prefix_of": np.array([numbers[branch.prefix] for branch in branches], np.int32)}
  for name, parts in (
    ("prefixes", prefixes),
    ("prompts", [branch.prompt for branch in branches]),
    ("answers", [branch.answer for branch in branches]),
  ):
    arrays[name] = np.fromiter((i for part in parts for i in part), np.int32)
    arrays[f"{name}_lengths"] = np.array([len(part) for part in parts], np.int32)
  return arrays


def _read_units(path: Path) -> list[Unit]:
  with np.load(path) as arrays:
    prefixes, prompts, answers = (
      [
        tuple(part.tolist())
        for part in np.split(arrays[name], np.cumsum(arrays[f"{name}_lengths"])[:-1])
      ]
      for name in ("prefixes", "prompts", "answers")
    )
    owners = arrays["prefix_of"].tolist()
  return [
    Unit((Branch(prefixes[owner], prompt, answer),))
    for owner, prompt, answer in zip(owners, prompts, answers, strict=True)
  ]


def _units(
  config: PretrainingConfig, folder: Path, shard: Shard, draws: Sequence[int]
) -> dict[int, list[Unit]]:
  """The units of a shard by draw, its databases drawn anew for each of them."""
  units: dict[int, list[Unit]] = {draw: [] for draw in draws}
  if not draws:
    return units
  own, other = (load_tokenizer(folder, s) for s in (config.prompt, config.other_prompt))
  examples: dict[str, list[Example]] = {}
  for example in read_examples(shard.examples):
    examples.setdefault(example.db_id, []).append(example)
  databases = {db_id: shard.database(db_id) for db_id in examples}
  kept = common_words({db_id: d.schema for db_id, d in databases.items()}, examples)
  # All draws of a database one behind the other: its queries are parsed once.
  for db_id, asked in examples.items():
    for draw in draws:
      database = databases[db_id]
      rng = random.Random(f"{config.seed}:{draw}:{db_id}")
      tokenizer = other if rng.random() < config.other_share else own
      words: Callable[[str], str] = str
      if rng.random() < config.renamed_share:
        words = draw_renaming(database.schema, asked, kept, rng, config.invented_share)
      tokenizer = _DrawnTokenizer(tokenizer, words, rng)
      database = _as_others_write_it(database, rng, config.shuffled_share)
      units[draw] += _of_database(config, tokenizer, {db_id: database}, asked, kept, rng)
  return units


class _DrawnTokenizer(Tokenizer):
  """A tokenizer that reads its texts under a renaming, and draws the codes of names."""

  def __init__(self, tokenizer: Tokenizer, renaming: Callable[[str], str], rng: random.Random):
    super().__init__(tokenizer.hf, tokenizer.style)
    self._renaming, self._rng = renaming, rng

  def encode(self, text: str) -> tuple[int, ...]:
    """Ids of the renamed text."""
    return super().encode(self._renaming(text))

  def new_codes(self, schema: Schema) -> NameCodes:
    """Codes drawn anew."""
    return name_codes(schema, self._rng, self.style.implied_joins)


def _of_database(
  config: PretrainingConfig,
  tokenizer: Tokenizer,
  databases: dict[str, PromptDatabase],
  examples: list[Example],
  kept: Collection[str],
  rng: random.Random,
) -> list[Unit]:
  maker = UnitMaker(tokenizer, databases, config.packing, split_schemas=True, say=_silent)
  to_text = [e for e in examples if rng.random() < config.to_text_share]
  asked = _asked_otherwise(config, databases, examples, kept, rng)
  return sql_units(maker, asked) + question_units(maker, to_text)


def _asked_otherwise(
  config: PretrainingConfig,
  databases: dict[str, PromptDatabase],
  examples: list[Example],
  kept: Collection[str],
  rng: random.Random,
) -> list[Example]:
  """The examples, of half of the databases with other words in their questions."""
  if rng.random() < 0.5:
    return examples
  named = {db_id: named_words(database.schema) for db_id, database in databases.items()}

  def otherwise(example: Example) -> str:
    words = named[example.db_id]
    asked = reworded(example.question, words, rng, config.reworded_share)
    return obscured(asked, words, kept, rng, config.obscured_share, config.invented_share)

  return [dataclasses.replace(e, question=otherwise(e)) for e in examples]


def without_schema(unit: Unit) -> Unit:
  """A unit whose branches are learned without what they have in common but its first token."""
  return Unit(tuple(dataclasses.replace(b, prefix=b.prefix[:1]) for b in unit.branches))


def _whole(branch: Branch) -> Unit:
  """A branch of which all tokens but the first are learned."""
  first, rest = branch.prompt[:1], branch.prompt[1:]
  return Unit((dataclasses.replace(branch, prompt=first, answer=rest + branch.answer),))


def _as_others_write_it(
  database: PromptDatabase, rng: random.Random, shuffled_share: float
) -> PromptDatabase:
  """The database under the name of one of its tables, its tables in another order."""
  tables = list(database.schema.tables)
  name = rng.choice(tables).name
  if rng.random() < shuffled_share:
    rng.shuffle(tables)
  schema = dataclasses.replace(database.schema, name=name, tables=tuple(tables))
  return dataclasses.replace(database, schema=schema, found={})


def _silent(line: str) -> None:
  """Says nothing: what is left out of a corpus is counted by its units."""
