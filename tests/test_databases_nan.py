"""NaN equals NaN, whatever compares rows: each comparison, Soft-F1, votes, and however deep in a
list it stands.
"""

import datetime
import math
import pickle
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spftsql_jax.answering import vote
from spftsql_jax.answering.predict import Prediction
from spftsql_jax.databases import Result
from spftsql_jax.databases.cells import canonical_rows, has_nan
from spftsql_jax.judging import metrics
from spftsql_jax.judging.comparison import results_match

COMPARISONS = ("spider", "bird", "strict")
ORDERED, UNORDERED = "SELECT a FROM t ORDER BY a", "SELECT a FROM t"

plain = st.one_of(
  st.none(),
  st.booleans(),
  st.integers(),
  st.floats(allow_nan=True, allow_infinity=True),
  st.decimals(allow_nan=True, allow_infinity=True),
  st.sampled_from(
    [Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN123"), float("nan"), -float("nan"), -0.0, 0, 0.0]
  ),
  st.text(max_size=3),
  st.binary(max_size=3),
  st.dates(),
  st.datetimes(timezones=st.sampled_from([None, datetime.UTC])),
  st.times(),
  st.timedeltas(),
  st.uuids(),
)
cells = st.recursive(
  plain,
  lambda inner: st.one_of(
    st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=2)
  ),
  max_leaves=4,
)


@st.composite
def results(draw):
  width = draw(st.integers(1, 4))
  alphabet = draw(st.lists(cells, min_size=1, max_size=5))
  rows = draw(st.lists(st.tuples(*[st.sampled_from(alphabet)] * width), max_size=6))
  return rows, draw(st.permutations(rows)), width


def result_of(rows, width):
  # Through pickle, as from a worker: no two cells of two results are one object.
  return Result(
    "ok", tuple("abcd"[:width]), tuple(pickle.loads(pickle.dumps([tuple(row) for row in rows])))
  )


@settings(max_examples=600, deadline=None)
@given(results())
def test_every_comparison_finds_any_rows_equal_to_themselves(drawn):
  rows, shuffled, width = drawn
  gold, same, other_order = (
    result_of(rows, width),
    result_of(rows, width),
    result_of(shuffled, width),
  )
  for comparison in COMPARISONS:
    assert results_match(gold, same, ORDERED, comparison)
    assert results_match(gold, other_order, UNORDERED, comparison)
  assert metrics.soft_f1(gold.rows, same.rows) == pytest.approx(1.0)


NAN = float("nan")


@pytest.mark.parametrize(
  ("gold", "predicted", "same"),
  [
    ([(NAN,)], [(math.inf - math.inf,)], True),
    ([(NAN, 1)], [(Decimal("NaN"), 1)], True),
    ([((1.0, NAN),)], [((1.0, float("nan")),)], True),
    ([((NAN,),)], [((1.0,),)], False),
    ([(NAN,)], [(None,)], False),
    ([(NAN,)], [("nan",)], False),
    ([(NAN,)], [(math.inf,)], False),
    ([(NAN,), (1.0,)], [(1.0,), (float("nan"),)], True),
    ([(NAN,), (NAN,)], [(float("nan"),), (1.0,)], False),
  ],
)
@pytest.mark.parametrize("comparison", COMPARISONS)
def test_what_nan_equals(gold, predicted, same, comparison):
  width = len(gold[0])
  assert (
    results_match(result_of(gold, width), result_of(predicted, width), UNORDERED, comparison)
    == same
  )


def test_bags_count_each_nan():
  two, three = result_of([(NAN,)] * 2 + [(1.0,)], 1), result_of([(NAN,)] + [(1.0,)] * 2, 1)
  assert not results_match(two, three, UNORDERED, "spider") and not results_match(
    two, three, UNORDERED, "strict"
  )
  assert results_match(two, three, UNORDERED, "bird"), "sets"


def test_soft_f1_drops_repeated_nan_rows_and_pairs_the_others():
  assert metrics.soft_f1([(NAN, 1), (float("nan"), 1)], [(float("nan"), 1)]) == 1.0
  assert metrics.soft_f1([(NAN, 1)], [(float("nan"), 2)]) == 0.5


def test_answers_that_give_nan_vote_together():
  samples = [Prediction(f"SELECT {i}", "stop", -0.1 * i) for i in (1, 2, 3)]
  found = vote.vote(
    samples, [result_of([(1.0,)], 1), result_of([(NAN,)], 1), result_of([(NAN,)], 1)]
  )
  assert found.votes == 2 and found.prediction is samples[1]


def test_canonical_rows_are_found_and_are_one_object():
  assert has_nan([(1, ("a", (Decimal("NaN"),)))]) and not has_nan([(1, ("a", (math.inf,)))])
  (first,), (second,) = canonical_rows([(NAN,), (Decimal("NaN"),)])
  assert first is second
