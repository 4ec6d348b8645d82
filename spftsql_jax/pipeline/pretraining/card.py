"""The model card of a base: what it is, what it was made of, how it learned, what it can do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

from spftsql_jax.pipeline.metrics_log import MetricsLine
from spftsql_jax.pipeline.pretraining.config import PretrainingConfig
from spftsql_jax.pipeline.pretraining.records import Pretrained
from spftsql_jax.training.guards import Evaluation

# Points of the loss curve.
_POINTS = 10
_CODES = """
It calls tables and columns by codes, each a token: `SELECT @c2 FROM @t1 WHERE @c3 = 'x'`. Which
code is what stands in its prompt; `spftsql_jax.examples.name_codes` writes a question with codes
and reads the answer back as SQL, as do `ask.py` and `predict.py`.
"""
_JOINS = """
What keys tell of joins it does not write: `FROM @t1 JOIN @t2` has no ON, nor the tables on the only
shortest way from one to the other. What reads codes back puts them in
(`spftsql_jax.examples.implied_joins`).
"""
_LINKED = """
Before its SQL it writes a line that names the tables, columns and values of the query, and then
`SQL:`; `ask.py` and `predict.py` take that line off, other programs have to.
"""


def model_card(
  config: PretrainingConfig, found: Pretrained, parameters: int, metrics: Sequence[MetricsLine]
) -> str:
  """The card as Markdown with the header that model hubs read.

  Args:
    parameters: of the model.
    metrics: those of its training, a line an update, in order.
  """
  shape, corpus, rows = config.hf_config, config.corpus, config.packing.rows
  held = found.held_out
  steps = sum(phase.steps for phase in found.phases)
  tokens = sum(phase.tokens for phase in found.phases) / 1e6
  minutes = sum(phase.seconds for phase in found.phases) / 60
  phases = "\n".join(
    f"| {p.passes:g} | {rows * p.row_tokens:,} | {p.copying_share:.0%} | {p.optimizer.name}, "
    f"{p.optimizer.learning_rate:g}, {p.optimizer.schedule} | {done.steps:,} |"
    for p, done in zip(config.phases, found.phases, strict=True)
  )
  losses = "\n".join(f"| {step:,} | {loss:.2f} |" for step, loss in _curve(metrics))
  asked = "\n".join(
    f"| {step:,} | {e.execution_accuracy:.1%} | {e.executable:.1%} |"
    for step, e in _evaluations(found)
  )
  prompt = config.prompt
  told = (
    (_CODES, prompt.codes),
    (_JOINS, prompt.implied_joins),
    (_LINKED, prompt.answer_style == "linked"),
  )
  answers = "".join(text for text, holds in told if holds)
  return f"""---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
tags: [text-to-sql]
---
# A small base for text-to-SQL

{parameters / 1e6:.1f} million parameters ({shape["model_type"]}: width {shape["hidden_size"]},
{shape["num_hidden_layers"]} layers, a vocabulary of {config.vocab_size:,}), in bfloat16. Made to be
fine-tuned on a database by SPFT-SQL in minutes on a CPU; it knows SQL, how questions are put, and
how to copy from its prompt, and nothing else. It is no model to talk to, and English only.
{answers}
## Trained on
{corpus.shards * corpus.databases:,} made-up databases with some {corpus.examples} synthesized pairs
of question and SQL each, in both directions, each database drawn {config.draws} times with other
words, another order of tables and in two formats of the prompt. No question, query or schema of
Spider, of BIRD or of the demo databases.

## Training
`python experiments/pretrain_small.py --workdir=runs/base`, seed {config.seed}, from random weights
with induction heads: {steps:,} updates, {tokens:.1f} million tokens, {minutes:.0f} minutes.

| passes | tokens an update | random sequences to copy | optimizer | updates |
|---|---|---|---|---|
{phases}

| updates | loss, nats a learned token |
|---|---|
{losses}

On questions over {corpus.held_out} databases of domains that nothing was trained on, some of them
while it was trained, greedy:

| updates | execution accuracy | run |
|---|---|---|
{asked}

At the end, all {corpus.held_out * corpus.held_out_examples} questions: **{held.ex:.1%}** right,
{held.executable:.1%} run, {held.gold_nll:.3f} nats a token of the gold SQL.
"""


def _evaluations(found: Pretrained) -> list[tuple[int, Evaluation]]:
  """Each evaluation with the updates made before it in all phases."""
  before = itertools.accumulate((phase.steps for phase in found.phases), initial=0)
  return [
    (start + evaluation.step, evaluation)
    for start, phase in zip(before, found.phases, strict=False)
    for evaluation in phase.evaluations
  ]


def _curve(metrics: Sequence[MetricsLine]) -> list[tuple[int, float]]:
  """(updates, mean loss) of each of `_POINTS` parts of a training."""
  size = max(1, -(-len(metrics) // _POINTS))
  parts = [metrics[start : start + size] for start in range(0, len(metrics), size)]
  ends = itertools.accumulate(map(len, parts))
  return [
    (end, sum(cast(float, line["loss"]) for line in part) / len(part))
    for end, part in zip(ends, parts, strict=True)
  ]
