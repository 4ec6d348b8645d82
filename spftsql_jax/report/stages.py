"""The parts of the report page on how the models came about: data, synthesis, VBI-FT, self-play."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from spftsql_jax.amounts import duration, is_number, size
from spftsql_jax.report.rejection_words import in_words
from spftsql_jax.report.text import chance_in_words, is_significant

Record = Mapping[str, Any]

TEMPLATES_SHOWN = 8
DATABASES_SHOWN = 40

# The p-value at the end of the run's reason for a promotion, which is shown apart.
_P_VALUE = re.compile(r",? *p [=<] [\d.]+(?=\)$)")


@dataclasses.dataclass(frozen=True)
class Data:
  """What the run had to start from and to be measured on."""

  databases: int
  shown: tuple[str, ...]
  seeds: int | None
  test: int | None
  templates: int | None


@dataclasses.dataclass(frozen=True)
class Refusals:
  """Candidates refused for one reason; `forms` are (what it met, count), most frequent first."""

  words: str
  meaning: str
  forms: tuple[tuple[str, int], ...]
  count: int


@dataclasses.dataclass(frozen=True)
class SynthesisRound:
  """What one round of synthesis accepted, and why it refused the rest."""

  round: str
  accepted: int
  refused: int
  reasons: tuple[Refusals, ...]


@dataclasses.dataclass(frozen=True)
class Questions:
  """Who wrote a round's questions.

  Attributes:
    agreement: share of sampled answers that return their query's result.
    agreeing: how many questions have 0, 1, ... answers that agree.
  """

  round: str
  rules: int | None
  model: int | None
  agreement: float | None
  agreeing: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Synthesis:
  """All rounds of synthesis; `largest` is the most frequent reason's count, the bars' scale."""

  rounds: tuple[SynthesisRound, ...]
  largest: int
  questions: tuple[Questions, ...]


@dataclasses.dataclass(frozen=True)
class VbiFtRound:
  """A round's model: its training examples, and EX on verification, selection and test."""

  round: str
  accepted: int | None
  verified_ex: float | None
  selection_ex: float | None
  test_ex: float | None


@dataclasses.dataclass(frozen=True)
class TemplateErrors:
  """(template, wrong, answered) of a round's worst templates, and the sums of the others."""

  round: str
  shown: tuple[tuple[str, int, int], ...]
  others: int
  others_wrong: int
  others_total: int
  last: bool


@dataclasses.dataclass(frozen=True)
class VbiFt:
  """All rounds of VBI-FT."""

  rounds: tuple[VbiFtRound, ...]
  template_errors: tuple[TemplateErrors, ...]


@dataclasses.dataclass(frozen=True)
class Iteration:
  """A self-play iteration.

  Attributes:
    notes: why the new model was promoted, or was not.
    verdict: "correct" or "wrong" where chance would hardly do it, else "": the colour.
    reward_rate: share of the opponent's answers that are wrong.
  """

  iteration: str
  promoted: bool
  verdict: str
  notes: tuple[str, ...]
  main: str
  opponent: str
  pairs: int | None
  reward_rate: float | None


@dataclasses.dataclass(frozen=True)
class SelfPlay:
  """All self-play iterations."""

  iterations: tuple[Iteration, ...]


@dataclasses.dataclass(frozen=True)
class Run:
  """(name, value) of environment and cost, and the whole configuration as text."""

  facts: tuple[tuple[str, str], ...]
  config: str


def data(facts: Record | None) -> Data | None:
  """What the run had to start from; None where it was not recorded."""
  if not facts:
    return None
  names = tuple(map(str, facts.get("databases") or ()))
  given = (facts.get("seeds"), facts.get("test"), facts.get("templates"))
  return Data(len(names), names[:DATABASES_SHOWN], *given)


def synthesis(rounds: Sequence[Record] | None) -> Synthesis | None:
  """What each round of synthesis accepted and refused; None where it was not recorded."""
  if rounds is None:
    return None
  found = tuple(_synthesis_round(one) for one in rounds)
  return Synthesis(
    found,
    max((reason.count for one in found for reason in one.reasons), default=0),
    tuple(_questions(one) for one in rounds if one.get("questions")),
  )


def vbi_ft(
  rounds: Sequence[Record] | None, versions: Sequence[Record], table: Sequence[Record]
) -> VbiFt | None:
  """What each round's model was trained on and how it did; None where it was not recorded."""
  if rounds is None:
    return None
  selected = {v.get("round"): v.get("selection_ex") for v in versions if v.get("stage") == "vbi_ft"}
  tested = {row.get("round"): row.get("ex") for row in table if row.get("stage") == "vbi_ft"}
  return VbiFt(
    tuple(
      VbiFtRound(
        "" if one.get("round") is None else str(one["round"]),
        one.get("accepted"),
        one.get("verified_ex"),
        selected.get(one.get("round")),
        tested.get(one.get("round")),
      )
      for one in rounds
    ),
    tuple(filter(None, (_template_errors(one, one is rounds[-1]) for one in rounds))),
  )


def self_play(iterations: Sequence[Record] | None) -> SelfPlay | None:
  """Who played whom, how often the opponent erred, and whether the new model was taken."""
  if iterations is None:
    return None
  return SelfPlay(tuple(map(_iteration, iterations)))


def run(results: Record) -> Run | None:
  """Environment, cost and the whole configuration; None where nothing of it was recorded."""
  facts = []
  if is_number(results.get("seconds")):
    facts.append(("time", duration(results["seconds"])))
  if is_number(results.get("peak_memory_bytes")):
    facts.append(("peak memory", size(results["peak_memory_bytes"])))
  for name, value in (results.get("environment") or {}).items():
    told = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    facts.append((str(name).replace("_", " "), told))
  config = ""
  if results.get("config"):
    config = json.dumps(results["config"], indent=2, default=str, ensure_ascii=False)
  return Run(tuple(facts), config) if facts or config else None


def _synthesis_round(one: Record) -> SynthesisRound:
  grouped: dict[tuple[str, str], dict[str, int]] = {}
  for reason, number in (one.get("rejections") or {}).items():
    told = in_words(str(reason))
    forms = grouped.setdefault((told.words, told.meaning), {})
    forms[told.form] = forms.get(told.form, 0) + number
  reasons = [
    Refusals(
      words,
      meaning,
      tuple(sorted(((f, n) for f, n in forms.items() if f), key=lambda each: (-each[1], each[0]))),
      sum(forms.values()),
    )
    for (words, meaning), forms in grouped.items()
  ]
  reasons.sort(key=lambda reason: (-reason.count, reason.words))
  refused = sum(reason.count for reason in reasons)
  return SynthesisRound(
    str(one.get("round", "")), one.get("accepted") or 0, refused, tuple(reasons)
  )


def _questions(one: Record) -> Questions:
  found = one["questions"]
  counts = (found.get("consistency") or {}).get("counts") or ()
  given = (found.get("rules"), found.get("model"), found.get("agreement"))
  return Questions(str(one.get("round", "")), *given, tuple(counts))


def _template_errors(one: Record, last: bool) -> TemplateErrors | None:
  templates = [
    (str(entry.get("template", "")), entry["errors"], entry["total"])
    for entry in one.get("template_errors") or ()
    if entry.get("total")
  ]
  if not templates:
    return None
  templates.sort(key=lambda entry: (-entry[1], -entry[1] / entry[2], entry[0]))
  others = templates[TEMPLATES_SHOWN:]
  return TemplateErrors(
    str(one.get("round", "")),
    tuple(templates[:TEMPLATES_SHOWN]),
    len(others),
    sum(wrong for _, wrong, _ in others),
    sum(total for *_, total in others),
    last,
  )


def _iteration(one: Record) -> Iteration:
  p, before, after = one.get("p"), one.get("main_ex"), one.get("selection_ex")
  verdict = ""
  if is_significant(p) and is_number(before) and is_number(after) and before != after:
    verdict = "correct" if after > before else "wrong"
  reason = str(one.get("reason", ""))
  if is_number(p):
    reason = _P_VALUE.sub("", reason)
  return Iteration(
    str(one.get("iteration", "")),
    bool(one.get("accepted")),
    verdict,
    tuple(note for note in (chance_in_words(p), reason) if note),
    str(one.get("main", "")),
    str(one.get("opponent", "")),
    one.get("pairs"),
    one.get("reward_rate"),
  )
