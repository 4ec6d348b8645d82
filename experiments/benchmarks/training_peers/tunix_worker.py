"""tunix's DPOTrainer on the job's pairs, without a reference forward: it cannot take precomputed
reference log-probs.

Its step is the compiled one of `PeftTrainer`, fed as `PeftTrainer.train` feeds it. Pairs are sorted
into batches of like length and padded to a multiple of 64, which is kinder than the fixed lengths
that its users give.
"""

# Threads are set before the libraries that read them are imported.
# ruff: noqa: E402

from __future__ import annotations

import turns

JOB = turns.read_job()
turns.threads_of(JOB)

import importlib.metadata

import jax
import jax.numpy as jnp
import numpy as np
import optax
import qwix
from tunix.models.qwen2 import model as qwen2
from tunix.models.qwen2 import params as qwen2_params
from tunix.sft.dpo import dpo_trainer


def batches() -> list[dpo_trainer.TrainingInput]:
  batch = JOB["options"][0]
  records = sorted(JOB["records"], key=lambda r: len(r["prefix"]) + len(r["prompt"]))
  return [_padded(records[i : i + batch]) for i in range(0, len(records) - batch + 1, batch)]


def _padded(records: list[dict]) -> dpo_trainer.TrainingInput:
  def side(rows: list[list[int]], left: bool, longest: int) -> tuple[np.ndarray, np.ndarray]:
    width = -(-longest // 64) * 64
    ids, mask = np.ones((len(rows), width), np.int32), np.zeros((len(rows), width), np.int32)
    for i, row in enumerate(rows):
      place = slice(width - len(row), width) if left else slice(0, len(row))
      ids[i, place], mask[i, place] = row, 1
    return ids, mask

  prompts = [r["prefix"] + r["prompt"] for r in records]
  # tunix stacks both sides
  longest = max(len(r[name]) for r in records for name in ("chosen", "rejected"))
  prompt = side(prompts, True, max(map(len, prompts)))
  chosen, rejected = (
    side([r[name] for r in records], False, longest) for name in ("chosen", "rejected")
  )
  return dpo_trainer.TrainingInput(
    *prompt,
    chosen_ids=chosen[0],
    chosen_mask=chosen[1],
    rejected_ids=rejected[0],
    rejected_mask=rejected[1],
  )


def main() -> None:
  c = JOB["config"]
  config = qwen2.ModelConfig(
    num_layers=c["num_hidden_layers"],
    vocab_size=c["vocab_size"],
    embed_dim=c["hidden_size"],
    hidden_dim=c["intermediate_size"],
    num_heads=c["num_attention_heads"],
    head_dim=c["hidden_size"] // c["num_attention_heads"],
    num_kv_heads=c["num_key_value_heads"],
    rope_theta=c["rope_theta"],
    norm_eps=c["rms_norm_eps"],
    use_tied_embedding=True,
  )
  mesh = jax.make_mesh((1, 1), ("fsdp", "tp"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
  with mesh:
    model = qwen2_params.create_model_from_safe_tensors(
      JOB["model_dir"], config, mesh, dtype=jnp.float32
    )
    if JOB["lora"]:
      provider = qwix.LoraProvider(
        module_path=".*(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
        rank=16,
        alpha=32.0,
      )
      model = qwix.apply_lora_to_model(model, provider, **model.get_model_input())
    options = dpo_trainer.DPOTrainingConfig(eval_every_n_steps=1_000_000, max_steps=1_000_000)
    trainer = dpo_trainer.DPOTrainer(model, None, optax.adamw(1e-6), options)
    step, _ = trainer.jit_train_and_eval_step()
    data = batches()
    turn_batches = max(1, round(JOB["turn_records"] / JOB["options"][0]))
    place = 0

    def run(count: int) -> dict:
      nonlocal place
      tokens, records = 0, 0
      for _ in range(count):
        example = trainer._prepare_inputs(data[place % len(data)])
        place += 1
        loss, _, _ = step(example)
        tokens += example.input_ids.size
        records += len(example.input_ids) // 2
      jax.block_until_ready(loss)
      return {"tokens": tokens, "records": records, "loss": float(loss)}

    run(len(data))  # compiles every shape
    place = 0
    # The batches are in order of length: a turn takes of every length.
    data = [data[i] for i in np.random.default_rng(0).permutation(len(data))]
    turns.serve(
      lambda: run(turn_batches),
      versions={"google-tunix": importlib.metadata.version("google-tunix")},
    )


if __name__ == "__main__":
  main()
