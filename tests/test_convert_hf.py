"""convert_hf.py: model folders to a model base and back, adapters to peft, and one clear line for
what cannot be done.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hf_checkpoints as checkpoints

from spftsql_jax.answering.exported import PROMPT_FILE, load_exported
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import Decoder, LoraConfig, init_lora, load_hf, next_token_logits
from spftsql_jax.pipeline.model_base import Lineage, ModelBase, Score

ROOT = pathlib.Path(__file__).parents[1]
STYLE = PromptFormat(schema_style="compact", samples=1)
LORA = LoraConfig(rank=2, alpha=4.0, modules=("q", "v", "up"))
CHAT = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"
# Runs command lines of the script one after the other in one process: starting it is most of the
# time.
_DRIVER = """
import contextlib, io, json, sys
sys.path.insert(0, "experiments")
import convert_hf
from absl.testing import flagsaver
for arguments in json.loads(sys.argv[1]):
  out, error, code = io.StringIO(), io.StringIO(), None
  sys.argv = ["convert_hf.py", *arguments]
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), flagsaver.flagsaver():
    try:
      convert_hf.launch(convert_hf.main)
    except SystemExit as stop:
      code = stop.code or 0
  print(json.dumps([code, out.getvalue(), error.getvalue()]), flush=True)
"""


def convert(*command_lines: list[str]) -> list[tuple[int, str, str]]:
  """(exit code, stdout, stderr) of each command line."""
  command = [
    sys.executable,
    "-c",
    _DRIVER,
    json.dumps([[str(a) for a in line] for line in command_lines]),
  ]
  done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
  assert done.returncode == 0, done.stderr
  return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """A Hugging Face folder (bfloat16, norms float32), a run folder with an adapter and with params,
  and what they convert to.
  """
  root = tmp_path_factory.mktemp("convert")
  hf = train_bpe(["SELECT name FROM singer WHERE age > 3"] * 4, 300)
  hf.chat_template = CHAT
  config = checkpoints.hf_config("qwen2_windows_in_upper_layers") | {
    "vocab_size": len(hf),
    "eos_token_id": 0,
  }
  tensors = checkpoints.random_tensors(config)
  tensors = {k: v if "norm" in k else v.astype(ml_dtypes.bfloat16) for k, v in tensors.items()}
  checkpoints.write_checkpoint(root / "hf", config, tensors)
  hf.save_pretrained(root / "hf")
  (root / "hf" / "generation_config.json").write_text(
    '{"eos_token_id": [0, 1], "repetition_penalty": 1.1}'
  )

  run = root / "run"
  checkpoints.write_checkpoint(run / "start", config, checkpoints.random_tensors(config))
  hf.save_pretrained(run / "start")
  (run / "config.json").write_text(json.dumps({"prompt": vars(STYLE), "max_new_tokens": 40}))
  base, model = ModelBase(run / "model_base"), load_hf(run / "start")
  adapter = init_lora(model[0].config, LORA, jax.random.key(0))
  adapter = jax.tree.map(
    lambda leaf: leaf + 0.05 * jax.random.normal(jax.random.key(leaf.size), leaf.shape), adapter
  )
  base.add("whole", model[1], Lineage("sft", prompt_format=STYLE.fingerprint))
  base.add("adapter", adapter, Lineage("sft", prompt_format=STYLE.fingerprint))
  base.add("other_prompt", adapter, Lineage("sft", prompt_format="ddl-v1-0"))
  base.add_score("whole", "selection", Score(0.25, 1.0, (True, False, False, False)))
  base.add_score("adapter", "selection", Score(0.5, 1.0, (True, True, False, False)))

  results = convert(
    ["--hf_model", root / "hf", "--output", root / "base"],
    ["--checkpoint", root / "base", "--output", root / "back"],
    ["--checkpoint", f"{root / 'base'}:base", "--output", root / "half", "--dtype=float16"],
    ["--checkpoint", run, "--output", root / "best"],
    ["--checkpoint", f"{run}:adapter", "--output", root / "peft", "--peft"],
  )
  for code, out, error in results:
    assert code == 0 and not error and out.count("\n") == 1, (code, out, error)
  return {"root": root, "tensors": tensors, "config": config, "model": model, "adapter": adapter}


def test_a_folder_comes_back_with_every_byte(folders):
  root = folders["root"]
  written = safetensors.numpy.load_file(root / "back" / "model.safetensors")
  assert written.keys() == folders["tensors"].keys()
  for name, value in folders["tensors"].items():
    assert written[name].dtype == value.dtype and written[name].tobytes() == value.tobytes(), name
  config = json.loads((root / "back" / "config.json").read_text())
  assert config.items() >= folders["config"].items()
  assert json.loads((root / "back" / "generation_config.json").read_text()) == {
    "bos_token_id": 1,
    "eos_token_id": [0, 1],
    "do_sample": False,
  }
  for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
    assert (root / "back" / name).read_bytes() == (root / "hf" / name).read_bytes()
  half = safetensors.numpy.load_file(root / "half" / "model.safetensors")
  assert {v.dtype for v in half.values()} == {np.dtype(np.float16)}


def test_what_is_written_loads_in_transformers(folders):
  transformers = pytest.importorskip("transformers")
  checkpoints.quiet_transformers()
  root = folders["root"]
  tokenizer = transformers.AutoTokenizer.from_pretrained(str(root / "back"))
  assert tokenizer.chat_template == CHAT
  (model, params), tokens = folders["model"], checkpoints.random_tokens((2, 30))
  adapted = Decoder(model.config, lora=LORA)
  ours = np.asarray(jax.jit(adapted.apply)({"params": params, "lora": folders["adapter"]}, tokens))
  assert np.abs(ours - jax.jit(model.apply)({"params": params}, tokens)).max() > 0.1
  # The best on the selection split is the adapter, merged here; and beside its base in peft.
  merged = checkpoints.torch_model(root / "best")
  np.testing.assert_allclose(checkpoints.torch_logits(merged, tokens), ours, atol=1e-4)
  beside = checkpoints.torch_model(root / "run" / "start", root / "peft")
  np.testing.assert_allclose(checkpoints.torch_logits(beside, tokens), ours, atol=1e-4)


def test_the_prompt_format_goes_with_the_model(folders):
  for folder in ("best", "peft"):
    record = json.loads((folders["root"] / folder / PROMPT_FILE).read_text())
    assert record.pop("max_new_tokens") == 40 and PromptFormat(**record) == STYLE
  assert not (folders["root"] / "back" / PROMPT_FILE).exists()


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_of_peft_becomes_a_model(folders, tmp_path, rslora):
  torch = pytest.importorskip("torch", reason="torch is not installed")
  peft = pytest.importorskip("peft", reason="peft is not installed")
  checkpoints.quiet_transformers()
  start = folders["root"] / "run" / "start"
  options = peft.LoraConfig(
    r=4,
    lora_alpha=6,
    target_modules=["q_proj", "o_proj", "down_proj"],
    task_type="CAUSAL_LM",
    use_rslora=rslora,
  )
  theirs = peft.get_peft_model(checkpoints.torch_model(start), options).eval()
  torch.manual_seed(0)
  for key, value in theirs.named_parameters():
    if "lora_B" in key:
      value.data.normal_(std=0.02)
  theirs.save_pretrained(str(tmp_path / "adapter"))
  out = tmp_path / "out"
  # Its base is what it names, or what is given.
  given = ["--hf_model", start] if rslora else []
  [(code, _, error)] = convert(["--peft_adapter", tmp_path / "adapter", *given, "--output", out])
  assert code == 0, error
  tokens = checkpoints.random_tokens((2, 17))
  expected = checkpoints.torch_logits(theirs, tokens)
  model, params = load_hf(out)
  np.testing.assert_allclose(next_token_logits(model, params, tokens), expected, atol=1e-4)
  base, before = load_hf(start)
  assert np.abs(next_token_logits(base, before, tokens) - expected).max() > 0.01
  # Each weight as peft itself merges it.
  written = safetensors.numpy.load_file(out / "model.safetensors")
  for name, weight in theirs.merge_and_unload().state_dict().items():
    if name in written:  # a tied head is not
      np.testing.assert_allclose(written[name], weight.numpy(), atol=1e-7, rtol=1e-6)
  assert len(written) > 10
  assert (out / "tokenizer.json").read_bytes() == (start / "tokenizer.json").read_bytes()


def test_an_adapter_is_asked_like_its_merged_model(folders):
  root = folders["root"]
  merged, beside = load_exported(root / "best"), load_exported(root / "peft")
  assert beside.tokenizer.style == merged.tokenizer.style == STYLE
  assert beside.tokenizer.end_ids == merged.tokenizer.end_ids
  assert beside.max_new_tokens == 40
  for one, other in zip(*map(jax.tree.leaves, (merged.params, beside.params)), strict=True):
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_model_card_goes_with_the_model(folders):
  root = folders["root"]
  for folder, library in (("best", "transformers"), ("peft", "peft")):
    card = (root / folder / "README.md").read_text()
    assert f"library_name: {library}\n" in card and "the run has not ended" in card
  assert not (root / "back" / "README.md").exists(), "no run, no card"


@pytest.mark.parametrize("version", ["whole", "adapter"])
def test_a_run_in_bfloat16_is_written_as_it_was_measured(folders, tmp_path, version):
  """Its versions are float32 all the same; --dtype=float32 writes these."""
  run = shutil.copytree(folders["root"] / "run", tmp_path / "run")
  record = json.loads((run / "config.json").read_text())
  (run / "config.json").write_text(json.dumps(record | {"model": {"dtype": "bfloat16"}}))
  commands = [["--checkpoint", f"{run}:{version}", "--output", tmp_path / "out"]]
  commands += [
    ["--checkpoint", f"{run}:{version}", "--output", tmp_path / "wide", "--dtype=float32"]
  ]
  assert [code for code, _, _ in convert(*commands)] == [0, 0]
  for folder, kind in (("out", "bfloat16"), ("wide", "float32")):
    written = safetensors.numpy.load_file(tmp_path / folder / "model.safetensors")
    assert {v.dtype.name for v in written.values()} == {kind}
    assert json.loads((tmp_path / folder / "config.json").read_text())["dtype"] == kind


def test_an_adapter_has_tokenizer_and_ends_beside_it(folders):
  root = folders["root"]
  for folder in ("best", "peft"):
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
      assert (root / folder / name).read_bytes() == (root / "run" / "start" / name).read_bytes()
    written = json.loads((root / folder / "generation_config.json").read_text())
    assert written == {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 1, "do_sample": False}
  # transformers would take the adapter for a model
  assert not (root / "peft" / "config.json").exists()


def test_what_cannot_be_converted_is_said_in_one_line(folders, tmp_path):
  root = folders["root"]
  tensors = {
    **folders["tensors"],
    "model.layers.9.mlp.up_proj.weight": np.zeros((4, 4), np.float32),
  }
  del tensors["model.norm.weight"]
  checkpoints.write_checkpoint(tmp_path / "misfit", folders["config"], tensors)
  moe = folders["config"] | {"model_type": "qwen2_moe"}
  checkpoints.write_checkpoint(tmp_path / "moe", moe, folders["tensors"])
  checkpoints.write_checkpoint(tmp_path / "cut", folders["config"], folders["tensors"])
  content = (tmp_path / "cut" / "model.safetensors").read_bytes()
  (tmp_path / "cut" / "model.safetensors").write_bytes(content[:-7])
  (tmp_path / "bin").mkdir()
  (tmp_path / "bin" / "config.json").write_text(json.dumps(folders["config"]))
  (tmp_path / "bin" / "pytorch_model.bin").write_bytes(b"")
  shutil.copytree(root / "peft", tmp_path / "dora")
  unusual = {"use_dora": True, "base_model_name_or_path": "Qwen/Nowhere"}
  written = json.loads((root / "peft" / "adapter_config.json").read_text())
  (tmp_path / "dora" / "adapter_config.json").write_text(json.dumps(written | unusual))
  out = ["--output", tmp_path / "out"]
  cases = {
    "give one of --hf_model, --checkpoint, --gguf=FILE, --pip and --peft_adapter": out,
    "give one of --hf_model, --checkpoint, --gguf=FILE, --pip and --peft_adapter ": [
      "--hf_model=a",
      "--checkpoint=b",
      *out,
    ],
    "--output": ["--hf_model=a"],
    "--dtype=int8": ["--hf_model=a", "--dtype=int8", *out],
    "--peft goes with --checkpoint": ["--hf_model", root / "hf", "--peft", *out],
    "no model folder": ["--hf_model", tmp_path / "nowhere", *out],
    "missing: model.norm.weight; extra: model.layers.9": ["--hf_model", tmp_path / "misfit", *out],
    "qwen2_moe": ["--hf_model", tmp_path / "moe", *out],
    "cut off": ["--hf_model", tmp_path / "cut", *out],
    "pytorch_model.bin": ["--hf_model", tmp_path / "bin", *out],
    "a model base with a version 'base' already": [
      "--hf_model",
      root / "hf",
      "--output",
      root / "base",
    ],
    "no model base": ["--checkpoint", tmp_path / "nowhere", *out],
    "there are whole, adapter, other_prompt": ["--checkpoint", f"{root / 'run'}:best", *out],
    "--peft or --gguf, not both": [
      "--checkpoint",
      f"{root / 'run'}:whole",
      "--peft",
      "--gguf",
      *out,
    ],
    "an adapter, not a whole model; convert_hf.py --peft_adapter=": [
      "--hf_model",
      root / "peft",
      *out,
    ],
    "use_dora=True": ["--peft_adapter", tmp_path / "dora", "--hf_model", root / "hf", *out],
    "its base model 'Qwen/Nowhere' is no model folder here": [
      "--peft_adapter",
      tmp_path / "dora",
      *out,
    ],
    "adapter_config.json is missing": ["--peft_adapter", root / "hf", *out],
    "no such folder (--peft_adapter)": ["--peft_adapter", tmp_path / "nowhere", *out],
    "give one of --hf_model, ": ["--peft_adapter=a", "--checkpoint=b", *out],
    "no adapter; leave --peft out": ["--checkpoint", f"{root / 'run'}:whole", "--peft", *out],
    "was trained with ddl-v1-0": ["--checkpoint", f"{root / 'run'}:other_prompt", *out],
  }
  for message, (code, printed, error) in zip(cases, convert(*cases.values()), strict=True):
    assert code == 2 and not printed, (message, code, printed)
    assert message.strip() in error and error.count("\n") == 1 and "Traceback" not in error, (
      message,
      error,
    )


def test_help_tells_both_ways():
  command = [sys.executable, "experiments/convert_hf.py", "--help"]
  done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
  assert (
    done.returncode == 0
    and "--hf_model=DIR --output=DIR" in done.stdout
    and "--peft" in done.stdout
  )
