"""What a query says, as a small frozen tree: no words, no chance, no order of a sentence.

`plan_conditions` reads conditions, `plan_listings` whole queries; both refuse what has no faithful
wording (`UnsupportedQuery`, with the reason). What a tree says is put into words by a grammar, of
which there may be one for each language.
"""

from __future__ import annotations

import dataclasses
from typing import Literal as OneOfThese

from sqlglot import exp

from spftsql_jax.questions.query_meaning import Query, Ref, SetQuery

# Where a text has another one; "pattern" where only the whole pattern tells.
Place = OneOfThese["begins", "contains", "ends", "pattern"]


@dataclasses.dataclass(frozen=True)
class Literal:
  """A value as the query writes it; `quoted` where it is text."""

  text: str
  quoted: bool


@dataclasses.dataclass(frozen=True)
class Attribute:
  """A column, and whether it belongs to the rows that are spoken of, not to related ones."""

  ref: Ref
  own: bool


def belongs(query: Query, alias: str, head: str) -> bool:
  """Whether a column of `alias` is an attribute of the head: their rows are the same."""
  if alias == head:
    return True
  return any(e.same and {e.child, e.parent} == {alias, head} for e in query.edges)


def attribute_of(query: Query, ref: Ref, head: str) -> Attribute:
  """A column as an attribute of the rows of `head`, or of related ones."""
  return Attribute(ref, belongs(query, ref.alias, head))


@dataclasses.dataclass(frozen=True)
class Compare:
  """A column and one value. `operator` is =, !=, <, <=, > or >=."""

  attribute: Attribute
  operator: str
  value: Literal


@dataclasses.dataclass(frozen=True)
class Stated:
  """A yes or no that the rows themselves have: they are active, or are not."""

  attribute: Attribute
  holds: bool


@dataclasses.dataclass(frozen=True)
class Between:
  """A column from one value to another, both included."""

  attribute: Attribute
  low: Literal
  high: Literal
  negated: bool = False


@dataclasses.dataclass(frozen=True)
class OneOf:
  """A column among two or more values, or among none of them."""

  attribute: Attribute
  values: tuple[Literal, ...]
  negated: bool


@dataclasses.dataclass(frozen=True)
class Like:
  """A text with another at a place, or one that matches a whole pattern of LIKE."""

  attribute: Attribute
  text: str
  place: Place
  negated: bool


@dataclasses.dataclass(frozen=True)
class Missing:
  """A column without a value (`missing`), or with one."""

  attribute: Attribute
  missing: bool


@dataclasses.dataclass(frozen=True)
class DatePart:
  """A part of a date (year, month, year and month, day, hour, weekday) and a value."""

  attribute: Attribute
  part: str
  operator: str
  value: Literal


@dataclasses.dataclass(frozen=True)
class Either:
  """One of several conditions holds."""

  members: tuple[Condition, ...]


@dataclasses.dataclass(frozen=True)
class Both:
  """All of several conditions hold."""

  members: tuple[Condition, ...]


@dataclasses.dataclass(frozen=True)
class Member:
  """A column among what a query returns.

  Attributes:
    how: "referred": `others` refer to the rows; "counted": so many do; "refers": the rows refer to
      them; "rows": the rows are among them; "shared": both refer to the same; "values" of any other
      column.
    attribute: the column of the rows.
    other: the column that `others` return; None of "values".
  """

  how: str
  attribute: Attribute
  other: Ref | None
  others: Query | SetQuery
  negated: bool


@dataclasses.dataclass(frozen=True)
class Against:
  """What is compared with the one value that a query returns.

  Attributes:
    how: "all", "alike", "rows", "such": an average or extreme of the same column, over all rows,
      those with the same value of a column as the row itself, those of `others`, or those of which
      the same is said as of the rows; "same": that column of another row; "row": a value of one
      row; "value": any other.
    function: avg, max, min or another aggregate; None without.
  """

  how: str
  subject: Attribute | Computed
  operator: str
  function: str | None
  others: Query


@dataclasses.dataclass(frozen=True)
class Alike:
  """A column with the same value as in the row of the enclosing query."""

  attribute: Attribute


@dataclasses.dataclass(frozen=True)
class Unmoved:
  """A condition that has no plan yet: it computes."""

  node: exp.Expr


ColumnCondition = Compare | Stated | Between | OneOf | Like | Missing | DatePart
NestedCondition = Member | Against | Alike
Condition = ColumnCondition | NestedCondition | Either | Both | Unmoved


@dataclasses.dataclass(frozen=True)
class Computed:
  """An expression of which there is no plan yet, worded from its syntax."""

  node: exp.Expr


@dataclasses.dataclass(frozen=True)
class Rows:
  """The rows that are asked about: those of one table as it occurs in the query.

  Attributes:
    query: what is said of them.
    head: the alias of the table.
    single: whether the conditions pick one row, by its name or key.
  """

  query: Query
  head: str
  single: bool = False


@dataclasses.dataclass(frozen=True)
class Order:
  """What rows are sorted by."""

  by: Attribute | Computed
  descending: bool


@dataclasses.dataclass(frozen=True)
class Top:
  """The first rows in an order; of all that are left where `order` is empty."""

  order: tuple[Order, ...]
  limit: int


@dataclasses.dataclass(frozen=True)
class Listing:
  """Columns of rows. Without columns: all that is known of them."""

  rows: Rows
  columns: tuple[Attribute | Computed, ...]
  distinct: bool
  order: tuple[Order, ...] = ()
  top: Top | None = None


@dataclasses.dataclass(frozen=True)
class Count:
  """How many rows there are. `distinct` says that each is counted once, by its key."""

  rows: Rows
  distinct: bool = False


@dataclasses.dataclass(frozen=True)
class CountValues:
  """How many different values a column has over the rows."""

  rows: Rows
  attribute: Attribute


@dataclasses.dataclass(frozen=True)
class CountKnown:
  """Of how many rows a column is known."""

  rows: Rows
  attribute: Attribute


@dataclasses.dataclass(frozen=True)
class PartOfDate:
  """The year, month or day of a date."""

  attribute: Attribute
  part: str


@dataclasses.dataclass(frozen=True)
class RowCount:
  """How many rows a group has."""


@dataclasses.dataclass(frozen=True)
class Amount:
  """Another aggregate over the rows of a group, worded from its syntax."""

  node: exp.Expr


Key = Attribute | PartOfDate | Computed
Measure = RowCount | Amount


@dataclasses.dataclass(frozen=True)
class MeasureCompare:
  """Something measured of a group and a value, another measure, or what a nested query returns.

  `operator` is that of Compare, or "between" for all up to `high`.
  """

  measure: Measure
  operator: str
  value: Literal | Measure | exp.Subquery
  high: Literal | None = None


@dataclasses.dataclass(frozen=True)
class GroupOrder:
  """What groups are sorted by."""

  by: Key | Measure
  descending: bool


@dataclasses.dataclass(frozen=True)
class PerGroup:
  """Something of each group of rows.

  Attributes:
    rows: the alias whose rows are grouped. beside: that of others that some of them lack, where
      only those with one are counted; "" where all are.
    entity: the alias whose rows the groups are; "" where they are the values of `keys`.
    keys: what the query groups by.
    returned: of each group. whole: whether all keys are among it.
    having: what is said of the groups; `Unmoved` of their own columns.
    order: first the first; limit: how many of them, None for all.
    optional: whether groups without rows are there too.
    partial: whether groups without rows are left out, though there may be some. lacking: whether
      there are some, as far as the counts of a schema tell.
    pairs: whether each row is a pair of the one key and of a row that is joined, and only counted.
  """

  query: Query
  rows: str
  beside: str
  entity: str
  keys: tuple[Key, ...]
  returned: tuple[Key | Measure, ...]
  whole: bool
  having: tuple[MeasureCompare | Unmoved, ...]
  order: tuple[GroupOrder, ...]
  limit: int | None
  optional: bool
  partial: bool
  pairs: bool = False
  lacking: bool = False


Counted = Count | CountValues | CountKnown
Question = Listing | Counted


@dataclasses.dataclass(frozen=True)
class SameRows:
  """Rows of one table under the conditions of one query and of another.

  Attributes:
    operator: union, intersect or except.
    left, right: the rows under the conditions of each.
    columns: what is returned of them.
  """

  operator: str
  left: Rows
  right: Rows
  columns: tuple[Attribute, ...]


@dataclasses.dataclass(frozen=True)
class Values(SameRows):
  """Values of columns that two sets of rows have. `same` says that one table has both."""

  same: bool = True


@dataclasses.dataclass(frozen=True)
class Related:
  """Rows with others that refer to them, or without any."""

  rows: Rows
  columns: tuple[Attribute, ...]
  related: Member


@dataclasses.dataclass(frozen=True)
class Lists:
  """What two queries return, put together by any operator."""

  operator: str
  left: Query | SetQuery
  right: Query | SetQuery


Combined = SameRows | Values | Related | Lists
