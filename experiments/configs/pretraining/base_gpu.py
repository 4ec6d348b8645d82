"""A larger base: more databases and more passes than a CPU has time for. Not trained yet.

    python experiments/pretrain_small.py --config=experiments/configs/pretraining/base_gpu.py \
      --workdir=runs/base --workers=16

Every 9 minutes may be a stretch of its own: a run that is ended by SIGTERM keeps its state, and the
same command goes on.
"""

import dataclasses

from configs.pretraining.base_small import base_small
from ml_collections import ConfigDict

from spftsql_jax.pipeline.config import to_dict
from spftsql_jax.pipeline.pretraining.config import CorpusConfig, Phase, PretrainingConfig
from spftsql_jax.training.optimizer import OptimizerConfig


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(base_gpu()))


def base_gpu() -> PretrainingConfig:
  small = base_small()
  return dataclasses.replace(
    small,
    corpus=CorpusConfig(shards=16, databases=500, examples=25),
    hf_config=small.hf_config | {"num_hidden_layers": 6, "intermediate_size": 768},
    packing=dataclasses.replace(small.packing, longest_prefix=1024),
    # Small updates until copying and SQL's words are there.
    first=dataclasses.replace(small.first, row_tokens=4096),
    main=Phase(2.0, 16384, 0.02, OptimizerConfig("muon", 2.5e-3, adam_share=0.3)),
    last=Phase(
      0.4,
      16384,
      0.0,
      OptimizerConfig("muon", 5e-4, adam_share=0.3, schedule="linear", warmup_share=0.0),
    ),
    draws=6,
    renamed_share=0.5,
    checkpoint_every=2000,
    evaluate_every=4000,
  )
