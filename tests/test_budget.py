"""How much fits into some minutes: by arithmetic alone."""

from __future__ import annotations

import dataclasses

import pytest

from spftsql_jax.pipeline.specialize.budget import Speed, expected_seconds, within
from spftsql_jax.pipeline.specialize.settings import Settings, make_config

SETTINGS = Settings("shop.sqlite", "base", iterations=1)
SPEED = Speed(
  measuring=40, opening=5, example=0.005, compiling=15, step=0.5, first_answers=10, answer=0.05
)


def seconds(settings):
  return expected_seconds(make_config(settings), SPEED)


def test_a_step_and_a_round_cost_what_they_were_measured_to():
  more = dataclasses.replace(SETTINGS, steps=SETTINGS.steps + 10)
  # 10 in each of 2 rounds, and 1 more of self-play's and of the question writer's tenth.
  assert seconds(more) - seconds(SETTINGS) == pytest.approx(0.5 * (20 + 1 + 1.5))
  alone = dataclasses.replace(SETTINGS, iterations=0, rounds=1)
  # Opening, examples and those held back, one kind of training, answers: two versions asked twice
  # and one verification of 128.
  by_hand = 5 + (2400 + 128) * 0.005 + 15 + 280 * 0.5 + 10 + 5 * 128 * 0.05
  assert seconds(alone) == pytest.approx(by_hand)


@pytest.mark.parametrize("minutes", [5, 10, 15, 60])
def test_a_plan_takes_the_minutes_that_there_are(minutes):
  plan = within(SETTINGS, minutes, SPEED)
  assert 0.97 * 60 * minutes <= SPEED.measuring + seconds(plan) <= 60 * minutes
  assert plan.rounds == 2 and plan.iterations == 1


def test_less_is_done_where_time_is_short_and_too_short_a_time_is_told():
  short = within(SETTINGS, 2.7, SPEED)
  assert SPEED.measuring + seconds(short) <= 2.7 * 60 and short.steps >= 20
  assert (short.rounds, short.iterations) == (1, 0)
  with pytest.raises(ValueError, match="1 minutes are too few here: it takes 1.") as told:
    within(SETTINGS, 1, SPEED)
  least = float(str(told.value).split()[-3])
  assert within(SETTINGS, least + 0.1, SPEED).rounds == 1
