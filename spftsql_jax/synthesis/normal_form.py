"""When two queries are the same but for their spelling, or for their values."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlglot
from sqlglot import exp

_VALUE = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b")


def masked(form: str) -> str:
  """A normal form with every value masked, the same whatever the values."""
  return _VALUE.sub("?", form)


def normal_form(query: str | exp.Expr, dialect: str = "sqlite") -> str:
  """A text that is the same for queries which differ in their spelling only.

  In case, white space, aliases and the order of AND.

  Args:
    query: its text, or its tree, which is changed.
    dialect: of the text, and of what is returned.

  Raises:
    ValueError: the text does not parse.
  """
  try:
    tree = sqlglot.parse_one(query, read=dialect) if isinstance(query, str) else query
  except sqlglot.errors.SqlglotError as error:
    raise ValueError(f"query does not parse: {query}") from error
  nodes: dict[type, list[exp.Expr]] = {}
  for node in tree.walk():
    nodes.setdefault(type(node), []).append(node)
  sources: dict[int, list[exp.Expr]] = {}
  for table in nodes.get(exp.Table, ()):
    sources.setdefault(id(table.find_ancestor(exp.Select)), []).append(table)
  names = {select: _source_names(tables) for select, tables in sources.items()}
  for column in nodes.get(exp.Column, ()):
    _qualify(column, names)
  for table in nodes.get(exp.Table, ()):
    table.set("alias", None)
  for alias in nodes.get(exp.Alias, ()):
    alias.replace(alias.this)
  # The names that the columns were given just now are in lower case already.
  for identifier in nodes.get(exp.Identifier, ()):
    identifier.args["this"], identifier.args["quoted"] = identifier.name.lower(), False
  for conjunction in (*nodes.get(exp.And, ()), *nodes.get(exp.Or, ())):
    if type(conjunction.parent) is not type(conjunction):
      _sort_conditions(conjunction)
  return _written(tree, dialect)


def _written(tree: exp.Expr, dialect: str = "") -> str:
  # A form to compare, not to run: it may hold what the dialect does not have.
  ignore = sqlglot.ErrorLevel.IGNORE
  return tree.sql(dialect=dialect, comments=False, unsupported_level=ignore)


def _sort_conditions(conjunction: exp.Expr) -> None:
  parts = sorted((part.copy() for part in conjunction.flatten()), key=_written)
  combine = exp.and_ if isinstance(conjunction, exp.And) else exp.or_
  if conjunction.parent is not None:
    conjunction.replace(combine(*parts, copy=False))


def _source_names(tables: Sequence[exp.Expr]) -> dict[str, str]:
  """By the alias of each table of a FROM its name, numbered where it comes again."""
  names = [table.name.lower() for table in tables]
  return {
    table.alias_or_name.lower(): name
    if names.count(name) == 1
    else f"{name}{names[: position + 1].count(name)}"
    for position, (table, name) in enumerate(zip(tables, names, strict=True))
  }


def _qualify(column: exp.Expr, names: dict[int, dict[str, str]]) -> None:
  """Writes a column with its table's name instead of the alias."""
  select = column.find_ancestor(exp.Select)
  alias = column.text("table").lower()
  if not alias:
    own = names.get(id(select), {})
    if len(own) == 1 and not column.this.args.get("quoted"):
      column.set("table", exp.to_identifier(next(iter(own.values()))))
    return
  while select is not None:
    if alias in names.get(id(select), ()):
      column.set("table", exp.to_identifier(names[id(select)][alias]))
      return
    select = select.find_ancestor(exp.Select)
