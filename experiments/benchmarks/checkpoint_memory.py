"""Peak memory of loading, running and exporting a model of a real size: random bfloat16 weights
under a real config.json.

    python experiments/benchmarks/checkpoint_memory.py --config=qwen2.5-coder-0.5b-instruct.json \
      --output=memory.json

Writes a sharded checkpoint into --scratch (twice the weights of free disk are needed; it is deleted
in the end), then, in one fresh process: import, load_hf, a forward over --tokens tokens, save_hf.
The peak resident memory of each part is that of the whole process, interpreter and libraries
included, and is given beside the size of the weights. The written tensors are compared with those
read, byte for byte.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import InputError, launch

from absl import flags  # isort: skip
import measuring
import ml_dtypes
import numpy as np

from spftsql_jax.files import write_json

_CONFIG = flags.DEFINE_string("config", None, "config.json of the model.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_TOKENS = flags.DEFINE_integer("tokens", 128, "Tokens of the forward.", lower_bound=1)
_SHARD_BYTES = flags.DEFINE_integer(
  "shard_bytes", 500_000_000, "Bytes of a file of the checkpoint at most.", lower_bound=1
)
_SCRATCH = flags.DEFINE_string(
  "scratch", None, "Folder for the checkpoint; by default the system's temporary one."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the weights.")
_STAGES_OF = flags.DEFINE_string(
  "stages_of", None, "Used by the script itself: run the stages on this checkpoint."
)


def main() -> None:
  if _STAGES_OF.value:
    print(json.dumps(run_stages(Path(_STAGES_OF.value))))
    return
  if not measuring.can_measure_peaks():
    raise InputError("peak memory by stage is read from /proc, which this system lacks")
  with tempfile.TemporaryDirectory(dir=_SCRATCH.value) as scratch:
    folder = Path(scratch) / "model"
    weights = write_random_checkpoint(Path(_CONFIG.value), folder)
    command = [
      sys.executable,
      __file__,
      f"--config={_CONFIG.value}",
      f"--output={_OUTPUT.value}",
      f"--stages_of={folder}",
    ]
    done = subprocess.run(
      [*command, f"--tokens={_TOKENS.value}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
      raise RuntimeError(
        f"the measured process failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
      )
    stages = json.loads(done.stdout.splitlines()[-1])
    identical = same_tensors(folder, folder.with_name("export"))
  for stage in stages:
    stage["peak_of_weights"] = round(stage["peak_bytes"] / weights, 3)
  result = {
    "config": Path(_CONFIG.value).name,
    "weight_bytes": weights,
    "stages": stages,
    "export_identical": identical,
  }
  write_json(_OUTPUT.value, result, end="\n")
  print(json.dumps(result))


def write_random_checkpoint(config: Path, folder: Path) -> int:
  """Writes config.json and sharded weights, normal with deviation 0.02, norms one; returns the
  bytes of the weights.
  """
  from spftsql_jax.models import hf
  from spftsql_jax.models.config import ModelConfig
  from spftsql_jax.models.tensor_files import Source, write_model

  raw = json.loads(config.read_text(encoding="utf-8"))
  folder.mkdir(parents=True)
  (folder / "config.json").write_text(json.dumps(raw), encoding="utf-8")
  rng = np.random.default_rng(_SEED.value)
  dtype = np.dtype(ml_dtypes.bfloat16)

  def maker(name: str, shape: tuple[int, ...]) -> Callable[[], np.ndarray]:
    if name.endswith("norm.weight"):
      return lambda: np.ones(shape, dtype)
    return lambda: (rng.standard_normal(shape, np.float32) * np.float32(0.02)).astype(dtype)

  shapes = hf.tensor_shapes(ModelConfig.from_hf(raw))
  write_model(
    folder,
    [Source(name, shape, dtype, maker(name, shape)) for name, shape in shapes.items()],
    _SHARD_BYTES.value,
  )
  return sum(math.prod(shape) for shape in shapes.values()) * dtype.itemsize


def run_stages(folder: Path) -> list[dict[str, Any]]:
  """Import, load, forward and export in this process; for each its peak memory and its time."""
  stages: list[dict[str, Any]] = []

  def measure(name: str, job: Callable[[], Any]) -> Any:
    measuring.forget_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    stages.append(
      {
        "stage": name,
        "peak_bytes": measuring.peak_bytes(),
        "bytes_after": measuring.resident_bytes(),
        "seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
      }
    )
    return result

  models = measure("import", _import)
  model, params = measure("load", lambda: models.load_hf(folder, None))
  tokens = np.random.default_rng(0).integers(0, model.config.vocab_size, (1, _TOKENS.value))
  logits = measure("forward", lambda: np.asarray(models.next_token_logits(model, params, tokens)))
  if not np.isfinite(logits).all() or logits.std() < 1e-3:
    raise RuntimeError("the logits of the random model are not finite or all alike")
  del logits
  measure("export", lambda: models.save_hf(folder.with_name("export"), model.config, params))
  return stages


def _import() -> Any:
  import jax

  from spftsql_jax import models

  jax.devices()
  return models


def same_tensors(first: Path, second: Path) -> bool:
  """Whether two model folders hold the same tensors, read with the format's own library."""
  import safetensors

  def tensors(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
      with safetensors.safe_open(path, "np") as file:
        found |= dict.fromkeys(file.keys(), path)
    return found

  ours, theirs = tensors(first), tensors(second)
  if ours.keys() != theirs.keys():
    return False
  for name in ours:
    with (
      safetensors.safe_open(ours[name], "np") as a,
      safetensors.safe_open(theirs[name], "np") as b,
    ):
      x, y = a.get_tensor(name), b.get_tensor(name)
      if x.shape != y.shape or x.dtype != y.dtype or x.tobytes() != y.tobytes():
        return False
  return True


if __name__ == "__main__":
  os.environ.setdefault("JAX_PLATFORMS", "cpu")
  launch(main)
