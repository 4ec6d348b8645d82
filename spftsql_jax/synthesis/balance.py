"""Balance: weights of templates that meet targets over operators and hardness, and simple templates
for columns left out.

Without targets templates come as often as in their source. With them the weights are scaled, margin
after margin, until the shares that they give agree with every target (iterative proportional
fitting, Deming and Stephan 1940); inside a class templates keep their proportions.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import sqlglot
from sqlglot import exp

from spftsql_jax.synthesis.notation import Template, WeightedTemplate, compile_template

AIMS = ("templates", "tables", "columns", "operators", "hardness")
_ROUNDS = 200
_OPERATORS: tuple[tuple[str, type | tuple[type, ...]], ...] = (
  ("aggregate", exp.AggFunc),
  ("between", exp.Between),
  ("distinct", exp.Distinct),
  ("group", exp.Group),
  ("having", exp.Having),
  ("in", exp.In),
  ("like", exp.Like),
  ("limit", exp.Limit),
  ("null", exp.Is),
  ("or", exp.Or),
  ("order", exp.Order),
  ("set operation", exp.SetOperation),
  ("where", exp.Where),
)


@dataclasses.dataclass(frozen=True)
class Balance:
  """What examples are balanced over.

  Attributes:
    templates: every template equally often, instead of as often as in its source.
    aim: "columns" or "tables": these come in turn, equally often; "reach": all columns come, those
      that no template suits in simple queries about them; "": each column has its turn a few times,
      but no other templates than the given ones come.
    operators: the share of queries that have each operator, of those that `operators_of` names.
    hardness: the share of queries of each hardness.
  """

  templates: bool = False
  aim: str = ""
  operators: Mapping[str, float] = dataclasses.field(default_factory=dict)
  hardness: Mapping[str, float] = dataclasses.field(default_factory=dict)


def operators_of(text: str) -> frozenset[str]:
  """The operators of a template's text: "join", "nested", and the clauses and conditions by
  name.
  """
  tree = sqlglot.parse_one(text, read="sqlite")
  found = {name for name, kind in _OPERATORS if tree.find(kind)}
  compiled = compile_template(text)
  if any(len(scope.letters) > 1 for scope in compiled.scopes):
    found.add("join")
  if any(
    select.find_ancestor(exp.Where, exp.Having, exp.From) for select in tree.find_all(exp.Select)
  ):
    found.add("nested")
  where = tree.find(exp.Where)
  if where is not None and all(isinstance(part, exp.Anonymous) for part in where.this.flatten()):
    found.discard("where")  # LINKED and OPTIONAL only.
  return frozenset(found)


def sketch(text: str) -> str:
  """A template as plain SQL with made-up names, for what counts clauses and tables."""
  compiled = compile_template(text)
  parts = []
  for segment in compiled.segments:
    if isinstance(segment, str):
      parts.append(segment)
    elif segment[0] == "from":
      letters = compiled.scopes[segment[1]].letters
      joined = (f" JOIN {letter} ON {letters[0]}.id = {letter}.id" for letter in letters[1:])
      parts.append(letters[0] + "".join(joined))
    elif segment[0] == "star":
      parts.append("*")
    elif segment[0] == "col":
      parts.append(f"{segment[2]}.c{segment[3]}")
    else:
      parts.append("3" if segment[1].startswith(("limit", "count")) else "'v'")
  return "".join(parts)


def reach_targets(
  templates: Sequence[WeightedTemplate],
  balance: Balance,
  hardness_of: Callable[[str], str] | None = None,
) -> list[WeightedTemplate]:
  """The templates with weights that give the targets' shares.

  Args:
    templates: with the weights of their source.
    balance: the targets.
    hardness_of: the hardness of a query, needed where there are targets for it.

  Raises:
    ValueError: no template has what a target names, or all have it; or a share is not within 0 and
      1.
  """
  weights = [1.0 if balance.templates else item.weight for item in templates]
  margins: list[tuple[list[str], Mapping[str, float]]] = []
  for operator, share in balance.operators.items():
    have = [operator if operator in operators_of(item.template.text) else "" for item in templates]
    margins.append((have, {operator: share, "": 1.0 - share}))
  if balance.hardness:
    if hardness_of is None:
      raise ValueError("targets for hardness need a function that tells it")
    total = sum(balance.hardness.values())
    classes = [hardness_of(sketch(item.template.text)) for item in templates]
    # Classes without a target are left out.
    wanted = {
      name: balance.hardness.get(name, 0.0) / total for name in {*classes, *balance.hardness}
    }
    margins.append((classes, wanted))
  for classes, wanted in margins:
    missing = sorted(name for name, share in wanted.items() if share > 0 and name not in classes)
    if missing or any(not 0 <= share <= 1 for share in wanted.values()):
      raise ValueError(
        f"no template gives the target {missing[0] or 'without it'!r}"
        if missing
        else f"not a share: {dict(wanted)}"
      )
  for _ in range(_ROUNDS if margins else 0):
    for classes, wanted in margins:
      sums: dict[str, float] = collections.defaultdict(float)
      for name, weight in zip(classes, weights, strict=True):
        sums[name] += weight
      whole = sum(weights)
      weights = [
        weight * wanted[name] * whole / sums[name] if sums[name] else 0.0
        for name, weight in zip(classes, weights, strict=True)
      ]
  kept = [(item, weight) for item, weight in zip(templates, weights, strict=True) if weight > 0]
  return [dataclasses.replace(item, weight=weight) for item, weight in kept]


@functools.cache
def column_templates(kind: str) -> tuple[WeightedTemplate, ...]:
  """Templates about one column of a kind, for columns that no other template suits."""
  texts = {
    f"SELECT a.{kind}1 WHERE a.any2 = :any2": 4.0,
    f"SELECT a.{kind}1 WHERE a.ref2 = :ref2": 2.0,
    f"SELECT COUNT(DISTINCT a.{kind}1)": 1.0,
    f"SELECT DISTINCT a.{kind}1": 0.5,
  }
  return tuple(WeightedTemplate(Template.parse(text), weight) for text, weight in texts.items())
