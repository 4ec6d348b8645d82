"""`pretrain`: corpus, tokenizer, training and held-out figures of a base; resumable."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spftsql_jax.answering.exported import write_prompt_format
from spftsql_jax.answering.predict import answer_questions
from spftsql_jax.databases import Executor
from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.benchmarks import database_ids, read_examples
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.packing import Packing, plan_rows, shape_of_rows, unit_tokens
from spftsql_jax.examples.tokenizer import Tokenizer, load_tokenizer
from spftsql_jax.files import write_text
from spftsql_jax.generation.engine import Generator
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.models import load_hf, save_hf
from spftsql_jax.models.induction import induction_params
from spftsql_jax.models.products import settle
from spftsql_jax.models.transformer import Decoder, Params
from spftsql_jax.pipeline.config import to_record
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.pretraining.card import model_card
from spftsql_jax.pipeline.pretraining.config import Phase, PretrainingConfig
from spftsql_jax.pipeline.pretraining.copying import copying_units
from spftsql_jax.pipeline.pretraining.corpus import make_held_out, make_shard
from spftsql_jax.pipeline.pretraining.records import HeldOut, PhaseDone, Pretrained
from spftsql_jax.pipeline.pretraining.tokens import (
  Shard,
  shard_units,
  tokenizer_texts,
  without_schema,
)
from spftsql_jax.pipeline.recipes import count_parameters
from spftsql_jax.pipeline.starting_model import write_random_start
from spftsql_jax.training.trainer import FitConfig, fit

_STAGE = "pretraining"
_LANES = 96
# Questions of the held-out databases that are answered while the model learns.
_ASKED_MEANWHILE = 200


def pretrain(
  config: PretrainingConfig, workdir: Path, say: Callable[[str], None], workers: int = 2
) -> Pretrained:
  """Makes a base with its model card in `workdir`/base.

  The same call goes on where it was cut off: shards and tokenizer that are there are kept, and
  training goes on from its last checkpoint.

  Raises:
    RunInProgress, ConfigChanged: the folder is in use, or that of another config.
  """
  with (
    contextlib.closing(Journal(workdir, to_record(config))) as journal,
    contextlib.closing(MetricsLog(workdir)) as metrics,
  ):
    found = journal.step(
      _STAGE, Pretrained, lambda: _pretrain(config, workdir, journal, metrics, say, workers)
    )
    base = workdir / "base"
    card = model_card(config, found, count_parameters(base), metrics.read())
    write_text(base / "README.md", card)
    return found


def _pretrain(
  config: PretrainingConfig,
  workdir: Path,
  journal: Journal,
  metrics: MetricsLog,
  say: Callable[[str], None],
  workers: int,
) -> Pretrained:
  corpus = config.corpus
  held_out = make_held_out(corpus, workdir, workers)
  shards = []
  for number in range(corpus.shards):
    examples = make_shard(corpus, number, workdir, workers)
    shards.append(Shard(examples, workdir / "databases" / str(number)))
  start = weights = _start(config, shards[0], workdir / "start")
  units = shard_units(config, shards, start, workers)
  model, _ = load_hf(start)
  tokenizer = load_tokenizer(start, config.prompt)
  asked = Asked(Shard(held_out, workdir / "held_out"), model, tokenizer, config.max_new_tokens)
  work = _Work(config, workdir, model, tokenizer, asked, metrics, say)
  phases = []
  passed = 0.0
  for number, phase in enumerate(config.phases):
    learned = _learned(units, passed, phase.passes)
    train = functools.partial(_train, work, number, phase, learned, weights)
    phases.append(journal.step(f"{_STAGE}-{number}", PhaseDone, train))
    weights = _weights(workdir, number)
    passed += phase.passes
  _, params = load_hf(weights)
  save_base(workdir / "base", model, params, start, tokenizer, config)
  return Pretrained(tuple(phases), asked.score(params, asked.examples))


@dataclasses.dataclass(frozen=True)
class _Work:
  """What the phases of a training share."""

  config: PretrainingConfig
  workdir: Path
  model: Decoder
  tokenizer: Tokenizer
  asked: Asked
  metrics: MetricsLog
  say: Callable[[str], None]

  def evaluate(self, tree: Params) -> tuple[float, float]:
    """(execution accuracy, share of answers that run) on some held-out questions; says them."""
    found = self.asked.score(tree, self.asked.every(_ASKED_MEANWHILE))
    self.say(
      f"  held-out schemas: {found.ex:.1%} right, {found.executable:.0%} run, "
      f"{found.gold_nll:.3f} nats a token of gold"
    )
    return found.ex, found.executable


def _train(
  work: _Work, number: int, phase: Phase, units: Sequence[Unit], weights: Path
) -> PhaseDone:
  """Trains for a phase, from the weights in a folder to those in `_weights`."""
  config, stage = work.config, f"{_STAGE}-{number}"
  corpus = units if phase.schemas else [without_schema(unit) for unit in units]
  units = [*corpus, *_copying(phase, len(units), work.tokenizer, config.seed)]
  shape = dataclasses.replace(config.packing, row_tokens=phase.row_tokens)
  steps, tokens = _one_pass(shape, units)
  passes = max(phase.passes, 1.0)  # Of a part of the corpus it is one.
  work.say(f"{stage}: {len(units):,} units, {tokens:,} tokens and {steps:,} steps a pass")
  _, params = load_hf(weights)
  began = time.perf_counter()
  rounded = settle(config.products, work.model.config.dtype) == "rounded"
  result = fit(
    work.model.rounded() if rounded else work.model,
    params,
    units,
    FitConfig(
      steps=round(steps * passes),
      shape=shape,
      optimizer=phase.optimizer,
      evaluate_every=config.evaluate_every,
      checkpoint_every=config.checkpoint_every,
      seed=config.seed + number,
    ),
    pad_id=work.tokenizer.pad_id,
    on_metrics=lambda step, values: work.metrics.write(stage, step, values),
    evaluate=work.evaluate,
    checkpoints=work.workdir / "checkpoints" / str(number),
    description=stage,
  )
  seconds = time.perf_counter() - began
  save_hf(_weights(work.workdir, number), work.model.config, result.trained, weights)
  return PhaseDone(len(units), round(tokens * passes), result.steps, seconds, result.evaluations)


def _weights(workdir: Path, number: int) -> Path:
  """Folder of the weights behind a phase."""
  return workdir / "phases" / str(number)


def save_base(
  folder: Path,
  model: Decoder,
  params: Params,
  start: Path,
  tokenizer: Tokenizer,
  config: PretrainingConfig,
) -> None:
  """Writes the base in bfloat16, with its tokenizer and prompt format."""
  save_hf(
    folder,
    model.config,
    params,
    start,
    dtype="bfloat16",
    end_ids=tokenizer.end_ids,
    pad_id=tokenizer.pad_id,
  )
  write_prompt_format(folder, config.prompt, config.max_new_tokens, config.packing.longest_prefix)


class Asked:
  """Questions on databases, to be answered and judged by execution."""

  def __init__(self, shard: Shard, model: Decoder, tokenizer: Tokenizer, max_new_tokens: int):
    self.examples = read_examples(shard.examples)
    self._databases = {d: shard.database(d) for d in database_ids(self.examples)}
    self._generator = Generator(model, lanes=_LANES, pad_id=tokenizer.pad_id)
    self._tokenizer, self._longest = tokenizer, max_new_tokens

  def every(self, count: int) -> list[Example]:
    """So many of the questions, evenly spaced."""
    places = np.linspace(0, len(self.examples) - 1, min(count, len(self.examples)))
    return [self.examples[int(place)] for place in places]

  def score(self, params: Params, examples: Sequence[Example]) -> HeldOut:
    """How well the questions are answered."""
    verdicts = self.verdicts(params, examples)
    return HeldOut(
      ex=float(np.mean([v.correct for v in verdicts])),
      executable=float(np.mean([v.status == "ok" for v in verdicts])),
      gold_nll=self.gold_nll(params, examples),
    )

  def gold_nll(self, params: Params, examples: Sequence[Example]) -> float:
    """Mean negative log-likelihood of the gold answers' tokens, in nats: what tells models apart
    long before they answer rightly.
    """
    branches = [self._gold(example) for example in examples]
    total = float(np.sum(self._generator.score(params, branches)))
    return -total / sum(len(branch.answer) for branch in branches)

  def _gold(self, example: Example) -> Branch:
    database, tokenizer = self._databases[example.db_id], self._tokenizer
    mentions = database.mentions(example.question, tokenizer.style)
    return tokenizer.text_to_sql(database.schema, example.question, example.query, mentions)

  def verdicts(self, params: Params, examples: Sequence[Example]) -> list[Verdict]:
    """The verdict on the greedy answer to each question."""
    answers = answer_questions(
      self._generator,
      params,
      self._tokenizer,
      self._databases,
      examples,
      max_new_tokens=self._longest,
    )
    pairs = [(e.query, found[0].sql) for e, found in zip(examples, answers, strict=True)]
    with Executor(workers=1) as executor:
      places = [[self._databases[e.db_id].location] for e in examples]
      return score_predictions(pairs, places, executor)


def _start(config: PretrainingConfig, shard: Shard, folder: Path) -> Path:
  """The folder of random weights and the tokenizer, which are made where they are missing."""
  if not (folder / "config.json").is_file():
    texts = tokenizer_texts(shard, config.prompt)
    write_random_start(
      folder,
      texts,
      config.hf_config,
      config.vocab_size,
      config.seed,
      induction_params,
      words_apart=True,
      codes=config.prompt.codes,
    )
  return folder


def _copying(phase: Phase, beside: int, tokenizer: Tokenizer, seed: int) -> list[Unit]:
  """The units of random tokens that are learned beside so many of the corpus."""
  drawn = range(len(tokenizer.hf.all_special_ids), len(tokenizer.hf))
  return copying_units(round(phase.copying_share * beside), drawn, tokenizer.end_id, seed)


def _learned(units: Sequence[Unit], passed: float, passes: float) -> Sequence[Unit]:
  """What a phase learns from behind so many passes: all units, or for a part of a pass those that
  come next.
  """
  if passes >= 1:
    return units
  # Both rounded as places: the next part begins where this one ends.
  first, end = round(passed * len(units)), round((passed + passes) * len(units))
  return [units[place % len(units)] for place in range(first, end)]


def _one_pass(packing: Packing, units: Sequence[Unit]) -> tuple[int, int]:
  """(updates, tokens without padding) of one pass over the units."""
  rows = plan_rows(units, shape_of_rows(units, packing), np.random.default_rng(0))
  pieces = [piece.units for row in rows for piece in row]
  prefixes = sum(len(units[piece[0]].branches[0].prefix) for piece in pieces)
  return -(-len(rows) // packing.rows), prefixes + sum(map(unit_tokens, units))
