"""Runs of several processes, one a host: the same data and losses as one process, lost hosts, going
on with other numbers.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny_runs

from spftsql_jax import hosts
from spftsql_jax.pipeline.model_base import ModelBase
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.pool import builtin_templates
from spftsql_jax.synthesis.result import merge_shards
from spftsql_jax.synthesis.synthesize import synthesize

demo = tiny_runs.demo  # a fixture

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
  "--config.vbi_ft.rounds=1",
  "--config.self_play.iterations=1",
  "--config.self_play.baselines=()",
]
SLOW_S = 300  # Nothing below takes a tenth of it by itself.


def start(script: str, processes: int, devices: int, *arguments: str) -> list[subprocess.Popen]:
  """The processes of a run, each with so many virtual devices."""
  flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
  env = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
  with socket.create_server(("127.0.0.1", 0)) as free:
    coordinator = f"127.0.0.1:{free.getsockname()[1]}"
  started = []
  for number in range(processes):
    joined = [
      f"--coordinator={coordinator}",
      f"--num_processes={processes}",
      f"--process_id={number}",
    ]
    command = [
      sys.executable,
      f"experiments/{script}",
      *arguments,
      *(joined if processes > 1 else []),
    ]
    started.append(
      subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
      )
    )
  return started


def finish(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
  """(exit code, stdout, stderr) of each."""
  outputs = [process.communicate(timeout=SLOW_S) for process in processes]
  return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def flags_of(demo: Path, workdir: Path) -> list[str]:
  return [
    "--config=experiments/configs/demo_tiny.py",
    f"--config.data_dir={demo}",
    f"--workdir={workdir}",
    *SMALL,
  ]


def steps_done(workdir: Path) -> list[str]:
  journal = workdir / "journal.jsonl"
  return (
    [json.loads(line)["step"] for line in journal.read_text().splitlines()]
    if journal.is_file()
    else []
  )


def kill_behind(
  step: str, victim: int, processes: list[subprocess.Popen], workdir: Path
) -> tuple[int, str]:
  """(exit code, stderr) of the other one of two processes once the victim was killed behind a step
  of the journal.
  """
  until = time.monotonic() + SLOW_S
  while step not in steps_done(workdir):
    assert time.monotonic() < until and all(process.poll() is None for process in processes), (
      finish(processes)
    )
    time.sleep(0.02)
  processes[victim].kill()
  code, _, errors = finish(processes)[1 - victim]
  return code, errors


def test_two_hosts_lost_twice_and_gone_on_with_as_four_equal_one_undisturbed_host(demo, tmp_path):
  one, two = tmp_path / "one", tmp_path / "two"
  [(code, _, errors)] = finish(start("spft.py", 1, 4, *flags_of(demo, one)))
  assert code == 0, errors

  # Where the first process is lost JAX ends the others, at the latest half a second after they
  # should have by themselves.
  code, errors = kill_behind(
    "prepare/data", 0, start("spft.py", 2, 2, *flags_of(demo, two), "--mesh=data:2,fsdp:2"), two
  )
  assert code, errors
  code, errors = kill_behind(
    "vbi_ft/round_1/training",
    1,
    start("spft.py", 2, 2, *flags_of(demo, two), "--mesh=data:2,fsdp:2"),
    two,
  )
  [line] = [line for line in errors.splitlines() if line.startswith("spft.py: ")]
  assert (
    code == 1
    and "start the same command on every host again: the run goes on from its journal" in line
  )
  done = steps_done(two)
  assert "vbi_ft/round_1/training" in done and "cost" not in done
  for code, _, errors in finish(
    start("spft.py", 4, 1, *flags_of(demo, two), "--mesh=data:2,fsdp:2")
  ):
    assert code == 0, errors
  assert sorted(steps_done(two)) == sorted(steps_done(one))

  names = [path.name for path in (one / "data").iterdir() if "self_play-iteration" not in path.name]
  assert len(names) > 5
  for name in names:  # Names hold the hash of what is in a file.
    assert (two / "data" / name).read_bytes() == (one / "data" / name).read_bytes()
  played = [
    [json.loads(line) for line in next((w / "data").glob("self_play-iteration_1*")).open()]
    for w in (one, two)
  ]
  for a, b in zip(*played, strict=True):
    np.testing.assert_allclose(a.pop("log_probs"), b.pop("log_probs"), rtol=1e-5)
    assert a == b
  for path in (one / "metrics").iterdir():
    for a, b in zip(path.open(), (two / "metrics" / path.name).open(), strict=True):
      a, b = json.loads(a), json.loads(b)
      assert a["step"] == b["step"] and "loss" in a
      for name in {*a} - {"stage", "step"}:
        if not name.endswith("per_second"):
          assert a[name] == pytest.approx(b[name], rel=1e-5, abs=1e-5), (path.name, a["step"], name)
  mine, others = (ModelBase(workdir / "model_base") for workdir in (one, two))
  assert mine.versions() == others.versions() and not any(map(others.damage, others.versions()))
  for version in mine.versions():
    assert mine.score(version, "test") == others.score(version, "test")
    for a, b in zip(
      jax.tree.leaves(mine.load(version)), jax.tree.leaves(others.load(version)), strict=True
    ):
      np.testing.assert_allclose(a, b, atol=1e-4)


def test_sigterm_to_one_host_ends_both_with_their_state_kept(demo, tmp_path):
  steps = ["--config.sft.steps=100000", "--stop_after=sft"]
  processes = start("spft.py", 2, 1, *flags_of(demo, tmp_path), *steps)
  until = time.monotonic() + SLOW_S
  while not any(path.stat().st_size for path in tmp_path.glob("metrics/*")):
    assert time.monotonic() < until and all(each.poll() is None for each in processes), finish(
      processes
    )
    time.sleep(0.1)
  processes[1].terminate()
  for code, _, errors in finish(processes):
    assert code == 75 and "is kept, the same command goes on from there" in errors, errors
  assert any(path.name.isdigit() for path in (tmp_path / "checkpoints/sft").iterdir())


def test_the_shards_of_two_hosts_together_are_what_one_process_synthesizes(demo, tmp_path):
  common = [f"--databases={demo}", "--num_examples=90", "--workers=1", "--seed=3"]
  for processes, flags in ((1, []), (2, ["--shard=jax"])):
    for code, _, errors in finish(
      start("synthesize.py", processes, 1, *common, *flags, f"--output={tmp_path / 'out.jsonl'}")
    ):
      assert code == 0, errors
  whole = (tmp_path / "out.jsonl").read_text().splitlines()
  parts = [(tmp_path / f"out-0000{i}-of-00002.jsonl").read_text().splitlines() for i in range(2)]
  assert (
    len(whole) == 90 and min(map(len, parts)) >= 30 and sorted(parts[0] + parts[1]) == sorted(whole)
  )


def test_shards_joined_are_in_the_order_of_one_call(demo):
  locations = [str(path) for path in sorted(demo.glob("*/*.sqlite"))]
  made = [
    synthesize(
      locations,
      builtin_templates(),
      SynthesisOptions(60, seed=1, workers=1, parts=2, instances=1, shard=(i, n)),
    )
    for n in (1, 3)
    for i in range(n)
  ]
  together = merge_shards(made[1:])
  assert together.examples == made[0].examples and together.unit_sizes == made[0].unit_sizes
  assert together.templates == made[0].templates and together.rejections == made[0].rejections


def test_the_shares_of_all_hosts_are_all_places_once_and_as_large(monkeypatch):
  keys = [f"db{i % 3}" for i in range(10)]
  monkeypatch.setattr(hosts, "count", lambda: 4)
  shares = []
  for number in range(4):
    monkeypatch.setattr(hosts, "index", lambda n=number: n)
    shares.append(hosts.share(keys))
  assert sorted(sum(shares, [])) == list(range(10)) and {len(share) for share in shares} == {2, 3}
  assert len({keys[place] for place in shares[0]}) == 1  # A database's questions stay together.
