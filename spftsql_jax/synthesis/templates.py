"""Templates from SQL.

Columns and values become typed slots, FROM and JOIN leave, the structure stays.

Source of the idea: template synthesis with strong typing and key preservation, Hu et al. 2023
(arXiv 2212.08785), as SPFT-SQL uses it in stage 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.columns import roles as roles_lib
from spftsql_jax.schema import Schema
from spftsql_jax.sql.model_text import read_statement
from spftsql_jax.synthesis.compiling import compile_template
from spftsql_jax.synthesis.notation import Template, WeightedTemplate
from spftsql_jax.synthesis.rewriting import Rewriting
from spftsql_jax.synthesis.slots import UnsupportedTemplate


def extract_template(sql: str, schema: Schema) -> Template:
  """The template of a query over `schema`. Raises UnsupportedTemplate with the reason."""
  return Extractor(schema).extract(sql)


def extract_templates(
  queries: list[tuple[str, Schema]],
) -> tuple[list[WeightedTemplate], dict[str, int]]:
  """Templates of many queries, most frequent first, weighted by frequency.

  And how many queries had none, by reason.
  """
  counts: dict[Template, int] = {}
  reasons: dict[str, int] = {}
  extractors: dict[int, Extractor] = {}
  for sql, schema in queries:
    if id(schema) not in extractors:
      extractors[id(schema)] = Extractor(schema)
    try:
      template = extractors[id(schema)].extract(sql)
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

  def extract(self, sql: str) -> Template:
    """The template of a query. Raises UnsupportedTemplate."""
    try:
      parsed = sqlglot.parse(read_statement(sql, self._dialect), read=self._dialect)
    except sqlglot.errors.SqlglotError as error:
      raise UnsupportedTemplate("query does not parse") from error
    trees = [tree for tree in parsed if tree is not None]
    if len(trees) != 1 or not isinstance(trees[0], (exp.Select, exp.SetOperation, exp.Subquery)):
      raise UnsupportedTemplate("not one SELECT")
    tree = trees[0]
    if tree.args.get("with_") or tree.find(exp.With):
      raise UnsupportedTemplate("WITH")
    # The tree gets its slots while it is walked, so that every scope still sees its own FROM.
    rewriting = Rewriting(self._schema, self._roles)
    rewriting.rewrite(tree, None)
    rewriting.mark_references(tree)
    for item in tree.find_all(exp.Ordered):
      item.set("desc", item.args.get("desc") or None)
    template = Template.of(tree)
    compile_template(template.text)
    return template
