"""The console command `spftsql`: a launch script as a subcommand.

    spftsql specialize --database=PATH|URL --workdir=DIR
    python -m spftsql_jax.console specialize ...

runs `specialize.py` in place of this process, as if it had been called itself: its processes and
signals are its own.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).parent
# Where an installation has the scripts, and where a checkout has them.
_FOLDERS = (_PACKAGE / "commands", _PACKAGE.parent / "experiments")


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs a subcommand; ends the process."""
  name, *rest = (sys.argv[1:] if arguments is None else arguments) or ("--help",)
  found = commands()
  if name in ("--help", "-h", "help"):
    print(_usage(found))
    raise SystemExit(0)
  script = found.get(name.removesuffix(".py").replace("-", "_"))
  if script is None:
    print(f"spftsql: no command {name!r}; there are {', '.join(found)}", file=sys.stderr)
    raise SystemExit(2)
  os.execv(sys.executable, [sys.executable, str(script), *rest])


def commands() -> dict[str, Path]:
  """The scripts by the name of their command. Raises FileNotFoundError where there are none."""
  folder = next((each for each in _FOLDERS if each.is_dir()), None)
  if folder is None:
    raise FileNotFoundError(f"{_FOLDERS[0]}: this installation has no launch scripts")
  scripts = (path for path in sorted(folder.glob("*.py")) if _is_script(path))
  # experiments/tpu/launch.py is the command launch_tpu.
  launchers = {f"launch_{path.parent.name}": path for path in sorted(folder.glob("*/launch.py"))}
  return {path.stem: path for path in scripts} | launchers


def _is_script(path: Path) -> bool:
  """Whether a file can be run, and is not only imported by others."""
  return 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")


def _usage(found: dict[str, Path]) -> str:
  lines = ["spftsql COMMAND [--flags]; spftsql COMMAND --help tells a command's flags", ""]
  width = max(map(len, found))
  for name, path in found.items():
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    lines.append(f"  {name:{width}}  {' '.join(text.partition(chr(10) * 2)[0].split())}")
  return "\n".join(lines)


if __name__ == "__main__":
  main()
