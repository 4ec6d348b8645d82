"""Scripts that are told to stop: one line, the signal's exit code, no traceback, no process and no
temporary file left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import jax
import pytest

from spftsql_jax.answering.exported import write_prompt_format
from spftsql_jax.examples.prompts import PromptFormat
from spftsql_jax.examples.tokenizer import train_bpe
from spftsql_jax.models import ModelConfig, init_params, save_hf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

from demo.make_databases import make_demo

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"

# The first instant belongs to Python itself: before a script's first line nothing of ours can
# answer a signal.
MOMENTS = [0.3, 1.2, 2.0, 4.0]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
  """A folder with the demo databases and a model of random weights."""
  folder = tmp_path_factory.mktemp("stopping")
  make_demo(folder / "demo")
  hf = train_bpe(
    ["SELECT count(*) FROM patient WHERE name = 3 ; How many patients are there?"], 320
  )
  config = ModelConfig(
    "qwen2", len(hf), 32, 48, 1, 2, 1, 16, max_position_embeddings=4096, initializer_range=0.3
  )
  config = config.replace(attention_bias=True, tie_word_embeddings=True)
  save_hf(folder / "model", config, init_params(config, jax.random.key(0)), hf)
  write_prompt_format(folder / "model", PromptFormat("names", matched_values=0), max_new_tokens=64)
  return folder


def arguments_of(script: str, files: Path, output: Path) -> list[str]:
  demo, model = files / "demo", f"--model={files / 'model'}"
  examples = f"--examples={demo / 'test.json'}"
  if script == "synthesize":
    return [
      f"--databases={demo}",
      "--num_examples=50000",
      "--workers=2",
      f"--output={output / 'made.jsonl'}",
    ]
  if script == "ask":
    return [model, f"--database={demo / 'clinic/clinic.sqlite'}", "How many patients are there?"]
  if script == "predict":
    return [
      model,
      examples,
      f"--databases={demo}",
      f"--output={output / 'made.sql'}",
      "--samples=4",
    ]
  config = [
    f"--config={EXPERIMENTS}/configs/demo_tiny.py",
    f"--config.data_dir={demo}",
    "--config.synthesis.workers=2",
  ]
  return [*config, f"--workdir={output / 'run'}"]


def left_alive(mark: str) -> list[str]:
  """The command lines of living processes that were started with this mark in their environment."""
  found = []
  for process in Path("/proc").glob("[0-9]*"):
    try:
      if (
        mark.encode() in (process / "environ").read_bytes()
        and "\nState:\tZ" not in (process / "status").read_text()
      ):
        found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
    except OSError:  # it has ended, or belongs to somebody else
      continue
  return found


def stop(
  script: str, files: Path, folder: Path, number: signal.Signals, until, whole_group: bool
) -> tuple[int, str, str]:
  """(exit code, stderr, mark) of a script that gets a signal when `until(folder)` says so."""
  (folder / "tmp").mkdir(parents=True)
  mark = f"SPFTSQL_TEST_MARK={uuid.uuid4()}"
  name, _, value = mark.partition("=")
  process = subprocess.Popen(
    # A shell's background job ignores SIGINT, and so would what it starts.
    [
      "env",
      "--default-signal=INT",
      sys.executable,
      str(EXPERIMENTS / f"{script}.py"),
      *arguments_of(script, files, folder),
    ],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
    env=os.environ | {name: value, "TMPDIR": str(folder / "tmp")},
  )
  until(process)
  assert process.poll() is None, f"ended before it was told to: {process.stderr.read()}"
  if whole_group:  # as a terminal does it
    os.killpg(process.pid, number)
  else:
    process.send_signal(number)
  told = time.monotonic()
  _, stderr = process.communicate(timeout=60)
  assert time.monotonic() - told < 10
  return process.returncode, stderr, mark


def check(
  script: str, code: int, stderr: str, mark: str, folder: Path, word: str, expected: int
) -> None:
  assert code == expected, stderr
  lines = [line for line in stderr.splitlines() if line.strip()]
  assert len(lines) == 1 and lines[0].startswith(f"{script}.py: {word}"), stderr
  time.sleep(0.2)
  assert left_alive(mark) == []
  assert not list(folder.rglob("*.unfinished"))


@pytest.mark.parametrize("script", ["synthesize", "ask", "predict", "spft"])
def test_ctrl_c_at_any_moment_is_one_line(files, tmp_path, script):
  for moment in MOMENTS:
    folder = tmp_path / f"{moment}"
    if script == "ask" and moment > 2:
      continue  # It may have ended by then.
    code, stderr, mark = stop(
      script, files, folder, signal.SIGINT, lambda _, m=moment: time.sleep(m), True
    )
    check(script, code, stderr, mark, folder, "interrupted", 130)


def workers_are_busy(process: subprocess.Popen, record: Path) -> None:
  """Waits until two worker processes synthesize, and what they made is on record."""
  children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
  for _ in range(1200):
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children.read_text().split()]
    if sum(b"spawn_main" in command for command in commands) == 2 and record.is_file():
      return
    time.sleep(0.05)
  raise AssertionError("no workers were started")


@pytest.mark.parametrize("whole_group", [True, False])
@pytest.mark.parametrize(
  ("number", "word", "expected"),
  [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "term", 143)],
)
def test_workers_end_with_synthesis_and_it_goes_on(
  files, tmp_path, number, word, expected, whole_group
):
  record = tmp_path / "x" / "made.jsonl.record"
  until = lambda process: workers_are_busy(process, record)  # noqa: E731
  code, stderr, mark = stop("synthesize", files, tmp_path / "x", number, until, whole_group)
  if number == signal.SIGTERM and whole_group:
    assert code in (143, 1) and "Traceback" not in stderr and left_alive(mark) == []
    return
  check("synthesize", code, stderr, mark, tmp_path, word, expected)
  assert "goes on" in stderr
  # Temporary folders are removed: the main thread had the time for it.
  assert list((tmp_path / "x" / "tmp").iterdir()) == []
  assert record.stat().st_size


WAITING = "import time\ndef main(): time.sleep(60)"
# for minutes in C, as the compiler is
DEAF = "import hashlib\ndef main(): hashlib.pbkdf2_hmac('sha512', b'x', b'y', 10**9)"
SWALLOWING = (
  "import time\ndef main():\n  while True:\n    try: time.sleep(60)\n    except BaseException: pass"
)


# As training does, whose update and checkpoint may take longer than the grace.
KEEPING = """
import pathlib, signal, threading, time
def main():
  told = threading.Event()
  signal.signal(signal.SIGTERM, lambda number, frame: told.set())
  while not told.is_set():
    time.sleep(0.1)
  time.sleep(launch.stopping.GRACE_S + 1)
  pathlib.Path(__file__).with_name("kept").touch()
"""


def test_work_that_keeps_its_state_at_sigterm_has_the_time_to(tmp_path):
  process = started(tmp_path, KEEPING)
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=10)
  assert (tmp_path / "kept").exists()


# Training that was ended so, in place of the real module, which takes seconds to import.
PREEMPTED = """
import signal, sys, time, types
class Preempted(RuntimeError):
  kept = {kept}
sys.modules["spftsql_jax.training.trainer"] = types.SimpleNamespace(Preempted=Preempted)
def main():
  signal.signal(signal.SIGTERM, lambda number, frame: None)
  signal.pause()
  time.sleep(0.5)
  raise Preempted("sft was ended by SIGTERM; what of it")
"""


@pytest.mark.parametrize(
  ("kept", "code", "line"),
  [(True, 75, "sft was ended by SIGTERM; what of it"), (False, 143, "terminated")],
)
def test_only_training_that_has_kept_its_state_asks_to_be_started_again(tmp_path, kept, code, line):
  process = started(tmp_path, PREEMPTED.replace("{kept}", str(kept)))
  process.send_signal(signal.SIGTERM)
  _, stderr = process.communicate(timeout=10)
  assert (process.returncode, stderr) == (code, f"slow.py: {line}\n")


def test_a_second_sigterm_does_not_wait_for_it(tmp_path):
  process = started(tmp_path, KEEPING)
  for _ in range(2):
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
  _, stderr = process.communicate(timeout=2)
  assert (process.returncode, stderr) == (143, "slow.py: terminated\n")
  assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("code", [WAITING, DEAF, SWALLOWING])
def test_a_main_thread_that_does_not_answer_is_ended(tmp_path, code):
  process = started(tmp_path, code)
  process.send_signal(signal.SIGTERM)
  _, stderr = process.communicate(timeout=6)
  assert (process.returncode, stderr) == (143, "slow.py: terminated\n")


def started(folder: Path, code: str) -> subprocess.Popen:
  """A script of this code that has begun its work."""
  script = folder / "slow.py"
  head = (
    f"import sys\nsys.path.insert(0, {str(EXPERIMENTS)!r})\nimport "
    "launch\nlaunch.stopping.install()\n"
  )
  script.write_text(
    f"{head}{code}\nprint('ready', file=sys.stderr, flush=True)\nlaunch.launch(main)\n"
  )
  process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE, text=True)
  assert process.stderr.readline() == "ready\n"
  time.sleep(0.5)
  return process


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_away_ends_a_script_quietly(files, lines):
  """`| head`, with output shorter and longer than what a pipe holds."""
  head = f"import sys; sys.path.insert(0, {str(EXPERIMENTS)!r}); import launch, time"
  main = f"def main():\n  time.sleep(0.5)\n  for _ in range({lines}): print('x' * 100)\n"
  reader, writer = os.pipe()
  process = subprocess.Popen(
    [sys.executable, "-c", f"{head}\n{main}launch.launch(main)"],
    stdout=writer,
    stderr=subprocess.PIPE,
  )
  os.close(writer)
  os.close(reader)
  _, stderr = process.communicate(timeout=60)
  assert (process.returncode, stderr) == (141, b"")


def test_help_into_a_closed_pipe_is_quiet():
  command = (
    f"set -o pipefail; {sys.executable} {EXPERIMENTS / 'evaluate.py'} --help | head -1 > /dev/null"
  )
  done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
  assert done.stderr == "" and done.returncode in (0, 141)


def test_a_script_that_nobody_stops_ends_as_before(files, tmp_path):
  demo = files / "demo"
  output = tmp_path / "made.jsonl"
  arguments = [f"--databases={demo}", "--num_examples=30", "--workers=2", f"--output={output}"]
  done = subprocess.run(
    [sys.executable, str(EXPERIMENTS / "synthesize.py"), *arguments],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert (done.returncode, done.stderr) == (0, "")
  assert json.loads(done.stdout.splitlines()[-1])["examples"] == len(
    output.read_text().splitlines()
  )
