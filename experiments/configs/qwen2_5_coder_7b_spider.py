"""SPFT-SQL with Qwen2.5-Coder-7B-Instruct on Spider: a row of the paper's table.

    python experiments/spft.py --config=experiments/configs/qwen2_5_coder_7b_spider.py \
      --config.data_dir=DIR --config.model.hf_model=FOLDER --workdir=runs/qwen2_5_coder_7b_spider

FOLDER is Qwen2.5-Coder-7B-Instruct from Hugging Face; DIR holds train_spider.json, dev.json and
database/. Chips: one GPU of 40 GiB or more (weights 15.2 GB in bfloat16). Expected cost of the
training: 7.5 million tokens computed (a schema once for its questions; Spider's schemas of 264,
questions of 15 and SQL of 31 tokens on average), at four operations a weight (frozen weights under
LoRA) 0.23 EFLOP. Generation and execution come on top. Not run yet.
"""

from configs.paper import paper_config
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  return paper_config("Qwen2.5-Coder-7B-Instruct", "spider")
