"""Padded batches beside packed rows: padding, programs, seconds to compile, and records a second.

    python experiments/benchmarks/packed_rows.py --spider=SPIDER \\
        --tokenizers=qwen2=DIR,smollm2=DIR --output=FILE.json

counts, over all of Spider's training questions and for each tokenizer, what an epoch of SFT and of
pairs computes: in the padded form with the buckets that benchmarks/training.py takes on a CPU and
on a GPU, and in packed rows. y- is another query of the database.

Then the forms train in turns in one process, packed rows also with products rounded to bfloat16
where the CPU has units for it, and on a CPU that JAX is told to see as several devices
(JAX_NUM_CPU_DEVICES=2) spread over these, a row each ("spread"; the other forms are on the first):
the small model of training_peers/model.json, and with --model=DIR (a Hugging Face folder,
SmolLM2-135M for instance) that model with LoRA of rank 16.
Reported are medians over --turns of records a second by the CPU time of the process and by the wall
clock; where other processes load the machine the former is the one to read. The records are
--questions of each of --databases databases, at even steps of the questions by their schema's
length. `loaded` tells how many processes wanted the cores meanwhile.

On a GPU all is in bfloat16, the padded form has the GPU's buckets, rows are up to 16,384 tokens
long, and useful_mfu is the share of the chip's peak that the operations of real tokens take. No
loss begins, and no turn but each form's first, behind --budget_s seconds: on a GPU 420, so that a
call ends within nine minutes. What is left out is said.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import launch

from absl import flags  # isort: skip
import measuring
import numpy as np

_SPIDER = flags.DEFINE_string("spider", None, "Folder of Spider.", required=True)
_TOKENIZERS = flags.DEFINE_list("tokenizers", None, "NAME=FOLDER of each.", required=True)
_MODEL = flags.DEFINE_string("model", None, "Folder of a model to train with LoRA; none without.")
_DATABASES = flags.DEFINE_integer("databases", 6, "Databases of the timed records.", lower_bound=1)
_QUESTIONS = flags.DEFINE_integer("questions", 40, "Questions a database.", lower_bound=1)
_MODEL_QUESTIONS = flags.DEFINE_integer("model_questions", 12, "The same with --model.")
_MODEL_DATABASES = flags.DEFINE_integer("model_databases", 3, "The same with --model.")
_TURNS = flags.DEFINE_integer("turns", 3, "Turns of each form.", lower_bound=1)
_PARTS = flags.DEFINE_list("parts", ["count", "small", "model"], "Which parts, in order.")
_ROW_TOKENS = flags.DEFINE_integer("row_tokens", 4096, "Tokens of a packed row at most, on a CPU.")
_LOSSES = flags.DEFINE_list("losses", ["sft", "dpo"], "Which losses are timed.")
_BUDGET = flags.DEFINE_float(
  "budget_s", 0, "Nothing begins behind so many seconds; 0 for no limit (GPU: 420).", lower_bound=0
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

# The padded form's buckets in benchmarks/training.py.
_BUCKETS = {
  "cpu": {
    "schemas": 1,
    "branches": 32,
    "prefix_buckets": 6,
    "branch_buckets": 4,
    "branch_counts": 2,
  },
  "gpu": {
    "schemas": 4,
    "branches": 40,
    "prefix_buckets": 1,
    "branch_buckets": 2,
    "answer_buckets": 1,
  },
}


_BEGAN = time.perf_counter()


def main() -> None:
  report: dict[str, Any] = {"cores": os.cpu_count()}
  tokenizers = dict(item.split("=", 1) for item in _TOKENIZERS.value)
  for part in _PARTS.value:
    if part == "count":
      report["count"] = {name: counted(folder) for name, folder in tokenizers.items()}
    elif part == "small" or (part == "model" and _MODEL.value):
      report[part] = {}
      for loss in _LOSSES.value:
        if left() <= 0:
          report.setdefault("left_out", []).append(f"{part}, {loss}")
          print(f"left out, there is no time: {part}, {loss}", flush=True)
        elif part == "small":
          report[part][loss] = timed_small(tokenizers, loss)
        elif _MODEL.value:
          report[part][loss] = timed_model(_MODEL.value, loss)
    print(part, json.dumps(report.get(part)), flush=True)
    Path(_OUTPUT.value).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def on_gpu() -> bool:
  """Whether the forms are timed on a GPU."""
  import jax

  return jax.default_backend() == "gpu"


def left() -> float:
  """Seconds in which something may still begin."""
  budget = _BUDGET.value or (420.0 if on_gpu() else float("inf"))
  return budget - (time.perf_counter() - _BEGAN)


def spider_units(folder: str, pairs: bool, vocab_size: int | None = None) -> list[Any]:
  """Units of all of Spider's training questions, in order of their schema's length.

  `vocab_size` folds ids into a smaller vocabulary.
  """
  from spftsql_jax.databases.introspection import read_schema
  from spftsql_jax.examples.batches import Branch, Unit
  from spftsql_jax.examples.benchmarks import find_database, read_examples
  from spftsql_jax.examples.prompts import PromptFormat
  from spftsql_jax.examples.tokenizer import load_tokenizer

  root = Path(_SPIDER.value)
  tokenizer = load_tokenizer(folder, PromptFormat(matched_values=0))
  by_database: dict[str, list[Any]] = {}
  for example in read_examples(root / "train_spider.json"):
    if (root / "database" / example.db_id / f"{example.db_id}.sqlite").is_file():
      by_database.setdefault(example.db_id, []).append(example)
  rng = np.random.default_rng(0)

  def fold(ids: Sequence[int]) -> tuple[int, ...]:
    return tuple(ids) if vocab_size is None else tuple(2 + i % (vocab_size - 2) for i in ids)

  schemas = {d: read_schema(str(find_database(root / "database", d))) for d in by_database}
  units = []
  for database in sorted(by_database, key=lambda d: (len(tokenizer.prefix(schemas[d])), d)):
    examples, prefix = by_database[database], fold(tokenizer.prefix(schemas[database]))
    for example in examples:
      others = [e.query for e in examples if e.query != example.query] or [example.query]
      queries = [example.query, others[rng.integers(len(others))]][: 1 + pairs]
      prompt = fold(tokenizer.question(example.question))
      sides = tuple(Branch(prefix, prompt, fold(tokenizer.answer(q, "sqlite"))) for q in queries)
      units.append(Unit(sides, 1.0, (-20.0, -20.0) if pairs else ()))
  return units


def chosen_of(units: list[Any], databases: int, questions: int) -> list[Any]:
  """`questions` units of each of `databases` prefixes at even steps of the units."""
  by_prefix: dict[Any, list[Any]] = {}
  for unit in units:
    by_prefix.setdefault(unit.branches[0].prefix, []).append(unit)
  steps = [units[int((i + 0.5) / databases * len(units))] for i in range(databases)]
  return [u for s in steps for u in by_prefix[s.branches[0].prefix][:questions]]


def padded_plan(units: list[Any], buckets: dict[str, int], pad_id: int) -> list[Any]:
  """An epoch's batches in the padded form."""
  from spftsql_jax.examples.batches import choose_shape, collate, plan_epoch

  shape = choose_shape(units, **buckets)
  plan = plan_epoch(units, shape, np.random.default_rng(0))
  return [collate(units, groups, shape, pad_id) for groups in plan]


def packed_plan(units: list[Any], pad_id: int, most_tokens: int, each: int = 1) -> list[Any]:
  """An epoch's batches of packed rows, `each` rows of them; empty ones fill the last."""
  from spftsql_jax.examples.packing import choose_row_shape, pack, plan_rows

  shape = choose_row_shape(units, most_tokens)
  rows = plan_rows(units, shape, np.random.default_rng(0))
  starts = range(0, len(rows), each)
  return [pack(units, rows[i : i + each], shape, pad_id, count=each) for i in starts]


def counted(folder: str) -> dict[str, Any]:
  """What an epoch computes in each form."""
  report: dict[str, Any] = {}
  for name, pairs in (("sft", False), ("pairs", True)):
    units = spider_units(folder, pairs)
    prefixes = {u.branches[0].prefix for u in units}
    report[name] = {
      "units": len(units),
      "mean_prefix": round(float(np.mean([len(p) for p in prefixes])), 1),
    }
    for device, buckets in _BUCKETS.items():
      report[name][f"padded_{device}"] = summary(padded_plan(units, buckets, 1))
    for most in (4096, 32768):
      report[name][f"packed_{most}"] = summary(packed_plan(units, 1, most))
  return report


def summary(batches: list[Any]) -> dict[str, Any]:
  """Padding, computed tokens and programs of an epoch's batches."""
  import jax

  from spftsql_jax.examples.packing import PackedBatch, count_rows

  shapes = {shape_of(batch) for batch in batches}
  out: dict[str, Any] = {"batches": len(batches), "programs": len(shapes)}
  if isinstance(batches[0], PackedBatch):
    whole = jax.tree.map(lambda *x: np.concatenate(x), *batches)
    counts = count_rows(whole)
    logits = whole.targets.size
    out |= {
      "row_tokens": whole.tokens.shape[1],
      "repeated_share": round(counts.repeated / counts.computed, 4),
    }
    computed, real, answer_tokens = counts.computed, counts.real, counts.answer_tokens
  else:
    computed = sum(b.prefix.size + b.branch.size for b in batches)
    logits = sum(b.answer_lengths.size * b.max_answer for b in batches)
    counted = [b.answer_lengths > 0 for b in batches]
    real = sum(
      int(b.prefix_lengths[c.any(axis=1)].sum() + (b.answer_start + b.answer_lengths)[c].sum())
      for b, c in zip(batches, counted, strict=True)
    )
    answer_tokens = sum(int(b.answer_lengths.sum()) for b in batches)
  return out | {
    "computed_tokens": computed,
    "padding_share": round(1 - real / computed, 4),
    "computed_logits_for_each_needed": round(logits / answer_tokens, 2),
  }


def shape_of(batch: Any) -> Any:
  """What a program is compiled for."""
  import jax

  return tuple(x.shape for x in jax.tree.leaves(batch)), getattr(batch, "max_answer", 0)


def timed_small(tokenizers: dict[str, str], loss: str) -> dict[str, Any]:
  """The forms with the small random model, all of it trained."""
  import jax

  from spftsql_jax.models import Decoder, ModelConfig, init_params

  told = json.loads((Path(__file__).parent / "training_peers" / "model.json").read_text())
  config = ModelConfig.from_hf(told, dtype="bfloat16" if on_gpu() else "float32")
  units = spider_units(next(iter(tokenizers.values())), loss != "sft", config.vocab_size)
  units = chosen_of(units, _DATABASES.value, _QUESTIONS.value)
  return timed(Decoder(config), init_params(config, jax.random.key(0)), None, units, loss)


def timed_model(folder: str, loss: str) -> dict[str, Any]:
  """The forms with the model in a folder and an adapter."""
  import jax

  from spftsql_jax.models import LoraConfig, init_lora, load_hf

  model, params = load_hf(folder, "bfloat16" if on_gpu() else "float32")
  lora = LoraConfig(16, 32.0)
  units = spider_units(folder, loss != "sft")
  units = chosen_of(units, _MODEL_DATABASES.value, _MODEL_QUESTIONS.value)
  adapter = init_lora(model.config, lora, jax.random.key(0))
  return timed(model.clone(lora=lora), adapter, params, units, loss)


@dataclasses.dataclass(frozen=True)
class Form:
  """A way to compute the same updates.

  Attributes:
    batches: of an epoch. model: that computes them.
    trainable, frozen: its starting weights, on the devices of the form.
    mesh: devices that share a batch's rows; None for the first one alone.
  """

  batches: list[Any]
  model: Any
  trainable: Any
  frozen: Any
  mesh: Any = None

  def place(self, batch: Any) -> Any:
    """Microbatches [1, R, ...] on the devices."""
    from spftsql_jax.training.trainer import to_devices

    return to_devices(batch, self.mesh)

  def on_devices(self) -> contextlib.AbstractContextManager:
    """Within, programs are made for the form's devices."""
    from spftsql_jax.models.sharding import use_mesh

    return contextlib.nullcontext() if self.mesh is None else use_mesh(self.mesh)


def forms_of(model: Any, trainable: Any, frozen: Any, units: list[Any]) -> dict[str, Form]:
  """The forms that this machine has."""
  import jax
  from jax.sharding import NamedSharding, PartitionSpec

  from spftsql_jax.models.products import has_fast_bfloat16
  from spftsql_jax.models.sharding import make_mesh, put

  buckets, longest = _BUCKETS["cpu"], _ROW_TOKENS.value
  if on_gpu():
    buckets, longest = _BUCKETS["gpu"], 16384
  packed = packed_plan(units, 1, longest)
  forms = {
    "padded": Form(padded_plan(units, buckets, 1), model, trainable, frozen),
    "packed": Form(packed, model, trainable, frozen),
  }
  if has_fast_bfloat16():
    forms["rounded"] = Form(packed, model.rounded(), trainable, frozen)
  if jax.default_backend() == "cpu" and jax.device_count() > 1:
    mesh = make_mesh()
    spread = packed_plan(units, 1, longest, each=jax.device_count())
    everywhere = NamedSharding(mesh, PartitionSpec())
    spread_out = [tree and put(tree, everywhere) for tree in (trainable, frozen)]
    forms["spread"] = Form(spread, model, spread_out[0], spread_out[1], mesh)
  return forms


def timed(model: Any, trainable: Any, frozen: Any, units: list[Any], loss: Any) -> dict[str, Any]:
  """Medians of the forms over the units, in turns."""
  import jax

  from spftsql_jax.models.flops import peak_flops, step_flops
  from spftsql_jax.training.optimizer import OptimizerConfig
  from spftsql_jax.training.state import state_shardings
  from spftsql_jax.training.step import (
    Objective,
    init_state,
    make_train_step,
    numbers_of,
    program_of,
  )

  objective, optimizer = Objective(loss), OptimizerConfig()
  forms = forms_of(model, trainable, frozen, units)
  report: dict[str, Any] = {"records": len(units)}
  turns: dict[str, Callable[[], Any]] = {}
  for name, form in forms.items():
    pinned = None if form.mesh is None else state_shardings(optimizer, form.trainable)
    step = make_train_step(form.model, optimizer, program_of(objective), pinned)
    stacked = [jax.tree.map(lambda x: x[None], batch) for batch in form.batches]
    programs: dict[Any, Any] = {}

    def compile_all(
      form: Form = form, step: Any = step, stacked: Any = stacked, programs: Any = programs
    ) -> None:
      state, numbers = init_state(optimizer, form.trainable), numbers_of(objective)
      for batch in stacked:
        if shape_of(batch) not in programs:
          with form.on_devices():
            lowered = step.lower(state, form.frozen, form.place(batch), 0.0, numbers)
          programs[shape_of(batch)] = lowered.compile()

    def turn(form: Form = form, stacked: Any = stacked, programs: Any = programs) -> list[float]:
      state, losses, numbers = init_state(optimizer, form.trainable), [], numbers_of(objective)
      for batch in stacked:
        program = programs[shape_of(batch)]
        state, metrics = program(state, form.frozen, form.place(batch), 0.0, numbers)
        losses.append(metrics["loss"])
      return [float(x) for x in losses]

    _, compiling = measuring.clock(compile_all)
    turns[name] = turn
    temporary = max(p.memory_analysis().temp_size_in_bytes for p in programs.values())
    report[name] = summary(form.batches) | {
      "compile_cpu_s": round(compiling, 1),
      "temporary_gib": round(temporary / 2**30, 2),
    }
    turn()  # the first pass warms up
    print(name, json.dumps(report[name]), flush=True)
  results: dict[str, list[tuple[float, float]]] = {name: [] for name in turns}
  for number in range(_TURNS.value):
    if number and left() <= 0:
      report["turns"] = number
      break
    for name, one_turn in turns.items():
      results[name].append(measuring.clock(one_turn))
  for name, times in results.items():
    wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
    report[name] |= {
      "records_a_cpu_second": round(len(units) / cpu, 3),
      "records_a_second": round(len(units) / wall, 3),
      "all_cpu_seconds": [round(c, 2) for _, c in times],
    }
  for kind in ("records_a_cpu_second", "records_a_second"):
    for name in [n for n in forms if n != "padded"]:
      report[name][f"times_{kind}"] = round(report[name][kind] / report["padded"][kind], 2)
  # Of real tokens alone, whatever a form computes.
  useful = sum(step_flops(model.config, batch, model.lora) for batch in forms["packed"].batches)
  for name in forms:
    rate = useful * report[name]["records_a_second"] / len(units)
    report[name]["useful_gflop_a_second"] = round(rate / 1e9, 1)
    if peak := peak_flops():
      report[name]["useful_mfu"] = round(rate / peak, 3)
  report["loaded"] = round(os.getloadavg()[0], 1)
  print(loss, json.dumps(report), flush=True)
  return report


if __name__ == "__main__":
  launch(main)
