"""The quickstart cut down until nothing is learned: every stage of the pipeline in a minute, for
tests of the pipeline itself.

    python experiments/spft.py --config=experiments/configs/demo_tiny.py --config.data_dir=DIR \
      --workdir=runs/demo_tiny

DIR holds the demo data (`runs/quickstart/demo`, or what `experiments/demo/make_databases.py`
writes).
"""

import dataclasses

from configs.quickstart import from_scratch
from ml_collections import ConfigDict

from spftsql_jax.pipeline.config import RunConfig, to_dict


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(tiny_config("")))


def tiny_config(data_dir: str) -> RunConfig:
  config, replace = from_scratch(), dataclasses.replace
  small = config.model.hf_config | {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
  }
  return replace(
    config,
    name="SPFT-SQL demo, tiny",
    data_dir=data_dir,
    data=replace(config.data, test_limit=8, seed_limit=40),
    model=replace(config.model, hf_config=small, vocab_size=600),
    packing=replace(
      config.packing, row_tokens=1024, longest_prefix=512, longest_branch=160, longest_answer=128
    ),
    sft=replace(config.sft, steps=3),
    synthesis=replace(config.synthesis, examples=60, wordings=2, workers=1),
    vbi_ft=replace(
      config.vbi_ft,
      rounds=2,
      training=replace(config.vbi_ft.training, steps=3),
      question_training=replace(config.vbi_ft.question_training, steps=2),
      verify=8,
      select=8,
    ),
    self_play=replace(
      config.self_play,
      iterations=2,
      questions=12,
      training=replace(config.self_play.training, steps=2),
    ),
    max_new_tokens=12,
    lanes=8,
    checkpoint_every=2,
  )
