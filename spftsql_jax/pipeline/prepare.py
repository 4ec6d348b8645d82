"""Before the first stage: open the databases, make the tokenizer and the starting model, or find
what the run has made before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jax
from jax.sharding import Mesh

from spftsql_jax import hosts
from spftsql_jax.databases import Executor
from spftsql_jax.examples.tokenizer import load_tokenizer
from spftsql_jax.generation.engine import Generator
from spftsql_jax.models.finite import not_finite
from spftsql_jax.models.sharding import local_mesh
from spftsql_jax.pipeline.config import RunConfig
from spftsql_jax.pipeline.data import RunData
from spftsql_jax.pipeline.databases import RunDatabases, open_databases
from spftsql_jax.pipeline.evaluation import Evaluator
from spftsql_jax.pipeline.fine_tuning import Trainer
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import Lineage, ModelBase
from spftsql_jax.pipeline.planning import choose, settled
from spftsql_jax.pipeline.records import AddedVersion, Chosen, StartingModel
from spftsql_jax.pipeline.starting_model import (
  base_model_name,
  is_pretrained,
  make_starting_model,
  start_folder,
)
from spftsql_jax.pipeline.trainable import open_trainable
from spftsql_jax.pipeline.training_units import UnitMaker
from spftsql_jax.pipeline.versions import BASE
from spftsql_jax.pipeline.workbench import Workbench

# Folders of a run: versions of the text-to-SQL model, of the SQL-to-text model, and checkpoints.
MODEL_BASE, QUESTION_WRITERS, CHECKPOINTS = "model_base", "question_writers", "checkpoints"


def open_workbench(
  config: RunConfig,
  journal: Journal,
  data: RunData,
  executor: Executor,
  metrics: Callable[[str, int, dict[str, float]], None],
  say: Callable[[str], None],
  mesh: Mesh | None = None,
  recipe: str = "",
) -> Workbench:
  """The tools of a run. Journals the starting model, what is chosen for it, and the version "base"
  that is made of it. The tools' config has what was chosen in the place of what was left open.

  Args:
    executor: runs SQL.
    metrics: called with (stage, step, values) while a model trains.
    say: prints a line.
    mesh: the devices of all processes; None for one device.
    recipe: what of the config is the starting model's recipe, in a line; "" for nothing.
  """
  workdir = journal.workdir
  databases = open_databases(config, data, workdir, executor, say)
  source = start_folder(config, workdir)
  journal.step(
    "prepare/model",
    StartingModel,
    lambda: hosts.from_first(lambda: make_starting_model(config, data, databases.prompts, source)),
  )
  tokenizer = load_tokenizer(source, config.prompt)
  chosen = journal.step(
    "prepare/chosen",
    Chosen,
    lambda: hosts.from_first(
      lambda: choose(config, data, dict(databases.prompts), tokenizer, source, mesh, recipe)
    ),
  )
  config = settled(config, chosen)
  for line in chosen.said:
    say(f"  {line}")
  split = config.long_schemas == "split"
  units = UnitMaker(tokenizer, databases.prompts, config.packing, split, say)
  evaluator = _open_evaluator(config, databases, units, source, mesh)
  bench = Workbench(
    config=config,
    journal=journal,
    databases=databases,
    units=units,
    evaluator=evaluator,
    trainer=Trainer(config, evaluator, mesh, workdir / CHECKPOINTS, metrics, say),
    models=ModelBase(workdir / MODEL_BASE),
    writers=ModelBase(workdir / QUESTION_WRITERS),
    say=say,
  )
  journal.step("prepare/base", AddedVersion, lambda: _add_base(bench, data))
  _say_what_there_is(bench, data)
  return bench


def _open_evaluator(
  config: RunConfig, databases: RunDatabases, units: UnitMaker, source: Path, mesh: Mesh | None
) -> Evaluator:
  """Reads the starting model, and makes a generator for this process's part of the devices."""
  trainable = open_trainable(config, source, mesh, config.remat)
  tokenizer = units.tokenizer
  generator = Generator(
    trainable.model,
    lanes=config.lanes,
    pad_id=tokenizer.pad_id,
    mesh=None if mesh is None else local_mesh(mesh),
  )
  return Evaluator(trainable, generator, tokenizer, config.max_new_tokens, databases, units.schemas)


def _add_base(bench: Workbench, data: RunData) -> AddedVersion:
  """The starting model as a version of the model base."""
  config, trainable = bench.config, bench.evaluator.trainable
  if broken := not_finite(trainable.start):
    raise ValueError(
      f"{start_folder(config, bench.journal.workdir)}: {len(broken)} arrays of the starting model "
      f"hold numbers that are not finite in {trainable.model.config.param_dtype} "
      f"({', '.join(broken[:3])}); take other weights, or another dtype"
    )
  lineage = Lineage(
    "base",
    base_model=base_model_name(config),
    prompt_format=config.prompt.fingerprint,
    seed=config.seed,
    # Where nothing is fine-tuned before stage 1 or stage 2, it is the first that plays. And what
    # has learned before may answer better than all that a run makes of it.
    candidate=config.self_play.candidates == "base" or not data.seeds or is_pretrained(config),
  )
  bench.models.add(BASE, trainable.first, lineage)
  return AddedVersion(BASE)


def _say_what_there_is(bench: Workbench, data: RunData) -> None:
  trainable = bench.evaluator.trainable
  count = sum(leaf.size for leaf in jax.tree.leaves(trainable.start))
  bench.say(
    f"  {len(bench.databases.prompts)} databases, {len(data.seeds):,} seeds, "
    f"{len(data.test):,} test questions; model of {count:,} parameters, "
    f"vocabulary {trainable.model.config.vocab_size:,}"
  )
  if data.leaked:
    bench.say(f"  {data.leaked:,} more seeds ask a query of the test, and are left out")
  if data.masked:
    bench.say(f"  {data.masked:,} seeds or logged queries name a masked column, and are left out")
