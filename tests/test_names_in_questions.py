"""What questions call tables, columns and the rows that keys refer to, on small schemas."""

from __future__ import annotations

import random
import re

import pytest

from spftsql_jax.questions.naming import names_of, role_of
from spftsql_jax.questions.sentences import write_question
from spftsql_jax.schema import Column, ForeignKey, Schema, Table

_SEEDS = range(25)


def _table(text: str, *keys: ForeignKey, samples: dict[str, tuple] | None = None) -> Table:
  """ "pet: id number, name text", the key first."""
  name, _, said = text.partition(": ")
  pairs = [column.split() for column in said.split(", ")]
  columns = tuple(Column(c, k.upper(), k, samples=(samples or {}).get(c, ())) for c, k in pairs)
  return Table(name, columns, (columns[0].name,), keys, row_count=100)


def _key(column: str, table: str, referred: str = "id") -> ForeignKey:
  return ForeignKey((column,), table, (referred,))


def _said(sql: str, schema: Schema) -> set[str]:
  return {write_question(sql, schema, random.Random(seed)) for seed in _SEEDS}


COMPANY = Schema(
  "company",
  "sqlite",
  (
    _table("employee: Ssn number, Minit text, Bdate date, Super_ssn number, Dno number"),
    _table("department: Dnumber number, Dname text, Mgr_ssn number"),
    _table("dependent: Dependent_name text, Essn number"),
    _table("dept_locations: Dlocation text, Dnumber number"),
  ),
)


@pytest.mark.parametrize(
  "table, column, said",
  [
    ("employee", "Dno", "department number"),
    ("employee", "Minit", "middle initial"),
    ("dependent", "Essn", "employee SSN"),
    ("dept_locations", "Dlocation", "location"),
  ],
)
def test_a_column_that_shortens_another_table_s_key_is_called_by_it(
  table: str, column: str, said: str
) -> None:
  of = COMPANY.table(table)
  assert names_of(COMPANY).column(of, of.column(column)).nouns[0].singular == said


@pytest.mark.parametrize(
  "column, referred, role",
  [
    ("Mgr_ssn", "employee", "manager"),
    ("Super_ssn", "employee", "supervisor"),
    ("Essn", "employee", None),
    ("Dno", "department", None),
    ("Dnumber", "department", None),
  ],
)
def test_a_key_is_called_by_what_it_refers_to(column: str, referred: str, role: str | None) -> None:
  found = role_of((column,), COMPANY.table(referred), names_of(COMPANY))
  assert (found and found.singular) == role


def test_rows_have_those_that_play_a_role_for_them() -> None:
  said = _said(
    "SELECT a.Dname FROM department AS a JOIN employee AS b ON a.Mgr_ssn = b.Ssn "
    "WHERE b.Bdate > '1937-05-01'",
    COMPANY,
  )
  assert all("manager" in question and "SSN" not in question for question in said)
  assert not any(re.search("belong|are with|of a? ?managers?", question) for question in said), said
