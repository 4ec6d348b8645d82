"""What TRL computes on a small random model and its reference: log-probs, DPO losses (sigmoid) and
gradient norms.

    python tests/trl_reference.py tests/data/trl_reference.json

in an environment with trl 1.16.0, torch and pytest wrote the golden numbers; `test_training_trl.py`
compares with them, and, where trl is installed, with TRL itself. SPIN as published (arXiv
2401.01335, Eq. 4.7) is the same function of pairs whose y- the opponent wrote and whose reference
is the opponent.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import hf_checkpoints as checkpoints

BETAS = (0.1, 0.7)
CONFIG = checkpoints.hf_config("qwen2") | {"num_hidden_layers": 2, "tie_word_embeddings": True}


def write_models(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
  """(policy, reference): two models of one architecture whose weights NumPy draws."""
  policy = checkpoints.random_tensors(CONFIG, 0)
  noise = checkpoints.random_tensors(CONFIG, 1)
  reference = {name: (policy[name] + 0.2 * noise[name]).astype(np.float32) for name in policy}
  return tuple(
    checkpoints.write_checkpoint(folder / name, CONFIG, tensors)
    for name, tensors in (("policy", policy), ("reference", reference))
  )


def pairs() -> list[dict[str, list[int]]]:
  """Six pairs over two schemas, of many lengths. Ids 0 to 2 are kept for special tokens."""
  rng = np.random.default_rng(5)

  def draw(low: int, high: int) -> list[int]:
    return rng.integers(3, checkpoints.VOCABULARY, rng.integers(low, high)).tolist()

  schemas = [draw(10, 20), draw(10, 20)]
  return [
    {
      "prefix": schemas[i % 2],
      "prompt": draw(2, 8),
      "chosen": [*draw(2, 9), 2],
      "rejected": [*draw(2, 9), 2],
    }
    for i in range(6)
  ]


def trl_values(folder: pathlib.Path) -> dict:
  """What TRL computes; needs trl."""
  import datasets
  import tokenizers
  import torch
  import transformers
  import trl

  datasets.disable_progress_bars()
  policy, reference = write_models(folder)

  def word(i: int) -> str:
    return ("<unknown>", "<pad>", "<end>")[i] if i < 3 else f"t{i}"

  words = tokenizers.Tokenizer(
    tokenizers.models.WordLevel(
      {word(i): i for i in range(checkpoints.VOCABULARY)}, unk_token="<unknown>"
    )
  )
  words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
  tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=words, eos_token="<end>", pad_token="<pad>"
  )
  text = lambda ids: " ".join(map(word, ids))  # noqa: E731
  data = datasets.Dataset.from_dict(
    {
      "prompt": [text(p["prefix"] + p["prompt"]) for p in pairs()],
      "chosen": [" " + text(p["chosen"]) for p in pairs()],
      "rejected": [" " + text(p["rejected"]) for p in pairs()],
    }
  )
  load = lambda path: transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)  # noqa: E731
  out: dict = {"trl": trl.__version__, "losses": {}, "gradient_norms": {}}
  for beta in BETAS:
    config = trl.DPOConfig(
      output_dir=str(folder / "out"),
      beta=beta,
      per_device_train_batch_size=6,
      max_length=None,
      report_to="none",
      use_cpu=True,
      bf16=False,
      disable_tqdm=True,
      gradient_checkpointing=False,
    )
    model = load(policy)
    shared = {"args": config, "train_dataset": data, "processing_class": tokenizer}
    trainer = trl.DPOTrainer(model=model, ref_model=load(reference), **shared)
    rows = [trainer.train_dataset[i] for i in range(6)]
    assert [r["chosen_ids"] for r in rows] == [p["chosen"] for p in pairs()]
    inputs = trainer.data_collator(rows)
    loss = trainer.compute_loss(model, inputs)
    loss.backward()
    squares = sum(
      float(p.grad.double().square().sum()) for p in model.parameters() if p.grad is not None
    )
    out["losses"][str(beta)], out["gradient_norms"][str(beta)] = float(loss), squares**0.5
    for name, one in (("policy", model), ("reference", trainer.ref_model)):
      chosen, rejected = trainer.compute_ref_log_probs(one, trainer.data_collator(rows))
      out[name] = {"chosen": chosen.tolist(), "rejected": rejected.tolist()}
  return out


if __name__ == "__main__":
  with tempfile.TemporaryDirectory() as scratch:
    values = trl_values(pathlib.Path(scratch))
  pathlib.Path(sys.argv[1]).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
