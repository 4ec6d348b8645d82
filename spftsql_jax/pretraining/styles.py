"""How a team writes the names of its tables and columns."""

from __future__ import annotations

import dataclasses
import random

from spftsql_jax.columns.inflection import plural_of

CASES = ("snake", "camel", "pascal", "upper", "lower", "spaced")
# How teams shorten words; each shortened name keeps its meaning in a comment.
SHORT = {
  "number": ("no", "num", "nr"),
  "quantity": ("qty",),
  "amount": ("amt",),
  "date": ("dt",),
  "description": ("descr",),
  "address": ("addr",),
  "category": ("cat",),
  "price": ("prc",),
  "customer": ("cust",),
  "employee": ("emp",),
  "department": ("dept",),
  "average": ("avg",),
  "maximum": ("max",),
  "percent": ("pct",),
  "weight": ("wt",),
  "height": ("hgt",),
  "length": ("len",),
  "temperature": ("temp",),
  "minutes": ("mins", "min"),
  "year": ("yr",),
  "status": ("stat",),
  "position": ("pos",),
  "telephone": ("tel",),
  "country": ("ctry",),
  "started": ("start",),
  "capacity": ("cap",),
  "product": ("prod",),
  "points": ("pts",),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Style:
  """How names are written.

  Attributes:
    case: one of `CASES`.
    plural: tables are named in the plural.
    prefix: what all tables begin with, as "tbl", or "".
    owner: columns begin with the name of their table.
    shorten: the share of words that are shortened where there is a short form.
    cryptic: names are codes, and their meaning stands in comments.
    key: how a table's own key is called: "id", "entity id", "code".
    reference: how a reference is called: "entity id", "entity", "id entity".
    comments: the share of columns that are commented although their name says it.
  """

  case: str = "snake"
  plural: bool = False
  prefix: str = ""
  owner: bool = False
  shorten: float = 0.0
  cryptic: bool = False
  key: str = "entity id"
  reference: str = "entity id"
  comments: float = 0.0

  def write(self, words: str, rng: random.Random) -> str:
    """Words as an identifier: "list price" -> list_price, ListPrice, LISTPRICE."""
    parts = [self._short(word, rng) for word in words.split()]
    if self.case == "snake":
      return "_".join(parts)
    if self.case == "upper":
      return "_".join(parts).upper()
    if self.case == "lower":
      return "".join(parts)
    if self.case == "spaced":
      return " ".join(part.capitalize() for part in parts)
    capitals = "".join("ID" if part == "id" else part.capitalize() for part in parts)
    if self.case == "pascal":
      return capitals
    return parts[0] + "".join(part.capitalize() for part in parts[1:])

  def table(self, words: str, rng: random.Random) -> str:
    """The name of a table of such things."""
    named = plural_of(words) if self.plural else words
    return self.write(f"{self.prefix} {named}".strip(), rng)

  def _short(self, word: str, rng: random.Random) -> str:
    if self.shorten and rng.random() < self.shorten and word in SHORT:
      return rng.choice(SHORT[word])
    return word


def draw_style(rng: random.Random) -> Style:
  """A style as teams have them; most write snake case in full words."""
  shorten = rng.choice((0.0, 0.0, 0.0, 0.5, 1.0))
  cryptic = rng.random() < 0.04
  return Style(
    case=rng.choices(CASES, weights=(50, 14, 18, 8, 6, 4))[0],
    plural=rng.random() < 0.45,
    prefix=rng.choice(("tbl", "t", "app")) if rng.random() < 0.08 else "",
    owner=rng.random() < 0.15,
    shorten=shorten,
    cryptic=cryptic,
    key=rng.choices(("id", "entity id", "code"), weights=(40, 50, 10))[0],
    reference=rng.choices(("entity id", "entity", "id entity"), weights=(75, 17, 8))[0],
    comments=rng.choice((0.0, 0.0, 0.0, 0.3, 1.0)),
  )
