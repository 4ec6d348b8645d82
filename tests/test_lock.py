"""The lock files name what requirements*.txt ask for, each with hashes, for every Python that is
stated.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = {
  "requirements.lock": ("requirements.txt",),
  "requirements-dev.lock": ("requirements.txt", "requirements-dev.txt"),
}


def locked(name: str) -> dict[str, list[tuple[Requirement, int]]]:
  """The entries of a lock file by package, each with the number of its hashes."""
  found: dict[str, list[tuple[Requirement, int]]] = {}
  text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
  for line in filter(None, text.splitlines()):
    requirement = Requirement(line.partition(" --hash")[0])
    hashes = len(re.findall(r" --hash=sha256:[0-9a-f]{64}\b", line))
    found.setdefault(canonicalize_name(requirement.name), []).append((requirement, hashes))
  return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_is_as_fresh_as_the_requirements(name):
  entries = locked(name)
  for source in LOCKS[name]:
    for line in (ROOT / source).read_text(encoding="utf-8").splitlines():
      wanted = Requirement(line)
      versions = {str(r.specifier) for r, _ in entries.get(canonicalize_name(wanted.name), ())}
      assert versions == {str(wanted.specifier)}, f"{name} is stale in {wanted}: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_file_that_is_installed_has_a_hash(name):
  entries = [each for several in locked(name).values() for each in several]
  assert len(entries) > 60 and all(hashes for _, hashes in entries)
  assert all(re.fullmatch(r"==[^,*]+", str(r.specifier)) for r, _ in entries)
  # Whoever installs chooses the index.
  assert "://" not in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LOCKS)
def test_every_stated_python_finds_one_version_of_each(name):
  project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
  stated = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
  assert stated == ["3.11", "3.12", "3.13"] and project["requires-python"] == ">=3.11"
  for python in stated:
    for machine in ("x86_64", "aarch64"):
      here = {"python_version": python, "python_full_version": f"{python}.1"}
      here |= {"sys_platform": "linux", "platform_machine": machine, "os_name": "posix"}
      here |= {"platform_system": "Linux", "implementation_name": "cpython"}
      here |= {"platform_python_implementation": "CPython"}
      for package, several in locked(name).items():
        fitting = [r for r, _ in several if r.marker is None or r.marker.evaluate(here)]
        assert len(fitting) <= 1, f"{package} twice on Python {python}"
      scipy = [r for r, _ in locked(name)["scipy"] if r.marker is None or r.marker.evaluate(here)]
      assert len(scipy) == 1


def test_the_readme_installs_the_pinned_jax_for_gpus():
  pins = re.findall(r"^jax==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
  said = re.findall(r"jax\[\w+\]==([\d.]+)", (ROOT / "README.md").read_text())
  assert len(pins) == 1 and set(said) == set(pins)
