"""Days as whole numbers: read from a column in one place, and every literal or cell made for it is
a real day.
"""

import calendar
import contextlib
import datetime
import random
import re
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spftsql_jax.columns import whole_dates
from spftsql_jax.columns.roles import Role
from spftsql_jax.databases import make_instances
from spftsql_jax.databases.instances import literals, made_values
from spftsql_jax.databases.introspection import read_schema
from spftsql_jax.schema import Column
from spftsql_jax.synthesis import literals as synthesis_literals
from spftsql_jax.synthesis import pool
from spftsql_jax.synthesis.options import SynthesisOptions
from spftsql_jax.synthesis.synthesize import synthesize

FORMATS = ["%Y%m%d", "%Y%m", "%Y%j", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"]
moments = st.datetimes(datetime.datetime(1800, 1, 1), datetime.datetime(2190, 12, 31)).map(
  lambda m: m.replace(microsecond=0)
)


def is_real(value, form):
  """Whether a value is a day, told without the module under test."""
  text = str(value)
  if form == whole_dates.SECONDS:
    return text.isdecimal()
  year, month = int(text[:4]), int(text[4:6])
  if form == "%Y%j":
    return len(text) == 7 and 1 <= int(text[4:]) <= 365 + calendar.isleap(year)
  if not 1 <= month <= 12:
    return False
  return form == "%Y%m" or 1 <= int(text[6:8]) <= calendar.monthrange(year, month)[1]


@pytest.mark.parametrize(
  ("name", "values", "form"),
  [
    ("x", [20240517, 20240229, 19991231], "%Y%m%d"),
    ("x", ["20240517", "20240229"], "%Y%m%d"),
    ("x", [20240517.0], "%Y%m%d"),
    ("x", [20230229], ""),
    ("x", [20240431, 20240517], ""),
    # One that is no day may stand among many.
    ("x", [*(20240101 + i for i in range(31)), 99999999], "%Y%m%d"),
    ("month", [202401, 202412], "%Y%m"),
    ("amount", [202401, 202412], ""),  # Two sums of money may look like months ...
    # ... two dozen do not.
    ("amount", [year * 100 + month for year in (2023, 2024) for month in range(1, 13)], "%Y%m"),
    ("saleDay", [2024366, 2023365], "%Y%j"),
    ("sale_day", [2023366], ""),
    ("x", [20240517103000], "%Y%m%d%H%M%S"),
    ("x", [20240517246000], ""),
    ("created_at", [1715900000, 1600000000], whole_dates.SECONDS),
    ("created_at", [1715900000123], whole_dates.MILLISECONDS),
    ("population", [1715900000, 1600000000], ""),
    ("year", [2024, 1999], ""),
    ("x", ["2024-05-17"], ""),
    ("x", [], ""),
    ("x", [True], ""),
    ("x", [None], ""),
    ("x", [float("nan")], ""),
    ("x", [float("inf")], ""),
    ("x", [-20240517], ""),
    ("x", ["２０２４０５１７"], ""),
    ("x", [b"20240517"], ""),
  ],
)
def test_what_a_column_is_read_as(name, values, form):
  assert whole_dates.format_of(name, values) == form


@settings(max_examples=400, deadline=None)
@given(
  moments,
  st.sampled_from(FORMATS),
  st.sampled_from([-366, -365, -31, -28, -1, 1, 28, 31, 365, 366]),
  st.booleans(),
)
def test_a_day_moved_by_any_number_of_days_is_a_real_day(moment, form, days, as_text):
  value = moment.strftime(form) if as_text else int(moment.strftime(form))
  moved = whole_dates.shift(value, days, form)
  assert type(moved) is type(value) and is_real(moved, form)
  assert (int(moved) > int(value)) == (days > 0)
  if form == "%Y%m%d":
    assert datetime.datetime.strptime(
      str(moved), form
    ).date() == moment.date() + datetime.timedelta(days=days)


@pytest.mark.parametrize(
  ("value", "days", "form", "moved"),
  [
    (20240229, 1, "%Y%m%d", 20240301),
    (20240301, -1, "%Y%m%d", 20240229),
    (20230301, -1, "%Y%m%d", 20230228),
    (19000228, 1, "%Y%m%d", 19000301),
    (20000228, 1, "%Y%m%d", 20000229),
    (20231231, 1, "%Y%m%d", 20240101),
    ("20240131", 31, "%Y%m%d", "20240302"),
    (202412, 1, "%Y%m", 202501),
    (202401, -1, "%Y%m", 202312),
    (202401, 366, "%Y%m", 202502),
    (2023365, 1, "%Y%j", 2024001),
    (2024366, 1, "%Y%j", 2025001),
    (20241231235959, 1, "%Y%m%d%H%M%S", 20250101235959),
    (1709164800, 1, whole_dates.SECONDS, 1709251200),
    (20240230, 1, "%Y%m%d", 20240230),  # No day: left as it is.
  ],
)
def test_month_ends_leap_years_and_turns_of_the_year(value, days, form, moved):
  assert whole_dates.shift(value, days, form) == moved


@settings(max_examples=300, deadline=None)
@given(moments, moments, st.sampled_from(FORMATS))
def test_a_round_day_lies_in_its_range(one, other, form):
  low, high = sorted(int(moment.strftime(form)) for moment in (one, other))
  first = whole_dates.start_of(low, high, form)
  assert first is None or (low <= first < high and is_real(first, form))


def test_a_round_day_is_new_years_day_or_the_first_of_a_month():
  assert whole_dates.start_of(20231120, 20240517, "%Y%m%d") == 20240101
  assert whole_dates.start_of(20240320, 20240517, "%Y%m%d") == 20240501
  assert whole_dates.start_of(20240502, 20240517, "%Y%m%d") is None
  assert whole_dates.start_of(202311, 202405, "%Y%m") == 202401


@settings(max_examples=200, deadline=None)
@given(
  st.lists(moments, min_size=2, max_size=30),
  st.sampled_from(FORMATS),
  st.sampled_from(["number", "text"]),
  st.integers(0, 99),
)
def test_cells_and_literals_made_for_a_column_of_days_are_days(found, form, kind, seed):
  write = str if kind == "text" else int
  values = [write(moment.strftime(form)) for moment in found]
  column = Column("day", "", kind, date_format=form)
  rng = random.Random(seed)
  fresh = made_values.Fresh(values, column)
  made = [
    made_values.jitter(values[0], column, rng),
    made_values.beyond(values, column, True),
    made_values.beyond(values, column, False),
  ]
  made += [fresh.next(values[0], column) for _ in range(3)]
  made += literals.beside(values[0], column)
  made += literals.beside(str(values[0]), column)
  assert all(is_real(value, form) for value in made), made
  assert int(made[1]) > max(map(int, values)) and int(made[2]) < min(map(int, values))
  assert len(set(made[3:6])) == 3 and not set(made[3:6]) & set(values)


@settings(max_examples=200, deadline=None)
@given(
  st.sets(moments, min_size=3, max_size=30),
  st.sampled_from(FORMATS),
  st.sampled_from(["GT", "GTE", "LT", "LTE"]),
  st.integers(0, 99),
)
def test_thresholds_are_days_within_the_columns_range(found, form, operator, seed):
  values = sorted({int(moment.strftime(form)) for moment in found})
  if len(values) < 2:
    return
  rng = random.Random(seed)
  chosen = [
    synthesis_literals._threshold(values, operator, Role("num", date_format=form), None, rng)
  ]
  chosen.append(synthesis_literals.choose_near(values, operator, rng, [form]))
  assert all(is_real(value, form) and values[0] <= value <= values[-1] for value in chosen), (
    chosen,
    values,
  )


def make_sales(folder, name, declared, form, rows=200):
  path = folder / f"{name}_{declared}.sqlite"
  rng = random.Random(1)
  write = int if declared == "INTEGER" else str
  with contextlib.closing(sqlite3.connect(path)) as connection:
    connection.execute(
      f"CREATE TABLE sale (id INTEGER PRIMARY KEY, {name} {declared}, amount REAL, city TEXT)"
    )
    for i in range(rows):
      moment = datetime.datetime(2019, 11, 20) + datetime.timedelta(
        days=rng.randint(0, 900), seconds=rng.randint(0, 86399)
      )
      city = rng.choice(("Rome", "Oslo", "Lima", "Bern"))
      connection.execute(
        "INSERT INTO sale VALUES (?, ?, ?, ?)",
        (i, write(moment.strftime(form)), rng.randint(1, 90) / 2, city),
      )
    connection.commit()
  return path


@pytest.mark.parametrize("operator", ["GT", "GTE", "LT", "LTE"])
def test_moments_are_compared_with_days(operator):
  """Nobody asks for those "born after 1978-03-08 04:43:04". A moment of the day itself is not after
  it, though its text is the longer one.
  """
  start = datetime.datetime(1990, 1, 1, 4, 43, 4)
  values = [str(start + datetime.timedelta(days=17 * n)) for n in range(40)]
  for seed in range(30):
    rng = random.Random(seed)
    found = synthesis_literals._threshold(values, operator, Role("date"), None, rng)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found)
    assert values[0] < found < values[-1]
    if operator in ("GT", "LTE"):
      assert not any(value.startswith(found) for value in values)


@pytest.mark.parametrize("declared", ["INTEGER", "TEXT"])
@pytest.mark.parametrize(
  ("name", "form"), [("day", "%Y%m%d"), ("month", "%Y%m"), ("sold_day", "%Y%j")]
)
def test_synthesized_queries_and_instances_hold_real_days_only(tmp_path, name, form, declared):
  path = make_sales(tmp_path, name, declared, form)
  column = read_schema(str(path)).table("sale").column(name)
  assert column.date_format == form and column.kind == (
    "number" if declared == "INTEGER" else "text"
  )
  made = synthesize([path], pool.builtin_templates(), SynthesisOptions(100, seed=3))
  used = [
    value
    for e in made.examples
    if name in e.query
    for value in re.findall(r"\b(\d{6,8})\b", e.query)
  ]
  assert len(used) >= 3, "the column is compared with something"
  assert [value for value in used if not is_real(value, form)] == []
  assert not any(
    re.search(rf"(AVG|SUM)\((?!CASE WHEN {name} = )[^)]*\b{name}\b", example.query)
    for example in made.examples
  )
  days = f"'{used[0]}'" if declared == "TEXT" else used[0]
  queries = [
    f"SELECT city FROM sale WHERE {name} > {days}",
    f"SELECT city FROM sale WHERE {name} = {days}",
  ]
  for instance in make_instances(path, tmp_path / "instances", 5, seed=1, queries=queries):
    with contextlib.closing(sqlite3.connect(instance)) as connection:
      stored = [
        value
        for (value,) in connection.execute(f"SELECT {name} FROM sale WHERE {name} IS NOT NULL")
      ]
    assert stored and [value for value in stored if not is_real(value, form)] == []
