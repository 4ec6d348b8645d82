"""Checks the types (`make check`): rooms where mypy must find nothing, and counts for the others.

    python tests/type_check.py               fails on an error in a strict room, and where another
                                             room's count is not the one in type_errors.json
    python tests/type_check.py --update      writes the counts that have fallen into that file

A count may only fall. One that has fallen fails too, until the file says so; a room that has
reached 0 leaves the file and is strict from then on.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COUNTS = Path(__file__).with_name("type_errors.json")
# These never get a count: not one error, and no comment that hides a whole file or any error.
STRICT = ("generation", "judging", "models", "pipeline", "training")

_ERROR = re.compile(r"(?P<path>[^:]+):\d+: error: ")
_BLANKET = re.compile(r"#\s*(mypy\s*:|type\s*:\s*ignore(?!\[))")


def room_of(path: str) -> str:
  """The room of a file: a folder of the package, a file beside them, or the launch scripts."""
  parts = Path(path).with_suffix("").parts
  if parts[0] == "spftsql_jax" and len(parts) > 1:
    return parts[1]
  # Benchmarks and demo data apart from the scripts themselves.
  return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def errors_by_room(lines: Iterable[str]) -> dict[str, list[str]]:
  """What mypy printed, by room."""
  found: dict[str, list[str]] = {}
  for line in lines:
    if match := _ERROR.match(line):
      found.setdefault(room_of(match["path"]), []).append(line)
  return found


def blanket_ignores(root: Path = ROOT) -> list[str]:
  """Comments in strict rooms that hide more than one named kind of error."""
  return [
    f"{path.relative_to(root)}:{number}: error: a blanket ignore: {line.strip()}"
    for room in STRICT
    for path in sorted((root / "spftsql_jax" / room).rglob("*.py"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    if _BLANKET.search(line)
  ]


def complaints(found: Mapping[str, list[str]], allowed: Mapping[str, int]) -> list[str]:
  """What is wrong with the errors found, beside the counts that are allowed."""
  wrong = [
    f"{room}: strict, and has no count in {COUNTS.name}" for room in STRICT if room in allowed
  ]
  for room in sorted({*found, *allowed}):
    errors, count = found.get(room, []), 0 if room in STRICT else allowed.get(room, 0)
    if len(errors) > count:
      wrong += [*errors, f"{room}: {len(errors)} type errors, where {count} are allowed"]
    elif len(errors) < count:
      left = f'write "{room}": {len(errors)}' if errors else f'take out "{room}"'
      wrong.append(
        f"{room}: {len(errors)} type errors instead of {count}: {left} in {COUNTS.name} (--update)"
      )
  return wrong


def lowered(found: Mapping[str, list[str]], allowed: Mapping[str, int]) -> dict[str, int]:
  """The counts that the file should hold: those that have fallen are lowered, none is raised."""
  counts = {room: min(count, len(found.get(room, []))) for room, count in sorted(allowed.items())}
  return {room: count for room, count in counts.items() if count and room not in STRICT}


def main() -> int:
  """Runs mypy once over all; 0 where nothing is wrong."""
  run = subprocess.run(
    [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context", "--no-pretty"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  if run.returncode not in (0, 1):
    print(run.stdout + run.stderr, file=sys.stderr)
    return run.returncode
  found = errors_by_room([*run.stdout.splitlines(), *blanket_ignores()])
  allowed = json.loads(COUNTS.read_text(encoding="utf-8")) if COUNTS.is_file() else None
  if "--update" in sys.argv[1:]:
    # Without the file, all that is there is written: the start of the list.
    start = {room: len(errors) for room, errors in found.items()}
    allowed = lowered(found, start if allowed is None else allowed)
    COUNTS.write_text(json.dumps(allowed, indent=2) + "\n", encoding="utf-8")
  wrong = complaints(found, allowed or {})
  for line in wrong:
    print(line)
  counts = Counter({room: len(errors) for room, errors in found.items()})
  listed = ", ".join(f"{room} {count}" for room, count in sorted(counts.items()))
  print(f"type errors: {counts.total()}{f' ({listed})' if listed else ''}")
  return 1 if wrong else 0


if __name__ == "__main__":
  sys.exit(main())
