"""Safetensors files, read and written a tensor at a time.

A file is a little-endian uint64 with the length of a JSON header, the header ({name: {dtype, shape,
data_offsets}}), and the tensors' bytes. Files are read by position and not mapped: mapped pages
count as memory of the process, and a model would lie in it twice while it is loaded.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from spftsql_jax.files import write_json

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_DTYPES = {
  "F32": np.dtype(np.float32),
  "BF16": np.dtype(ml_dtypes.bfloat16),
  "F16": np.dtype(np.float16),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
# Rows are read in blocks of so many bytes where they cannot go straight to their place.
_BLOCK_BYTES = 1 << 24
_HEADER_LIMIT = 100_000_000  # bytes, as in the format's own library


@dataclasses.dataclass(frozen=True)
class _Entry:
  """Where a tensor lies."""

  path: pathlib.Path
  dtype: str
  shape: tuple[int, ...]
  offset: int


@dataclasses.dataclass(frozen=True)
class Source:
  """A tensor to be written: what the header says of it, and a function that makes it when its turn
  has come.
  """

  name: str
  shape: tuple[int, ...]
  dtype: np.dtype
  make: Callable[[], np.ndarray]

  @property
  def nbytes(self) -> int:
    return math.prod(self.shape) * self.dtype.itemsize


class TensorFiles:
  """The tensors of one or several safetensors files by name; a context manager that keeps the files
  open.

  Raises:
    FileNotFoundError: a file is not there. ValueError: one is damaged or cut off; the message names
      it.
  """

  def __init__(self, paths: Iterable[pathlib.Path]):
    self._entries: dict[str, _Entry] = {}
    self._open: dict[pathlib.Path, int] = {}
    for path in paths:
      self._entries.update(_read_header(path))

  @classmethod
  def of_model(cls, directory: pathlib.Path) -> TensorFiles:
    """The weights of a Hugging Face model folder: one file, or several with an index."""
    if (directory / SINGLE).is_file():
      return cls([directory / SINGLE])
    index = directory / INDEX
    if not index.is_file():
      others = sorted(
        p.name for pattern in ("*.bin", "*.pth", "*.gguf") for p in directory.glob(pattern)
      )
      hint = f"; {others[0]} is no safetensors file and is not read" if others else ""
      raise FileNotFoundError(f"{directory} holds neither {SINGLE} nor {INDEX}{hint}")
    try:
      names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
      raise ValueError(f"{index} is no index of safetensors files: {error!r}") from error
    if outside := [name for name in names if pathlib.PurePath(name).name != name]:
      raise ValueError(f"{index} names files outside its folder: {', '.join(outside)}")
    if absent := [name for name in names if not (directory / name).is_file()]:
      raise FileNotFoundError(f"{directory}: weight files missing: {', '.join(absent)}")
    return cls([directory / name for name in names])

  def __enter__(self) -> TensorFiles:
    return self

  def __exit__(self, *exception: object) -> None:
    while self._open:
      os.close(self._open.popitem()[1])

  def names(self) -> set[str]:
    """Names of all tensors."""
    return set(self._entries)

  def shape(self, name: str) -> tuple[int, ...]:
    """A tensor's shape."""
    return self._entries[name].shape

  def dtype(self, name: str) -> np.dtype:
    """A tensor's dtype. Raises ValueError where it is none of float32, bfloat16, float16."""
    kind = self._entries[name].dtype
    if kind not in _DTYPES:
      raise ValueError(
        f"{self._entries[name].path}: tensor {name} has dtype {kind}; supported: "
        f"{', '.join(_DTYPES)}"
      )
    return _DTYPES[kind]

  def read(self, name: str, index: tuple[slice, ...], out: np.ndarray) -> None:
    """Writes tensor[index] (slices of step 1) into `out`, cast to its dtype.

    A part whose bytes lie together goes straight to `out` where that is contiguous and of the
    tensor's dtype; all else goes by blocks of rows.
    """
    entry, dtype = self._entries[name], self.dtype(name)
    inner = index[1:]
    whole = all(s.indices(n) == (0, n, 1) for s, n in zip(inner, entry.shape[1:], strict=True))
    start, stop, _ = index[0].indices(entry.shape[0])
    row_bytes = math.prod(entry.shape[1:]) * dtype.itemsize
    if whole and out.flags.c_contiguous and out.dtype == dtype:
      self._read_bytes(entry, start * row_bytes, out)
      return
    if out.dtype == dtype:
      dtype = _bits(dtype)
      out = out.view(dtype)
    rows = max(_BLOCK_BYTES // max(row_bytes, 1), 1)
    for first in range(start, stop, rows):
      block = np.empty((min(rows, stop - first), *entry.shape[1:]), dtype)
      self._read_bytes(entry, first * row_bytes, block)
      out[first - start : first - start + len(block)] = block[(slice(None), *inner)]

  def read_whole(self, name: str) -> np.ndarray:
    """A whole tensor."""
    out = np.empty(self.shape(name), self.dtype(name))
    self.read(name, tuple(slice(None) for _ in out.shape), out)
    return out

  def same(self, first: str, second: str) -> bool:
    """Whether two tensors have the same shape, dtype and bytes."""
    a, b = self._entries[first], self._entries[second]
    if (a.shape, a.dtype) != (b.shape, b.dtype):
      return False
    size = math.prod(a.shape) * self.dtype(first).itemsize
    for start in range(0, size, _BLOCK_BYTES):
      of_a, of_b = (np.empty(min(_BLOCK_BYTES, size - start), np.uint8) for _ in range(2))
      self._read_bytes(a, start, of_a)
      self._read_bytes(b, start, of_b)
      if not np.array_equal(of_a, of_b):
        return False
    return True

  def _read_bytes(self, entry: _Entry, start: int, out: np.ndarray) -> None:
    """Fills contiguous `out` with the tensor's bytes from byte `start` on."""
    if entry.path not in self._open:
      self._open[entry.path] = os.open(entry.path, os.O_RDONLY)
    view, at = out.reshape(-1).view(np.uint8).data, entry.offset + start
    while len(view):
      count = os.preadv(self._open[entry.path], [view], at)
      if not count:
        raise ValueError(f"{entry.path} ended while it was read")
      view, at = view[count:], at + count


def _read_header(path: pathlib.Path) -> dict[str, _Entry]:
  size = path.stat().st_size
  with path.open("rb") as file:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(_HEADER_LIMIT, size - 8):
      raise ValueError(
        f"{path} cannot be read: it is no safetensors file, or cut off in its header"
      )
    text = file.read(length)
  entries, end = {}, 0
  try:
    header = json.loads(text)
    header.pop("__metadata__", None)
    for name, record in header.items():
      start, stop = record["data_offsets"]
      entries[name] = _Entry(path, record["dtype"], tuple(record["shape"]), 8 + length + start)
      if (
        record["dtype"] in _DTYPES
        and stop - start != math.prod(record["shape"]) * _DTYPES[record["dtype"]].itemsize
      ):
        raise ValueError(f"the bytes of {name} are not those of its shape")
      end = max(end, 8 + length + stop)
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(f"{path} cannot be read: its header is damaged ({error})") from error
  if end > size:
    raise ValueError(f"{path} cannot be read: it is cut off, {size:,} bytes of {end:,}")
  return entries


def write_model(directory: pathlib.Path, sources: Iterable[Source], max_shard_bytes: int) -> None:
  """Writes a model folder's weights, replacing older ones; one tensor at a time is held in memory.

  Files get their names when all are complete.
  """
  shards: list[list[Source]] = []
  room = 0
  for source in sources:
    if not shards or source.nbytes > room:
      shards.append([])
      room = max_shard_bytes
    shards[-1].append(source)
    room -= source.nbytes
  count = len(shards)
  names = (
    [SINGLE]
    if count == 1
    else [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
  )
  parts = [directory / f".{name}.part" for name in names]
  try:
    for part, shard in zip(parts, shards, strict=True):
      write_tensors(part, shard)
    for old in [*directory.glob("model*.safetensors"), directory / INDEX]:
      old.unlink(missing_ok=True)
    for part, name in zip(parts, names, strict=True):
      os.replace(part, directory / name)
  finally:
    for part in parts:
      part.unlink(missing_ok=True)
  if count > 1:
    weight_map = {
      source.name: name for name, shard in zip(names, shards, strict=True) for source in shard
    }
    total = sum(source.nbytes for shard in shards for source in shard)
    write_hf_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_tensors(path: pathlib.Path, sources: Iterable[Source]) -> None:
  """Writes one safetensors file."""
  # Wide types first, so that every tensor starts at a multiple of its item size.
  ordered = sorted(sources, key=lambda source: -source.dtype.itemsize)
  header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
  end = 0
  for source in ordered:
    offsets = [end, end + source.nbytes]
    header[source.name] = {
      "dtype": _NAMES[source.dtype],
      "shape": list(source.shape),
      "data_offsets": offsets,
    }
    end = offsets[1]
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % 8)
  with path.open("wb") as file:
    file.write(len(text).to_bytes(8, "little") + text)
    for source in ordered:
      array = source.make()
      if array.shape != source.shape or array.dtype != source.dtype:
        raise ValueError(
          f"tensor {source.name} is {array.dtype}{array.shape}, expected "
          f"{source.dtype}{source.shape}"
        )
      flat = np.ascontiguousarray(array.view(_bits(array.dtype))).reshape(-1)
      file.write(flat.view(np.uint8).data)


def _bits(dtype: np.dtype) -> np.dtype:
  """The unsigned integer of a dtype's size: NumPy moves its own types several times faster than
  bfloat16.
  """
  return np.dtype(f"u{dtype.itemsize}")


def write_hf_json(path: pathlib.Path, value: Mapping[str, Any]) -> None:
  """Writes a JSON file as Hugging Face folders have them."""
  write_json(path, value, indent=2, end="\n")
