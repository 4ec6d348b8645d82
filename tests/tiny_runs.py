"""The smallest runs of the pipeline, for its tests: demo data, and a config that learns nothing."""

import json
import sys
from pathlib import Path

import pytest

from spftsql_jax.pipeline import starting_model

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

from configs.demo_tiny import tiny_config  # noqa: E402
from demo.make_databases import make_demo  # noqa: E402

__all__ = [
  "EXPERIMENTS",
  "demo",
  "journal_of",
  "make_demo",
  "quiet",
  "short_tokenizer",
  "tiny_config",
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
  """The folder of the demo databases, with seeds and test."""
  folder = tmp_path_factory.mktemp("demo")
  make_demo(folder)
  return folder


def short_tokenizer(patch: pytest.MonkeyPatch, sentences: int = 100) -> None:
  """Has a run's tokenizer learn from few sentences, which is soon done."""
  patch.setattr(starting_model, "_TOKENIZER_SENTENCES", sentences)


def journal_of(workdir: Path) -> dict[str, dict]:
  """The outputs of a run's steps, as JSON, in the order in which they were done."""
  lines = map(json.loads, (workdir / "journal.jsonl").read_text().splitlines())
  return {line["step"]: line["output"] for line in lines}


def quiet(line: str) -> None:
  """Says nothing."""
