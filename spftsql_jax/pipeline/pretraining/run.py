"""`pretrain`: corpus, tokenizer, training and held-out figures of a base; resumable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from spftsql_jax.answering.exported import write_prompt_format
from spftsql_jax.answering.predict import PromptDatabase, answer_questions
from spftsql_jax.databases import Executor
from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.packing import count_rows, pack, plan_rows, shape_of_rows
from spftsql_jax.examples.tokenizer import Tokenizer, load_tokenizer, train_bpe
from spftsql_jax.files import write_json
from spftsql_jax.generation.engine import Generator
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.models import ModelConfig, init_params, load_hf, save_hf
from spftsql_jax.models.transformer import Decoder, Params
from spftsql_jax.pipeline.config import to_dict
from spftsql_jax.pipeline.pretraining.config import PretrainingConfig
from spftsql_jax.pipeline.pretraining.corpus import make_held_out, make_shard, read_examples
from spftsql_jax.pipeline.pretraining.tokens import Shard, shard_units, tokenizer_texts
from spftsql_jax.training.trainer import FitConfig, fit

_LANES = 96
# Questions of the held-out databases that are answered while the model learns.
_ASKED_MEANWHILE = 200
# Rows that are packed together to be counted.
_COUNTED_AT_ONCE = 64


def pretrain(
  config: PretrainingConfig, workdir: Path, say: Callable[[str], None], workers: int = 2
) -> dict[str, Any]:
  """Makes a base in `workdir`/base, with what was measured of it in `workdir`/pretraining.json.

  The same call goes on where it was cut off: shards and tokenizer that are there are kept, and
  training goes on from its last checkpoint.

  Raises:
    ValueError: the folder is that of another config.
  """
  done = workdir / "pretraining.json"
  _keep_config(config, workdir / "config.json")
  if done.is_file():
    return json.loads(done.read_text())
  corpus = config.corpus
  held_out = make_held_out(corpus, workdir, workers)
  shards = []
  for number in range(corpus.shards):
    examples = make_shard(corpus, number, workdir, workers)
    shards.append(Shard(examples, workdir / "databases" / str(number)))
  start = _start(config, shards[0], workdir / "start")
  units = shard_units(config, shards, start, workers)
  steps, tokens = _one_pass(config, units)
  say(f"{len(units):,} units, {tokens:,} tokens a pass, {steps:,} steps a pass")
  model, params = load_hf(start)
  tokenizer = load_tokenizer(start, config.prompt)
  asked = Asked(Shard(held_out, workdir / "held_out"), model, tokenizer, config.max_new_tokens)
  began, spent = time.perf_counter(), time.process_time()
  log = (workdir / "metrics.jsonl").open("a", encoding="utf-8")

  def on_metrics(step: int, values: dict[str, float]) -> None:
    log.write(json.dumps({"step": step, "seconds": time.perf_counter() - began} | values) + "\n")
    log.flush()

  def evaluate(tree: Params) -> tuple[float, float]:
    some = asked.every(_ASKED_MEANWHILE)
    accuracy, executable = asked.score(tree, some)
    say(
      f"  held-out schemas: {accuracy:.1%} right, {executable:.0%} run, "
      f"{asked.gold_nll(tree, some):.3f} nats a token of gold"
    )
    return accuracy, executable

  result = fit(
    model,
    params,
    units,
    FitConfig(
      steps=round(steps * config.passes),
      shape=config.packing,
      optimizer=config.optimizer,
      evaluate_every=config.evaluate_every,
      checkpoint_every=config.checkpoint_every,
      seed=config.seed,
    ),
    pad_id=tokenizer.pad_id,
    on_metrics=on_metrics,
    evaluate=evaluate,
    checkpoints=workdir / "checkpoints",
    description="pretraining",
  )
  log.close()
  figures = {
    "units": len(units),
    "tokens": round(tokens * config.passes),
    "steps": result.steps,
    "seconds": time.perf_counter() - began,
    "cpu_seconds": time.process_time() - spent,
    "held_out": _figures(*asked.score(result.trained, asked.examples))
    | {"gold_nll": round(asked.gold_nll(result.trained, asked.examples), 4)},
    "evaluations": [
      {"step": e.step} | _figures(e.execution_accuracy, e.executable) for e in result.evaluations
    ],
  }
  save_base(workdir / "base", model, result.trained, start, tokenizer, config)
  write_json(done, figures)
  return figures


def _keep_config(config: PretrainingConfig, path: Path) -> None:
  """Writes the config of a work folder, or compares it with the one that is there."""
  values = json.loads(json.dumps(to_dict(config)))
  if not path.is_file():
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, values)
    return
  kept = json.loads(path.read_text())
  if changed := sorted(k for k in values.keys() | kept.keys() if values.get(k) != kept.get(k)):
    raise ValueError(
      f"{path.parent}: holds a base of another config, which differs in {', '.join(changed)}; "
      "take another folder, or the same config"
    )


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
    self._locations = {
      e.db_id: str(shard.databases / e.db_id / f"{e.db_id}.sqlite") for e in self.examples
    }
    self._databases = {d: PromptDatabase.read(place) for d, place in self._locations.items()}
    self._generator = Generator(model, lanes=_LANES, pad_id=tokenizer.pad_id)
    self._tokenizer, self._longest = tokenizer, max_new_tokens

  def every(self, count: int) -> list[Example]:
    """So many of the questions, evenly spaced."""
    places = np.linspace(0, len(self.examples) - 1, min(count, len(self.examples)))
    return [self.examples[int(place)] for place in places]

  def score(self, params: Params, examples: Sequence[Example]) -> tuple[float, float]:
    """(share of right answers, share that run)."""
    verdicts = self.verdicts(params, examples)
    right = np.mean([v.correct for v in verdicts])
    return float(right), float(np.mean([v.status == "ok" for v in verdicts]))

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
      return score_predictions(pairs, [[self._locations[e.db_id]] for e in examples], executor)


def _figures(accuracy: float, executable: float) -> dict[str, float]:
  return {"ex": round(accuracy, 4), "executable": round(executable, 4)}


def _start(config: PretrainingConfig, shard: Shard, folder: Path) -> Path:
  """The folder of random weights and the tokenizer, which are made where they are missing."""
  if (folder / "config.json").is_file():
    return folder
  hf = train_bpe(tokenizer_texts(shard, config.prompt), config.vocab_size)
  values = config.hf_config | {
    "vocab_size": len(hf),
    "eos_token_id": hf.eos_token_id,
    "pad_token_id": hf.pad_token_id,
    "bos_token_id": None,
  }
  model_config = ModelConfig.from_hf(values)
  save_hf(folder, model_config, init_params(model_config, jax.random.key(config.seed)), hf)
  return folder


def _one_pass(config: PretrainingConfig, units: Sequence[Unit]) -> tuple[int, int]:
  """(updates, tokens without padding) of one pass over the units."""
  shape = shape_of_rows(units, config.packing)
  rows = plan_rows(units, shape, np.random.default_rng(0))
  parts = (rows[i : i + _COUNTED_AT_ONCE] for i in range(0, len(rows), _COUNTED_AT_ONCE))
  tokens = sum(count_rows(pack(units, part, shape, 0)).real for part in parts)
  return -(-len(rows) // config.packing.rows), tokens
