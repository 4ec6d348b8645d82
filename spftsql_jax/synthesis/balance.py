"""Balance: weights of templates that meet targets over operators and hardness.

Beside them, simple templates for columns that are left out otherwise.

Without targets templates come as often as in their source. With them the weights are scaled, margin
after margin, until the shares that they give agree with every target (iterative proportional
fitting, Deming and Stephan 1940); inside a class templates keep their proportions.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from spftsql_jax.synthesis.compiling import compile_template
from spftsql_jax.synthesis.notation import Template, WeightedTemplate, read_template
from spftsql_jax.synthesis.slots import ColumnSlot, LinkSlot, StarSlot, TableSlot, ValueSlot

AIMS = ("templates", "tables", "columns", "operators", "hardness")
HARDNESS = ("easy", "medium", "hard", "extra")
_ROUNDS = 200
_LEAST = 0.1  # The share of every operator where operators are balanced.
_OPERATORS: tuple[tuple[str, type[exp.Expr]], ...] = (
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


def read_balance(
  wishes: Sequence[str],
  templates: Sequence[WeightedTemplate],
  hardness_of: Callable[[str], str],
) -> Balance:
  """What is wished for: names of `AIMS`, and shares such as join=0.5 or easy=0.2.

  With "operators" each has its own share, but at least a tenth; with "hardness" each that a
  template has comes equally often.

  Raises:
    ValueError: a wish that says neither; the message begins with it.
  """
  if not wishes:
    return Balance(aim="reach")
  operators = [(operators_of(item.template.text), item.weight) for item in templates]
  known = sorted(set().union(*(names for names, _ in operators)))
  shares: dict[str, float] = {}
  for wish in wishes:
    name, equals, share = wish.partition("=")
    if not equals and name in AIMS:
      continue
    try:
      shares[name] = float(share)
    except ValueError:
      shares[name] = -1.0
    if name not in (*known, *HARDNESS) or not 0 <= shares[name] <= 1:
      raise ValueError(
        f"{wish}: expected one of {', '.join(AIMS)}, or a share such as join=0.5 for one of "
        f"{', '.join((*known, *HARDNESS))}"
      )
  least: dict[str, float] = {}
  if "operators" in wishes:
    total = sum(weight for _, weight in operators)
    for name in known:
      own = sum(weight for names, weight in operators if name in names) / total
      least[name] = max(own, _LEAST)
  there: set[str] = set()
  if "hardness" in wishes:
    there = {hardness_of(sketch(item.template.text)) for item in templates}
  even = {name: 1 / len(there) for name in there}
  return Balance(
    templates="templates" in wishes,
    aim=next((aim for aim in ("columns", "tables") if aim in wishes), "reach"),
    operators=least | {name: share for name, share in shares.items() if name in known},
    hardness=even | {name: share for name, share in shares.items() if name in HARDNESS},
  )


def operators_of(text: str) -> frozenset[str]:
  """The operators of a template's text: clauses and conditions, "join", "nested" and, whether
  joined or nested, "several tables".
  """
  tree = read_template(text)
  found = {name for name, kind in _OPERATORS if tree.find(kind)}
  compiled = compile_template(text)
  if any(len(scope.letters) > 1 for scope in compiled.scopes):
    found.add("join")
  if len({letter[0] for scope in compiled.scopes for letter in scope.letters}) > 1:
    found.add("several tables")
  if any(
    select.find_ancestor(exp.Where, exp.Having, exp.From) for select in tree.find_all(exp.Select)
  ):
    found.add("nested")
  where = tree.find(exp.Where)
  conditions = where.this if where is not None else None
  # LINKED and OPTIONAL only; a single one counts as a condition.
  if isinstance(conditions, exp.And) and all(isinstance(c, LinkSlot) for c in conditions.flatten()):
    found.discard("where")
  return frozenset(found)


def sketch(text: str) -> str:
  """A template as plain SQL with made-up names, for what counts clauses and tables."""
  compiled = compile_template(text)
  parts = []
  for piece in compiled.query.pieces():
    if isinstance(piece, str):
      parts.append(piece)
    elif isinstance(piece, TableSlot):
      first, *others = compiled.scopes[piece.scope].letters
      parts += [first, *(f" JOIN {letter} ON {first}.id = {letter}.id" for letter in others)]
    elif isinstance(piece, StarSlot):
      parts.append("*")
    elif isinstance(piece, ColumnSlot):
      parts.append(f"{piece.letter}.c{piece.number}")
    elif isinstance(piece, ValueSlot):
      parts.append("'v'" if piece.number is not None else "3")
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
  margins = _margins(templates, balance, hardness_of)
  for margin in margins:
    margin.check()
  weights = [1.0 if balance.templates else item.weight for item in templates]
  for _ in range(_ROUNDS if margins else 0):
    for margin in margins:
      weights = margin.scaled(weights)
  kept = [(item, weight) for item, weight in zip(templates, weights, strict=True) if weight > 0]
  return [dataclasses.replace(item, weight=weight) for item, weight in kept]


@dataclasses.dataclass(frozen=True)
class _Margin:
  """The class of each template, and the share that each class is to have."""

  classes: Sequence[str]
  wanted: Mapping[str, float]

  def check(self) -> None:
    """Raises ValueError where the shares cannot be met."""
    missing = sorted(
      name for name, share in self.wanted.items() if share > 0 and name not in self.classes
    )
    if missing:
      raise ValueError(f"no template gives the target {missing[0] or 'without it'!r}")
    if any(not 0 <= share <= 1 for share in self.wanted.values()):
      raise ValueError(f"not a share: {dict(self.wanted)}")

  def scaled(self, weights: Sequence[float]) -> list[float]:
    """The weights with which the classes have their shares."""
    sums: dict[str, float] = collections.defaultdict(float)
    for name, weight in zip(self.classes, weights, strict=True):
      sums[name] += weight
    whole = sum(weights)
    return [
      weight * self.wanted[name] * whole / sums[name] if sums[name] else 0.0
      for name, weight in zip(self.classes, weights, strict=True)
    ]


def _margins(
  templates: Sequence[WeightedTemplate],
  balance: Balance,
  hardness_of: Callable[[str], str] | None,
) -> list[_Margin]:
  texts = [item.template.text for item in templates]
  margins = []
  for operator, share in balance.operators.items():
    have = [operator if operator in operators_of(text) else "" for text in texts]
    margins.append(_Margin(have, {operator: share, "": 1.0 - share}))
  if balance.hardness:
    if hardness_of is None:
      raise ValueError("targets for hardness need a function that tells it")
    total = sum(balance.hardness.values())
    classes = [hardness_of(sketch(text)) for text in texts]
    # Classes without a target are left out.
    names = {*classes, *balance.hardness}
    wanted = {name: balance.hardness.get(name, 0.0) / total for name in names}
    margins.append(_Margin(classes, wanted))
  return margins


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
