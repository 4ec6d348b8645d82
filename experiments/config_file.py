"""The flag --config: what is wrong with a config file, or with a field that is set with
--config.x.y, in one line.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch import InputError

from absl import flags  # isort: skip

_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)(=.*)?", re.DOTALL)
_FILE = re.compile(r"--?config(?:=(.*))?", re.DOTALL)


def check(argv: Sequence[str]) -> None:
  """Raises InputError where --config names no usable config file, or --config.x.y no field of it.
  Its types are not checked.
  """
  try:
    arguments = flags.FLAGS.read_flags_from_files(list(argv[1:]), force_gnu=False)
  except (flags.Error, OSError) as error:
    raise InputError(f"{error} (see --help)") from error
  if "--" in arguments:
    arguments = arguments[: arguments.index("--")]
  config = None
  for place, argument in enumerate(arguments):
    if given := _FILE.fullmatch(argument):
      value = (
        given[1]
        if given[1] is not None
        else arguments[place + 1]
        if place + 1 < len(arguments)
        else ""
      )
      config = load(value)
    elif (field := _OVERRIDE.fullmatch(argument)) and config is not None:
      _check_field(config, field[1], "" if field[2] is None else field[2])


def load(value: str) -> Any:
  """The ConfigDict of FILE.py, or of FILE.py:ARGUMENT. Raises InputError."""
  from ml_collections import ConfigDict

  path, colon, argument = value.partition(":")
  if not path:
    raise InputError("--config names no file; give one of experiments/configs/, or your own")
  if Path(path).is_dir():
    raise InputError(f"{path}: a folder where a config file (FILE.py) is expected")
  if not Path(path).is_file():
    raise InputError(f"{path}: no such config file{_nearest_file(Path(path))}")
  spec = importlib.util.spec_from_file_location("config_file_to_check", path)
  if spec is None or spec.loader is None:
    raise InputError(f"{path}: a config file is Python, its name ends in .py")
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
  except SyntaxError as error:
    raise InputError(f"{error.filename}:{error.lineno}: not Python ({error.msg})") from error
  except Exception as error:  # The file is Python: it may fail in any way.
    raise InputError(_failure(error, path)) from error
  make = getattr(module, "get_config", None)
  if not callable(make):
    raise InputError(f"{path}: there is no function get_config in it, which returns the config")
  try:
    config = make(*([argument] if colon else []))
  except Exception as error:
    raise InputError(_failure(error, path)) from error
  if not isinstance(config, ConfigDict):
    raise InputError(
      f"{path}: get_config() returns {type(config).__name__}, not an ml_collections.ConfigDict"
    )
  return config


def did_you_mean(name: str, known: Sequence[str], before: str = "") -> str:
  """ "; did you mean ...? there are ..." with the names that are nearest to a mistyped one, each
  behind `before`.
  """
  near = difflib.get_close_matches(name.lower(), known, 3, 0.6)
  meant = f"; did you mean {' or '.join(before + each for each in near)}?" if near else ""
  return f"{meant}{' There' if near else '; there'} are {', '.join(known)}"


def _check_field(config: Any, field: str, value: str) -> None:
  node, before = config, "config."
  parts = re.split(r"[.\[]", field.replace("]", ""))
  for place, part in enumerate(parts):
    if isinstance(node, Mapping) or hasattr(node, "items"):
      if part not in node:
        if not place and part in _replaced():
          raise InputError(f"--config.{field}: {_replaced()[part]}")
        raise InputError(
          f"--config.{field}: {before[:-1]} has no field "
          f"{part!r}{did_you_mean(part, sorted(node), before)}"
        )
      node = node[part]
    elif isinstance(node, (list, tuple)) and part.isdigit():
      if int(part) >= len(node):
        raise InputError(f"--config.{field}: {before[:-1]} has {len(node)} values, counted from 0")
      node = node[int(part)]
    else:
      raise InputError(
        f"--config.{field}: {before[:-1]} is a value ({node!r}), it has no fields; set "
        f"--{before[:-1]}=VALUE"
      )
    before += part + "."
    if (
      place == len(parts) - 1 and hasattr(node, "items") and not value.lstrip("= ").startswith("{")
    ):
      fields = [f"--{before}{name}" for name in sorted(node)]
      raise InputError(
        f"--config.{field} is a group of fields; set one of them: "
        f"{', '.join(fields) or '(it is empty)'}"
      )


def _replaced() -> dict[str, str]:
  """Fields that a run's config had once, and what replaced them."""
  from spftsql_jax.pipeline.config import REPLACED

  return REPLACED


def _failure(error: Exception, path: str) -> str:
  """What failed in a config file, and in which of its lines."""
  told = str(error)
  if isinstance(error, (TypeError, AttributeError)):
    told += "".join(f"; {text}" for name, text in _replaced().items() if f"'{name}'" in told)
  inside = [
    frame for frame in traceback.extract_tb(error.__traceback__) if _is_same(frame.filename, path)
  ]
  where = f"{path}:{inside[-1].lineno}" if inside else path
  return f"{where}: the config cannot be made ({type(error).__name__}: {told})"


def _is_same(one: str, other: str) -> bool:
  return Path(one).resolve() == Path(other).resolve()


def _nearest_file(path: Path) -> str:
  folder = path.parent
  known = sorted(each.name for each in folder.glob("*.py")) if folder.is_dir() else []
  near = difflib.get_close_matches(path.name, known, 3, 0.6)
  return f"; did you mean {' or '.join(str(folder / name) for name in near)}?" if near else ""
