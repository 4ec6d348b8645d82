"""Kills a small run again and again (SIGKILL) and compares what it ends with to the same run left
in peace.

    python experiments/benchmarks/killed_runs.py --kills=40 --output=killed.json

Every life of the process ends after a random time, or, --share_in_writes of them, in the moment in
which a checkpoint or a version of the model base is being written; the same command is then started
again. When a run reaches its end it is compared with the undisturbed one: data files byte for byte,
journal, lineage, scores and results.json but for times, params exactly. Runs are begun until there
were --kills kills. Exit code 1 where anything differs.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from launch import launch

from absl import flags  # isort: skip
import jax
import numpy as np
from demo.make_databases import make_demo

from spftsql_jax.files import write_json
from spftsql_jax.pipeline.model_base import ModelBase

_KILLS = flags.DEFINE_integer("kills", 40, "How often a process is killed.", lower_bound=1)
_SHARE_IN_WRITES = flags.DEFINE_float(
  "share_in_writes", 0.4, "Share of kills inside the write of a checkpoint or version."
)
_CONFIG = flags.DEFINE_string("config", "experiments/configs/demo_tiny.py", "Config of the run.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)

# What differs from run to run: times, rates and peak memory.
_VARYING = ("seconds", "per_second", "mfu", "peak_memory_bytes")
# A life is ended at the latest after this share of the undisturbed run, behind the time that
# starting takes.
_LONGEST_SHARE = 0.4


def main() -> None:
  rng = random.Random(_SEED.value)
  with tempfile.TemporaryDirectory() as scratch:
    root = Path(scratch)
    make_demo(root / "demo")
    start = time.perf_counter()
    _launch(root, root / "peace").wait()
    whole = time.perf_counter() - start
    kept = contents(root / "peace")
    print(f"undisturbed: {whole:.0f} s, {len(kept)} things to compare", flush=True)
    kills: list[dict[str, Any]] = []
    differences: list[str] = []
    runs = 0
    while len(kills) < _KILLS.value:
      runs += 1
      workdir = root / f"run_{runs}"
      while (kill := _live(root, workdir, whole, rng)) is not None:
        kills.append({"run": runs, **kill})
        print(json.dumps(kills[-1]), flush=True)
      found = _compare(kept, contents(workdir))
      differences += [f"run {runs}: {name}" for name in found]
      print(
        (
          f"run {runs} ended after {sum(k['run'] == runs for k in kills)} kills; differs in "
          f"{found or 'nothing'}"
        ),
        flush=True,
      )
  report = {
    "kills": len(kills),
    "inside_writes": sum(bool(k["writing"]) for k in kills),
    "runs": runs,
    "undisturbed_seconds": round(whole, 1),
    "compared": len(kept),
    "differences": differences,
    "each": kills,
  }
  write_json(_OUTPUT.value, report, end="\n")
  print(json.dumps({k: v for k, v in report.items() if k != "each"}))
  if differences:
    raise RuntimeError(f"killed runs differ from the undisturbed one: {differences[:5]}")


def _launch(root: Path, workdir: Path) -> subprocess.Popen:
  script = Path(__file__).resolve().parents[1] / "spft.py"
  command = [
    sys.executable,
    str(script),
    f"--config={_CONFIG.value}",
    f"--config.data_dir={root / 'demo'}",
    f"--workdir={workdir}",
  ]
  return subprocess.Popen(
    command, cwd=script.parents[1], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
  )


def _live(root: Path, workdir: Path, whole: float, rng: random.Random) -> dict[str, Any] | None:
  """One life of the process; None where it reached its end, else when it was killed and what was
  being written.
  """
  in_write = rng.random() < _SHARE_IN_WRITES.value
  begun = steps_done(workdir)
  # From the start, or from the first step behind which something new is done: a life cut before
  # that brings nothing new.
  limit = rng.uniform(0, _LONGEST_SHARE * whole)
  patience = rng.randrange(4)  # so many writes are let pass
  process, start = _launch(root, workdir), time.perf_counter()
  seen: set[str] = set()
  since = start if rng.random() < 0.2 else None
  while process.poll() is None:
    time.sleep(0.001 if in_write else 0.01)
    if since is None and steps_done(workdir) > begun:
      since = time.perf_counter()
    writing = half_written(workdir) if in_write else ""
    if writing and writing not in seen:
      seen.add(writing)
      if len(seen) > patience:
        break
    if not in_write and since is not None and time.perf_counter() - since > limit:
      break
  else:
    if process.returncode:
      raise RuntimeError(f"the run failed by itself: {process.communicate()[1].strip()}")
    return None
  process.send_signal(signal.SIGKILL)
  process.communicate()
  return {
    "after_s": round(time.perf_counter() - start, 2),
    "steps_done": steps_done(workdir),
    "writing": half_written(workdir),
  }


def steps_done(workdir: Path) -> int:
  """Lines of the journal."""
  journal = workdir / "journal.jsonl"
  return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def half_written(workdir: Path) -> str:
  """A checkpoint or version that is being written, "" where none is."""
  for folder in ("model_base/versions", "question_writers/versions", "checkpoints"):
    try:
      names = [path for path in (workdir / folder).glob("*" if folder != "checkpoints" else "*/*")]
    except OSError:
      continue
    for path in names:
      if path.name.startswith(".") or "tmp" in path.name:
        return str(path.relative_to(workdir))
  return ""


def contents(workdir: Path) -> dict[str, Any]:
  """All that must be the same, by name."""
  found: dict[str, Any] = {
    path.name: path.read_bytes() for path in (workdir / "data").iterdir() if path.suffix == ".jsonl"
  }
  lines = [json.loads(line) for line in (workdir / "journal.jsonl").read_text().splitlines()]
  found |= {f"journal {line['step']}": _steady(line["output"]) for line in lines}
  for path in (workdir / "metrics").glob("*.jsonl"):
    found[f"metrics {path.name}"] = [
      _steady(json.loads(line)) for line in path.read_text().splitlines()
    ]
  found["results.json"] = _steady(json.loads((workdir / "results.json").read_text()))
  for name in ("model_base", "question_writers"):
    base = ModelBase(workdir / name)
    for version in base.versions():
      found[f"{name} {version} lineage"] = base.lineage(version)
      found[f"{name} {version} params"] = [
        np.asarray(leaf) for leaf in jax.tree.leaves(base.load(version))
      ]
      found[f"{name} {version} scores"] = [
        base.score(version, split) for split in ("selection", "test")
      ]
  return found


def _steady(value: Any) -> Any:
  if isinstance(value, dict):
    return {k: _steady(v) for k, v in value.items() if not k.endswith(_VARYING)}
  return [_steady(v) for v in value] if isinstance(value, list) else value


def _compare(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
  different = sorted({*one} ^ {*other})
  for name in sorted({*one} & {*other}):
    a, b = one[name], other[name]
    same = (
      len(a) == len(b) and all(map(np.array_equal, a, b)) if name.endswith("params") else a == b
    )
    different += [] if same else [name]
  return different


if __name__ == "__main__":
  launch(main)
