"""What the runs of the paper's table share (arXiv 2509.03937): six models on Spider and BIRD, one
file each beside this one.

Learning rates, ranks, beta, epochs and rounds are not in the paper; these are our choices (small
rates, an NLL term on y+), and none of these runs has been made yet. The files tell by operation
count what the training of a run costs.
"""

from __future__ import annotations

from typing import Literal

from ml_collections import ConfigDict

from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.pipeline.config import (
  DataConfig,
  ModelSource,
  RunConfig,
  SelfPlayConfig,
  SynthesisConfig,
  Training,
  VbiFtConfig,
  to_dict,
)
from spftsql_jax.training.optimizer import OptimizerConfig
from spftsql_jax.training.step import Objective

_SPIDER = DataConfig(databases="", seeds="spider:train", test="spider:dev", comparison="spider")
_BIRD = DataConfig(databases="", seeds="bird:train", test="bird:dev", comparison="bird")
# Some 128 examples a step of Spider, 64 of BIRD.
_SPIDER_ROWS = Packing(4, 4096, longest_prefix=2048, longest_branch=256, longest_answer=128)
_BIRD_ROWS = Packing(2, 16384, longest_prefix=8192, longest_branch=512, longest_answer=320)


def paper_config(
  model: str, benchmark: Literal["spider", "bird"], learning_rate: float = 1e-4
) -> ConfigDict:
  """The run of one row of the paper's table.

  Args:
    model: name for the title; the weights are given with --config.model.hf_model=FOLDER.
    benchmark: "spider" or "bird": DIR holds it as it was published (see
      `examples/benchmark_splits.toml`).
    learning_rate: of supervised fine-tuning with LoRA. Self-play takes a fiftieth of it.
  """
  spider = benchmark == "spider"
  tuning = OptimizerConfig(learning_rate=learning_rate, schedule="cosine")
  gentle = OptimizerConfig(learning_rate=learning_rate / 50, schedule="constant")
  epoch = 80 if spider else 200  # steps for 7,000 (9,400) real and 3,000 synthetic examples
  config = RunConfig(
    name=f"SPFT-SQL, {model}, {'Spider' if spider else 'BIRD'}",
    data_dir="",
    data=_SPIDER if spider else _BIRD,
    model=ModelSource(dtype="bfloat16", lora_rank=64),
    prompt=PromptFormat(
      schema_style="ddl", comments=True, samples=0 if spider else 2, matched_values=5, chat=True
    ),
    packing=_SPIDER_ROWS if spider else _BIRD_ROWS,
    max_new_tokens=128 if spider else 320,
    lanes=256,
    seed_repeats=1,
    sft=Training(2 * epoch, tuning),
    synthesis=SynthesisConfig(
      examples=3000, pool_share=0.3, instances=4, model_questions=1.0, workers=8
    ),
    vbi_ft=VbiFtConfig(
      rounds=3,
      training=Training(2 * epoch, tuning),
      question_training=Training(epoch, tuning),
      verify=500,
      select=1000,
    ),
    self_play=SelfPlayConfig(
      iterations=2,
      questions=4000,
      training=Training(epoch, gentle),
      objective=Objective("error_driven", beta=0.1, nll_weight=0.5),
      spin_objective=Objective("spin", beta=0.1),
    ),
  )
  return ConfigDict(to_dict(config))
