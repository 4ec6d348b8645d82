"""Which versions of a run are compared with each other, and what the comparison shows.

The primary contrast is what stage 2 is judged by: self-play's last version against the SFT control
that saw the same positives, batches and seeds. The others are secondary: their p-values are
corrected together by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spftsql_jax.judging.statistics import (
  EQUIVALENCE_MARGIN,
  Equivalence,
  PairedDifference,
  equivalence,
  holm,
  paired_difference,
  paired_power,
)
from spftsql_jax.pipeline.model_base import Lineage
from spftsql_jax.pipeline.result_records import ContrastRow
from spftsql_jax.report.stage_names import model_name

# What a contrast's power is told for.
_SOUGHT = 0.02


def contrasts_of(lineages: Mapping[str, Lineage]) -> tuple[tuple[str, str], ...]:
  """The pairs (first, second) of versions that are compared, the primary one first.

  Self-play's last version against its SFT control, against stage 1's last, and against each other
  arm's last version; such an arm against its own control; stage 1's last version against what it
  began with.

  Args:
    lineages: of the versions that were evaluated, in the order they were added.
  """
  last = {lineage.stage: version for version, lineage in lineages.items()}
  start = next(iter(lineages), "")
  tuned = last.get("vbi_ft") or last.get("sft") or start
  pairs = []
  if played := last.get("self_play"):
    control = [last["sft_control"]] if "sft_control" in last else []
    pairs += [(played, other) for other in (*control, tuned)]
  for arm, version in last.items():
    if arm in ("base", "sft", "vbi_ft", "self_play") or arm.endswith("_control"):
      continue
    if control_of := last.get(f"{arm}_control"):
      pairs.append((version, control_of))
    pairs.append((played or version, version if played else tuned))
  pairs.append((tuned, start))
  return tuple(dict.fromkeys(pair for pair in pairs if pair[0] != pair[1]))


def compare_versions(
  pairs: Sequence[tuple[str, str]],
  lineages: Mapping[str, Lineage],
  outcomes: Mapping[str, Sequence[Sequence[bool]]],
  databases: Sequence[str],
  seed: int,
  primary_pair: tuple[str, str] | None = None,
) -> tuple[ContrastRow, ...]:
  """A row for each pair of `contrasts_of`.

  Args:
    outcomes: by version, [S, N] by seed of the run and question.
    databases: [N] of the questions.
    seed: of the resamples.
    primary_pair: the primary contrast; by default that with an SFT control for its second.
  """
  found = [paired_difference(outcomes[a], outcomes[b], databases, seed) for a, b in pairs]
  primary = [
    (a, b) == primary_pair if primary_pair else lineages[b].stage == "sft_control" for a, b in pairs
  ]
  corrected = iter(holm([f.p for f, p in zip(found, primary, strict=True) if not p]))
  rows = []
  for (first, second), one, is_primary in zip(pairs, found, primary, strict=True):
    same = equivalence(one)
    names = [model_name(lineages[v].stage, lineages[v].round) for v in (first, second)]
    p_holm = one.p if is_primary else next(corrected)
    rows.append(
      ContrastRow(
        first=first,
        second=second,
        first_model=names[0],
        second_model=names[1],
        primary=is_primary,
        difference=one.difference,
        ci95=one.interval,
        p=one.p,
        p_holm=p_holm,
        only_first=one.only_first,
        only_second=one.only_second,
        n=one.questions,
        databases=one.databases,
        resampled=one.resampled,
        power=paired_power(one.questions, max(one.discordance, _SOUGHT), _SOUGHT),
        margin=EQUIVALENCE_MARGIN,
        equivalent=same.equivalent,
        questions_needed=same.needed,
        said=f"{names[0]} against {names[1]}: {_in_words(one, p_holm, same)}",
      )
    )
  return tuple(rows)


def _in_words(one: PairedDifference, p: float, same: Equivalence) -> str:
  low, high = (100 * bound for bound in one.interval)
  figures = (
    f"{100 * one.difference:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}, n = "
    f"{one.questions:,}, p = {p:.2g})"
  )
  margin = f"{100 * same.margin:g} points"
  if low > 0 or high < 0:
    return f"{figures}."
  if same.equivalent:
    return f"{figures}; equal within {margin}."
  if same.needed is None:
    return f"{figures}; n is too small to tell them apart, and they are not shown to be equal."
  return f"{figures}; n too small to call them equal within {margin}: {same.needed:,} would do."
