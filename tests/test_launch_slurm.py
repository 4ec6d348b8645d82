"""The launcher for Slurm: its batch scripts, and jobs on stand-ins for Slurm's programs, which are
preempted, come to their time limit, or are cancelled.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import fake_programs
import pytest
from fake_programs import ROOT, calls, run, shell_faults

sys.path.insert(0, str(ROOT / "experiments"))

from slurm.script import Job, batch_script, options

JOB = Job(
  name="run1",
  nodes=4,
  time="12:00:00",
  gpus_per_node=8,
  cpus_per_task=96,
  partition="gpu",
  account="lab",
  signal_s=180,
  max_restarts=3,
  directives=("--qos=long",),
  folder="/code",
  logs="/code/logs",
  command=("/code/.venv/bin/python", "experiments/spft.py", "--config.name=it's; $HOME"),
)


def test_what_is_asked_of_slurm():
  asked = set(options(JOB))
  assert asked >= {
    "--nodes=4",
    "--ntasks-per-node=1",
    "--gpus-per-node=8",
    "--cpus-per-task=96",
    "--partition=gpu",
    "--account=lab",
    "--time=12:00:00",
    "--signal=B:USR1@180",
    "--requeue",
    "--output=/code/logs/%x-%j.log",
    "--qos=long",
  }
  assert "\n#SBATCH --nodes=4\n" in batch_script(JOB)


def test_what_is_not_given_is_left_to_slurm():
  bare = Job("x", 1, "60", 0, 0, "", "", 180, 3, (), "/code", "/code/logs", ("a.py",))
  names = {option.partition("=")[0] for option in options(bare)}
  assert not names & {"--gpus-per-node", "--cpus-per-task", "--partition", "--account"}
  assert "\ndevices=''\n" in batch_script(bare)


def test_the_header_stands_before_the_first_command():
  """Behind one Slurm reads no more options."""
  lines = batch_script(JOB).splitlines()
  last = max(i for i, line in enumerate(lines) if line.startswith("#SBATCH"))
  assert lines[0] == "#!/usr/bin/env bash" and last == len(options(JOB))


@pytest.mark.parametrize("command", [("a.py",), JOB.command])
def test_the_batch_script_is_good_shell(command):
  job = Job(**{**vars(JOB), "command": command})
  assert shell_faults(batch_script(job)) == ""


def test_a_wrong_script_is_noticed():
  assert shell_faults("if true; then\n")


# The processes are started here; Slurm's restarts are counted in the environment of the next start.
SRUN = """
command = [word for word in sys.argv[1:] if not word.startswith("--kill")]
child = subprocess.Popen(command)
(here / "step").write_text(str(child.pid))
sys.exit(child.wait())
"""
SCANCEL = "import signal\nos.kill(int((here / 'step').read_text()), signal.SIGTERM)\n"
# As Slurm does: the batch script is ended.
SCONTROL = """
import signal
if sys.argv[1] == "show":
  print(f"JobId=7 JobName=run1 JobState={(here / 'state').read_text()} Reason=None")
else:
  os.kill(os.getppid(), signal.SIGKILL)
"""
SBATCH = "print('Submitted batch job 7')\n"
RUN = """
import json, os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), sys.exit(75)))
work = pathlib.Path(sys.argv[1])
(work / "seen").write_text(json.dumps([sys.argv[2:], os.environ.get("JAX_LOCAL_DEVICE_IDS")]))
code = int((work / "code").read_text())
time.sleep(60 if code < 0 else 0)
sys.exit(code)
"""


@pytest.fixture
def cluster(tmp_path):
  fake_programs.install(tmp_path, srun=SRUN, scancel=SCANCEL, scontrol=SCONTROL, sbatch=SBATCH)
  source = tmp_path / "source"
  (source / "experiments").mkdir(parents=True)
  (source / "experiments/job.py").write_text(RUN)
  (source / ".venv/bin").mkdir(parents=True)
  # Without what makes Python start late.
  (source / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} -ISs "$@"\n')
  (source / ".venv/bin/python").chmod(0o755)
  (tmp_path / "state").write_text("RUNNING")
  return tmp_path


def submitted(cluster, *flags, words=()):
  given = ("--name=run1", "--time=12:00:00", f"--source={cluster / 'source'}", *flags)
  return run(cluster, "slurm/launch.py", *given, "--", "experiments/job.py", str(cluster), *words)


def begin(cluster, code: int, **environment: str) -> subprocess.Popen:
  """Starts a submitted job's script, as Slurm does; its process ends with `code`, or not by
  itself.
  """
  (cluster / "code").write_text(str(code))
  path = f"{cluster / 'bin'}{os.pathsep}{os.environ['PATH']}"
  job = {"PATH": path, "SLURM_JOB_ID": "7", "SPFTSQL_REQUEUE_S": "5"} | environment
  script = cluster / "source/runs/slurm/run1.sbatch"
  return subprocess.Popen(
    ["bash", script],
    cwd=cluster / "source",
    env=os.environ | job,
    stderr=subprocess.PIPE,
    text=True,
  )


def ended(process: subprocess.Popen) -> tuple[int, str]:
  _, errors = process.communicate(timeout=30)
  return process.returncode, errors


def is_at_work(cluster) -> None:
  until = time.monotonic() + 20
  while not (cluster / "seen").is_file():
    assert time.monotonic() < until
    time.sleep(0.02)


def requeues(cluster) -> list[list[str]]:
  return [call for call in calls(cluster, "scontrol") if call[1] == "requeue"]


def test_a_job_is_submitted_and_does_its_work(cluster):
  done = submitted(cluster, "--gpus_per_node=2", words=("it's; $HOME",))
  assert done.returncode == 0 and "Submitted batch job 7" in done.stdout, done.stderr
  assert calls(cluster, "sbatch") == [["sbatch", f"{cluster}/source/runs/slurm/run1.sbatch"]]
  code, errors = ended(begin(cluster, 0))
  assert code == 0, errors
  assert json.loads((cluster / "seen").read_text()) == [["it's; $HOME"], "0,1"]
  (srun,) = calls(cluster, "srun")
  assert srun[1] == "--kill-on-bad-exit=0" and requeues(cluster) == []


def test_a_run_that_kept_its_state_is_requeued_in_its_job(cluster):
  submitted(cluster)
  for kept in (75, 143):
    code, errors = ended(begin(cluster, kept))
    assert code == -signal.SIGKILL and "goes on in the same job" in errors
  assert requeues(cluster) == [["scontrol", "requeue", "7"]] * 2
  assert ended(begin(cluster, 0, SLURM_RESTART_COUNT="2"))[0] == 0


@pytest.mark.parametrize("code", [1, 2])
def test_a_run_that_fails_is_not(cluster, code):
  submitted(cluster)
  assert ended(begin(cluster, code))[0] == code and requeues(cluster) == []


def test_near_the_limit_the_processes_are_told_and_the_job_is_requeued(cluster):
  submitted(cluster)
  process = begin(cluster, -1)
  is_at_work(cluster)
  process.send_signal(signal.SIGUSR1)
  code, errors = ended(process)
  assert code == -signal.SIGKILL and "exit code 75" in errors
  assert calls(cluster, "scancel") == [["scancel", "--signal=TERM", "7"]]
  assert len(requeues(cluster)) == 1


def test_a_job_that_somebody_cancels_stays_away(cluster):
  submitted(cluster)
  (cluster / "state").write_text("CANCELLED")
  assert ended(begin(cluster, 75))[0] == 75 and requeues(cluster) == []


def test_restarts_have_an_end(cluster):
  submitted(cluster, "--max_restarts=3")
  code, errors = ended(begin(cluster, 75, SLURM_RESTART_COUNT="3"))
  assert code == 75 and "3 times" in errors and requeues(cluster) == []


def test_a_dry_run_submits_nothing_and_prints_the_script(cluster):
  done = submitted(cluster, "--dry_run", "--sbatch_flag=--qos=long", words=("it's",))
  assert done.returncode == 0 and calls(cluster) == []
  assert not (cluster / "source/runs").exists()
  assert "#SBATCH --qos=long" in done.stdout and shell_faults(done.stdout) == ""
  (line,) = [line for line in done.stdout.splitlines() if line.startswith("command=(")]
  assert shlex.split(line.removeprefix("command=(").removesuffix(")"))[-1] == "it's"


def test_what_sbatch_refuses_is_one_line(cluster):
  fake_programs.install(cluster, sbatch="sys.exit('sbatch: error: invalid partition')\n")
  done = submitted(cluster, "--partition=gone")
  assert done.returncode == 1
  assert done.stderr == "launch.py: sbatch: sbatch: error: invalid partition\n"
