"""How well a column suits a slot, by its role and the slot's uses."""

from __future__ import annotations

from spftsql_jax.columns.roles import NAMES, Role

# Uses that a yes/no column has no sense for.
_OF_NUMBERS = frozenset({"avg", "sum", "max", "min", "arithmetic", "compare", "like"})

_CLEARLY = 0.3  # From here on rows are called by a column, if only partly.
_SHOWN = frozenset({"select", "distinct"})
_GROUPS = 0.4  # From here on several rows share each amount, as pupils do their age.


def suitability(role: Role, kind: str, uses: frozenset[str], lenient: bool = False) -> float:
  """How well a column of this role suits a slot: 0 not at all, 1 perfectly.

  `lenient` lets in what people ask now and then (the average of a year, groups by an amount), for
  templates that nothing else fits; what makes no sense (the sum of a flag or a telephone number,
  groups by what is unique) stays out.
  """
  if "alone" in uses and role.unique:
    return 0.0  # Every group would be one row.
  if role.flag and uses & _OF_NUMBERS:
    return 0.0
  if kind in ("key", "ref"):
    fits = role.kind == kind or (role.kind == "key" and role.refers_to is not None)
    # Others are counted and joined by, and nobody sees them.
    return fits * (role.asked if uses & _SHOWN and "count" not in uses else 1.0)
  if role.kind in ("key", "ref") and not (role.natural and kind in ("name", "cat", "any")):
    return 0.0
  if kind == "name":
    if "united" in uses and role.name_score * role.calls <= NAMES:
      return 0.0  # Nobody puts the names of people and the codes of services into one list.
    if "combined" in uses and (role.name_score * role.calls < _CLEARLY or not role.unique):
      return 0.0  # Details that two sets of rows share are no rows, nor are names of several.
    # Nobody calls a shop by its number of employees while there is anything else.
    return role.name_score * role.calls * role.asked * (0.05 * lenient if role.measure else 1.0)
  how_many = {"count", "distinct"} <= uses
  if role.flag and how_many:
    return 0.0  # Two at most, as everybody knows.
  # Nobody lists flags, or groups by them: "for each male flag".
  weight = role.asked * (0.02 * lenient if role.flag and uses & {"group", *_SHOWN} else 1.0)
  if role.measure and role.category_score <= _GROUPS and (how_many or "share" in uses):
    weight *= 0.05 * lenient  # How many amounts there are, or rows of just one, tells nothing.
  if "group" in uses and role.measure:
    # Who groups by an amount is rare, and by one of many amounts nobody.
    weight *= 0.2 if role.category_score > _GROUPS else 0.05 * lenient
  if kind == "cat":
    return weight * role.category_score
  if kind == "any":
    weight *= 0.2 if role.kind == "other" else 1.0
  else:
    weight *= float(role.kind == kind)
  return _weigh_uses(weight, role, kind, uses, lenient)


def _weigh_uses(weight: float, role: Role, kind: str, uses: frozenset[str], lenient: bool) -> float:
  """A weight by what is done with the column."""
  if uses & {"sum", "avg", "arithmetic"}:
    weight *= 1.0 if role.measure else 0.05 * (lenient and role.kind == "num" and not role.coded)
  elif role.kind == "num" and not role.measure and uses & {"compare", "order", "max", "min"}:
    weight *= 0.02 * lenient if role.coded else 0.3
  if ("sum" in uses and role.ratio) or ("like" in uses and role.time):
    weight *= 0.05 * lenient
  if "like" in uses and (role.category_score > 0.5 or role.measure):
    weight *= 0.3 if role.category_score > 0.5 else 0.05
  if "group" in uses and kind != "date":
    # People group by categories, and by the name of a thing when they count what belongs to it.
    weight *= max(
      role.category_score,
      0.3 * role.name_score * (role.name_score > 0.4),
      0.05 * (lenient and not role.unique),
    )
  elif "like" in uses:
    weight *= float(role.kind == "text" or role.natural)
  elif {"equal", "conjunct"} <= uses and role.unique:
    weight *= 0.05  # Whoever has that value is one row, and the other conditions say nothing more.
  elif "equal" in uses and role.kind == "num" and not uses & {"max", "min"}:
    weight *= role.category_score + 0.03 * lenient
  elif "equal" in uses and role.kind == "text":
    weight *= role.calls  # Nobody knows a telephone number and not whose it is.
  return weight
