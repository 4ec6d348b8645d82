"""The launcher for TPUs: its plans, and runs on a stand-in for gcloud whose workers are folders of
this machine, preempted and gone on with.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import subprocess
import sys

import fake_programs
import pytest
from fake_programs import ROOT, calls, run, shell_faults

sys.path.insert(0, str(ROOT / "experiments"))

from tpu.plan import ALL_WORKERS, Request, accelerator, default_runtime, dry_run, make_plan

REQUEST = Request(
  name="run1",
  zone="us-west4-a",
  project="lab",
  accelerator_type="v5litepod-16",
  runtime_version="v2-alpha-tpuv5-lite",
  queued=True,
  spot=True,
  create_flags=("--network=lab net",),
  archive="code.tar.gz",
  git=None,
  bucket="runs",
  shared_dir="",
  mount="/mnt/spftsql",
  setup="bash experiments/tpu/setup.sh",
  command=(".venv/bin/python", "experiments/spft.py", "--config.name=it's; $HOME"),
)


def remote(step) -> str:
  """The line that a step runs on the workers."""
  (line,) = [word for word in step.command if word.startswith("--command=")]
  return line.removeprefix("--command=")


@pytest.mark.parametrize(
  ("name", "kind", "hosts"),
  [
    ("v5e-1", "v5litepod-1", 1),
    ("v5e-8", "v5litepod-8", 1),
    ("v5litepod-16", "v5litepod-16", 4),
    ("v6e-256", "v6e-256", 64),
    ("v5p-8", "v5p-8", 1),
    ("v5p-128", "v5p-128", 16),
    ("v4-32", "v4-32", 4),
    ("v3-8", "v3-8", 1),
  ],
)
def test_a_type_and_how_many_hosts_it_is(name, kind, hosts):
  assert accelerator(name) == (kind, hosts)


@pytest.mark.parametrize("name", ["v5e", "v5e-0", "16", "h100-8", "v5e-16x"])
def test_what_is_no_type(name):
  with pytest.raises(ValueError, match="not a type of TPU"):
    accelerator(name)


def test_images_by_kind():
  assert default_runtime("v6e-8") == "v2-alpha-tpuv6e" and default_runtime("v4-8").startswith(
    "tpu-"
  )


def test_a_queued_plan():
  plan = make_plan(REQUEST)
  assert plan.create.command[:6] == (
    "gcloud",
    "compute",
    "tpus",
    "queued-resources",
    "create",
    "run1",
  )
  assert {"--node-id=run1", "--spot", "--network=lab net", "--project=lab"} <= set(
    plan.create.command
  )
  assert "--runtime-version=v2-alpha-tpuv5-lite" in plan.create.command
  assert plan.wait.done_at == ("ACTIVE",) and "SUSPENDED" in plan.wait.failed_at
  assert "--force" in plan.delete.command
  names = [step.name for step in plan.steps]
  assert " ".join(names) == "create wait upload unpack install mount start follow logs delete"
  assert all("--worker=all" in s.command for s in plan.steps if s.where == ALL_WORKERS)


def test_a_plan_of_one_host():
  plan = make_plan(dataclasses.replace(REQUEST, queued=False, spot=False, project=""))
  assert "tpu-vm" in plan.create.command and "--version=v2-alpha-tpuv5-lite" in plan.create.command
  assert not any(w.startswith(("--spot", "--project", "--node-id")) for w in plan.create.command)
  assert plan.wait.done_at == ("READY",) and "PREEMPTED" in plan.wait.failed_at
  assert "--force" not in plan.delete.command


def test_a_clone_is_of_one_revision():
  plan = make_plan(dataclasses.replace(REQUEST, git=("https://host/repo.git", "v1; rm x")))
  (clone,) = [step for step in plan.prepare if step.name == "clone"]
  assert "git fetch --quiet --depth=1 https://host/repo.git 'v1; rm x'" in remote(clone)
  assert not any(step.name == "upload" for step in plan.prepare)


@pytest.mark.parametrize(
  ("values", "mounted"),
  [
    ({}, "mount bucket runs /mnt/spftsql"),
    ({"bucket": "", "shared_dir": "10.0.0.2:/share"}, "mount nfs 10.0.0.2:/share /mnt/spftsql"),
    ({"bucket": "", "shared_dir": "/nfs", "mount": "/nfs"}, "mount folder /nfs"),
  ],
)
def test_where_the_work_folder_lies(values, mounted):
  plan = make_plan(dataclasses.replace(REQUEST, **values))
  (mount,) = [step for step in plan.prepare if step.name == "mount"]
  assert remote(mount).endswith(mounted)


def test_a_command_arrives_as_it_was_given():
  """Through this machine's shell (of a dry run), and through the workers'."""
  words = shlex.split(remote(make_plan(REQUEST).start))
  assert tuple(words[words.index("start") + 1 :]) == REQUEST.command
  lines = dry_run(make_plan(REQUEST)).splitlines()
  (line,) = [line for line in lines if "worker.sh start" in line]
  assert shlex.split(line)[-1] == f"--command={remote(make_plan(REQUEST).start)}"


@pytest.mark.parametrize("queued", [True, False])
def test_scripts_and_what_is_printed_are_good_shell(queued):
  assert shell_faults(dry_run(make_plan(dataclasses.replace(REQUEST, queued=queued)))) == ""
  for script in ("worker", "setup"):
    assert shell_faults((ROOT / f"experiments/tpu/{script}.sh").read_text()) == ""


def test_the_setup_installs_the_pinned_jax():
  pin = [line for line in (ROOT / "requirements.txt").read_text().split() if line[:5] == "jax=="]
  text = (ROOT / "experiments/tpu/setup.sh").read_text()
  (jax,) = [line for line in text.splitlines() if line.startswith("jax=")]
  done = subprocess.run(
    ["bash", "-c", f'{jax}; echo "jax==$jax"'], cwd=ROOT, capture_output=True, text=True, check=True
  )
  assert [done.stdout.strip()] == pin and '"jax[tpu]==$jax"' in text


# A cloud of two workers, which are folders; `script` says what becomes of the first starts.
GCLOUD = """
import shutil, time
words = sys.argv[1:]
state = here / "state"
flag = lambda name: next((w.partition("=")[2] for w in words if w.startswith(name + "=")), "")
workers = [here / "workers" / str(i) for i in range(2)]

def gone():
  # What still runs there may write until it ends.
  left = (here / "workers").rename(here / f"gone-{time.time_ns()}")
  shutil.rmtree(left, ignore_errors=True)

if "create" in words:
  for worker in workers:
    worker.mkdir(parents=True)
  state.write_text("ACTIVE")
elif "delete" in words:
  if (here / "workers").exists():
    gone()
  state.unlink()
elif "describe" in words:
  if not state.exists():
    sys.exit("ERROR: NOT_FOUND: no such resource")
  print(state.read_text())
elif "scp" in words:
  source, target = words[4], words[5].partition(":")[2]
  for worker in workers:
    shutil.copy(source, worker / target)
elif "ssh" in words:
  line = flag("--command")
  events = here / "events"
  if line.endswith("follow") and events.exists():
    first, *rest = events.read_text().split()
    events.write_text(" ".join(rest)) if rest else events.unlink()
    if first == "preempted":
      # The machine goes while the run is at work.
      while not all((here / "work" / f"starts-{i}").exists() for i in range(2)):
        time.sleep(0.02)
      gone()
      state.write_text("SUSPENDED")
      sys.exit(255)
    if first == "disconnected":
      sys.exit(255)
    (here / "work" / first).touch()
  begun = [subprocess.Popen(["bash", "-c", line], cwd=worker) for worker in workers]
  sys.exit(next((code for code in [each.wait() for each in begun] if code), 0))
"""
# The run: keeps its state and ends at its first starts, as SIGTERM has it do.
RUN = """
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
codes = json.loads((work / "codes").read_text())
mine = pathlib.Path.cwd().parents[2].name
starts = work / f"starts-{mine}"
starts.open("a").write(json.dumps(sys.argv[2:]) + "\\n")
print("at work", flush=True)
WAIT
sys.exit(codes[min(len(starts.read_text().splitlines()), len(codes)) - 1])
"""


@pytest.fixture
def cloud(tmp_path):
  fake_programs.install(tmp_path, gcloud=GCLOUD)
  source = tmp_path / "source"
  (source / "experiments/tpu").mkdir(parents=True)
  shutil.copy(ROOT / "experiments/tpu/worker.sh", source / "experiments/tpu")
  (source / "experiments/job.py").write_text(RUN.replace("WAIT", ""))
  (tmp_path / "work").mkdir()
  return tmp_path


def launched(cloud, *flags, codes=(0,), words=("--distributed",)):
  (cloud / "work/codes").write_text(json.dumps(codes))
  given = ("--name=run1", "--zone=us-west4-a", "--accelerator_type=v5e-16", "--queued", *flags)
  where = (f"--shared_dir={cloud / 'work'}", f"--source={cloud / 'source'}", "--setup=true")
  quick = ("--poll_s=0.05", "--settle_s=0.1", f"--python={sys.executable}")
  command = ("--", "experiments/job.py", str(cloud / "work"), *words)
  return run(cloud, "tpu/launch.py", *given, *where, *quick, *command, SPFTSQL_FOLLOW_S="0.05")


def starts(cloud) -> list[int]:
  """How often each worker has started the run."""
  return [len((cloud / f"work/starts-{i}").read_text().splitlines()) for i in range(2)]


def acts(cloud) -> list[str]:
  """What gcloud was asked for, without the looks at the state."""
  return [call[4] for call in calls(cloud, "gcloud") if call[4] not in ("describe", "ssh", "scp")]


def test_a_run_on_two_workers_and_the_machine_is_given_back(cloud):
  done = launched(cloud, words=("--distributed", "it's; $HOME"))
  assert done.returncode == 0, done.stderr
  assert starts(cloud) == [1, 1] and acts(cloud) == ["create", "delete"]
  assert json.loads((cloud / "work/starts-1").read_text()) == ["--distributed", "it's; $HOME"]
  assert done.stdout.count("at work\n") == 2  # the logs


def test_a_run_that_kept_its_state_is_started_again_on_the_same_machine(cloud):
  done = launched(cloud, codes=(75, 143, 0))
  assert done.returncode == 0, done.stderr
  assert starts(cloud) == [3, 3] and acts(cloud) == ["create", "delete"]


def test_behind_a_preemption_the_run_goes_on_on_a_new_machine(cloud):
  (cloud / "events").write_text("preempted")
  done = launched(cloud)
  assert done.returncode == 0, done.stderr
  assert acts(cloud) == ["create", "delete", "create", "delete"] and starts(cloud) == [2, 2]


def test_a_lost_connection_starts_nothing_again(cloud):
  (cloud / "events").write_text("disconnected")
  done = launched(cloud)
  assert done.returncode == 0, done.stderr
  assert "behind exit code 255" in done.stdout and starts(cloud) == [1, 1]


def test_a_launcher_that_was_cut_off_finds_its_run_again(cloud):
  waiting = "import time\nwhile not (work / 'go').exists(): time.sleep(0.02)\n"
  (cloud / "source/experiments/job.py").write_text(RUN.replace("WAIT", waiting))
  (cloud / "events").write_text("disconnected go")
  first = launched(cloud, "--max_restarts=0", "--keep")
  assert first.returncode == 1 and "--max_restarts" in first.stderr
  second = launched(cloud)
  assert second.returncode == 0, second.stderr
  assert starts(cloud) == [1, 1] and acts(cloud) == ["create", "delete"]
  assert sum(call[4] == "scp" for call in calls(cloud)) == 1  # no new code under a run at work


def test_a_run_that_fails_is_told_and_not_started_again(cloud):
  done = launched(cloud, codes=(1,))
  assert done.returncode == 1 and "ended with exit code 1" in done.stderr
  assert len(done.stderr.splitlines()) == 1 and "at work" in done.stdout
  assert starts(cloud) == [1, 1] and acts(cloud) == ["create", "delete"]


def test_restarts_have_an_end(cloud):
  done = launched(cloud, "--max_restarts=1", codes=(75,))
  assert done.returncode == 1 and "behind 1 restarts" in done.stderr and starts(cloud) == [2, 2]


def test_keep_leaves_the_machine_and_actions_see_to_it(cloud):
  assert launched(cloud, "--keep").returncode == 0 and acts(cloud) == ["create"]
  done = launched(cloud, "--action=logs")
  assert done.returncode == 0 and "at work" in done.stdout
  assert launched(cloud, "--action=stop").returncode == 0
  assert launched(cloud, "--action=delete").returncode == 0 and acts(cloud) == ["create", "delete"]


def test_stop_ends_the_run_as_a_preemption_does(cloud):
  """SIGTERM reaches the run itself, which has the time to keep its state."""
  (cloud / "source/experiments/job.py").write_text(
    "import pathlib, signal, sys, time\n"
    "def told(*_):\n  time.sleep(0.3)\n  pathlib.Path('kept').touch()\n  sys.exit(75)\n"
    "signal.signal(signal.SIGTERM, told)\ntime.sleep(30)\n"
  )
  (cloud / "events").write_text("disconnected")
  assert launched(cloud, "--max_restarts=0", "--keep").returncode == 1
  assert launched(cloud, "--action=stop").returncode == 0
  code = cloud / "workers/1/spftsql/run1/exit_code"
  for _ in range(100):
    if code.is_file():
      break
    subprocess.run(["sleep", "0.05"], check=True)
  assert code.read_text() == "75\n" and (code.parent / "code/kept").is_file()


def test_a_state_that_gcloud_does_not_tell_is_one_line(cloud):
  fake_programs.install(cloud, gcloud="sys.exit('ERROR: you are not logged in')\n")
  done = launched(cloud)
  assert done.returncode == 1 and done.stderr.endswith("not logged in\n")
  assert acts(cloud) == []


def test_a_dry_run_starts_nothing_and_prints_all_steps(cloud):
  done = launched(cloud, "--dry_run", "--spot")
  assert done.returncode == 0 and calls(cloud) == []
  names = [line.split()[1] for line in done.stdout.splitlines() if line[0] == "#"]
  assert " ".join(names) == "pack create wait upload unpack install mount start follow logs delete"
  assert shell_faults(done.stdout) == ""
