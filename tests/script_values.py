"""What expressions over a launch script give, in a process of its own: scripts that define flags
cannot share one.
"""

import json
import subprocess
import sys
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"

_CODE = """
import contextlib, importlib, io, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
script = importlib.import_module(sys.argv[2])


def printed(*arguments):
  script.flags.FLAGS.unparse_flags()
  sys.argv[1:] = arguments
  with contextlib.redirect_stdout(io.StringIO()) as out:
    script.flags.FLAGS(sys.argv)
    script.main()
  return out.getvalue().strip()


print(json.dumps([eval(line) for line in json.loads(sys.stdin.read())]))
"""


def script_values(script: str, expressions: list[str]) -> list:
  """The values (JSON) of expressions in which `script` is a module of experiments/,
  `printed(*flags)` what its main prints.
  """
  command = [sys.executable, "-c", _CODE, str(EXPERIMENTS), script]
  done = subprocess.run(
    command, input=json.dumps(expressions), capture_output=True, text=True, timeout=600, check=False
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout.splitlines()[-1])
