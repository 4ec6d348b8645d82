"""SPFT-SQL with Qwen2.5-Coder-7B-Instruct on BIRD: a row of the paper's table.

    python experiments/spft.py --config=experiments/configs/qwen2_5_coder_7b_bird.py \
      --config.data_dir=DIR --config.model.hf_model=FOLDER --workdir=runs/qwen2_5_coder_7b_bird

FOLDER is Qwen2.5-Coder-7B-Instruct from Hugging Face; DIR holds train.json, dev.json and databases/
(both splits' databases in one folder). Chips: one GPU of 40 GiB or more (weights 15.2 GB in
bfloat16). Expected cost of the training: some ten times that of the Spider run, by the lengths of
BIRD's schemas and by its steps. Generation and execution come on top. Not run yet.
"""

from configs.paper import paper_config
from ml_collections import ConfigDict


def get_config() -> ConfigDict:
  return paper_config("Qwen2.5-Coder-7B-Instruct", "bird")
