"""The configuration of a run: frozen dataclasses, one Python file for each experiment."""

from __future__ import annotations

import dataclasses
import typing
import zlib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from spftsql_jax.databases.passwords import hide_in
from spftsql_jax.databases.schema_view import WHOLE, SchemaView
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.models.products import Products
from spftsql_jax.pipeline.codec import from_json
from spftsql_jax.pipeline.stage2_config import HeadroomConfig, SelfPlayConfig, Training

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class DataConfig:
  """Where examples and databases lie. Paths are relative to `RunConfig.data_dir`.

  Attributes:
    databases: folders of `<db_id>/<db_id>.sqlite`, database files or URLs, with commas between
      them; of several that have a database the first counts. "" for those of the splits that
      `seeds` and `test` name.
    schemas: of databases with schemas those that are taken; see `open_database`.
    seeds: labelled examples to start from (Spider- or BIRD-style JSON); "" for none: then
      everything is synthesized, the SFT on the seeds is left out, and the starting model is the
      first candidate. Seeds that ask a query of the test are left out.
    test: held-out examples that nothing is trained or selected on; "" for none: then the figures
      are those of the selection split, on which the models are chosen too, and are said to be
      optimistic. Without either all of `databases` are used.
      Both may name a published split, such as "spider:train" (`examples/benchmark_splits.toml`),
      which is found in `data_dir` and must be whole.
    query_log: SQL that has been asked of the databases (`query_log.read_query_log`), whose
      templates examples are made of as those of seeds; "" for none.
    comparison: how results are compared on the test.
    seed_limit, test_limit: use so many (drawn by seed for the seeds, evenly spaced for the test); 0
      for all.
    held_out_databases: so many databases of the seeds are drawn, and their examples are test
      questions instead; the same ones whatever the run's seed.
    view: what of the databases the run sees: tables, masked columns, descriptions.
    apart: databases whose test examples are left out in a second figure (ex_without).
  """

  databases: str = "."
  schemas: tuple[str, ...] = ()
  seeds: str = "seeds.json"
  test: str = "test.json"
  query_log: str = ""
  comparison: Literal["spider", "bird", "strict"] = "strict"
  seed_limit: int = 0
  test_limit: int = 0
  apart: tuple[str, ...] = ()
  held_out_databases: int = 0
  view: SchemaView = WHOLE


@dataclasses.dataclass(frozen=True)
class ModelSource:
  """The language model that is fine-tuned.

  Attributes:
    hf_model: folder of a Hugging Face model with its tokenizer; "" to start from random weights.
    hf_config: without `hf_model`, the values of a Hugging Face config.json (vocabulary size left
      out).
    vocab_size: without `hf_model`, entries of the tokenizer that is trained on schemas, values and
      seeds.
    dtype: of the computation; "auto" for bfloat16 on an accelerator, float32 on a CPU.
    lora_rank: rank of the adapter that is trained over frozen weights; 0 trains all weights.
    lora_dropout: of the adapter's input while it is trained.
  """

  hf_model: str = ""
  hf_config: dict[str, Any] = dataclasses.field(default_factory=dict)
  vocab_size: int = 2048
  dtype: str = "float32"
  lora_rank: int = 0
  lora_dropout: float = 0.0


@dataclasses.dataclass(frozen=True)
class SynthesisConfig:
  """How examples are synthesized in a round.

  Attributes:
    examples: accepted examples a round, over all databases.
    pool_share: share of the template mass given to the built-in pool; the rest goes to the
      templates of the seeds.
    wordings: how often a query may come in a round, each time with another question: in a small
      database the simple templates have few queries, and would lose their share of the examples.
    decay: how fast the weight of a column falls with its schema distance.
    instances: neighbouring instances of each database on which queries are verified.
    model_questions: share of a round's queries for which the SQL-to-text model writes a second
      wording.
    check_samples: answers of the text-to-SQL model to each of these wordings; one is kept where an
      answer agrees.
    feedback_cap: a template that failed in the round before weighs at most so many times as much in
      the next.
    phrases: rows of more wordings of questions (`questions.grammar`), not their file.
    holdout: shares of the pool's templates set apart for (self-play, selection).
    workers: processes, of each host.
    parts: into how many parts each database's queries are cut, so that more hosts than there are
      databases have work.
  """

  examples: int = 3000
  pool_share: float = 0.5
  wordings: int = 1
  decay: float = 0.3
  instances: int = 2
  model_questions: float = 0.2
  check_samples: int = 4
  feedback_cap: float = 3.0
  phrases: str = ""
  holdout: tuple[float, float] = (0.15, 0.1)
  workers: int = 2
  parts: int = 1


@dataclasses.dataclass(frozen=True)
class VbiFtConfig:
  """Stage 1.

  Attributes:
    rounds: of synthesis and fine-tuning.
    training: of the text-to-SQL model, each round.
    question_training: of the SQL-to-text model, each round.
    verify: examples of a round that are held back from training, whole queries with all their
      wordings, and answered for feedback; no later round trains on them.
    select: examples of the selection split on which versions are scored.
  """

  rounds: int = 2
  training: Training = Training(300)
  question_training: Training = Training(100)
  verify: int = 256
  select: int = 256


@dataclasses.dataclass(frozen=True)
class RunConfig:
  """Everything that determines a run. Stored whole in results.json.

  Attributes:
    paper_splits: one synthesized validation set for verification, self-play and selection alike,
      from the templates that are trained on, as in the paper; else the three are disjoint by
      template.
    recipe: whose prompt format, optimizers, adapter and dtype count: "own", this config's; "model",
      what `recipes.py` has for a model such as `model.hf_model`, but for fields that are set by a
      flag; "auto", the model's where a config for random weights (it has `model.hf_config`) is
      given a pretrained model, else its own. A model's recipe leaves lengths and lanes open.
    seed_repeats: how often the labelled examples count beside the synthetic ones of a round.
    packing: its lengths are chosen where they are 0, by schemas, examples and tokenizer (see
      `lengths.py`).
    max_new_tokens: longest answer, SQL or question; 0 to choose as these.
    lanes: answers decoded at once; 0 to choose by the memory that is there.
    accumulate: microbatches that the rows of an update (`packing.rows`) are cut into, and
    remat: what the backward pass computes again in each layer (see `ModelConfig.remat`): 0 and
      "auto" to choose by the memory that is there, as are shorter rows where
      `packing.row_tokens` is 0.
    products: how training computes products with weights: "exact" in `model.dtype`; "rounded",
      their operands to bfloat16 with float32 sums (see `models.products`); "auto", the latter for
      float32 on a CPU that is faster so. Answers are always computed exactly.
    host_gb: of a CPU's memory the run is planned for so many GB (10^9 bytes); 0 for what is there.
    headroom: whether pass@k is measured beside greedy EX, and decides on stage 2.
    long_schemas: what becomes of training examples whose schema exceeds `packing.longest_prefix`:
      "split" puts them over a sub-schema that covers their query, "drop" leaves them out. Both are
      counted and named.
  """

  name: str
  data_dir: str
  seed: int = 0
  recipe: Literal["auto", "own", "model"] = "auto"
  data: DataConfig = DataConfig()
  model: ModelSource = ModelSource()
  prompt: PromptFormat = PromptFormat()
  packing: Packing = Packing()
  max_new_tokens: int = 96
  lanes: int = 96
  accumulate: int = 0
  remat: Literal["auto", "none", "dots", "full"] = "auto"
  products: Products = "auto"
  host_gb: float = 0.0
  paper_splits: bool = False
  seed_repeats: int = 3
  sft: Training = Training(100)
  synthesis: SynthesisConfig = SynthesisConfig()
  vbi_ft: VbiFtConfig = VbiFtConfig()
  self_play: SelfPlayConfig = SelfPlayConfig()
  checkpoint_every: int = 200
  headroom: HeadroomConfig = HeadroomConfig()
  long_schemas: Literal["split", "drop"] = "split"


# Fields that there were, and what replaced them.
REPLACED = {
  "shape": (
    "config.shape (batches padded to buckets) was replaced by config.packing (packed rows): "
    "packing.rows a step of packing.row_tokens tokens each (0 to choose), and the longest that are "
    "trained on, packing.longest_prefix, longest_branch and longest_answer, which were the last of "
    "each kind of buckets"
  )
}

# Fields that say where an input lies. What lies there is compared by content when a run is gone on
# with, so that run and data may be moved.
LOCATIONS = (
  "data_dir",
  "data.databases",
  "data.seeds",
  "data.test",
  "data.query_log",
  "model.hf_model",
)


def stage_seed(config: RunConfig, stage: str) -> int:
  """A seed of the run's seed and the stage's name, so that no two stages share their draws."""
  return zlib.crc32(f"{config.seed}/{stage}".encode())


def pairs_seed(config: RunConfig, number: int) -> int:
  """The seed of an iteration's pairs, shared by all that is trained on them.

  Where two arms have the same pairs, they are given the same batches in the same order, with the
  same dropout.
  """
  return stage_seed(config, f"pairs/iteration_{number}")


def to_dict(config: Any) -> dict[str, Any]:
  """A config as nested plain dicts. Tuples stay tuples: flags that override fields need them."""
  return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
  if isinstance(value, tuple):
    return tuple(map(_plain, value))
  return to_dict(value) if dataclasses.is_dataclass(value) else value


def to_record(config: Any) -> dict[str, object]:
  """As `to_dict`, to be stored: without the passwords of locations. A run may be gone on with under
  another password.
  """
  return typing.cast(dict, hide_in(to_dict(config)))


def from_dict(kind: type[T], values: Mapping[str, Any], where: str = "config") -> T:
  """The dataclass `kind` from nested mappings.

  Raises:
    ValueError: an unknown field or a value of the wrong kind; the message names it.
  """
  if kind is RunConfig and (old := sorted(REPLACED.keys() & set(values))):
    raise ValueError(REPLACED[old[0]])
  return from_json(kind, values, where)
