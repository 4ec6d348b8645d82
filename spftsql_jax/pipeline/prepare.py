"""Before the first stage: read the data, make the neighbouring instances, the tokenizer and the
starting model.
"""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from tqdm import tqdm

from spftsql_jax import hosts
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.databases import Executor, make_instances, search_path
from spftsql_jax.databases.locations import engine_of, split_locations, with_schemas
from spftsql_jax.databases.passwords import without_password
from spftsql_jax.examples.benchmarks import database_ids, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.prompts import answer_text, question_prompt, schema_prompt
from spftsql_jax.examples.tokenizer import load_tokenizer, train_bpe
from spftsql_jax.generation.engine import Generator
from spftsql_jax.models import (
  Decoder,
  LoraConfig,
  ModelConfig,
  init_lora,
  init_params,
  load_hf,
  save_hf,
)
from spftsql_jax.models.finite import not_finite
from spftsql_jax.models.sharding import local_mesh, lora_shardings, put
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.inputs import inputs_of
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import Lineage, ModelBase
from spftsql_jax.pipeline.splits import Queries
from spftsql_jax.pipeline.workbench import Workbench
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.synthesize import synthesize

# A tokenizer of our own learns its words from so many examples at least: the seeds, and rule-worded
# ones where these are few.
_TOKENIZER_SENTENCES = 1500
# Folders of a run: versions of the text-to-SQL model, and of the SQL-to-text model.
MODEL_BASE, QUESTION_WRITERS = "model_base", "question_writers"


@dataclasses.dataclass(frozen=True)
class RunData:
  """The labelled examples of a run: what it starts from and what it is measured on.

  Attributes:
    seeds, test: the examples; none where the run has no labels, or no test.
    held_out: all examples of the test file, those beyond `test_limit` too: none of their queries is
      ever trained on.
    seed_databases: what examples are synthesized on: the databases of the seeds, else of the test,
      else all there are.
    locations: of these and of the test's databases, by db_id.
    leaked: how many seeds ask a query of the test, and are left out.
    files: of the examples, by the name of their config field; None for none.
  """

  seeds: tuple[Example, ...]
  test: tuple[Example, ...]
  held_out: tuple[Example, ...]
  seed_databases: tuple[str, ...]
  locations: Mapping[str, str]
  leaked: int
  files: Mapping[str, Path | None]


def read_data(config: RunConfig) -> RunData:
  """Reads and limits the examples, and finds the databases. Raises FileNotFoundError or ValueError
  naming file and record.
  """
  root = _data_dir(config)
  files = {
    name: _examples_file(root, name, getattr(config.data, name)) for name in ("seeds", "test")
  }
  seeds, test = (_read_examples(files[name], name) for name in ("seeds", "test"))
  held_out = tuple(test)
  # Databases that a benchmark lacks are left out of the seeds; of the test they are an error.
  given = search_path.database_places(config.data.databases, root)
  shown = without_password(config.data.databases)
  present = {d for d in database_ids(seeds) if search_path.has_database(given, d)}
  if seeds and not present:
    raise FileNotFoundError(
      f"{shown}: none of the seeds' databases is there (expected DIR/<db_id>/<db_id>.sqlite)"
    )
  seeds = [e for e in seeds if e.db_id in present]
  queries = Queries({d: search_path.find_database(given, d) for d in present})
  kept = queries.apart(seeds, held_out)
  if seeds and not kept:
    raise ValueError(
      f"{files['seeds']}: every seed asks a query of the test {files['test']}; give other seeds, "
      "or none"
    )
  seeds, leaked = kept, len(seeds) - len(kept)
  if config.data.seed_limit and len(seeds) > config.data.seed_limit:
    chosen = random.Random(config.seed).sample(range(len(seeds)), config.data.seed_limit)
    seeds = [seeds[i] for i in sorted(chosen)]
  if config.data.test_limit and len(test) > config.data.test_limit:
    count = config.data.test_limit
    test = [test[i * len(test) // count] for i in range(count)]
  labelled = database_ids(seeds) or database_ids(test)
  sources = tuple(labelled or search_path.all_databases(given))
  if not sources:
    raise FileNotFoundError(f"{shown}: no database is there (expected DIR/<db_id>/<db_id>.sqlite)")
  locations = {
    d: with_schemas(search_path.find_database(given, d), config.data.schemas)
    for d in dict.fromkeys([*sources, *database_ids(test)])
  }
  named = {f"data.{name}": path for name, path in files.items()}
  return RunData(tuple(seeds), tuple(test), held_out, sources, locations, leaked, named)


def inputs_of_run(config: RunConfig, data: RunData) -> dict[str, Any]:
  """What the run reads from outside its folder, see `inputs.inputs_of`. Raises
  FileNotFoundError.
  """
  hf_model = Path(config.model.hf_model) if config.model.hf_model else None
  if hf_model is not None and not hf_model.is_dir():
    raise FileNotFoundError(f"{hf_model}: no such model folder (--config.model.hf_model)")
  return inputs_of(data.files, data.locations, hf_model)


def _examples_file(root: Path, name: str, given: str) -> Path | None:
  """The path of a file of examples; None where the config names none."""
  if not given.strip():
    return None
  path = root / given
  if not path.is_file():
    what = "is a folder, not a file" if path.is_dir() else "no such file"
    raise FileNotFoundError(
      f"{path}: {what} of examples (--config.data.{name}; leave it empty for none)"
    )
  return path


def _read_examples(path: Path | None, name: str) -> list[Example]:
  if path is None:
    return []
  try:
    return read_examples(path)
  except ValueError as error:
    raise ValueError(f"{error} (--config.data.{name}; leave it empty for none)") from error


def open_workbench(
  config: RunConfig,
  journal: Journal,
  data: RunData,
  executor: Executor,
  metrics: Callable[[str, int, dict[str, float]], None],
  say: Callable[[str], None],
  mesh: Mesh | None = None,
) -> Workbench:
  """Reads the databases, and makes (or finds, when a run is resumed) instances, tokenizer and
  starting model.
  """
  ids = list(data.locations)
  for line in search_path.shadowed(
    search_path.database_places(config.data.databases, _data_dir(config)), ids
  ):
    say(f"  {line}")
  databases = {
    d: PromptDatabase.read(data.locations[d])
    for d in tqdm(ids, desc="databases", disable=None, leave=False)
  }
  instances = {d: (databases[d].location,) for d in ids}

  def neighbours(indices: list[int]) -> list[tuple[str, ...]]:
    chosen = [databases[data.seed_databases[index]].location for index in indices]
    folder, count = journal.workdir / "instances", config.synthesis.instances
    # Instances can only be made of SQLite files.
    return [
      tuple(map(os.fspath, make_instances(location, folder, count, config.seed)))
      if engine_of(location) == "sqlite"
      else ()
      for location in chosen
    ]

  for d, made in zip(
    data.seed_databases, hosts.in_shares(data.seed_databases, neighbours), strict=True
  ):
    instances[d] += made
  model_dir = journal.workdir / "start"
  journal.step(
    "prepare/model",
    lambda: hosts.from_first(lambda: _make_start(config, data, databases, model_dir)),
  )
  source = config.model.hf_model or model_dir
  tokenizer = load_tokenizer(source, config.prompt)
  model, params = load_hf(source, config.model.dtype, shardings=mesh)
  if config.model.lora_rank:
    rank = config.model.lora_rank
    model = Decoder(
      model.config, lora=LoraConfig(rank=rank, alpha=2.0 * rank, dropout=config.model.lora_dropout)
    )
  tree = (
    params
    if model.lora is None
    else init_lora(model.config, model.lora, jax.random.key(config.seed))
  )
  if model.lora is not None and mesh is not None:
    tree = put(tree, lora_shardings(model.config, model.lora, mesh))
  bench = Workbench(
    config=config,
    journal=journal,
    databases=databases,
    instances=instances,
    tokenizer=tokenizer,
    model=model,
    generator=Generator(
      model,
      lanes=config.lanes,
      pad_id=tokenizer.pad_id,
      mesh=None if mesh is None else local_mesh(mesh),
    ),
    mesh=mesh,
    start=params,
    like=tree if model.lora is not None else jax.tree.map(_in_float32, params),
    executor=executor,
    models=ModelBase(journal.workdir / MODEL_BASE),
    writers=ModelBase(journal.workdir / QUESTION_WRITERS),
    queries=Queries(data.locations, {d: databases[d].schema.dialect for d in ids}),
    metrics=metrics,
    say=say,
  )
  journal.step("prepare/base", lambda: _add_base(bench, data))
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  say(
    f"  {len(databases)} databases, {len(data.seeds):,} seeds, {len(data.test):,} test questions; "
    f"model of {count:,} parameters, vocabulary {model.config.vocab_size:,}"
  )
  if data.leaked:
    say(f"  {data.leaked:,} more seeds ask a query of the test, and are left out")
  return bench


def _data_dir(config: RunConfig) -> Path:
  if not config.data_dir:
    databases = split_locations([config.data.databases])
    if (
      databases
      and all("://" in each for each in databases)
      and not (config.data.seeds.strip() or config.data.test.strip())
    ):
      return Path()  # Nothing lies in a folder.
    raise ValueError("no data folder; give one with --config.data_dir=DIR")
  root = Path(config.data_dir)
  if not root.is_dir():
    raise FileNotFoundError(f"{root}: no such data folder (--config.data_dir)")
  return root


def _make_start(
  config: RunConfig, data: RunData, databases: dict[str, PromptDatabase], folder: Path
) -> dict[str, Any]:
  """A tokenizer trained on schemas, seeds and rule-worded sentences, and random weights, as a
  Hugging Face folder.
  """
  if config.model.hf_model:
    return {"hf_model": config.model.hf_model}
  hf = train_bpe(_texts(config, data, databases), config.model.vocab_size)
  values = dict(config.model.hf_config) | {
    "vocab_size": len(hf),
    "eos_token_id": hf.eos_token_id,
    "pad_token_id": hf.pad_token_id,
    "bos_token_id": None,
  }
  model_config = ModelConfig.from_hf(values)
  save_hf(folder, model_config, init_params(model_config, jax.random.key(config.seed)), hf)
  return {"vocab_size": len(hf)}


def _texts(config: RunConfig, data: RunData, databases: dict[str, PromptDatabase]) -> list[str]:
  texts = [schema_prompt(databases[d].schema, config.prompt) for d in data.seed_databases] * 5
  examples = list(data.seeds)
  if (wanted := _TOKENIZER_SENTENCES - len(examples)) > 0:
    locations, exclude = (
      [databases[d].location for d in data.seed_databases],
      [e.query for e in data.held_out],
    )
    made = synthesize(
      locations, builtin_templates(), wanted, config.seed, exclude=exclude, instances=0
    )
    examples += [e.example() for e in made.examples]
  for example in examples:
    dialect = databases[example.db_id].schema.dialect
    texts += [
      question_prompt(example.question, (), config.prompt),
      answer_text(example.query, dialect),
    ]
  return texts


def _in_float32(leaf: jax.Array) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(leaf.shape, jnp.float32, sharding=leaf.sharding)


def _add_base(bench: Workbench, data: RunData) -> dict[str, Any]:
  config = bench.config
  if broken := not_finite(bench.start):
    raise ValueError(
      f"{config.model.hf_model or bench.journal.workdir / 'start'}: {len(broken)} arrays of the "
      "starting model hold numbers "
      f"that are not finite in {bench.model.config.param_dtype} ({', '.join(broken[:3])}); take "
      "other weights, or another dtype"
    )
  name = config.model.hf_model or "random weights"
  lineage = Lineage(
    "base",
    base_model=name,
    prompt_format=config.prompt.fingerprint,
    seed=config.seed,
    # Where nothing is fine-tuned before stage 1 or stage 2, it is the first that plays.
    candidate=config.self_play.candidates == "base" or not data.seeds,
  )
  tree = bench.start if bench.model.lora is None else bench.like
  bench.models.add("base", tree, lineage)
  return {"version": "base"}
