"""Which token may follow which: automata over token ids, and many of them as arrays of a compiled
decoding step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np
from flax import struct


@dataclasses.dataclass(frozen=True, eq=False)
class TokenAutomaton:
  """An automaton whose letters are tokens. An answer starts in state 0.

  Tokens that do the same in every state form a class: a vocabulary of 150,000 has a few thousand
  classes, which is what makes the table small.

  Attributes:
    classes: int32 [V], the class of each token.
    table: int32 [S, C], the state behind each state and class, -1 where the class may not follow.
      Some token may follow every state.
  """

  classes: np.ndarray
  table: np.ndarray


@struct.dataclass
class Automata:
  """Several automata, padded to one size; number 0 allows every token.

  Attributes:
    classes: [U, V]. table: [U, S, C]. int16 where that is enough, else int32: twenty schemas are
      then some 500 MB.
  """

  classes: jax.Array
  table: jax.Array

  @classmethod
  def of(
    cls, automata: Sequence[TokenAutomaton | None]
  ) -> tuple[Automata | None, Callable[[TokenAutomaton | None], int]]:
    """The distinct ones of `automata`, and the number of each; None where there is none, so that no
    constraint costs nothing.

    Sizes are rounded up, so that other schemas rarely mean another program.
    """
    distinct = list({id(a): a for a in automata if a is not None}.values())
    number = {id(a): i + 1 for i, a in enumerate(distinct)}
    if not distinct:
      return None, lambda automaton: 0
    states, classes = (_rounded_up(max(a.table.shape[axis] for a in distinct)) for axis in (0, 1))
    dtype = np.int16 if max(states, classes) < 2**15 else np.int32
    count = _power_of_two(len(distinct) + 1)
    all_classes = np.zeros((count, len(distinct[0].classes)), dtype)
    table = np.full((count, states, classes), -1, dtype)
    table[0, 0, 0] = 0
    for i, each in enumerate(distinct, 1):
      all_classes[i] = each.classes
      table[i, : each.table.shape[0], : each.table.shape[1]] = each.table
    return cls(
      jax.numpy.asarray(all_classes), jax.numpy.asarray(table)
    ), lambda a: 0 if a is None else number[id(a)]

  def following(self, automaton: jax.Array, state: jax.Array) -> jax.Array:
    """int32 [..., V]: the state behind each token, -1 where it may not follow, for automata and
    states [...].
    """
    classes = self.classes[automaton].astype(jax.numpy.int32)
    return jax.numpy.take_along_axis(self.table[automaton, state], classes, axis=-1).astype(
      jax.numpy.int32
    )


def _rounded_up(size: int) -> int:
  return _power_of_two(size) if size < 512 else -(-size // 512) * 512


def _power_of_two(size: int) -> int:
  return 1 << (size - 1).bit_length()
