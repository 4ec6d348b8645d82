"""Where a query names the tables and columns of a schema.

Aliases that tell nothing apart belong to what they call, so that who replaces a place by another
name is rid of them: `T1.name` is one place, and so is `singer AS T1`. A table that is read twice in
reach of a query keeps its aliases, and the places are the bare names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from sqlglot import exp

from spftsql_jax.schema import Schema, Table


@dataclasses.dataclass(frozen=True, order=True)
class NamedPlace:
  """A stretch of a query's text, [start, end), that names a table (column "") or a column, as the
  schema spells them.
  """

  start: int
  end: int
  table: str
  column: str = ""


def named_places(tree: exp.Expr, schema: Schema) -> list[NamedPlace]:
  """The places of a query in order. Names of WITH, of inner queries and of nobody have none.

  Args:
    tree: parsed from the text by sqlglot, which keeps where each identifier stands.
  """
  return sorted(_Query(tree, schema).places())


@dataclasses.dataclass(frozen=True, eq=False)
class _Source:
  """What a FROM or JOIN of a query names: `table` is None for what is none of the schema's."""

  select: exp.Select
  node: exp.Expr
  table: Table | None

  @property
  def alias(self) -> exp.Identifier | None:
    found = self.node.args.get("alias")
    return found.this if isinstance(found, exp.TableAlias) else None


@dataclasses.dataclass(frozen=True)
class _Found:
  """A column of a query with its source; name "" where the source does not have it."""

  node: exp.Column
  source: _Source
  name: str


class _Query:
  """A query with what its parts read."""

  def __init__(self, tree: exp.Expr, schema: Schema):
    self._schema = schema
    self._inner = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    self._sources = {id(select): self._of(select) for select in tree.find_all(exp.Select)}
    self._columns = [found for c in tree.find_all(exp.Column) if (found := self._resolve(c))]
    # Sources that some column cannot be told to be of keep the name that it calls them by.
    self._kept = {id(f.source) for f in self._columns if not f.name and f.node.table}

  def places(self) -> Iterator[NamedPlace]:
    for sources in self._sources.values():
      for source in sources.values():
        if source.table is not None:
          start, end = _span(source.node, ("db", "this"))
          if source.alias is not None and not self._needs_its_name(source):
            end = max(end, _span(source.alias)[1])
          yield NamedPlace(start, end, source.table.name)
    for found in self._columns:
      if (table := found.source.table) is None or not found.name:
        continue
      if not found.node.table or not self._needs_its_name(found.source):
        yield NamedPlace(*_span(found.node), table.name, found.name)
        continue
      if found.source.alias is None:
        yield NamedPlace(*_span(found.node, ("db", "table")), table.name)
      yield NamedPlace(*_span(found.node.this), table.name, found.name)

  def _needs_its_name(self, source: _Source) -> bool:
    """Whether a query in reach reads the same table too, or some column needs what it is called."""
    if id(source) in self._kept:
      return True
    reach = {id(s) for s in (*_around(source.select), *source.select.find_all(exp.Select))}
    tables = [other.table for key in reach for other in self._sources[key].values()]
    return sum(table is source.table for table in tables) > 1

  def _of(self, select: exp.Select) -> dict[str, _Source]:
    """What a query's own FROM and JOINs name, by the lower-case name that columns call it by."""
    found: dict[str, _Source] = {}
    first = select.args.get("from_") or select.args.get("from")
    nodes = [first.this] if first is not None else []
    nodes += [join.this for join in select.args.get("joins") or ()]
    for node in [each for n in nodes for each in (n, *_joined_to(n))]:
      name = node.alias_or_name.lower()
      table = self._table(node) if isinstance(node, exp.Table) else None
      found[name if name not in found else f"{name} {len(found)}"] = _Source(select, node, table)
    return found

  def _table(self, node: exp.Table) -> Table | None:
    if not isinstance(node.this, exp.Identifier) or node.catalog:
      return None
    if not node.db and node.name.lower() in self._inner:
      return None
    try:
      return self._schema.table(node.name, node.db)
    except KeyError:
      return None

  def _resolve(self, column: exp.Column) -> _Found | None:
    """The column with its source; None where that cannot be told."""
    name = column.name if isinstance(column.this, exp.Identifier) else ""  # Or *.
    for select in _around(column):
      sources = self._sources[id(select)]
      if column.table:
        if (source := sources.get(column.table.lower())) is not None:
          return _Found(column, source, _spelled(source.table, name))
        continue
      if _is_alias(select, column):
        return None
      for source in sources.values():
        if spelled := _spelled(source.table, name):
          return _Found(column, source, spelled)
        if source.table is None:
          return None  # Perhaps one of its columns.
    return None


def _around(node: exp.Expr) -> Iterator[exp.Select]:
  """The query that a node is or stands in, and those around it."""
  select = node if isinstance(node, exp.Select) else node.find_ancestor(exp.Select)
  while select is not None:
    yield select
    select = select.find_ancestor(exp.Select)


def _joined_to(node: exp.Expr) -> list[exp.Expr]:
  """What is joined to a table within the same item of a FROM."""
  return [join.this for join in node.args.get("joins") or ()] if isinstance(node, exp.Table) else []


def _spelled(table: Table | None, name: str) -> str:
  """A column's name as its table spells it; "" where it has none of that name."""
  names = [c.name for c in table.columns] if table is not None else []
  if name in names:
    return name
  return next((n for n in names if n.lower() == name.lower()), "")


def _is_alias(select: exp.Select, column: exp.Column) -> bool:
  """Whether a bare name behind a query's SELECT list is one that the list gives."""
  inside: exp.Expr = column
  while inside.parent is not select and inside.parent is not None:
    inside = inside.parent
  if inside.arg_key in ("expressions", "joins", "from_", "from"):
    return False
  given = (e.alias.lower() for e in select.expressions if isinstance(e, exp.Alias))
  return column.name.lower() in given


def _span(node: exp.Expr, parts: Sequence[str] = ("db", "table", "this")) -> tuple[int, int]:
  """(start, end) of a name in the text, from the first to the last of its parts."""
  held = [node] if isinstance(node, exp.Identifier) else [node.args.get(part) for part in parts]
  places = [i.meta for i in held if isinstance(i, exp.Identifier) and "start" in i.meta]
  return min(m["start"] for m in places), max(m["end"] for m in places) + 1
