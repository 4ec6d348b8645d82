"""The quickstart's run with one thing changed: what SPFT-SQL is compared with, and its parts left
out one by one.

    python experiments/spft.py --config=experiments/configs/baselines.py:NAME \
      --config.data_dir=DIR --workdir=runs/NAME

DIR holds the demo data (`runs/quickstart/demo`, or what `experiments/demo/make_databases.py`
writes). NAME is one of BASELINES.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from configs.quickstart import quickstart
from ml_collections import ConfigDict

from spftsql_jax.pipeline.config import RunConfig, to_dict


def _with(part: str, **changes: Any) -> Callable[[RunConfig], RunConfig]:
  return lambda config: dataclasses.replace(
    config, **{part: dataclasses.replace(getattr(config, part), **changes)}
  )


def _alone(**changes: Any) -> Callable[[RunConfig], RunConfig]:
  """Without stage 1."""
  return lambda config: _with("self_play", **changes)(_with("vbi_ft", rounds=0)(config))


BASELINES: dict[str, Callable[[RunConfig], RunConfig]] = {
  # Whole methods.
  "sft": _alone(iterations=0, baselines=()),
  "spin": _alone(iterations=0, baselines=("spin",), baseline_iterations=2),
  "vbi_ft": _with("self_play", iterations=0, baselines=()),
  "vbi_ft_dpo": _with("self_play", baselines=("dpo",)),
  "vbi_ft_spft_sql": _with("self_play", baselines=()),
  "sft_on_self_play_pairs": _with("self_play", baselines=("sft_control",)),
  "exspin": _with("self_play", baselines=("exspin",)),
  "self_play_from_base": _alone(candidates="base", baselines=()),
  # SPFT-SQL without one of its parts.
  "no_feedback": _with("synthesis", feedback_cap=1.0),
  "rule_questions": _with("synthesis", model_questions=0.0),
  "single_instance": _with("synthesis", instances=0),
  "paper_splits": lambda config: dataclasses.replace(config, paper_splits=True),
  "previous_opponent": _with("self_play", opponent="previous"),
  "mixed_opponents": _with("self_play", opponent="mixture"),
}


def get_config(name: str = "vbi_ft_spft_sql") -> ConfigDict:
  if name not in BASELINES:
    raise ValueError(f"unknown baseline {name!r}; there are {', '.join(BASELINES)}")
  config = BASELINES[name](quickstart())
  return ConfigDict(
    to_dict(dataclasses.replace(config, name=f"SPFT-SQL demo, {name.replace('_', ' ')}"))
  )
