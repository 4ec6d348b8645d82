"""Templates from SQL: columns and values become typed slots, FROM and JOIN leave, the structure
stays.

Source of the idea: template synthesis with strong typing and key preservation, Hu et al. 2023
(arXiv 2212.08785), as SPFT-SQL uses it in stage 1. The notation of a template is described in
`notation.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.columns import roles as roles_lib
from spftsql_jax.schema import Schema
from spftsql_jax.sql.model_text import read_statement
from spftsql_jax.synthesis.notation import (
  SqlStyle,
  Template,
  UnsupportedTemplate,
  WeightedTemplate,
  canonical_text,
  compile_template,
  parse_slot,
  write_sql,
)

__all__ = [
  "SqlStyle",
  "Template",
  "UnsupportedTemplate",
  "WeightedTemplate",
  "compile_template",
  "extract_template",
  "extract_templates",
  "mix_templates",
]


def extract_template(sql: str, schema: Schema) -> Template:
  """The template of a query over `schema`. Raises UnsupportedTemplate with the reason."""
  return Extractor(schema).extract(sql)


def extract_templates(
  queries: list[tuple[str, Schema]],
) -> tuple[list[WeightedTemplate], dict[str, int]]:
  """Templates of many queries, most frequent first, weighted by frequency; and how many queries had
  none, by reason.
  """
  counts: dict[Template, int] = {}
  reasons: dict[str, int] = {}
  extractors: dict[int, Extractor] = {}
  for sql, schema in queries:
    extractor = extractors.setdefault(id(schema), Extractor(schema))
    try:
      template = extractor.extract(sql)
    except UnsupportedTemplate as error:
      reasons[str(error)] = reasons.get(str(error), 0) + 1
      continue
    counts[template] = counts.get(template, 0) + 1
  ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0].text))
  return [WeightedTemplate(template, float(count)) for template, count in ranked], reasons


def mix_templates(sources: Sequence[Sequence[WeightedTemplate]]) -> list[WeightedTemplate]:
  """The templates of several sources, each source with the same total weight."""
  weights: dict[Template, float] = {}
  for source in sources:
    total = sum(item.weight for item in source)
    for item in source:
      weights[item.template] = weights.get(item.template, 0.0) + item.weight / total
  return [WeightedTemplate(template, weight) for template, weight in weights.items()]


class Extractor:
  """Extracts templates of queries over one schema; keeps what it needs of the schema."""

  def __init__(self, schema: Schema):
    self._dialect = schema.dialect
    self._roles = roles_lib.column_roles(schema)
    self._schema = schema
    self._columns = {
      table.name.lower(): {c.name.lower() for c in table.columns} for table in schema.tables
    }

  def extract(self, sql: str) -> Template:
    """The template of a query. Raises UnsupportedTemplate."""
    try:
      trees = [
        tree
        for tree in sqlglot.parse(read_statement(sql, self._dialect), read=self._dialect)
        if tree is not None
      ]
    except sqlglot.errors.SqlglotError as error:
      raise UnsupportedTemplate("query does not parse") from error
    if len(trees) != 1 or not isinstance(trees[0], (exp.Select, exp.SetOperation, exp.Subquery)):
      raise UnsupportedTemplate("not one SELECT")
    tree = trees[0]
    if tree.args.get("with_") or tree.find(exp.With):
      raise UnsupportedTemplate("WITH")
    # The new tree gets its slots while the old one is walked, so that every scope still sees its
    # own FROM.
    rewriting = _Rewriting(self._schema, self._roles, self._columns)
    rewriting.rewrite(tree, None)
    rewriting.mark_references(tree)
    for item in tree.find_all(exp.Ordered):
      item.set("desc", item.args.get("desc") or None)
    text = canonical_text(write_sql(tree))
    compile_template(text)
    return Template(text)


class _Scope:
  """The sources of one SELECT by alias: the table's name, or None for a derived table."""

  def __init__(self, parent: _Scope | None):
    self.parent = parent
    self.sources: dict[str, str | None] = {}
    self.letters: dict[str, str] = {}
    self.mentioned: set[str] = set()
    self.optional: set[str] = set()
    self.joined: list[tuple[str, str]] = []
    self.names: dict[str, exp.Expression] = {}


class _Rewriting:
  """The rewriting of one query: which table has which letter, which column which slot, which
  literal which value.
  """

  def __init__(self, schema: Schema, roles, columns):
    self._schema = schema
    self._roles = roles
    self._columns = columns
    self._letters: dict[str, str] = {}
    self._numbers: dict[tuple[str, str], int] = {}
    self._values: dict[tuple[int | str, str], str] = {}
    self._value_counts: dict[int | str, int] = {}

  def rewrite(self, tree: exp.Expression, parent: _Scope | None) -> _Scope:
    """Rewrites a query in place; returns the scope of its first SELECT."""
    if isinstance(tree, exp.Subquery):
      return self.rewrite(tree.this, parent)
    if isinstance(tree, exp.SetOperation):
      first = self.rewrite(tree.this, parent)
      self.rewrite(tree.expression, parent)
      for part in ("order", "limit"):
        if tree.args.get(part):
          self._rewrite_expression(tree.args[part], first)
      return first
    return self._rewrite_select(tree, parent)

  def _rewrite_select(self, select: exp.Select, parent: _Scope | None) -> _Scope:
    scope = _Scope(parent)
    self._read_sources(select, scope)
    self._inline_aliases(select, scope)
    for part in (
      "expressions",
      "where",
      "group",
      "having",
      "order",
      "limit",
      "windows",
      "qualify",
      "offset",
    ):
      value = select.args.get(part)
      for node in value if isinstance(value, list) else [value] if value is not None else []:
        self._rewrite_expression(node, scope)
    self._mark_tables(select, scope)
    return scope

  # Sources.

  def _read_sources(self, select: exp.Select, scope: _Scope) -> None:
    source = select.args.get("from_")
    if source is None:
      return
    joins = select.args.get("joins") or []
    commas = False
    derived = False
    conditions: list[exp.Expression] = []
    for item in [source.this, *(join.this for join in joins)]:
      derived = self._add_source(item, scope) or derived
    if derived and len(scope.sources) > 1:
      raise UnsupportedTemplate("a subquery joined in FROM")
    if derived:
      return
    for join in joins:
      conditions += self._read_join(join, scope)
      on = join.args.get("on")
      bare = on is None or (isinstance(on, exp.Boolean) and on.this)
      commas = commas or (bare and not (join.args.get("using") or join.args.get("method")))
    if commas and select.args.get("where"):
      self._take_comma_joins(select, scope)
    for condition in conditions:
      where = select.args.get("where")
      select.set("where", exp.Where(this=exp.and_(where.this, condition) if where else condition))
    if len(scope.sources) > 1 and not self._is_connected(scope):
      raise UnsupportedTemplate("cross join")
    select.set("from_", None)
    select.set("joins", None)

  def _add_source(self, item: exp.Expression, scope: _Scope) -> bool:
    """Adds a FROM item; True for a derived table."""
    alias = item.alias_or_name.lower()
    if alias in scope.sources:
      raise UnsupportedTemplate("an alias used twice")
    if isinstance(item, exp.Subquery):
      self.rewrite(item.this, None)
      scope.sources[alias or "derived"] = None
      return True
    if not isinstance(item, exp.Table):
      raise UnsupportedTemplate(f"{item.key} in FROM")
    try:
      table = self._schema.table(item.name, item.db).name.lower()
    except KeyError:
      raise UnsupportedTemplate(f"no such table: {item.name}") from None
    scope.sources[alias] = table
    letter = self._letters.setdefault(table, chr(ord("a") + len(self._letters)))
    instance = sum(other == table for other in scope.sources.values())
    scope.letters[alias] = letter if instance == 1 else f"{letter}{instance}"
    return False

  def _read_join(self, join: exp.Join, scope: _Scope) -> list[exp.Expression]:
    """Notes which sources a join connects; returns its conditions that are no connection."""
    kind = f"{join.side or ''} {join.kind or ''} {join.args.get('method') or ''}".upper().split()
    alias = join.this.alias_or_name.lower()
    if "RIGHT" in kind or "FULL" in kind:
      raise UnsupportedTemplate(f"{kind[0]} JOIN")
    if "LEFT" in kind:
      scope.optional.add(alias)
    if "NATURAL" in kind or join.args.get("using"):
      others = [other for other in scope.sources if other != alias]
      scope.joined.append((others[0] if others else alias, alias))
      return []
    rest = []
    on = join.args.get("on")
    for condition in on.flatten() if isinstance(on, exp.And) else [on] if on is not None else []:
      pair = self._connection(condition, scope)
      if pair:
        scope.joined.append(pair)
      elif isinstance(condition, exp.Boolean) and condition.this:
        pass  # JOIN without ON; its condition may stand in a later ON or in WHERE.
      elif "LEFT" in kind:
        raise UnsupportedTemplate("a condition in LEFT JOIN")
      else:
        rest.append(condition.copy())
    return rest

  def _connection(self, condition: exp.Expression, scope: _Scope) -> tuple[str, str] | None:
    """The two sources that a column = column condition connects."""
    while isinstance(condition, exp.Paren):
      condition = condition.this
    if not isinstance(condition, exp.EQ):
      return None
    sides = (condition.this, condition.expression)
    if not all(isinstance(side, exp.Column) for side in sides):
      return None
    left, right = (self._source_of(side, scope) for side in sides)
    return (left, right) if left and right and left != right else None

  def _take_comma_joins(self, select: exp.Select, scope: _Scope) -> None:
    where = select.args["where"].this
    kept = []
    for condition in where.flatten() if isinstance(where, exp.And) else [where]:
      pair = self._connection(condition, scope)
      if pair:
        scope.joined.append(pair)
      else:
        kept.append(condition.copy())
    select.set("where", exp.Where(this=exp.and_(*kept, copy=False)) if kept else None)

  def _is_connected(self, scope: _Scope) -> bool:
    reached = {next(iter(scope.sources))}
    for _ in scope.sources:
      for left, right in scope.joined:
        if left in reached or right in reached:
          reached |= {left, right}
    return len(reached) == len(scope.sources)

  def _source_of(self, column: exp.Column, scope: _Scope) -> str | None:
    """The alias in `scope` that a column belongs to."""
    if column.table:
      return column.table.lower() if column.table.lower() in scope.sources else None
    for alias, table in scope.sources.items():
      if table is not None and column.name.lower() in self._columns[table]:
        return alias
    return None

  # Expressions.

  def _inline_aliases(self, select: exp.Select, scope: _Scope) -> None:
    """Replaces an output alias used later in the query by its expression; without a derived table
    it names nothing.
    """
    outputs = {}
    for item in select.expressions:
      if isinstance(item, exp.Alias):
        outputs[item.alias.lower()] = item.this
    for part in ("where", "group", "having", "order"):
      for column in list(select.args[part].find_all(exp.Column)) if select.args.get(part) else []:
        name = column.name.lower()
        if not column.table and name in outputs and self._source_of(column, scope) is None:
          column.replace(outputs[name].copy())
    for part in ("group", "order"):
      for item in select.args[part].expressions if select.args.get(part) else []:
        position = item.this if isinstance(item, exp.Ordered) else item
        if (
          isinstance(position, exp.Literal)
          and position.is_int
          and 1 <= int(position.this) <= len(select.expressions)
        ):
          target = select.expressions[int(position.this) - 1]
          position.replace((target.this if isinstance(target, exp.Alias) else target).copy())
    if not isinstance(select.parent, exp.Subquery) or not isinstance(
      select.parent.parent, exp.From
    ):
      for item in list(select.expressions):
        if isinstance(item, exp.Alias):
          item.replace(item.this)

  def _rewrite_expression(self, root: exp.Expression, scope: _Scope) -> None:
    """Rewrites the columns, literals and nested queries below `root`."""
    literals = []
    for node in list(_walk_one_query(root)):
      if isinstance(node, (exp.Select, exp.SetOperation)):
        self.rewrite(node, scope)
      elif isinstance(node, exp.Star) and not isinstance(node.parent, (exp.Column, exp.Count)):
        tables = [alias for alias, table in scope.sources.items() if table is not None]
        if len(tables) == 1:
          node.replace(
            exp.Column(this=exp.Star(), table=exp.to_identifier(scope.letters[tables[0]]))
          )
          scope.mentioned.add(tables[0])
      elif isinstance(node, exp.Column):
        self._rewrite_column(node, scope, literals)
      elif isinstance(node, (exp.Literal, exp.Boolean)):
        literals.append(node)
      elif isinstance(node, exp.Placeholder):
        raise UnsupportedTemplate("a parameter")
    for literal in literals:
      self._rewrite_literal(literal)

  def _rewrite_column(
    self, column: exp.Column, scope: _Scope, literals: list[exp.Expression]
  ) -> None:
    suffix = ""
    at: _Scope | None = scope
    while at is not None:
      alias = (
        self._source_of(column, at)
        if not isinstance(column.this, exp.Star)
        else column.table.lower()
      )
      if alias is not None and alias in at.sources:
        break
      if any(table is None for table in at.sources.values()):
        return  # A column of a derived table keeps the name that its query gives it.
      at = at.parent
      suffix = "_outer"
    if at is None:
      if not column.table and column.this.args.get("quoted"):
        literal = exp.Literal.string(column.name)
        column.replace(literal)
        literals.append(literal)
        return
      raise UnsupportedTemplate(f"no such column: {column.sql()}")
    if suffix and at is not scope.parent:
      raise UnsupportedTemplate("a reference to a query two levels up")
    table = at.sources[alias]
    if table is None:
      raise UnsupportedTemplate("a column of a derived table named with its alias")
    at.mentioned.add(alias)
    qualifier = exp.to_identifier(at.letters[alias] + suffix)
    if isinstance(column.this, exp.Star):
      column.replace(exp.Column(this=exp.Star(), table=qualifier))
      return
    column.replace(
      exp.Column(
        this=exp.to_identifier(self._slot_name(table, column.name.lower())), table=qualifier
      )
    )

  def _slot_name(self, table: str, column: str) -> str:
    number = self._numbers.setdefault((table, column), len(self._numbers) + 1)
    return f"{self._roles[(table, column)].kind}{number}"

  def mark_references(self, tree: exp.Expression) -> None:
    """Lets each foreign key slot say what it refers to: a slot, or a table of the query, or what
    another one refers to.
    """
    suffixes: dict[str, str] = {}
    for (table, column), number in self._numbers.items():
      role = self._roles[(table, column)]
      if role.refers_to is None:
        continue
      suffix = ""
      if role.refers_to in self._numbers and role.refers_to != (table, column):
        kind = self._roles[role.refers_to].kind
        suffix = (
          f"_{'key' if kind == 'key' else 'ref'}{self._numbers[role.refers_to]}"
          if kind in ("key", "ref")
          else ""
        )
      elif role.refers_to[0] in self._letters and role.refers_to[0] != table:
        suffix = f"_{self._letters[role.refers_to[0]]}"
      else:
        same = [
          n
          for key, n in self._numbers.items()
          if n < number and self._roles[key].refers_to == role.refers_to
        ]
        suffix = f"_ref{same[0]}" if same else ""
      suffixes[f"{role.kind}{number}"] = suffix
    for column in tree.find_all(exp.Column):
      if column.table and column.name in suffixes:
        column.this.set("this", column.name + suffixes[column.name])

  def _rewrite_literal(self, literal: exp.Expression) -> None:
    parent = literal.parent
    node: exp.Expression = literal
    while isinstance(parent, (exp.Paren, exp.Neg)):
      node, parent = parent, parent.parent
    if isinstance(parent, exp.Limit):
      if literal.name != "1" and literal.is_int:
        node.replace(exp.Placeholder(this=self._value_name("limit", literal.name)))
      return
    if not isinstance(
      parent,
      (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Like, exp.Glob),
    ):
      return
    other = parent.this if parent.this is not node else parent.args.get("expression")
    if other is None or isinstance(parent, exp.In) and node is parent.this:
      return
    column = (
      None
      if isinstance(other, (exp.Subquery, exp.Count))
      else next(iter(other.find_all(exp.Column)), None)
    )
    if isinstance(other, exp.Count) or other.find(exp.Count):
      node.replace(exp.Placeholder(this=self._value_name("count", literal.name)))
    elif column is not None and column.table and not isinstance(column.this, exp.Star):
      kind, number, _, _ = parse_slot(column.name)
      node.replace(exp.Placeholder(this=self._value_name(f"{kind}{number}", node.sql())))

  def _value_name(self, base: str, value: str) -> str:
    key = (base, value)
    if key not in self._values:
      self._value_counts[base] = self._value_counts.get(base, 0) + 1
      count = self._value_counts[base]
      self._values[key] = base if count == 1 else f"{base}_{count}"
    return self._values[key]

  # Tables without a column of theirs.

  def _mark_tables(self, select: exp.Select, scope: _Scope) -> None:
    """Gives COUNT(*) the table whose rows it counts, and the other unmentioned leaves of the join
    their LINKED.
    """
    tables = [alias for alias, table in scope.sources.items() if table is not None]
    if not tables:
      return
    degree = {alias: {pair for pair in scope.joined if alias in pair} for alias in tables}
    leaves = [
      alias
      for alias in tables
      if alias not in scope.mentioned and (len(degree[alias]) <= 1 or len(tables) == 1)
    ]
    counts = [
      c
      for c in _walk_one_query(select, enter=True)
      if isinstance(c, exp.Count) and isinstance(c.this, exp.Star)
    ]
    if counts:
      counted = leaves.pop(0) if leaves else tables[0] if len(tables) == 1 else None
      if counted is not None:
        for count in counts:
          count.set(
            "this", exp.Column(this=exp.Star(), table=exp.to_identifier(scope.letters[counted]))
          )
        scope.mentioned.add(counted)
    marks = [(alias, "OPTIONAL" if alias in scope.optional else "LINKED") for alias in leaves]
    marks += [(alias, "OPTIONAL") for alias in tables if alias in scope.optional & scope.mentioned]
    conditions: list[exp.Expression] = [
      exp.Anonymous(this=name, expressions=[exp.column(scope.letters[alias])])
      for alias, name in marks
    ]
    where = select.args.get("where")
    if conditions:
      old = (
        [exp.paren(where.this) if isinstance(where.this, exp.Or) else where.this] if where else []
      )
      select.set("where", exp.Where(this=exp.and_(*old, *conditions)))


def _walk_one_query(root: exp.Expression, enter: bool = False) -> Iterator[exp.Expression]:
  """Nodes below `root` in text order, without going into nested queries, which are yielded
  themselves.
  """
  yield_root = not enter
  stack = [root]
  while stack:
    node = stack.pop()
    nested = isinstance(node, (exp.Select, exp.SetOperation)) and (node is not root or not enter)
    if node is not root or yield_root:
      yield node
    if not nested:
      stack.extend(reversed(list(node.iter_expressions())))
