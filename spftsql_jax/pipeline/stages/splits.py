"""The examples of a run by what they are for: seeds, test, selection and self-play.

Selection and self-play examples are synthesized once, from templates that no round trains on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from spftsql_jax.examples.example import Example
from spftsql_jax.pipeline.data import RunData
from spftsql_jax.pipeline.records import HeldOutFiles
from spftsql_jax.pipeline.stage2_config import SelfPlayConfig
from spftsql_jax.pipeline.stages.synthesis import make_examples, reasons
from spftsql_jax.pipeline.stages.templates import TemplateSplits, split_templates
from spftsql_jax.pipeline.workbench import Workbench


@dataclasses.dataclass(frozen=True)
class Splits:
  """Templates and examples of a run. No query is in two splits.

  Attributes:
    data: seeds and test.
    templates: by split.
    selection: on which versions are scored, and the best is chosen.
    self_play: synthesized or held back for self-play.
    played: those of them that each iteration plays.
  """

  data: RunData
  templates: TemplateSplits
  selection: Sequence[Example]
  self_play: Sequence[Example]
  played: tuple[Sequence[Example], ...]

  def questions(self, number: int) -> Sequence[Example]:
    """What the iteration `number`, from 1, plays."""
    return self.played[number - 1] if number <= len(self.played) else ()

  @property
  def held_out(self) -> list[Example]:
    """Examples whose queries are never trained on."""
    return [*self.data.held_out, *self.selection, *self.self_play]


def make_splits(bench: Workbench, data: RunData) -> Splits:
  """The run's splits: made once, then read from their data files."""
  templates = split_templates(bench, data)
  files = bench.journal.step(
    "prepare/data", HeldOutFiles, lambda: _make_held_out(bench, templates, data)
  )
  selection, self_play = (
    bench.journal.read_records(file, Example) for file in (files.selection, files.self_play)
  )
  return Splits(
    data, templates, selection, self_play, by_iteration(bench.config.self_play, self_play)
  )


def by_iteration(
  config: SelfPlayConfig, questions: Sequence[Example]
) -> tuple[Sequence[Example], ...]:
  """What each iteration plays: all of the questions or, with `fresh`, a part of its own."""
  iterations = config.played_iterations
  if not questions:
    return ()
  if not config.fresh:
    return (questions[: config.questions + config.real_questions],) * iterations
  return tuple(
    questions[len(questions) * i // iterations : len(questions) * (i + 1) // iterations]
    for i in range(iterations)
  )


def _make_held_out(bench: Workbench, templates: TemplateSplits, data: RunData) -> HeldOutFiles:
  """Synthesizes the selection and the self-play examples."""
  config, journal = bench.config, bench.journal
  fresh = config.self_play.fresh
  selection = _make_selection(bench, templates, data)
  file = journal.write_records("selection", selection)
  if config.paper_splits:
    bench.say(
      f"  {len(templates.train)} templates; one validation set of {len(selection)} examples, as in "
      "the paper"
    )
    return HeldOutFiles(file, file)
  # The seeds are trained on. Their templates are none of these splits', so few of their queries can
  # come.
  count = config.self_play.questions * (config.self_play.played_iterations if fresh else 1)
  made = count and make_examples(
    bench,
    "self_play",
    templates.self_play,
    count,
    db_ids=data.seed_databases,
    apart=[*data.held_out, *selection],
    also_apart=data.seeds,
  )
  bench.say(
    f"  templates: {len(templates.train)} to train on, {len(templates.self_play)} for self-play, "
    f"{len(templates.selection)} for selection ({len(selection)} examples)"
  )
  synthesized = [e.example() for e in made.examples] if made else []
  played = _mixed([*synthesized, *data.played], config.seed)
  return HeldOutFiles(file, journal.write_records("self_play", played))


def _make_selection(bench: Workbench, templates: TemplateSplits, data: RunData) -> list[Example]:
  """The selection examples. Raises ValueError where none can be made."""
  made = make_examples(
    bench,
    "selection",
    templates.selection,
    bench.config.vbi_ft.select,
    db_ids=data.seed_databases,
    apart=data.held_out,
    also_apart=data.seeds,
  )
  if not made.examples:
    raise ValueError(
      f"no example of the selection split can be made on {', '.join(data.seed_databases)}, so no "
      f"model could be chosen: {reasons(made) or 'none is asked for'} (--config.vbi_ft.select, "
      "--config.synthesis.holdout)"
    )
  return [e.example() for e in made.examples]


def _mixed(examples: Sequence[Example], seed: int) -> list[Example]:
  """In random order, so that a cut takes of every database."""
  return [examples[i] for i in np.random.default_rng(seed).permutation(len(examples))]
