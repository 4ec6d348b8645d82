"""The study of stage 2 on the demo databases: every arm on the same questions, batches and seeds,
with `experiments/study.py`, which prints what it will take first.

    python experiments/demo/make_databases.py --output=runs/demo
    python experiments/study.py --config=experiments/configs/study/demo.py \
      --config.data_dir=runs/demo --workdir=runs/study_demo

The 324 questions written by hand are the test; 2,000 synthesized ones, of templates that nothing
is trained on, stand beside it (the selection split, by which nothing is selected here). With a
linking line before the SQL: --config.prompt.answer_style=linked. From a pretrained base:
--config.model.hf_model=FOLDER. Not run yet.
"""

import dataclasses

from configs.quickstart import quickstart
from configs.study.arms import ARMS
from ml_collections import ConfigDict

from spftsql_jax.pipeline.config import RunConfig, to_dict
from spftsql_jax.pipeline.stage2_config import HeadroomConfig


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(study()))


def study() -> RunConfig:
  config, replace = quickstart(), dataclasses.replace
  return replace(
    config,
    name="Stage 2 on the demo databases",
    # An answer with a linking line is longer than the quickstart's: lengths are chosen.
    packing=replace(config.packing, longest_prefix=0, longest_branch=0, longest_answer=0),
    max_new_tokens=0,
    vbi_ft=replace(config.vbi_ft, select=2000),
    headroom=HeadroomConfig(questions=200, force=True),
    self_play=replace(
      config.self_play,
      iterations=2,
      questions=800,
      fresh=True,
      final_step=True,
      training=replace(config.self_play.training, steps=60),
      baselines=("sft_control", "spin", "exspin", "dpo"),
      arms=ARMS,
    ),
  )
