"""Values of cells, by the kind of their attribute.

Names of people, places and companies come from Faker's locales, drawn into pools once; titles and
names of things are put together from `words.txt`.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import pathlib
import random
import string
from collections.abc import Callable

from spftsql_jax.pretraining.domains import Attribute

Value = str | int | float | None
_LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pl_PL", "nl_NL")
_POOL = 1500
_FAKED = {
  "first": "first_name",
  "last": "last_name",
  "company": "company",
  "city": "city",
  "street": "street_address",
  "phone": "phone_number",
}
_SENTENCES = ("checked twice", "see file", "second attempt", "as agreed by phone", "to be repeated")


@dataclasses.dataclass(frozen=True, slots=True)
class Notation:
  """How a database writes what can be written in several ways.

  Attributes:
    date: a format of `strftime`, or "number" for 20240517.
    flag: the two values of yes and no.
  """

  date: str = "%Y-%m-%d"
  flag: tuple[Value, Value] = (1, 0)


DATES = ("%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "number")
FLAGS: tuple[tuple[Value, Value], ...] = ((1, 0), (1, 0), ("Y", "N"), ("yes", "no"), ("T", "F"))


@functools.cache
def _pool(kind: str) -> tuple[str, ...]:
  """Distinct made-up names of a kind, the same on every machine."""
  import faker  # only needed where databases are made

  drawn: dict[str, None] = {}
  for i, locale in enumerate(_LOCALES):
    # Spoken English for countries, every language for people and places.
    source = faker.Faker("en_US" if kind == "country" else locale)
    source.seed_instance(1000 + i)
    draw = source.country if kind == "country" else getattr(source, _FAKED[kind])
    for _ in range(_POOL // len(_LOCALES)):
      drawn.setdefault(" ".join(draw().split()))
  return tuple(drawn)


@functools.cache
def words_of(kind: str) -> tuple[str, ...]:
  """The list of that name in `words.txt`. Raises KeyError where there is none."""
  text = (pathlib.Path(__file__).parent / "words.txt").read_text(encoding="utf-8")
  lines = dict(line.split(": ", 1) for line in text.splitlines() if not line.startswith("#"))
  return tuple(lines[kind].split())


def sql_type(attribute: Attribute, notation: Notation) -> str:
  """The declared type of an attribute's column."""
  kind = attribute.kind
  if kind in ("int", "year", "percent") or (kind == "date" and notation.date == "number"):
    return "INTEGER"
  if kind in ("float", "money"):
    return "REAL" if kind == "float" else "NUMERIC(10, 2)"
  if kind == "bool":
    return "INTEGER" if notation.flag[0] == 1 else "TEXT"
  if kind in ("date", "datetime") and notation.date == "%Y-%m-%d":
    return "DATE" if kind == "date" else "TIMESTAMP"
  return "TEXT"


def draw_value(attribute: Attribute, notation: Notation, rng: random.Random) -> Value:
  """One value that is not NULL. Raises ValueError for an unknown kind."""
  try:
    draw = KINDS[attribute.kind]
  except KeyError:
    raise ValueError(f"{attribute.words[0]!r}: unknown kind {attribute.kind!r}") from None
  return draw(attribute.arguments, notation, rng)


def _person(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  return f"{rng.choice(_pool('first'))} {rng.choice(_pool('last'))}"


def _from_pool(kind: str) -> Callable[[tuple[str, ...], Notation, random.Random], Value]:
  return lambda arguments, notation, rng: rng.choice(_pool(kind))


def _email(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  first, last = rng.choice(_pool("first")), rng.choice(_pool("last"))
  plain = f"{first}.{last}".lower().encode("ascii", "ignore").decode()
  return f"{plain.replace(' ', '')}@{rng.choice(words_of('nouns'))}.{rng.choice(('com', 'org'))}"


def _named(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  first = rng.choice((words_of("adjectives"), words_of("nouns")))
  before = rng.choice(first).capitalize()
  if rng.random() < 0.3:
    before = rng.choice(_pool("last"))
  return f"{before} {rng.choice(arguments)}"


def _titled(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  adjective, noun, other = (rng.choice(words_of(k)) for k in ("adjectives", "nouns", "nouns"))
  forms = (f"the {adjective} {noun}", f"{noun} of {other}", f"{adjective} {noun}", f"{noun}s")
  return rng.choice(forms).title().replace(" Of ", " of ")


def _code(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  letters = {"#": string.digits, "?": string.ascii_uppercase}
  return "".join(rng.choice(letters.get(c, c)) for c in " ".join(arguments))


def _category(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  return rng.choice(arguments).replace("_", " ")


def _int(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  low, high = map(int, arguments)
  value = rng.randint(low, high)
  # Large numbers are mostly round.
  return round(value, -2) if high - low > 20_000 and rng.random() < 0.7 else value


def _float(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  return round(rng.uniform(float(arguments[0]), float(arguments[1])), int(arguments[2]))


def _money(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  low, high = map(float, arguments)
  # Most prices are low ones.
  return round(low + (high - low) * rng.random() ** 2, rng.choice((0, 2)))


def _percent(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  return rng.randint(0, 100)


def _flag(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  return notation.flag[rng.random() < 0.5]


def _date(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  day = datetime.date(2000, 1, 1) + datetime.timedelta(days=rng.randrange(9000))
  if notation.date == "number":
    return int(day.strftime("%Y%m%d"))
  return day.strftime(notation.date)


def _datetime(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  moment = datetime.datetime(2012, 1, 1) + datetime.timedelta(minutes=rng.randrange(6_500_000))
  return moment.strftime("%Y-%m-%d %H:%M:00")


def _text(arguments: tuple[str, ...], notation: Notation, rng: random.Random) -> Value:
  return rng.choice(_SENTENCES)


KINDS: dict[str, Callable[[tuple[str, ...], Notation, random.Random], Value]] = {
  "person": _person,
  "first": _from_pool("first"),
  "last": _from_pool("last"),
  "company": _from_pool("company"),
  "city": _from_pool("city"),
  "country": _from_pool("country"),
  "street": _from_pool("street"),
  "phone": _from_pool("phone"),
  "email": _email,
  "named": _named,
  "titled": _titled,
  "code": _code,
  "of": _category,
  "int": _int,
  "year": _int,
  "float": _float,
  "money": _money,
  "percent": _percent,
  "bool": _flag,
  "date": _date,
  "datetime": _datetime,
  "text": _text,
}
