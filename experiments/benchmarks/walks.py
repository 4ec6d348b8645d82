"""Lists the functions that one SQL string and one parameter tree pass through.

    python experiments/benchmarks/walks.py --output=walks.json
    python experiments/benchmarks/walks.py --tree=DIR --output=before.json     of another checkout

"sql": a template's text is filled on a database, worded as a question, executed and judged against
a near-miss, worker processes included. What reading the database's schema and making its instances
call is left out: that is done once for a database. "params": the weights of a Hugging Face folder
become a version of a model base and a folder again. Each function of the package is listed once,
where it is first called, as `file:function`.
"""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import launch

# isort: split
import walked
from absl import flags

from spftsql_jax.files import write_json

_HERE = Path(__file__).resolve().parent

_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write.", required=True)
_TREE = flags.DEFINE_string("tree", str(_HERE.parents[1]), "The checkout whose package is traced.")


def main() -> None:
  tree = Path(_TREE.value).resolve()
  if not (tree / "spftsql_jax").is_dir():
    raise launch.InputError(f"--tree={tree}: no package spftsql_jax there")
  import hf_checkpoints  # Needs pytest.

  report = {}
  with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    walked.make_shop(folder / "festival.sqlite")
    config = hf_checkpoints.hf_config("llama")
    hf_checkpoints.write_checkpoint(folder / "model", config, hf_checkpoints.random_tensors(config))
    opening = set(_walk("open_shop", tree, folder))
    report["sql"] = [name for name in _walk("sql", tree, folder) if name not in opening]
    report["params"] = _walk("params", tree, folder)
  write_json(_OUTPUT.value, report, end="\n")
  for walk, names in report.items():
    files = {name.partition(":")[0] for name in names}
    print(f"{walk}: {len(names)} functions in {len(files)} files")
    print(*(f"  {name}" for name in names), sep="\n")


def _walk(step: str, tree: Path, folder: Path) -> list[str]:
  """The functions of a step in the order of their first calls."""
  # A pipe, because worker processes may write no file.
  pipe = str(folder / f"{step}.pipe")
  os.mkfifo(pipe)
  code = (
    f"import sys; sys.path[:0] = [{str(tree)!r}, {str(_HERE)!r}]; import pathlib, walked; "
    f"work = walked.{step}(pathlib.Path({str(folder)!r})); "
    f"walked.trace({str(tree)!r}, {pipe!r}); work()"
  )
  with (
    concurrent.futures.ThreadPoolExecutor() as pool,
    open(pipe, "r+b", buffering=0) as ours,
    open(pipe, "rb") as calls,
  ):
    reading = pool.submit(lambda: list(iter(calls.readline, b"end\n")))
    try:
      done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
      )
    finally:
      ours.write(b"end\n")
    lines = [line.decode().rstrip("\n").split("\t") for line in reading.result()]
  if done.returncode:
    raise RuntimeError(f"{step} failed in {tree}: {done.stderr.strip().splitlines()[-1]}")
  return list(dict.fromkeys(name for _, name in sorted(lines, key=lambda line: int(line[0]))))


if __name__ == "__main__":
  launch.launch(main)
