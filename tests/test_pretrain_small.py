"""Pretraining a base: a corpus of its seed alone, both directions, and a base that loads."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experiments"))

from configs.pretraining.base_small import base_small

from spftsql_jax.answering.exported import load_exported
from spftsql_jax.examples.benchmarks import read_examples
from spftsql_jax.examples.packing import Packing
from spftsql_jax.examples.tokenizer import load_tokenizer
from spftsql_jax.pipeline.config import from_dict, to_dict
from spftsql_jax.pipeline.metrics_log import MetricsLog
from spftsql_jax.pipeline.pretraining import run, tokens
from spftsql_jax.pipeline.pretraining.config import CorpusConfig, PretrainingConfig
from spftsql_jax.pipeline.pretraining.corpus import make_held_out, make_shard
from spftsql_jax.pipeline.pretraining.run import pretrain
from spftsql_jax.pretraining.build import make_database
from spftsql_jax.pretraining.domains import HELD_OUT, domains_of, read_domains

CORPUS = CorpusConfig(shards=2, databases=4, examples=6, held_out=2, held_out_examples=4)
TINY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}


def tiny() -> PretrainingConfig:
  config = base_small()
  heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
  return dataclasses.replace(
    config,
    corpus=CORPUS,
    hf_config=config.hf_config | TINY | heads,
    vocab_size=600,
    # Of so few tokens words are long.
    packing=Packing(longest_prefix=1024, longest_branch=800, longest_answer=512),
    first=dataclasses.replace(config.first, passes=0.5),
    main=dataclasses.replace(config.main, passes=0.5, row_tokens=2048),
    last=dataclasses.replace(config.last, passes=0.25, row_tokens=2048),
    evaluate_every=0,
    checkpoint_every=2,
  )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """(folder, figures, lines said) of a whole tiny pretraining."""
  folder = tmp_path_factory.mktemp("base")
  lines: list[str] = []
  return folder, pretrain(tiny(), folder, lines.append), lines


def test_a_shard_depends_on_its_number_alone(tmp_path, made):
  alone = make_shard(CORPUS, 1, tmp_path, workers=1)
  assert alone.read_bytes() == (made[0] / "examples_1.jsonl").read_bytes()
  first = {e.query for e in read_examples(made[0] / "examples_0.jsonl")}
  assert first and first != {e.query for e in read_examples(alone)}


def test_held_out_domains_are_in_no_shard(tmp_path):
  assert {d.name for d in domains_of(True)} == HELD_OUT
  assert len(domains_of(False)) + len(HELD_OUT) == len(read_domains())
  for number in range(20):
    drawn = make_database(tmp_path / f"{number}.sqlite", number)
    held_out = make_database(tmp_path / f"h{number}.sqlite", number, held_out=True)
    assert not set(drawn.domains) & HELD_OUT and set(held_out.domains) <= HELD_OUT


def test_what_is_made_is_left_as_it_is(made):
  before = (made[0] / "held_out.jsonl").stat().st_mtime_ns
  make_held_out(CORPUS, made[0], workers=1)
  assert (made[0] / "held_out.jsonl").stat().st_mtime_ns == before


def test_units_are_those_of_both_directions_and_come_back_from_their_file(made):
  config, start = dataclasses.replace(tiny(), draws=1), made[0] / "start"
  shard = tokens.Shard(made[0] / "examples_0.jsonl", made[0] / "databases/0")
  units = tokens._units(config, start, shard, [0])[0]
  assert tokens.shard_units(config, [shard], start, 1) == units
  examples = read_examples(shard.examples)
  assert len(examples) < len(units) < 2 * len(examples)
  by_name = {d for e in examples for d in [e.db_id]}
  assert len({u.branches[0].prefix for u in units}) == len(by_name)


def test_each_draw_is_of_other_words_over_the_same_queries(made):
  start, shard = (
    made[0] / "start",
    tokens.Shard(made[0] / "examples_0.jsonl", made[0] / "databases/0"),
  )
  config = dataclasses.replace(tiny(), renamed_share=1.0, to_text_share=0.0)
  first, second = tokens._units(config, start, shard, [0, 1]).values()
  assert len(first) == len(second) == len(read_examples(shard.examples))
  prefixes = [{u.branches[0].prefix for u in units} for units in (first, second)]
  assert not prefixes[0] & prefixes[1]
  plain = dataclasses.replace(
    config,
    renamed_share=0.0,
    shuffled_share=0.0,
    other_share=0.0,
    prompt=dataclasses.replace(config.prompt, codes=False, implied_joins=False),
  )
  tokenizer = load_tokenizer(start, config.prompt)
  units = tokens._units(plain, start, shard, [0])[0]
  answers = [tokenizer.decode(u.branches[0].answer) for u in units]
  assert answers == [e.query for e in read_examples(shard.examples)]
  # Codes are drawn too: the same query has others, and nothing but them and words is exchanged.
  said = [[tokenizer.decode(u.branches[0].answer) for u in units] for units in (first, second)]
  drawn = [(a, b) for a, b in zip(*said, strict=True) if "@c" in a and "@c" in b]
  assert len(drawn) > len(first) // 2 and all(a != b for a, b in drawn)


def test_the_words_of_prompts_may_be_learned_too(made):
  shard = tokens.Shard(made[0] / "examples_0.jsonl", made[0] / "databases/0")
  whole = dataclasses.replace(tiny(), learned="branches")
  answers = dataclasses.replace(tiny(), learned="answers")
  start = made[0] / "start"
  plain, learned = (tokens.shard_units(c, [shard], start, 1) for c in (answers, whole))
  for a, b in zip(plain, learned, strict=True):
    a, b = a.branches[0], b.branches[0]
    assert b.prompt + b.answer == a.prompt + a.answer and len(b.prompt) == 1
    assert b.prefix == a.prefix


def test_the_base_loads_answers_and_keeps_its_format(made):
  folder, figures, lines = made
  exported = load_exported(folder / "base")
  assert exported.tokenizer.style == tiny().prompt
  steps = [phase.steps for phase in figures.phases]
  assert len(steps) == 3 and min(steps) > 1 and 0 <= figures.held_out.ex <= 1
  # Of 600 tokens, all alike, each would cost 6.4 nats.
  assert 1 < figures.held_out.gold_nll < 6.4
  logged = MetricsLog(folder).read()
  assert [entry["step"] for entry in logged] == [n + 1 for count in steps for n in range(count)]
  assert np.mean([e["loss"] for e in logged[-2:]]) < logged[0]["loss"]
  assert any("units" in line for line in lines)
  card = (folder / "base/README.md").read_text(encoding="utf-8")
  assert f"{sum(steps):,} updates" in card and f"{figures.held_out.ex:.1%}" in card


def test_what_is_done_is_not_done_again(made):
  folder, figures, _ = made
  lines: list[str] = []
  assert pretrain(tiny(), folder, lines.append) == figures and not lines


def test_a_folder_of_another_base_is_refused(made):
  other = dataclasses.replace(tiny(), main=dataclasses.replace(tiny().main, passes=2.0))
  with pytest.raises(ValueError, match="passes"):
    pretrain(other, made[0], print)


def parts_learned(units, *passes):
  """What phases of so many passes learn, one behind the other."""
  passed, parts = 0.0, []
  for count in passes:
    parts.append(list(run._learned(units, passed, count)))
    passed += count
  return parts


@pytest.mark.parametrize("count", [1, 3, 7, 10, 101])
@pytest.mark.parametrize("passes", [(0.5, 0.5), (0.3, 0.3, 0.4), (0.1,) * 10, (0.25, 0.25, 0.5)])
def test_phases_of_less_than_a_pass_learn_every_unit_once(count, passes):
  parts = parts_learned(range(count), *passes)
  assert [unit for part in parts for unit in part] == list(range(count))
  assert all(abs(len(p) - share * count) <= 1 for p, share in zip(parts, passes, strict=True))


def test_a_part_goes_on_at_the_beginning_when_it_comes_to_the_end():
  assert parts_learned(range(10), 0.8, 0.5, 0.5)[1:] == [[8, 9, 0, 1, 2], [3, 4, 5, 6, 7]]


def test_a_phase_of_a_pass_and_more_learns_all_and_the_next_goes_on_behind_it():
  assert parts_learned(range(10), 1.0, 0.3) == [list(range(10)), [0, 1, 2]]
  assert parts_learned(range(10), 0.2, 2.5, 0.3)[1:] == [list(range(10)), [7, 8, 9]]


def test_the_config_is_whole_in_its_file():
  config = base_small()
  assert from_dict(PretrainingConfig, to_dict(config)) == config
