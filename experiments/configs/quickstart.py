"""SPFT-SQL on the demo databases, from the small base that comes along: the whole method in minutes
on two cores.

make quickstart        (python experiments/quickstart.py --workdir=runs/quickstart)
"""

import dataclasses

from ml_collections import ConfigDict

from spftsql_jax.base import base_in_the_box
from spftsql_jax.examples.packing import Packing
from spftsql_jax.pipeline.config import (
  DataConfig,
  RunConfig,
  SelfPlayConfig,
  SynthesisConfig,
  Training,
  VbiFtConfig,
  to_dict,
)
from spftsql_jax.pipeline.small_start import GENTLE, SCRATCH, SMALL_MODEL, SMALL_PROMPT
from spftsql_jax.training.step import Objective


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(quickstart()))


def quickstart() -> RunConfig:
  """From the base in the box; prompts, rates and lengths are its recipe's."""
  base, scratch, replace = base_in_the_box(), from_scratch(), dataclasses.replace
  if base is None:
    return scratch
  stage1 = replace(
    scratch.vbi_ft, training=Training(300, SCRATCH), question_training=Training(10, SCRATCH)
  )
  return replace(
    scratch,
    model=replace(scratch.model, hf_model=str(base)),
    packing=replace(scratch.packing, most_row_tokens=2048),
    sft=Training(30, SCRATCH),
    vbi_ft=stage1,
  )


def from_scratch() -> RunConfig:
  """From random weights, 0.7 million parameters, with a tokenizer of its own."""
  return RunConfig(
    name="SPFT-SQL quickstart",
    data_dir="",
    data=DataConfig(databases=".", seeds="seeds.json", test="test.json", comparison="strict"),
    model=SMALL_MODEL,
    prompt=SMALL_PROMPT,
    packing=Packing(row_tokens=2048, longest_prefix=112, longest_branch=104, longest_answer=64),
    max_new_tokens=64,
    sft=Training(60, SCRATCH),
    synthesis=SynthesisConfig(examples=3600, wordings=8, model_questions=0.02),
    vbi_ft=VbiFtConfig(
      rounds=2,
      training=Training(280, SCRATCH),
      question_training=Training(20, SCRATCH),
      verify=128,
      select=128,
    ),
    self_play=SelfPlayConfig(
      iterations=2,
      questions=320,
      training=Training(20, GENTLE),
      objective=Objective("error_driven", beta=0.1, nll_weight=0.5),
      spin_objective=Objective("spin", beta=0.1),
    ),
  )
