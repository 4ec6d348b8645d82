"""Statistics of verdicts: intervals, paired tests and their power, equivalence. Never imports JAX.

A system's verdicts on questions are its outcomes, right or wrong. Two systems that answered the
same questions are compared in pairs: only the questions that one alone answers rightly tell them
apart (the discordant ones). Differences are shares: 0.02 is 2 points.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

# Equivalent: the whole interval of a difference lies within so many points of 0.
EQUIVALENCE_MARGIN = 0.015
# With fewer databases a resample of them says little of their spread: questions are resampled.
_FEWEST_DATABASES = 10
_RESAMPLES = 10_000
_FLIPS = 20_000


def wilson_interval(successes: int, count: int, z: float = 1.959964) -> tuple[float, float]:
  """Wilson's score interval of a proportion, in [0, 1]; 95 % by default (Wilson, 1927). Without
  observations (0, 1).
  """
  if not 0 <= successes <= count:
    raise ValueError(f"{successes} successes of {count}")
  if count == 0:
    return 0.0, 1.0
  share = successes / count
  scale = 1 + z * z / count
  centre = (share + z * z / (2 * count)) / scale
  half = z / scale * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
  # At the ends the exact bounds are 0 and 1; floats miss them by an ulp.
  return (0.0 if successes == 0 else centre - half), (1.0 if successes == count else centre + half)


def paired_exact_test(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> float:
  """The two-sided p-value that two systems scored on the same questions are equally good (McNemar's
  exact test: a sign test).

  Only the questions that one system alone answers rightly count; under equality each is a fair
  coin.
  """
  if len(a_correct) != len(b_correct):
    raise ValueError(f"the systems answered {len(a_correct)} and {len(b_correct)} questions")
  only_a = sum(1 for a, b in zip(a_correct, b_correct, strict=True) if a and not b)
  only_b = sum(1 for a, b in zip(a_correct, b_correct, strict=True) if b and not a)
  flips = only_a + only_b
  tail = sum(math.comb(flips, i) for i in range(min(only_a, only_b) + 1))
  return min(1.0, 2 * tail / 2**flips)


def pass_at_k(samples: int, right: int, k: int) -> float:
  """How likely one of k answers to a question is right, where `right` of so many samples were.

  The unbiased estimator of arXiv 2107.03374: 1 - C(samples - right, k) / C(samples, k).

  Raises:
    ValueError: more right answers, or more wanted, than samples.
  """
  if not 0 <= right <= samples or not 1 <= k <= samples:
    raise ValueError(f"pass@{k} of {right} right answers in {samples} samples")
  return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
  """p-values corrected for there being several tests (Holm, 1979), in the order given.

  The i-th smallest of m is multiplied by m - i + 1; none is below a smaller one's.
  """
  corrected, largest = [0.0] * len(p_values), 0.0
  for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
    largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
    corrected[index] = largest
  return tuple(corrected)


@dataclasses.dataclass(frozen=True)
class PairedDifference:
  """How much better one system is than another on the same questions.

  Attributes:
    difference: of their shares of right answers, mean over seeds.
    interval: 95 %, by bootstrap over `resampled` and seeds.
    p: that chance alone makes the difference: McNemar's exact test of one seed, the sign-flip test
      of the questions' mean differences of several.
    only_first, only_second: how often one alone is right, over all seeds.
    questions, databases, seeds: how many there were.
    resampled: what the bootstrap draws: "databases", or "questions" where these are few.
  """

  difference: float
  interval: tuple[float, float]
  p: float
  only_first: int
  only_second: int
  questions: int
  databases: int
  seeds: int
  resampled: Literal["databases", "questions"]

  @property
  def discordance(self) -> float:
    """Share of the questions that one system alone answers rightly."""
    asked = self.questions * self.seeds
    return (self.only_first + self.only_second) / asked if asked else 0.0


def paired_difference(
  first: Sequence[Sequence[bool]],
  second: Sequence[Sequence[bool]],
  databases: Sequence[str],
  seed: int = 0,
) -> PairedDifference:
  """Compares two systems.

  Args:
    first, second: [S, N] outcomes by seed, of the same N questions.
    databases: [N] the database of each question.
    seed: of the bootstrap and of the sign flips.

  Raises:
    ValueError: no questions, or not the same number of them.
  """
  sizes = {len(row) for row in (*first, *second)}
  if len(first) != len(second) or sizes != {len(databases)} or not len(databases):
    raise ValueError(
      f"{len(first)} and {len(second)} seeds with {sorted(sizes)} outcomes cannot be paired over "
      f"{len(databases)} questions"
    )
  a, b = (np.asarray(rows, dtype=np.float64) for rows in (first, second))
  names, groups = np.unique(np.asarray(databases), return_inverse=True)
  clustered = len(names) >= _FEWEST_DATABASES
  by_group = groups if clustered else np.arange(len(databases))
  test = paired_exact_test(first[0], second[0]) if len(first) == 1 else sign_flip_test(a - b, seed)
  return PairedDifference(
    difference=float((a - b).mean()),
    interval=cluster_bootstrap(a - b, by_group, seed),
    p=test,
    only_first=int((a > b).sum()),
    only_second=int((b > a).sum()),
    questions=len(databases),
    databases=len(names),
    seeds=len(first),
    resampled="databases" if clustered else "questions",
  )


def cluster_bootstrap(
  differences: np.ndarray, groups: np.ndarray, seed: int, resamples: int = _RESAMPLES
) -> tuple[float, float]:
  """The 95 % percentile interval of a mean whose groups and seeds are both drawn with replacement.

  Args:
    differences: [S, N] by seed and question.
    groups: [N] whole numbers from 0: the questions of a group come or stay away together.
    seed: of the draws.
    resamples: how many.
  """
  seeds, count = len(differences), int(groups.max()) + 1
  sums = np.stack([np.bincount(groups, row, count) for row in differences])  # [S, G]
  sizes = np.bincount(groups, minlength=count)  # [G]
  rng = np.random.default_rng(seed)
  means = []
  for part in range(0, resamples, 1000):  # A part at a time: [1000, G] numbers.
    drawn = min(1000, resamples - part)
    of_groups = rng.multinomial(count, np.full(count, 1 / count), drawn)  # [1000, G]
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), drawn)  # [1000, S]
    totals = np.einsum("rs,sg,rg->r", of_seeds, sums, of_groups, optimize=True)
    means.append(totals / (seeds * (of_groups @ sizes)))
  low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
  return float(low), float(high)


def sign_flip_test(differences: np.ndarray, seed: int, flips: int = _FLIPS) -> float:
  """The two-sided p-value that the questions' mean differences over seeds lie evenly around 0.

  Under equality each question's mean may as well have the other sign; of one seed this is McNemar's
  test. The signs are drawn `flips` times, so p is never below 1 / (flips + 1).

  Args:
    differences: [S, N] by seed and question.
  """
  means = differences.mean(axis=0)
  means = means[means != 0]
  if not len(means):
    return 1.0
  rng = np.random.default_rng(seed)
  observed, reached = abs(means.sum()), 0
  for part in range(0, flips, 1000):
    signs = rng.integers(0, 2, (min(1000, flips - part), len(means)), dtype=np.int8) * 2 - 1
    reached += int((abs(signs @ means) >= observed - 1e-12).sum())
  return (reached + 1) / (flips + 1)


@dataclasses.dataclass(frozen=True)
class Equivalence:
  """Whether two systems are as good as equal.

  Attributes:
    equivalent: whether the whole interval lies within `margin` of 0.
    margin: as a share.
    needed: the fewest questions with which it would, were the difference and its spread as seen;
      None where the difference itself is no smaller than the margin: then no number would do.
  """

  equivalent: bool
  margin: float
  needed: int | None


def equivalence(found: PairedDifference, margin: float = EQUIVALENCE_MARGIN) -> Equivalence:
  """Whether a difference is shown to be smaller than `margin`, or how many questions that takes.

  An interval narrows with the root of the number of questions, of as many databases each and seeds.
  """
  low, high = found.interval
  if max(-low, high) < margin:
    return Equivalence(True, margin, found.questions)
  room, half = margin - abs(found.difference), (high - low) / 2
  needed = None if room <= 0 else math.ceil(found.questions * (half / room) ** 2)
  return Equivalence(False, margin, needed and max(needed, found.questions + 1))


def paired_power(n: int, discordance: float, difference: float, alpha: float = 0.05) -> float:
  """How likely McNemar's exact test finds a true difference with n questions; computed exactly.

  Args:
    n: questions.
    discordance: share of the questions that one system alone answers rightly.
    difference: of the shares of right answers, at most as large as `discordance`.
    alpha: a p-value up to it is a finding.

  Raises:
    ValueError: a difference larger than the discordance.
  """
  if abs(difference) > discordance or not 0 <= discordance <= 1:
    raise ValueError(
      f"a difference of {difference} takes a discordance of as much, not of less "
      f"({discordance}), and of 1 at most"
    )
  if not discordance:
    return 0.0
  share = (discordance + abs(difference)) / (2 * discordance)
  spread = 8 * math.sqrt(n * discordance * (1 - discordance)) + 8
  fewest, most = (n * discordance + side * spread for side in (-1, 1))
  counts = np.arange(max(0, math.floor(fewest)), min(n, math.ceil(most)) + 1)
  found = [_rejected(int(flips), share, alpha) for flips in counts]
  return float(_binomial(n, discordance)[counts] @ np.asarray(found))


def questions_needed(
  discordance: float, difference: float, power: float = 0.8, alpha: float = 0.05
) -> int:
  """The fewest questions with which `paired_power` reaches `power`.

  Power does not grow evenly, as the test counts whole questions: this is where it first does.

  Raises:
    ValueError: no difference, or one larger than the discordance.
  """
  if not difference:
    raise ValueError("no number of questions finds a difference of 0")
  most = 1
  while paired_power(most, discordance, difference, alpha) < power:
    most *= 2
  least = most // 2  # Too few; `most` do.
  while most - least > 1:
    middle = (least + most) // 2
    if paired_power(middle, discordance, difference, alpha) < power:
      least = middle
    else:
      most = middle
  return most


def _rejected(flips: int, share: float, alpha: float) -> float:
  """How likely the sign test rejects, of so many discordant questions each with `share` to be the
  better system's."""
  null = np.cumsum(_binomial(flips, 0.5))  # P(X <= k)
  critical = int(np.searchsorted(2 * null, alpha * (1 + 1e-12), side="right")) - 1
  if critical < 0:
    return 0.0
  mass = _binomial(flips, share)
  return float(mass[: critical + 1].sum() + mass[flips - critical :].sum())


def _binomial(n: int, share: float) -> np.ndarray:
  """[n + 1] the probabilities of 0, 1, ..., n successes."""
  if share >= 1:
    return np.eye(n + 1)[n]
  logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # log k!
  k = np.arange(n + 1)
  return np.exp(logs[n] - logs - logs[::-1] + k * math.log(share) + (n - k) * math.log1p(-share))
