"""Frozen dataclasses as JSON and back: the one codec of a run's config, journal and data files.

A record is an object of its fields, in their order. Tuples are lists, None is null. A field made by
`optional` is left out while it is None. What a field made by `beside` holds stands beside the other
fields, without a name of its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypeVar

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
T = TypeVar("T")

_BESIDE, _OPTIONAL = "beside", "optional"


def optional() -> Any:
  """A field that is None by default, and left out while it is."""
  return dataclasses.field(default=None, metadata={_OPTIONAL: True})


def beside() -> Any:
  """A field that holds a record, a record or None, or a mapping (at most one, which takes the
  rest)."""
  return dataclasses.field(metadata={_BESIDE: True})


def to_json(value: object) -> Json:
  """A record, or what a record may hold, as JSON values. Raises TypeError for anything else."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return record_to_json(value)
  if isinstance(value, Mapping):
    return {str(name): to_json(item) for name, item in value.items()}
  if isinstance(value, (tuple, list)):
    return [to_json(item) for item in value]
  if value is None or isinstance(value, (str, int, float)):
    return value
  raise TypeError(f"{type(value).__name__} is nothing that JSON has: {value!r}")


def record_to_json(record: Any) -> dict[str, Json]:
  """A record (a dataclass) as a JSON object."""
  out: dict[str, Json] = {}
  for field in dataclasses.fields(record):
    value = getattr(record, field.name)
    if _BESIDE in field.metadata:
      out |= typing.cast(dict, to_json({} if value is None else value))
    elif value is not None or _OPTIONAL not in field.metadata:
      out[field.name] = to_json(value)
  return out


def from_json(kind: type[T], values: object, where: str) -> T:
  """The record of class `kind` that a JSON object holds.

  Args:
    where: what the object is, for the message.

  Raises:
    ValueError: an unknown or a missing field, or a value of the wrong kind; the message names it.
  """
  hints = _hints(typing.cast(Any, kind))
  fields = dataclasses.fields(typing.cast(Any, kind))
  named = {f.name: f for f in fields if _BESIDE not in f.metadata}
  if not isinstance(values, Mapping):
    raise ValueError(
      f"{where} must be a group of fields ({', '.join(sorted(hints))}), not {values!r}"
    )
  rest = {name: value for name, value in values.items() if name not in named}
  others = {f.name: _taken(hints[f.name], rest, where) for f in fields if _BESIDE in f.metadata}
  if rest:
    raise ValueError(_unknown(where, min(rest), hints))
  for name, field in named.items():
    if name not in values and _is_required(field):
      raise ValueError(f"{where} lacks the field {name!r}")
  found = {n: _value(hints[n], v, f"{where}.{n}") for n, v in values.items() if n in named}
  return kind(**found, **others)


@functools.lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
  return typing.get_type_hints(kind)


def _unknown(where: str, name: str, hints: Mapping[str, Any]) -> str:
  near = difflib.get_close_matches(name, hints, 3)
  meant = f"; did you mean {' or '.join(near)}?" if near else ""
  return f"{where} has no field {name!r}{meant}; there are {', '.join(sorted(hints))}"


def _is_required(field: dataclasses.Field) -> bool:
  return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _taken(hint: Any, rest: dict[str, object], where: str) -> Any:
  """The value of a field made by `beside`: takes its part out of `rest`."""
  parts = [part for part in _alternatives(hint) if part is not types.NoneType]
  if not dataclasses.is_dataclass(parts[0]):
    value, kept = dict(rest), _value(hint, dict(rest), where)
    for name in value:
      del rest[name]
    return kept
  names = [f.name for f in dataclasses.fields(parts[0]) if f.name in rest]
  if not names and types.NoneType in _alternatives(hint):
    return None
  return from_json(typing.cast(type, parts[0]), {name: rest.pop(name) for name in names}, where)


def _alternatives(hint: Any) -> tuple[Any, ...]:
  return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _value(hint: Any, value: Any, where: str) -> Any:
  """A value of the kind that `hint` says. Raises ValueError."""
  if hint is Any:
    return value
  if dataclasses.is_dataclass(hint):
    return from_json(typing.cast(type, hint), value, where)
  if isinstance(hint, types.UnionType):
    return _one_of(hint, value, where)
  origin, arguments = typing.get_origin(hint), typing.get_args(hint)
  if origin is Literal:
    if value not in arguments:
      raise ValueError(f"{where} must be one of {', '.join(map(repr, arguments))}, not {value!r}")
    return value
  if origin is tuple:
    return _several(arguments, value, where)
  if origin in (dict, Mapping):
    if not isinstance(value, Mapping):
      raise ValueError(f"{where} must be a dict, not {value!r}")
    return {name: _value(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
  if hint is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  wrong = isinstance(hint, type) and (
    not isinstance(value, hint) or (isinstance(value, bool) and hint not in (bool, object))
  )
  if wrong:
    raise ValueError(f"{where} must be {hint.__name__}, not {value!r}")
  return value


def _one_of(hint: types.UnionType, value: Any, where: str) -> Any:
  parts = typing.get_args(hint)
  if value is None and types.NoneType in parts:
    return None
  others = [part for part in parts if part is not types.NoneType]
  if len(others) == 1:
    return _value(others[0], value, where)
  if not isinstance(value, hint):
    names = ", ".join(part.__name__ for part in others)
    raise ValueError(f"{where} must be one of {names}, not {value!r}")
  return value


def _several(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
  if not isinstance(value, (tuple, list)):  # A text has parts too: its letters.
    raise ValueError(f"{where} must be several values, as in ({value!r},), not {value!r}")
  kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
  if len(kinds) != len(value):
    raise ValueError(f"{where} must have {len(kinds)} values, not {value!r}")
  return tuple(_value(k, v, where) for k, v in zip(kinds, value, strict=True))
