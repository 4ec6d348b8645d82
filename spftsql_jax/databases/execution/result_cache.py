"""Results that are kept, so that a statement is run once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from spftsql_jax.databases.execution.results import Result


class ResultCache:
  """Results by key, bounded by their estimated bytes, least recently used first out."""

  def __init__(self, max_bytes: int):
    self._max_bytes = max_bytes
    self._bytes = 0
    self._entries: OrderedDict[Hashable, tuple[Result, int]] = OrderedDict()

  def get(self, key: Hashable) -> Result | None:
    """The result that is kept under a key, or None."""
    entry = self._entries.get(key)
    if entry is None:
      return None
    self._entries.move_to_end(key)
    return entry[0]

  def put(self, key: Hashable, result: Result, size: int) -> None:
    """Keeps a result of so many bytes, but for one that is too large."""
    if size > self._max_bytes // 4 or key in self._entries:
      return
    self._entries[key] = (result, size)
    self._bytes += size
    while self._bytes > self._max_bytes:
      _, (_, dropped) = self._entries.popitem(last=False)
      self._bytes -= dropped
