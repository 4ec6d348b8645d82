"""Makes databases of many domains up, to synthesize examples on that nobody's database is in.

    python experiments/synthetic_databases.py --count=1000 --seed=0 --output=DIR

writes DIR/synthetic_0/synthetic_0.sqlite and so on: 69 domains, other tables, names, keys and rows
in each. The same number and seed give the same database. Those that are there already are left, so
the same command goes on where it was cut off. `synthesize.py --databases=DIR` takes the folder.
"""

from __future__ import annotations

from launch import InputError, launch  # First: from here on a signal ends the script with one line.

# isort: split
import json
import sys
from pathlib import Path

from absl import flags
from tqdm import tqdm

from spftsql_jax.pretraining.build import make_databases

_COUNT = flags.DEFINE_integer("count", None, "How many.", required=True, lower_bound=1)
_START = flags.DEFINE_integer("start", 0, "The number of the first.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Another seed gives other databases.")
_HELD_OUT = flags.DEFINE_bool("held_out", False, "Of the domains that no model is pretrained on.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.", required=True)


def main() -> None:
  flags.FLAGS(sys.argv)
  output = Path(_OUTPUT.value)
  if output.exists() and not output.is_dir():
    raise InputError(f"--output={output}: there is a file of this name")
  numbers = range(_START.value, _START.value + _COUNT.value)
  databases = make_databases(output, numbers, _SEED.value, _HELD_OUT.value)
  bar = tqdm(databases, desc="databases", total=_COUNT.value, disable=None)
  made = sum(is_new for _, is_new in bar)
  print(json.dumps({"output": str(output), "databases": _COUNT.value, "made": made}))


if __name__ == "__main__":
  launch(main)
