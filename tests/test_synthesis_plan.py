"""Which templates get how many examples.

Nearest to the source's frequencies, whatever fails, and evenly spread.
"""

from __future__ import annotations

import collections
import itertools
import math
import random

import pytest
import synthesis_fixtures
from hypothesis import given, settings
from hypothesis import strategies as st

from spftsql_jax.synthesis import pool
from spftsql_jax.synthesis.balance import Balance
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.plan import Planner, apportion, interleave
from spftsql_jax.synthesis.synthesize import synthesize


def distance(left, right) -> float:
  """The Jensen-Shannon distance of two distributions given by weights, base 2."""
  p, q = (
    [weights.get(name, 0) / sum(weights.values()) for name in left.keys() | right.keys()]
    for weights in (left, right)
  )
  middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]

  def divergence(some):
    return sum(a * math.log2(a / m) for a, m in zip(some, middle, strict=True) if a)

  return math.sqrt(max(0.0, (divergence(p) + divergence(q)) / 2))


def no_chance(name) -> float:
  return 0.5


@settings(max_examples=60, deadline=None)
@given(
  weights=st.lists(st.integers(2, 9), min_size=1, max_size=4),
  count=st.integers(3, 9),
  made=st.integers(0, 2),
)
def test_numbers_of_examples_are_those_of_the_smallest_distance(weights, count, made):
  weights = dict(enumerate(map(float, weights)))
  if min(weights.values()) * count < 0.3 * sum(weights.values()) or made > count:
    return
  numbers = apportion(weights, count, {0: made}, no_chance)
  assert sum(numbers.values()) == count and numbers[0] >= made
  others = [
    dict(enumerate(found))
    for found in itertools.product(range(count + 1), repeat=len(weights))
    if sum(found) == count
  ]
  best = min(distance(found, weights) for found in others if found[0] >= made)
  assert distance(numbers, weights) == pytest.approx(best, abs=1e-9)


def test_templates_that_are_closed_hand_their_share_on():
  numbers = apportion({0: 5.0, 1: 3.0, 2: 2.0}, 100, {0: 4}, no_chance, {0})
  assert (
    numbers == {0: 4, 1: pytest.approx(58, abs=2), 2: pytest.approx(38, abs=2)}
    and sum(numbers.values()) == 100
  )
  assert apportion({0: 1.0}, 10, {0: 3}, no_chance, {0}) == {0: 3}, "nothing else is there"


def test_rare_templates_come_as_often_as_they_should_over_many_units():
  weights = {name: 1.0 + name % 3 for name in range(100)}
  totals: collections.Counter = collections.Counter()
  for unit in range(400):
    rng = random.Random(unit)
    chances = {name: rng.random() for name in weights}
    numbers = apportion(weights, 10, {}, chances.__getitem__)
    assert sum(numbers.values()) == 10 and max(numbers.values()) <= 1
    totals.update(numbers)
  whole = sum(weights.values())
  for kind in range(3):
    names = [name for name in weights if name % 3 == kind]
    due = 4_000 * sum(weights[name] for name in names) / whole
    assert sum(totals[name] for name in names) == pytest.approx(due, rel=0.1)


def run(planner, gives) -> int:
  """Lets attempts succeed where `gives` says so; returns the number of waves.

  gives(t, n): of the attempt number n at the template t.
  """
  waves = 0
  while blocks := planner.wave():
    waves += 1
    for job in (job for block in blocks for job in block.jobs):
      found = 0
      for number in range(job.first, job.first + job.tries):
        if found == job.wanted or planner.done:
          break
        template = job.template if job.template is not None else number % 3
        if gives(template, number):
          found += 1
          planner.take(job, template, ["t.a"])
        else:
          planner.take(job, None, None)
  return waves


@pytest.mark.parametrize("slow, size", [(False, 64), (True, 8)])
def test_attempts_have_numbers_of_their_own_and_small_blocks(slow, size):
  planner = Planner({0: 8.0, 1: 1.0, 2: 1.0}, 1000, "s", slow=slow)
  blocks = planner.wave()
  jobs = [job for block in blocks for job in block.jobs]
  numbers = [number for job in jobs for number in range(job.first, job.first + job.tries)]
  assert len(set(numbers)) == len(numbers) and len({block.first for block in blocks}) == len(blocks)
  assert all(sum(job.wanted for job in block.jobs) <= size for block in blocks)
  assert sum(job.wanted for job in jobs) == 1000


def test_what_a_template_does_not_give_is_made_up_for():
  planner = Planner({0: 2.0, 1: 1.0, 2: 1.0}, 200, "s")
  assert run(planner, lambda template, number: template != 0 or number % 4 == 0) > 1
  assert planner.accepted == 200 and planner._made[0] == pytest.approx(100, abs=2)
  planner = Planner({0: 2.0, 1: 1.0, 2: 1.0}, 200, "s")
  run(planner, lambda template, number: template != 0)
  assert (
    planner.accepted == 200
    and planner._made[0] == 0
    and planner._made[1] == pytest.approx(100, abs=2)
  )


def test_a_unit_that_gives_nothing_ends():
  planner = Planner({0: 2.0, 1: 1.0, 2: 1.0}, 200, "s")
  run(planner, lambda template, number: False)
  assert planner.done and planner.accepted == 0


def test_columns_that_no_query_names_are_asked_for():
  planner = Planner({0: 1.0}, 100, "s", [("t", "a"), ("t", "b")])
  first = [job for block in planner.wave() for job in block.jobs]
  assert sum(job.wanted for job in first) == 98, "places are kept for columns"
  for _ in range(98):
    planner.take(first[0], 0, ["T.A"])
  assert [job.focus for block in planner.wave() for job in block.jobs if job.focus] == [("t", "b")]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_an_order_that_spreads_names_is_a_permutation_whose_halves_are_alike(names):
  order = interleave(names, lambda name: (0.37 * name) % 1.0)
  assert sorted(order) == list(range(len(names)))
  half = collections.Counter(names[index] for index in order[: len(order) // 2])
  for name, count in collections.Counter(names).items():
    assert abs(half[name] - count / 2) <= 2.5


@pytest.fixture(scope="module")
def bookshop(tmp_path_factory):
  return synthesis_fixtures.make_database(tmp_path_factory.mktemp("plan"), "bookshop")


def test_template_frequencies_are_those_of_the_source(bookshop):
  made = synthesize(bookshop, pool.builtin_templates(), SynthesisOptions(1500, seed=2, wordings=20))
  weights = {
    item.template.id: item.weight
    for item in pool.builtin_templates()
    if item.template.id in made.templates
  }
  assert len(made.examples) == 1500 and distance(made.templates, weights) < 0.08
  early = collections.Counter(example.template for example in made.examples[:750])
  assert distance(early, weights) < 0.2, "and of its beginning, too"


def test_heavy_templates_that_are_used_up_do_not_stop_the_others(bookshop):
  texts = {
    "SELECT COUNT(a.*)": 90.0,
    "SELECT a.name1 WHERE a.num2 > :num2": 5.0,
    "SELECT a.name1 WHERE a.num2 < :num2": 5.0,
  }
  templates = [WeightedTemplate(Template.parse(text), weight) for text, weight in texts.items()]
  made = synthesize(bookshop, templates, SynthesisOptions(60, seed=0))
  assert len(made.examples) == 60 and made.attempts < 400
  counts = [made.templates[item.template.id] for item in templates]
  assert counts[0] == 6, "one for each table but the link, which is seldom asked about alone"
  assert abs(counts[1] - counts[2]) <= 1


def test_mended_queries_hardly_change_the_frequencies(bookshop):
  source = {item.template.id for item in pool.builtin_templates()}
  made = synthesize(
    bookshop,
    pool.builtin_templates(),
    SynthesisOptions(1024, seed=2, wordings=20, repair=True, balance=Balance(aim="reach")),
  )
  outside = [example for example in made.examples if example.template not in source]
  assert any(example.repaired for example in made.examples)
  assert sum(bool(example.repaired) for example in outside) <= 4 and len(outside) <= 24


def test_parts_on_several_workers_and_shards_make_the_same_set_in_the_same_order(bookshop):
  def make(**more):
    return synthesize(
      bookshop, pool.builtin_templates(), SynthesisOptions(300, seed=4, parts=3, **more)
    )

  whole = make()
  assert make(workers=3).examples == whole.examples
  units = [make(shard=(i, 3)).examples for i in range(3)]
  assert list(itertools.chain(*units)) == whole.examples
