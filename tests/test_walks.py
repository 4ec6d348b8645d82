"""The benchmark that lists what a query and a parameter tree pass through."""

import json
import subprocess
import sys
from pathlib import Path

WALKS = Path(__file__).resolve().parents[1] / "experiments" / "benchmarks" / "walks.py"


def test_the_walks_go_from_template_to_verdict_and_from_folder_to_export(tmp_path):
  output = tmp_path / "walks.json"
  subprocess.run(
    [sys.executable, WALKS, f"--output={output}"], check=True, capture_output=True, timeout=300
  )
  walks = json.loads(output.read_text())
  assert walks["sql"][0].endswith(":Template.parse")
  rooms = [name.partition("/")[0] for name in walks["sql"]]
  firsts = [rooms.index(room) for room in ("synthesis", "questions", "judging")]
  assert firsts == sorted(firsts)
  # What runs in a worker process is listed too.
  assert any(name.startswith("databases/engines/sqlite") for name in walks["sql"])
  assert walks["params"][0].endswith(":load_hf")
  assert any(name.endswith(":save_hf") for name in walks["params"])
  for names in walks.values():
    assert len(names) == len(set(names))


def test_what_is_no_checkout_is_refused(tmp_path):
  command = [sys.executable, WALKS, f"--tree={tmp_path}", f"--output={tmp_path / 'x.json'}"]
  done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
  assert done.returncode == 2 and "no package" in done.stderr
