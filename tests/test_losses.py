"""The losses agree with their equations written in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spftsql_jax.training.losses import dpo_loss, error_driven_loss, sft_loss, spin_loss


def _pairs(seed: int, count: int) -> tuple[np.ndarray, ...]:
  rng = np.random.default_rng(seed)
  log_probs = -rng.gamma(2.0, 8.0, (4, count))
  return (*log_probs, (rng.random(count) < 0.6).astype(np.float64))


def _reference(
  positive,
  negative,
  opponent_positive,
  opponent_negative,
  reward,
  beta,
  on_correct,
  floor=0.0,
  weights=None,
) -> float:
  """Eq. 3, a pair at a time, in float64."""
  losses, counted = [], []
  weights = np.ones(len(positive)) if weights is None else weights
  for p, n, op, on, r, w in zip(
    positive, negative, opponent_positive, opponent_negative, reward, weights, strict=True
  ):
    if on_correct == "drop" and r == 0:
      continue
    t = beta * ((p - op) - r * (n - on) - floor * max(0.0, op - p))
    losses.append(np.logaddexp(0.0, -t))
    counted.append(w)
  return float(np.average(losses, weights=counted)) if losses else 0.0


@settings(max_examples=40, deadline=None)
@given(
  st.integers(0, 10_000),
  st.integers(1, 40),
  st.sampled_from([0.05, 0.1, 1.0, 5.0]),
  st.sampled_from(["positive_only", "drop"]),
)
def test_error_driven_loss_is_the_equation(seed, count, beta, on_correct):
  pairs = _pairs(seed, count)
  ours = error_driven_loss(*map(jnp.asarray, pairs), beta=beta, on_correct=on_correct)
  assert ours.shape == ()
  np.testing.assert_allclose(ours, _reference(*pairs, beta, on_correct), rtol=1e-5, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from([0.0, 1.0, 50.0]))
def test_a_floor_on_log_p_of_the_positive_and_weights_are_the_equation(seed, count, floor):
  """DPOP, arXiv 2402.13228, Eq. 3; the mean is weighted."""
  pairs, weights = _pairs(seed, count), np.random.default_rng(seed).uniform(0.5, 2.0, count)
  ours = error_driven_loss(
    *map(jnp.asarray, pairs), 0.1, floor_weight=floor, weights=jnp.asarray(weights)
  )
  expected = _reference(*pairs, 0.1, "positive_only", floor, weights)
  np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_the_floor_pulls_up_a_positive_that_fell_and_leaves_one_that_rose():
  """By central differences of the equation in float64."""
  p, n, op, on = (np.array([v]) for v in (-9.0, -12.0, -5.0, -6.0))
  one = np.ones(1)
  for fell in (True, False):
    opponent = op if fell else p - 1.0
    slope = jax.grad(
      lambda p, opponent=opponent: error_driven_loss(
        p, *map(jnp.asarray, (n, opponent, on, one)), 0.1, floor_weight=5.0
      )
    )(jnp.asarray(p))
    step = 1e-5
    up, down = (
      _reference(p + side, n, opponent, on, one, 0.1, "positive_only", 5.0)
      for side in (step, -step)
    )
    np.testing.assert_allclose(slope[0], (up - down) / (2 * step), rtol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_spin_and_dpo_are_the_logistic_loss_of_the_log_ratios(seed, count):
  p, n, op, on, _ = _pairs(seed, count)
  expected = np.mean(np.log1p(np.exp(-np.clip(0.1 * ((p - op) - (n - on)), -500, 500))))
  for loss in (spin_loss, dpo_loss):
    np.testing.assert_allclose(loss(*map(jnp.asarray, (p, n, op, on)), 0.1), expected, rtol=1e-5)


def test_gradient_is_the_derivative_of_the_equation():
  pairs = _pairs(3, 6)
  gradient = jax.grad(
    lambda p, n: error_driven_loss(p, n, *map(jnp.asarray, pairs[2:]), beta=0.5), argnums=(0, 1)
  )
  ours = gradient(jnp.asarray(pairs[0]), jnp.asarray(pairs[1]))
  step = 1e-6
  for side in (0, 1):
    for i in range(6):
      moved = [np.array(x) for x in pairs]
      moved[side][i] += step
      up = _reference(*moved, 0.5, "positive_only")
      moved[side][i] -= 2 * step
      down = _reference(*moved, 0.5, "positive_only")
      np.testing.assert_allclose(ours[side][i], (up - down) / (2 * step), rtol=1e-4, atol=1e-7)


def test_right_answers_push_nothing_down():
  p, n, op, on, _ = map(jnp.asarray, _pairs(1, 8))
  gradient = jax.grad(lambda n: error_driven_loss(p, n, op, on, jnp.zeros(8)))(n)
  assert not gradient.any()
  # Not even where the opponent gave its own answer probability zero.
  assert np.isfinite(error_driven_loss(p, n, op, jnp.full(8, -jnp.inf), jnp.zeros(8)))


def test_opponent_log_probs_are_constants():
  p, n, op, on, reward = map(jnp.asarray, _pairs(2, 8))
  gradient = jax.grad(lambda op, on: error_driven_loss(p, n, op, on, reward), argnums=(0, 1))(
    op, on
  )
  assert not any(g.any() for g in gradient)


def test_dropping_all_pairs_gives_zero_and_no_gradient():
  p, n, op, on, _ = map(jnp.asarray, _pairs(5, 4))
  value, gradient = jax.value_and_grad(
    lambda p: error_driven_loss(p, n, op, on, jnp.zeros(4), on_correct="drop")
  )(p)
  assert value == 0 and not gradient.any()


def test_unknown_on_correct_is_refused():
  with pytest.raises(ValueError, match="positive_only"):
    error_driven_loss(*[jnp.zeros(2)] * 5, on_correct="skip")


def test_sft_loss_is_the_mean_over_tokens():
  log_probs, counts = np.array([-3.0, -10.0, 0.0]), np.array([3, 7, 0])
  np.testing.assert_allclose(sft_loss(jnp.asarray(log_probs), jnp.asarray(counts)), 1.3, rtol=1e-6)
