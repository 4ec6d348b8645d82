"""How much of the method fits into some minutes: what the machine does in a second, measured with
the very model and database, and the steps that follow from it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

from spftsql_jax.databases import Executor
from spftsql_jax.files import write_json
from spftsql_jax.pipeline.codec import from_json, record_to_json
from spftsql_jax.pipeline.config import RunConfig, Training, to_record
from spftsql_jax.pipeline.data import read_data
from spftsql_jax.pipeline.evaluation import answer_and_judge
from spftsql_jax.pipeline.fine_tuning import train
from spftsql_jax.pipeline.journal import Journal
from spftsql_jax.pipeline.prepare import open_workbench
from spftsql_jax.pipeline.recipes import resolve
from spftsql_jax.pipeline.specialize.settings import Settings, held_back, make_config
from spftsql_jax.pipeline.starting_model import rule_worded_examples
from spftsql_jax.pipeline.training_units import sql_units
from spftsql_jax.pipeline.versions import BASE

SPEED_FILE = "speed.json"
# Examples, steps and answers that are measured by.
_EXAMPLES, _STEPS, _ANSWERS = 192, 8, 48
# A round of fewer steps teaches nothing; with fewer than enough nothing else is done beside it.
_LEAST_STEPS, _ENOUGH_STEPS = 20, 80
_FEWEST_ASKED = 32
# A step over pairs has two answers to each prompt.
_PAIR_STEP = 1.5


@dataclasses.dataclass(frozen=True)
class Speed:
  """What a machine needs for parts of a run, in seconds.

  Attributes:
    measuring: to find that out.
    opening: to open databases and model.
    example: to synthesize an example, without opening.
    compiling: before the first step of a kind of training.
    step: a training step.
    first_answers: before the first answer, for compiling.
    answer: an answer.
  """

  measuring: float
  opening: float
  example: float
  compiling: float
  step: float
  first_answers: float
  answer: float


def speed_of(config: RunConfig, workdir: Path, minutes: float = math.inf) -> Speed:
  """The speed that is stored in `workdir`, or measured and stored there now: a command that goes on
  keeps its plan. See `measure_speed`.
  """
  path = workdir / SPEED_FILE
  if path.is_file():
    return from_json(Speed, json.loads(path.read_text()), str(path))
  speed = measure_speed(config, minutes)
  workdir.mkdir(parents=True, exist_ok=True)
  write_json(path, record_to_json(speed))
  return speed


def measure_speed(config: RunConfig, minutes: float = math.inf) -> Speed:
  """Opens what a run opens, trains some steps and answers some questions, and forgets it all.

  Raises:
    ValueError: no example can be made; or half of `minutes` have passed, and nothing is trained.
  """
  config, data = resolve(config).config, read_data(config)
  began = time.perf_counter()
  with tempfile.TemporaryDirectory() as folder, Executor(workers=2) as executor:
    executor.start()
    journal = Journal(folder, to_record(config))
    steps: list[float] = []
    bench = open_workbench(
      config, journal, data, executor, lambda *_: steps.append(time.perf_counter()), _silent
    )
    opened = time.perf_counter()
    examples = rule_worded_examples(bench.config, data, bench.databases.prompts, _EXAMPLES)
    made = time.perf_counter()
    if made - began > 30 * minutes:
      raise ValueError(
        f"{minutes:g} minutes are too few here: opening databases and model and making "
        f"{len(examples)} examples took {(made - began) / 60:.1f} of them"
      )
    if len(examples) < 2:
      raise ValueError(
        "hardly any example can be synthesized on this database: nothing to train on"
      )
    # As many as the run will have: the length of a row, which a step computes, is chosen by them.
    units = sql_units(bench.units, examples)
    units *= max(1, bench.config.synthesis.examples // len(units))
    tree = bench.load(BASE)
    before = time.perf_counter()
    train(bench.trainer, "speed", tree, units, Training(_STEPS, bench.config.sft.optimizer))
    durations = [b - a for a, b in zip([before, *steps], steps, strict=False)]
    step = statistics.median(durations[2:])
    asked = [*examples] * (1 + 2 * _ANSWERS // len(examples))
    marks = [time.perf_counter()]
    for half in (asked[:_ANSWERS], asked[_ANSWERS : 2 * _ANSWERS]):
      answer_and_judge(bench.evaluator, tree, half)
      marks.append(time.perf_counter())
    journal.close()
  first, second = marks[1] - marks[0], marks[2] - marks[1]
  return Speed(
    measuring=time.perf_counter() - began,
    opening=opened - began,
    example=(made - opened) / len(examples),
    compiling=max(0.0, durations[0] - step),
    step=step,
    first_answers=max(0.0, first - second),
    answer=second / _ANSWERS,
  )


def expected_seconds(config: RunConfig, speed: Speed) -> float:
  """What a run without a test will take."""
  stage1, stage2, examples = config.vbi_ft, config.self_play, config.synthesis.examples
  rounds, iterations = stage1.rounds, stage2.iterations
  steps = rounds * stage1.training.steps + (rounds - 1) * stage1.question_training.steps
  steps += (config.sft.steps + stage1.question_training.steps) if config.data.seeds else 0
  kinds = (rounds > 0) + (iterations > 0)
  # Each version is asked when it is made and in the evaluation; the opponent answers all questions.
  versions = 1 + rounds + iterations
  answers = 2 * versions * stage1.select + rounds * stage1.verify
  answers += iterations * stage2.questions
  return (
    speed.opening
    + rounds * (examples + stage1.verify) * speed.example
    + kinds * speed.compiling
    + (steps + _PAIR_STEP * iterations * stage2.training.steps) * speed.step
    + speed.first_answers
    + answers * speed.answer
  )


def within(settings: Settings, minutes: float, speed: Speed) -> Settings:
  """The settings with as many steps, and where these are few as many rounds, as fit into what
  measuring has left of the time.

  Raises:
    ValueError: not even a round of `_LEAST_STEPS` does.
  """
  there = 60 * minutes - speed.measuring
  smallest = dataclasses.replace(settings, rounds=1, iterations=0, select=_FEWEST_ASKED)
  plans = [
    dataclasses.replace(settings, rounds=rounds, iterations=iterations, select=held_back(settings))
    for rounds in range(settings.rounds, 0, -1)
    for iterations in sorted({settings.iterations, 0}, reverse=True)
  ]
  for plan in (*plans, smallest):
    steps = _steps_within(plan, there, speed)
    if steps >= (_LEAST_STEPS if plan is smallest else _ENOUGH_STEPS):
      return dataclasses.replace(plan, steps=steps)
  least = dataclasses.replace(smallest, steps=_LEAST_STEPS)
  needed = (speed.measuring + expected_seconds(make_config(least), speed)) / 60
  raise ValueError(f"{minutes:g} minutes are too few here: it takes {needed:.1f} at least")


def _steps_within(settings: Settings, seconds: float, speed: Speed) -> int:
  """The most steps a round with which a run takes no longer; below 0 where none is."""

  def taken(steps: int) -> float:
    return expected_seconds(make_config(dataclasses.replace(settings, steps=steps)), speed)

  steps = int(1000 * (seconds - taken(0)) / (taken(1000) - taken(0)))
  while steps > 0 and taken(steps) > seconds:  # The parts that are tenths of it are rounded.
    steps -= 1
  return steps


def _silent(line: str) -> None:
  """What is measured is not told."""
