"""TRL's DPOTrainer or SFTTrainer at its best on the job's records: `trainer.train()` as users run
it, a turn at a time.

DPO: reference log-probs precomputed, batches padded to their longest. SFT: packing (best fit
decreasing) with padding-free batches, loss on the SQL alone. The records' ids reach TRL as text of
one word a token, so that both sides train on the same ids.
"""

# Threads are set before the libraries that read them are imported.
# ruff: noqa: E402

from __future__ import annotations

import tempfile
import time

import turns

JOB = turns.read_job()
turns.threads_of(JOB)

import datasets
import peft
import tokenizers
import torch
import transformers
import trl

torch.set_num_threads(JOB["threads"])
datasets.disable_progress_bars()
transformers.logging.set_verbosity_error()


def word(i: int) -> str:
  # Special tokens are looked for inside of words: they must not begin any.
  return ("<end>", "<pad>")[i] if i < 2 else f"t{i}"


def tokenizer(vocab_size: int) -> transformers.PreTrainedTokenizerFast:
  words = tokenizers.Tokenizer(
    tokenizers.models.WordLevel({word(i): i for i in range(vocab_size)}, unk_token="t2")
  )
  words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
  return transformers.PreTrainedTokenizerFast(
    tokenizer_object=words, eos_token="<end>", pad_token="<pad>"
  )


def text(ids: list[int]) -> str:
  return " ".join(map(word, ids))


class Turns(transformers.TrainerCallback):
  """Times `steps` steps at a time and waits for the benchmark between them."""

  def start(self, steps: int, batch: int) -> None:
    """Another batch size begins."""
    self.steps, self.batch, self.done, self.said = steps, batch, 0, ""

  def on_step_begin(self, args, state, control, **kwargs):
    if self.done % self.steps == 0:
      if self.done == 0:
        turns.say(
          ready=True,
          option=self.batch,
          versions={"trl": trl.__version__, "torch": torch.__version__},
        )
      self.said = turns.wait()
      if self.said != "go":
        raise KeyboardInterrupt
      self.tokens, self.rows, self.began, self.cpu = 0, 0, time.perf_counter(), time.process_time()

  def on_step_end(self, args, state, control, **kwargs):
    self.done += 1
    if self.done % self.steps == 0:
      peak = 0
      if JOB["device"] == "gpu":
        torch.cuda.synchronize()
        peak = torch.cuda.max_memory_allocated()
      seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
      turns.say(
        seconds=seconds, cpu_seconds=cpu, records=self.rows, tokens=self.tokens, peak_bytes=peak
      )

  def count(self, module, arguments, values):
    ids = values.get("input_ids")
    ids = arguments[0] if ids is None else ids
    self.tokens += ids.numel()
    if JOB["loss"] == "dpo":
      self.rows += len(ids) // 2
    else:
      self.rows += int((values["position_ids"] == 0).sum())


def main() -> None:
  half = JOB["dtype"] == "bfloat16"
  # As users do on a GPU: float32 weights under autocast where they are trained, 16-bit ones where
  # they are frozen.
  dtype = torch.bfloat16 if half and JOB["lora"] else torch.float32
  model = transformers.AutoModelForCausalLM.from_pretrained(JOB["model_dir"], dtype=dtype)
  words = tokenizer(model.config.vocab_size)
  prompts = [text(r["prefix"] + r["prompt"]) for r in JOB["records"]]
  lora = (
    peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    if JOB["lora"]
    else None
  )
  turns.begin(JOB)
  with tempfile.TemporaryDirectory() as folder:
    shared = dict(
      output_dir=folder,
      per_device_train_batch_size=JOB["options"][0],
      max_steps=1_000_000,
      learning_rate=1e-6,
      logging_steps=1_000_000,
      save_strategy="no",
      report_to="none",
      disable_tqdm=True,
      use_cpu=JOB["device"] == "cpu",
      bf16=half,
      gradient_checkpointing=False,
      optim="adamw_torch",
      seed=0,
    )
    if JOB["loss"] == "dpo":
      columns = {
        "prompt": prompts,
        "chosen": [" " + text(r["chosen"]) for r in JOB["records"]],
        "rejected": [" " + text(r["rejected"]) for r in JOB["records"]],
      }
      config = trl.DPOConfig(
        precompute_ref_log_probs=True, precompute_ref_batch_size=8, max_length=None, **shared
      )
      kind = trl.DPOTrainer
    else:
      columns = {"prompt": prompts, "completion": [" " + text(r["chosen"]) for r in JOB["records"]]}
      config = trl.SFTConfig(
        packing=True, max_length=JOB["pack_to"], completion_only_loss=True, **shared
      )
      kind = trl.SFTTrainer
    timed = Turns()
    data = datasets.Dataset.from_dict(columns)
    trainer = kind(
      model=model,
      args=config,
      train_dataset=data,
      processing_class=words,
      peft_config=lora,
      callbacks=[timed],
    )
    if JOB["loss"] == "dpo":
      row = trainer.train_dataset[0]
      first = JOB["records"][0]
      assert (
        row["prompt_ids"] == first["prefix"] + first["prompt"]
        and row["chosen_ids"] == first["chosen"]
      ), "ids differ"
    model.register_forward_pre_hook(timed.count, with_kwargs=True)
    for batch in JOB["options"]:
      trainer.args.per_device_train_batch_size = trainer._train_batch_size = batch
      timed.start(steps_of_a_turn(batch), batch)
      try:
        trainer.train()
      except KeyboardInterrupt:
        if timed.said != "next":
          break
      except torch.OutOfMemoryError:
        trainer.model.zero_grad(set_to_none=True)
        turns.say(failed="out of memory", option=batch)
        if timed.said != "go" or turns.wait() != "next":
          break
      torch.cuda.empty_cache()


def steps_of_a_turn(batch: int) -> int:
  """About as many records as the job wants in a turn."""
  if JOB["loss"] == "dpo":
    return max(1, round(JOB["turn_records"] / batch))
  mean = sum(len(r["prefix"] + r["prompt"] + r["chosen"]) for r in JOB["records"]) / len(
    JOB["records"]
  )
  return max(1, round(JOB["turn_records"] * mean / (batch * JOB["pack_to"])))


if __name__ == "__main__":
  main()
