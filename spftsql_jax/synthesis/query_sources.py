"""What stands in the FROM of a SELECT that becomes a template, and what connects it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from sqlglot import exp

from spftsql_jax.schema import Schema
from spftsql_jax.synthesis.slots import UnsupportedTemplate


class Sources:
  """The sources of one SELECT.

  Attributes:
    parent: those of the SELECT around it.
    tables: the table's name in lower case by alias; None for a nested query.
    letters: of the tables, by alias.
    mentioned: aliases of tables of which the query names something.
    optional: aliases that a left join adds.
    connections: pairs of aliases that a join connects.
  """

  def __init__(self, parent: Sources | None, columns: Mapping[str, Collection[str]]):
    """`columns`: of each table of the database, in lower case."""
    self.parent = parent
    self._columns = columns
    self.tables: dict[str, str | None] = {}
    self.letters: dict[str, str] = {}
    self.mentioned: set[str] = set()
    self.optional: set[str] = set()
    self.connections: list[tuple[str, str]] = []

  def alias_of(self, column: exp.Column) -> str | None:
    """The alias of the source that a column belongs to."""
    if column.table:
      return column.table.lower() if column.table.lower() in self.tables else None
    for alias, table in self.tables.items():
      if table is not None and column.name.lower() in self._columns[table]:
        return alias
    return None

  def named_tables(self) -> list[str]:
    """The aliases of tables, without those of nested queries."""
    return [alias for alias, table in self.tables.items() if table is not None]

  def are_connected(self) -> bool:
    """Whether joins connect all sources."""
    reached = {next(iter(self.tables))}
    for _ in self.tables:
      for left, right in self.connections:
        if left in reached or right in reached:
          reached |= {left, right}
    return len(reached) == len(self.tables)


def read_sources(
  select: exp.Select,
  sources: Sources,
  schema: Schema,
  letters: dict[str, str],
  rewrite_nested: Callable[[exp.Expr], object],
) -> None:
  """Reads the FROM of a SELECT into `sources`, and takes it out of the tree.

  Conditions of its joins that connect nothing go to WHERE.

  Args:
    select: changed in place.
    sources: filled.
    schema: of the database.
    letters: of the tables that the query has so far; new ones are added.
    rewrite_nested: rewrites a query that stands in FROM.

  Raises:
    UnsupportedTemplate: it is no join of tables, nor one nested query.
  """
  source = select.args.get("from_")
  if source is None:
    return
  joins: list[exp.Join] = select.args.get("joins") or []
  nested = False
  for item in [source.this, *(join.this for join in joins)]:
    if isinstance(item, exp.Subquery):
      _check_new(item, sources)
      rewrite_nested(item.this)
      sources.tables[item.alias_or_name.lower() or "derived"] = None
      nested = True
    else:
      _add_table(item, sources, schema, letters)
  if nested and len(sources.tables) > 1:
    raise UnsupportedTemplate("a subquery joined in FROM")
  if nested:
    return
  commas = False
  conditions: list[exp.Expr] = []
  for join in joins:
    conditions += _read_join(join, sources)
    on = join.args.get("on")
    bare = on is None or (isinstance(on, exp.Boolean) and on.this)
    commas = commas or bool(bare and not (join.args.get("using") or join.args.get("method")))
  if commas and select.args.get("where"):
    _take_comma_joins(select, sources)
  for condition in conditions:
    where = select.args.get("where")
    select.set("where", exp.Where(this=exp.and_(where.this, condition) if where else condition))
  if len(sources.tables) > 1 and not sources.are_connected():
    raise UnsupportedTemplate("cross join")
  select.set("from_", None)
  select.set("joins", None)


def _check_new(item: exp.Expr, sources: Sources) -> None:
  if item.alias_or_name.lower() in sources.tables:
    raise UnsupportedTemplate("an alias used twice")


def _add_table(item: exp.Expr, sources: Sources, schema: Schema, letters: dict[str, str]) -> None:
  _check_new(item, sources)
  alias = item.alias_or_name.lower()
  if not isinstance(item, exp.Table):
    raise UnsupportedTemplate(f"{item.key} in FROM")
  try:
    table = schema.table(item.name, item.db).name.lower()
  except KeyError:
    raise UnsupportedTemplate(f"no such table: {item.name}") from None
  sources.tables[alias] = table
  letter = letters.setdefault(table, chr(ord("a") + len(letters)))
  instance = sum(other == table for other in sources.tables.values())
  sources.letters[alias] = letter if instance == 1 else f"{letter}{instance}"


def _read_join(join: exp.Join, sources: Sources) -> list[exp.Expr]:
  """Notes which sources a join connects; returns its conditions that are no connection."""
  kind = f"{join.side or ''} {join.kind or ''} {join.args.get('method') or ''}".upper().split()
  alias = join.this.alias_or_name.lower()
  if "RIGHT" in kind or "FULL" in kind:
    raise UnsupportedTemplate(f"{kind[0]} JOIN")
  if "LEFT" in kind:
    sources.optional.add(alias)
  if "NATURAL" in kind or join.args.get("using"):
    others = [other for other in sources.tables if other != alias]
    sources.connections.append((others[0] if others else alias, alias))
    return []
  rest = []
  for condition in _conjuncts(join.args.get("on")):
    pair = _connection(condition, sources)
    if pair:
      sources.connections.append(pair)
    elif isinstance(condition, exp.Boolean) and condition.this:
      pass  # JOIN without ON; its condition may stand in a later ON or in WHERE.
    elif "LEFT" in kind:
      raise UnsupportedTemplate("a condition in LEFT JOIN")
    else:
      rest.append(condition.copy())
  return rest


def _conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
  if condition is None:
    return []
  return list(condition.flatten()) if isinstance(condition, exp.And) else [condition]


def _connection(condition: exp.Expr, sources: Sources) -> tuple[str, str] | None:
  """The two sources that a column = column condition connects."""
  condition = condition.unnest()
  if not isinstance(condition, exp.EQ):
    return None
  left, right = condition.this, condition.expression
  if not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
    return None
  one, other = sources.alias_of(left), sources.alias_of(right)
  return (one, other) if one and other and one != other else None


def _take_comma_joins(select: exp.Select, sources: Sources) -> None:
  kept = []
  for condition in _conjuncts(select.args["where"].this):
    pair = _connection(condition, sources)
    if pair:
      sources.connections.append(pair)
    else:
      kept.append(condition.copy())
  select.set("where", exp.Where(this=exp.and_(*kept, copy=False)) if kept else None)
