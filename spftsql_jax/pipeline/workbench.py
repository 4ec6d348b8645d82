"""What every stage of a run works with, and what all stages do: train, answer and judge, score."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from spftsql_jax import hosts
from spftsql_jax.answering.predict import Prediction, PromptDatabase, answer_questions
from spftsql_jax.databases import Executor
from spftsql_jax.examples.batches import Unit
from spftsql_jax.examples.example import Example
from spftsql_jax.examples.subschemas import SubSchemas
from spftsql_jax.examples.tokenizer import Tokenizer
from spftsql_jax.generation.engine import Generator
from spftsql_jax.judging.scoring import Verdict, score_predictions
from spftsql_jax.models.sharding import on_local_mesh
from spftsql_jax.models.transformer import Decoder
from spftsql_jax.pipeline.config import RunConfig, Training
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score
from spftsql_jax.pipeline.splits import Queries
from spftsql_jax.training.step import Objective
from spftsql_jax.training.trainer import FitConfig, FitResult, fit, forget_checkpoints

SELECTION = "selection"
TEST = "test"
_SFT = Objective("sft")
# Answers that are handed to the workers together.
_JUDGED_AT_ONCE = 128


@dataclasses.dataclass(frozen=True)
class Workbench:
  """The things that stay the same through a run.

  Attributes:
    config: of the run.
    journal: what is done.
    databases: by db_id, those of the seeds and of the test.
    instances: by db_id, the locations of a database and of its neighbouring instances.
    tokenizer, model, generator: of the text-to-SQL and the SQL-to-text model alike. The generator
      works on this process's part of the mesh.
    mesh: the devices of all processes, on which versions lie and are trained; None for one device.
    start: the params that fine-tuning starts from; with an adapter they stay under it.
    like: a tree of a version's shapes. Versions are kept in float32 where all weights are trained,
      also where the model computes with less (see `FitResult.trained`).
    executor: runs SQL.
    models: versions of the text-to-SQL model.
    writers: versions of the SQL-to-text model.
    queries: tells which examples ask the same query.
    metrics: called with (stage, step, values) while training.
    say: prints a line.
  """

  config: RunConfig
  journal: Journal
  databases: Mapping[str, PromptDatabase]
  instances: Mapping[str, tuple[str, ...]]
  tokenizer: Tokenizer
  model: Decoder
  generator: Generator
  mesh: Mesh | None
  start: Any
  like: Any
  executor: Executor
  models: ModelBase
  writers: ModelBase
  queries: Queries
  metrics: Callable[[str, int, dict[str, float]], None]
  say: Callable[[str], None]
  # The parts of schemas too long for the largest bucket, by db_id, as they are asked for.
  sub_schemas: dict[str, SubSchemas] = dataclasses.field(
    default_factory=dict, compare=False, repr=False
  )

  @property
  def start_folder(self) -> Path:
    """The Hugging Face folder of the starting model and its tokenizer: one that was given, or the
    run's own.
    """
    return Path(self.config.model.hf_model or self.journal.workdir / "start")

  def weights(self, tree: Any) -> dict[str, Any]:
    """A version's tree as `params` and `lora` arguments: params of its own, or an adapter over
    `start`.
    """
    return (
      {"params": tree, "lora": None}
      if self.model.lora is None
      else {"params": self.start, "lora": tree}
    )

  def rounded(self, tree: Any) -> Any:
    """A version's tree as the model computes with it."""
    if self.model.lora is not None:
      return tree
    return jax.tree.map(lambda x: x.astype(self.model.config.param_dtype), tree)

  def local_weights(self, tree: Any) -> dict[str, Any]:
    """`weights` as this process's generator takes them."""
    weights, local = self.weights(self.rounded(tree)), self.generator.mesh
    return (
      weights
      if local is None
      else {name: on_local_mesh(part, local) for name, part in weights.items()}
    )

  def load(self, version: str) -> Any:
    """A version's tree."""
    return self.models.load(version, self.like)


def stage_seed(bench: Workbench, name: str) -> int:
  """A seed for a stage: of the run's seed and the stage's name, so that stages do not share their
  draws.
  """
  return zlib.crc32(f"{bench.config.seed}/{name}".encode())


def pairs_seed(bench: Workbench, number: int) -> int:
  """The seed of an iteration's pairs, shared by all that is trained on them: where two arms have
  the same pairs, they are given the same batches in the same order, with the same dropout."""
  return stage_seed(bench, f"pairs/iteration_{number}")


def data_hash(records: Sequence[Any]) -> str:
  """A hash of examples or pairs, for lineage and for stored log-probs."""
  text = json.dumps([dataclasses.asdict(r) for r in records], sort_keys=True, ensure_ascii=False)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def train(
  bench: Workbench,
  stage: str,
  tree: Any,
  units: Sequence[Unit],
  training: Training,
  objective: Objective = _SFT,
  abort_drop: float = 0.0,
  held_out: Sequence[Example] = (),
  seed: int | None = None,
) -> FitResult:
  """Trains a copy of a version's tree, resuming from its checkpoints where the run was cut off.

  Where a number is not finite, training ends, says so, and gives the last good tree (see `fit`).

  Args:
    seed: of the order of the batches and of dropout; the stage's own by default. Stages that are
      compared with each other are given one and the same (`pairs_seed`).
    held_out: where `training.evaluate_every` is set, questions that the model answers while it
      trains, verified by execution; the run ends early by their figures (see `guards.Guards`).
  """

  def evaluate(current: Any) -> tuple[float, float]:
    found = score(bench, current, held_out)
    bench.say(
      f"  {stage}: EX {found.execution_accuracy:.1%} on {len(held_out)} held-out questions, "
      f"{found.executable:.0%} run"
    )
    return found.execution_accuracy, found.executable

  config = FitConfig(
    steps=training.steps,
    shape=bench.config.shape,
    optimizer=training.optimizer,
    objective=objective,
    abort_drop=abort_drop,
    evaluate_every=training.evaluate_every,
    patience=training.patience,
    executable_drop=training.executable_drop,
    checkpoint_every=bench.config.checkpoint_every,
    seed=stage_seed(bench, stage) if seed is None else seed,
  )
  result = fit(
    bench.model,
    units=units,
    config=config,
    pad_id=bench.tokenizer.pad_id,
    on_metrics=lambda step, values: bench.metrics(stage, step, values),
    evaluate=evaluate if held_out else None,
    checkpoints=checkpoint_folder(bench, stage),
    mesh=bench.mesh,
    description=stage,
    **bench.weights(tree),
  )
  if result.fault:
    bench.say(f"  {stage}: {fault_line(result)}")
  return result


def fault_line(result: FitResult) -> str:
  """Why training ended early on numbers that are not finite, and what was kept; "" where it did
  not.
  """
  if not result.fault:
    return ""
  kept = (
    f"the last good weights, of step {result.steps}, are kept"
    if result.steps
    else "the weights it started from are kept"
  )
  return f"training ended early: {result.fault}; {kept}"


def parent_of_next(
  bench: Workbench, version: str, before: str, selection: Sequence[Example]
) -> str:
  """Which version the next stage trains further: `version`; but where its training ended on numbers
  that are not finite and it answers the selection split no better than `before`, which it was
  trained from, `before`."""
  if not bench.models.lineage(version).fault:
    return version
  # the starting model, which is scored where it plays alone
  if bench.models.score(before, SELECTION) is None:
    bench.journal.step("base/selection", lambda: score_base(bench, selection))
  old, new = (bench.models.score(v, SELECTION) for v in (before, version))
  chosen = version if new.execution_accuracy > old.execution_accuracy else before
  bench.say(
    f"  {chosen} is trained further: selection EX of {before} {old.execution_accuracy:.1%}, of "
    f"{version} "
    f"{new.execution_accuracy:.1%}"
  )
  return chosen


def checkpoint_folder(bench: Workbench, stage: str) -> Path:
  return bench.journal.workdir / "checkpoints" / stage.replace("/", "-")


def judge(
  bench: Workbench, examples: Sequence[Example], predictions: Sequence[str]
) -> list[Verdict]:
  """Whether each prediction gives the gold result on the database and on its neighbouring instances
  (`suite_correct`).
  """
  return score_predictions(
    [(e.query, p) for e, p in zip(examples, predictions, strict=True)],
    [bench.instances[e.db_id] for e in examples],
    bench.executor,
    comparison="strict",
    timeout_s=5.0,
    suite=True,
  )


def answer_and_judge(
  bench: Workbench,
  tree: Any,
  examples: Sequence[Example],
  judged_by: Callable[[Workbench, Sequence[Example], Sequence[str]], list[Verdict]] = judge,
) -> tuple[list[str], list[Verdict]]:
  """A version's greedy SQL for each question, and its verdicts: the workers execute what is
  answered while the accelerator decodes the rest. Every process answers and judges its share."""
  weights = bench.local_weights(tree)

  def part(places: list[int]) -> list[tuple[str, Verdict]]:
    own = [examples[place] for place in places]
    return list(zip(*_answer_and_judge(bench, weights, own, judged_by), strict=True))

  found = hosts.in_shares([e.db_id for e in examples], part)
  return [answer for answer, _ in found], [verdict for _, verdict in found]


def _answer_and_judge(
  bench: Workbench,
  weights: dict[str, Any],
  examples: Sequence[Example],
  judged_by: Callable[[Workbench, Sequence[Example], Sequence[str]], list[Verdict]],
) -> tuple[list[str], list[Verdict]]:
  answers, verdicts = [""] * len(examples), {}
  waiting: list[int] = []

  def judge_part(indices: tuple[int, ...]) -> None:
    found = judged_by(bench, [examples[i] for i in indices], [answers[i] for i in indices])
    verdicts.update(zip(indices, found, strict=True))

  with concurrent.futures.ThreadPoolExecutor(1) as thread:
    parts: list[concurrent.futures.Future] = []

    def hand_over() -> None:
      parts.append(thread.submit(judge_part, tuple(waiting)))
      waiting.clear()

    def done(index: int, predictions: tuple[Prediction, ...]) -> None:
      answers[index] = predictions[0].sql
      waiting.append(index)
      if len(waiting) == _JUDGED_AT_ONCE:
        hand_over()

    answer_questions(
      bench.generator,
      tokenizer=bench.tokenizer,
      databases=bench.databases,
      examples=examples,
      max_new_tokens=bench.config.max_new_tokens,
      on_question=done,
      **weights,
    )
    if waiting:
      hand_over()
    for part in parts:
      part.result()
  return answers, [verdicts[i] for i in range(len(examples))]


def score(bench: Workbench, tree: Any, examples: Sequence[Example]) -> Score:
  """A version's score on synthesized examples, verified on all instances."""
  _, verdicts = answer_and_judge(bench, tree, examples)
  return score_of(examples, [bool(v.suite_correct) for v in verdicts], verdicts)


def score_of(
  examples: Sequence[Example], outcomes: Sequence[bool], verdicts: Sequence[Verdict]
) -> Score:
  """The score of outcomes, with the share of answers that ran."""
  count = max(len(outcomes), 1)
  ran = sum(v.status == "ok" for v in verdicts)
  return Score(sum(outcomes) / count, ran / count, tuple(outcomes), data_hash(examples))


def add_version(
  bench: Workbench,
  version: str,
  tree: Any,
  lineage: Lineage,
  selection: Sequence[Example],
  checkpoints_of: str | None = None,
) -> Score:
  """Adds a version to the model base with its score on the selection split, and forgets its
  training checkpoints.
  """
  config = bench.config
  lineage = dataclasses.replace(
    lineage,
    base_model=config.model.hf_model or "random weights",
    prompt_format=bench.tokenizer.style.fingerprint,
    seed=config.seed,
  )
  bench.models.add(version, tree, lineage)
  result = score(bench, tree, selection)
  bench.models.add_score(version, SELECTION, result)
  if checkpoints_of:
    forget_checkpoints(checkpoint_folder(bench, checkpoints_of))
  return result


def score_base(bench: Workbench, selection: Sequence[Example]) -> dict[str, Any]:
  """Scores the starting model on the selection split."""
  result = score(bench, bench.load("base"), selection)
  bench.models.add_score("base", SELECTION, result)
  return {"selection_ex": result.execution_accuracy}


def read_examples_of(bench: Workbench, relative: str) -> list[Example]:
  """Examples from a data file of the run."""
  return [Example(**record) for record in bench.journal.read_jsonl(relative)]


def write_examples(bench: Workbench, name: str, examples: Sequence[Example]) -> str:
  """Writes examples as a data file of the run; returns its name."""
  return bench.journal.write_jsonl(name, map(dataclasses.asdict, examples))


def error_rates(examples: Sequence[Example], wrong: Sequence[bool]) -> list[dict[str, Any]]:
  """Errors and total by template id, most errors first."""
  totals = Counter(e.template for e in examples)
  errors = Counter(e.template for e, w in zip(examples, wrong, strict=True) if w)
  return [
    {"template": t, "errors": errors[t], "total": n}
    for t, n in sorted(totals.items(), key=lambda i: (-errors[i[0]], i[0]))
  ]


def device_line() -> str:
  """The devices in words."""
  devices = jax.devices()
  of = f" of {hosts.count()} processes" if hosts.count() > 1 else ""
  return (
    f"{len(devices)} {devices[0].device_kind or devices[0].platform} "
    f"device{'s' if len(devices) > 1 else ''}{of}"
  )
