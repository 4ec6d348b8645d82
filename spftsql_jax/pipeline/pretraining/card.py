"""The model card of a base: what it is, what it was made of, how it learned, what it can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from spftsql_jax.pipeline.metrics_log import MetricsLine
from spftsql_jax.pipeline.pretraining.config import PretrainingConfig
from spftsql_jax.pipeline.pretraining.records import Pretrained

# Points of the loss curve.
_POINTS = 10


def model_card(
  config: PretrainingConfig, found: Pretrained, parameters: int, metrics: Sequence[MetricsLine]
) -> str:
  """The card as Markdown with the header that model hubs read.

  Args:
    parameters: of the model.
    metrics: those of its training, a line a step.
  """
  shape, corpus = config.hf_config, config.corpus
  held = found.held_out
  losses = "\n".join(f"| {step:,} | {loss:.2f} |" for step, loss in _curve(metrics))
  asked = "\n".join(
    f"| {e.step:,} | {e.execution_accuracy:.1%} | {e.executable:.1%} |" for e in found.evaluations
  )
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

## Trained on
{corpus.shards * corpus.databases:,} made-up databases with some {corpus.examples} synthesized pairs
of question and SQL each, in both directions, each database drawn {config.draws} times with other
words, another order of tables and in two formats of the prompt. Random sequences to copy beside
them, {config.copying_share:.0%} of their number. No question, query or schema of Spider, of BIRD or
of the demo databases.

## Training
`python experiments/pretrain_small.py --workdir=runs/base`, seed {config.seed}, from random weights
with induction heads: {found.steps:,} updates, {found.tokens / 1e6:.1f} million tokens,
{found.seconds / 60:.0f} minutes and {found.cpu_seconds / 3600:.1f} CPU hours since it was last
gone on with.

| updates | loss, nats a learned token |
|---|---|
{losses}

Of {corpus.held_out * corpus.held_out_examples} questions on {corpus.held_out} databases of domains
that nothing was trained on, evenly chosen ones, greedy:

| updates | execution accuracy | run |
|---|---|---|
{asked}

At the end, all of them: **{held.ex:.1%}** right, {held.executable:.1%} run, {held.gold_nll:.3f}
nats a token of the gold SQL.
"""


def _curve(metrics: Sequence[MetricsLine]) -> list[tuple[int, float]]:
  """(last step, mean loss) of each of `_POINTS` parts of a training."""
  size = max(1, -(-len(metrics) // _POINTS))
  parts = [metrics[start : start + size] for start in range(0, len(metrics), size)]
  return [
    (cast(int, part[-1]["step"]), sum(cast(float, line["loss"]) for line in part) / len(part))
    for part in parts
  ]
