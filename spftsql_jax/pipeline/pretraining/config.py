"""What determines a pretrained base."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.models.products import Products
from spftsql_jax.training.optimizer import OptimizerConfig


@dataclasses.dataclass(frozen=True)
class CorpusConfig:
  """The databases and examples to pretrain on.

  Attributes:
    shards: of so many databases each; every database is seen once.
    databases: of a shard.
    examples: of a database, on average.
    instances: neighbouring instances that queries are checked on.
    seed: of databases, queries and questions.
    held_out: databases of domains that nothing is trained on; held_out_examples of each.
  """

  shards: int = 20
  databases: int = 500
  examples: int = 11
  instances: int = 1
  seed: int = 0
  held_out: int = 40
  held_out_examples: int = 20


@dataclasses.dataclass(frozen=True)
class Phase:
  """A stretch of training under one schedule.

  Attributes:
    passes: over the corpus and what is learned beside it. Below 1 it is one over a part: the one
      behind what the phases before have learned.
    row_tokens: tokens of a row; an update has `packing.rows` of them.
    copying_share: units of random tokens to copy (`copying`), as a share of the corpus' units.
    optimizer: how it learns.
    schemas: whether questions are learned over their schemas. Without them the codes behind the
      words of a question are all there is of its names: queries' own words are learned from less.
  """

  passes: float
  row_tokens: int
  copying_share: float
  optimizer: OptimizerConfig
  schemas: bool = True


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
  """A base: its corpus, its shape, and how it learns.

  Attributes:
    hf_config: values of the model's config.json (vocabulary size left out); what
      `models.induction` asks of it.
    vocab_size: entries of the tokenizer, which is trained on the first shard.
    prompt: the format that the base is asked in.
    other_prompt, other_share: another format of schemas, and the share of databases that are
      written in it, so that the model does not depend on one.
    to_text_share: the share of examples learned from SQL to text as well.
    learned: "answers" as in fine-tuning, or "branches": the words of prompts are learned too, so
      that the names which a question mentions teach to copy from a schema.
    draws: how often each database is drawn anew: the order of its tables, its prompt's format, its
      words (a pass is over all draws).
    renamed_share: of databases whose nouns are exchanged for others (`renaming`); invented_share:
      of these nouns that are exchanged for words that do not exist.
    reworded_share: of nouns in the questions of half of the databases that synonyms stand for
      (`rewording`).
    obscured_share: of the other words of names in these questions that nouns stand for which say
      nothing of the schema.
    shuffled_share: of databases whose tables stand in another order than that of their keys.
    max_new_tokens: longest answer.
    first, main, last: phases of training, one behind the other.
    products: see `RunConfig.products`.
    seed: of weights and order.
  """

  corpus: CorpusConfig
  hf_config: dict[str, Any]
  vocab_size: int
  prompt: PromptFormat
  other_prompt: PromptFormat
  packing: Packing
  first: Phase
  main: Phase
  last: Phase
  other_share: float = 0.25
  to_text_share: float = 0.15
  learned: Literal["answers", "branches"] = "answers"
  draws: int = 1
  renamed_share: float = 0.8
  invented_share: float = 0.5
  reworded_share: float = 0.4
  obscured_share: float = 0.0
  shuffled_share: float = 0.5
  max_new_tokens: int = 96
  checkpoint_every: int = 200
  evaluate_every: int = 400
  products: Products = "auto"
  seed: int = 0

  @property
  def phases(self) -> tuple[Phase, ...]:
    """The phases in their order."""
    return self.first, self.main, self.last
