"""Statistics of verdicts: against SciPy, against figures of statsmodels 0.14, and against the same
resamples done by hand.
"""

import itertools

import numpy as np
import pytest
from scipy import stats

from spftsql_jax.judging import statistics
from spftsql_jax.pipeline.contrasts import compare_versions, contrasts_of
from spftsql_jax.pipeline.model_base import Lineage


@pytest.mark.parametrize(
  ("successes", "count"), [(0, 10), (10, 10), (3, 10), (846, 1034), (1, 1), (500, 1000)]
)
def test_wilson_interval_agrees_with_scipy(successes, count):
  expected = stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
  assert statistics.wilson_interval(successes, count) == pytest.approx(
    (expected.low, expected.high), abs=1e-6
  )


def test_wilson_interval_of_nothing_says_nothing():
  assert statistics.wilson_interval(0, 0) == (0.0, 1.0)
  with pytest.raises(ValueError, match="3 successes of 2"):
    statistics.wilson_interval(3, 2)


@pytest.mark.parametrize(
  ("only_a", "only_b", "both"), [(0, 0, 5), (5, 0, 3), (12, 3, 100), (7, 7, 0), (40, 61, 900)]
)
def test_paired_exact_test_agrees_with_scipy(only_a, only_b, both):
  a = [True] * only_a + [False] * only_b + [True] * both
  b = [False] * only_a + [True] * only_b + [True] * both
  expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
  assert statistics.paired_exact_test(a, b) == pytest.approx(expected)
  assert statistics.paired_exact_test(b, a) == pytest.approx(expected)


@pytest.mark.parametrize(
  ("p_values", "corrected"),
  [  # statsmodels' multipletests(method="holm")
    ([0.01, 0.04, 0.03, 0.005, 0.2], [0.04, 0.09, 0.09, 0.025, 0.2]),
    ([0.001, 0.8, 0.02, 0.02, 0.6, 0.049], [0.006, 1.0, 0.1, 0.1, 1.0, 0.147]),
    ([], []),
  ],
)
def test_holm_agrees_with_statsmodels(p_values, corrected):
  assert statistics.holm(p_values) == pytest.approx(corrected)


@pytest.mark.parametrize(("samples", "right", "k"), [(8, 3, 8), (8, 1, 2), (10, 4, 3), (5, 0, 2)])
def test_pass_at_k_is_the_share_of_draws_with_a_right_answer(samples, right, k):
  draws = list(itertools.combinations(range(samples), k))
  expected = np.mean([min(draw) < right for draw in draws])
  assert statistics.pass_at_k(samples, right, k) == pytest.approx(expected)


def _power(n: int, discordance: float, difference: float, alpha: float) -> float:
  """The power of McNemar's exact test, outcome by outcome, by SciPy."""
  share, total = (discordance + difference) / (2 * discordance), 0.0
  for m in range(n + 1):
    k = np.arange(m + 1)
    p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(k, m - k), m, 0.5))
    total += stats.binom.pmf(m, n, discordance) * stats.binom.pmf(k, m, share)[p <= alpha].sum()
  return total


@pytest.mark.parametrize(
  ("n", "discordance", "difference", "alpha"),
  [(324, 0.06, 0.02, 0.05), (200, 0.2, 0.1, 0.05), (50, 0.5, 0.5, 0.01), (30, 0.1, 0.0, 0.05)],
)
def test_power_is_what_the_test_rejects(n, discordance, difference, alpha):
  expected = _power(n, discordance, difference, alpha)
  assert statistics.paired_power(n, discordance, difference, alpha) == pytest.approx(expected)
  assert statistics.paired_power(n, discordance, -difference, alpha) == pytest.approx(expected)


def test_the_questions_needed_are_the_fewest_that_reach_the_power():
  n = statistics.questions_needed(0.3, 0.15)
  assert _power(n, 0.3, 0.15, 0.05) >= 0.8 > _power(n - 1, 0.3, 0.15, 0.05)
  with pytest.raises(ValueError, match="difference of 0"):
    statistics.questions_needed(0.3, 0.0)
  with pytest.raises(ValueError, match="takes a discordance"):
    statistics.paired_power(10, 0.1, 0.2)


def _outcomes(seeds: int, questions: int, better: float, rng) -> tuple[np.ndarray, np.ndarray]:
  """Two systems whose verdicts hang together, the first `better` by so much."""
  hard = rng.random(questions)
  first = hard < 0.5 + better + 0.1 * rng.standard_normal((seeds, questions))
  return first, hard < 0.5 + 0.1 * rng.standard_normal((seeds, questions))


def test_a_difference_of_one_seed_has_mcnemars_p_and_the_interval_of_scipys_bootstrap():
  first, second = _outcomes(1, 400, 0.04, np.random.default_rng(3))
  found = statistics.paired_difference(first.tolist(), second.tolist(), ["a"] * 400)
  difference = first[0].astype(float) - second[0]
  assert found.difference == pytest.approx(difference.mean())
  assert found.p == statistics.paired_exact_test(first[0], second[0])
  assert (found.only_first, found.only_second) == ((difference > 0).sum(), (difference < 0).sum())
  assert found.discordance == pytest.approx(np.abs(difference).mean())
  assert found.resampled == "questions"
  reference = stats.bootstrap(
    (difference,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(0)
  ).confidence_interval
  assert found.interval == pytest.approx((reference.low, reference.high), abs=0.004)


def test_the_interval_over_databases_and_seeds_is_that_of_resamples_by_hand():
  """Each resample put together question by question: databases drawn whole, seeds drawn."""
  rng = np.random.default_rng(5)
  databases = np.repeat(np.arange(12), rng.integers(5, 30, 12))
  first, second = _outcomes(3, len(databases), 0.0, rng)
  first = first | (databases % 4 == 0)  # what is gained is gained on some databases alone
  found = statistics.paired_difference(
    first.tolist(), second.tolist(), [f"db{i}" for i in databases]
  )
  assert (found.resampled, found.databases, found.seeds) == ("databases", 12, 3)
  difference, means = first.astype(float) - second, []
  for _ in range(3000):
    places = np.concatenate([np.flatnonzero(databases == g) for g in rng.integers(0, 12, 12)])
    means.append(difference[rng.integers(0, 3, 3)][:, places].mean())
  assert found.interval == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.015)
  by_question = statistics.cluster_bootstrap(difference, np.arange(len(databases)), 0)
  width = found.interval[1] - found.interval[0]
  assert width > 1.5 * (by_question[1] - by_question[0])


def test_what_was_drawn_is_the_seeds():
  first, second = _outcomes(2, 60, 0.05, np.random.default_rng(1))
  found = [
    statistics.paired_difference(first.tolist(), second.tolist(), ["a"] * 60, seed)
    for seed in (1, 1, 2)
  ]
  assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(("only_first", "only_second"), [(12, 3), (7, 7), (30, 14)])
def test_the_sign_flip_test_of_one_seed_is_mcnemars(only_first, only_second):
  signs = np.array([[1.0] * only_first + [-1.0] * only_second + [0.0] * 50])
  expected = stats.binomtest(only_first, only_first + only_second).pvalue
  assert statistics.sign_flip_test(signs, seed=0) == pytest.approx(expected, abs=0.012)


def test_equality_is_shown_by_an_interval_within_the_margin():
  same = [[i % 3 == 0 for i in range(900)]]
  found = statistics.paired_difference(same, same, ["a"] * 900)
  assert (found.p, found.interval) == (1.0, (0.0, 0.0))
  assert statistics.equivalence(found).equivalent


def test_too_few_questions_are_told_with_how_many_would_do():
  first, second = _outcomes(1, 300, 0.0, np.random.default_rng(8))
  found = statistics.paired_difference(first.tolist(), second.tolist(), ["a"] * 300)
  told = statistics.equivalence(found, margin=0.04)
  assert not told.equivalent and told.needed > 300
  # As many more questions of the same kind do.
  times = -(-told.needed // 300)
  more = statistics.paired_difference(
    np.tile(first, times).tolist(), np.tile(second, times).tolist(), ["a"] * (300 * times)
  )
  assert statistics.equivalence(more, margin=0.045).equivalent
  far = statistics.paired_difference([[True] * 9], [[False] * 9], ["a"] * 9)
  assert statistics.equivalence(far) == statistics.Equivalence(False, 0.015, None)


def test_unpaired_outcomes_are_refused():
  with pytest.raises(ValueError, match="cannot be paired over 3 questions"):
    statistics.paired_difference([[True] * 3], [[True] * 2], ["a"] * 3)


STAGES = {
  "base": ("base", 0),
  "sft": ("sft", 0),
  "vbi_ft-1": ("vbi_ft", 1),
  "vbi_ft-2": ("vbi_ft", 2),
  "self_play-1": ("self_play", 1),
  "self_play-2": ("self_play", 2),
  "spin-2": ("spin", 2),
  "sft_control-2": ("sft_control", 2),
}


def test_self_play_is_compared_with_its_control_first():
  lineages = {version: Lineage(*place) for version, place in STAGES.items()}
  pairs = contrasts_of(lineages)
  assert pairs == (
    ("self_play-2", "sft_control-2"),
    ("self_play-2", "vbi_ft-2"),
    ("self_play-2", "spin-2"),
    ("vbi_ft-2", "base"),
  )
  rng = np.random.default_rng(0)
  outcomes = {version: (rng.random((1, 324)) < 0.6).tolist() for version in lineages}
  outcomes["vbi_ft-2"], outcomes["base"] = [[True] * 324], [[False] * 324]
  rows = compare_versions(pairs, lineages, outcomes, ["a"] * 324, seed=0)
  assert [row.primary for row in rows] == [True, False, False, False]
  # The primary one stands alone; the others are corrected together.
  assert rows[0].p_holm == rows[0].p
  assert [row.p_holm for row in rows[1:]] == list(statistics.holm([row.p for row in rows[1:]]))
  assert rows[0].said.startswith("SPFT-SQL, iteration 2 against SFT on the same pairs, iteration 2")
  assert rows[3].said.endswith(
    "+100.0 points (95 % interval +100.0 to +100.0, n = 324, p = 1.8e-97)."
  )


def test_a_run_without_stage_2_has_one_contrast_or_none():
  lineages = {version: Lineage(*STAGES[version]) for version in ("base", "vbi_ft-1")}
  assert contrasts_of(lineages) == (("vbi_ft-1", "base"),)
  assert contrasts_of({"base": Lineage("base")}) == ()
