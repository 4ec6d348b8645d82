"""Rows planned epoch by epoch: a run that goes on reads what it would have read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spftsql_jax.examples.batches import Branch, Unit
from spftsql_jax.examples.packing import RowShape, plan_rows
from spftsql_jax.training import feed
from spftsql_jax.training.feed import plan_updates

SHAPE = RowShape(24, 4, 12)
SEED = 3


def draw_units(count):
  return [Unit((Branch((n % 5 + 1, 7), (n + 10,), (3, 4)),)) for n in range(count)]


UNITS = draw_units(23)


def epoch(number):
  return plan_rows(UNITS, SHAPE, np.random.default_rng([SEED, number]))


def test_epochs_follow_each_other_without_a_gap():
  rows = len(epoch(0))
  assert rows > 4 and rows % 4 != 0  # So that an update of four holds rows of two epochs.
  planned = list(plan_updates(UNITS, SHAPE, 4, rows, SEED))
  assert [len(update) for update in planned] == [4] * rows
  assert list(itertools.chain.from_iterable(planned)) == sum(map(epoch, range(4)), [])
  assert epoch(0) != epoch(1)


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_from_a_step_on_the_rows_are_those_of_the_whole_plan_behind_it(rows):
  steps = 2 * len(epoch(0)) + 2  # Of one row an update, over two ends of an epoch.
  whole = list(plan_updates(UNITS, SHAPE, rows, steps, SEED))
  assert len(whole) == steps
  for start in range(steps + 1):
    assert list(plan_updates(UNITS, SHAPE, rows, steps, SEED, start)) == whole[start:], start
  assert list(plan_updates(UNITS, SHAPE, rows, steps, SEED + 1)) != whole


def test_an_epoch_is_planned_when_its_first_row_is_asked_for(monkeypatch):
  planned = []

  def plan(units, shape, rng):
    planned.append(1)
    return plan_rows(units, shape, rng)

  monkeypatch.setattr(feed, "plan_rows", plan)
  rows = len(epoch(0))
  updates = plan_updates(UNITS, SHAPE, 1, 10**9, SEED)
  for _ in range(rows):
    next(updates)
  assert len(planned) == 1
  next(updates)
  assert len(planned) == 2
