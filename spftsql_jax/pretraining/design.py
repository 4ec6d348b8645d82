"""A schema drawn from one or several domains, in one style."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from spftsql_jax.pretraining.domains import Attribute, Domain, Entity, Reference
from spftsql_jax.pretraining.styles import Style, draw_style
from spftsql_jax.pretraining.values import DATES, FLAGS, Notation, sql_type

# How many domains a schema takes its tables from, and how likely that is.
_DOMAINS = ((1, 80), (2, 13), (3, 5), (5, 2))
_KEY = Attribute(("id",), "key")


@dataclasses.dataclass(frozen=True, slots=True)
class ColumnDesign:
  """A column: its name and declared type, its meaning in words, and what its values are.

  `attribute` is None where the values are those of a key that `references` leads to.
  """

  name: str
  type: str
  words: str
  attribute: Attribute | None
  commented: bool = False
  nullable: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class KeyDesign:
  """A foreign key: its columns, and the table whose primary key they hold."""

  columns: tuple[str, ...]
  table: str
  nullable: bool


@dataclasses.dataclass(frozen=True, slots=True)
class TableDesign:
  """A table; `words` is what one row of it is."""

  name: str
  words: str
  columns: tuple[ColumnDesign, ...]
  primary_key: tuple[str, ...]
  foreign_keys: tuple[KeyDesign, ...]
  commented: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Design:
  """A schema to be built: tables (what is referred to stands first), and the notation of values."""

  tables: tuple[TableDesign, ...]
  notation: Notation
  style: Style
  domains: tuple[str, ...]


def draw_design(domains: Sequence[Domain], rng: random.Random) -> Design:
  """A schema of 1 to some 25 tables; the same state of `rng` gives the same schema."""
  counts, weights = zip(*_DOMAINS, strict=True)
  chosen = rng.sample(list(domains), min(rng.choices(counts, weights)[0], len(domains)))
  style = draw_style(rng)
  notation = Notation(rng.choice(DATES), rng.choice(FLAGS))
  tables: dict[str, TableDesign] = {}
  for domain in chosen:
    _add_domain(tables, _some_entities(domain, rng), style, notation, rng)
  return Design(tuple(tables.values()), notation, style, tuple(domain.name for domain in chosen))


def _some_entities(domain: Domain, rng: random.Random) -> list[Entity]:
  """Most entities of a domain, what is referred to first; references to others are left out."""
  dropped = 0.0 if rng.random() < 0.5 else 0.35
  kept = [entity for entity in domain.entities if rng.random() >= dropped]
  kept = kept if len(kept) > 1 else list(domain.entities)
  names = {entity.name for entity in kept}
  trimmed = []
  for entity in kept:
    references = tuple(r for r in entity.references if r.entity in names)
    trimmed.append(dataclasses.replace(entity, references=references))
  # A link between two entities of which one is gone tells nothing.
  telling = [e for e in trimmed if len(e.attributes) > 1 or len(e.references) > 1]
  return _in_order(telling)


def _in_order(entities: list[Entity]) -> list[Entity]:
  """What is referred to stands first, wherever there is no circle."""
  ordered: list[Entity] = []
  left = list(entities)
  while left:
    names = {entity.name for entity in left}
    free = [e for e in left if not {r.entity for r in e.references} & (names - {e.name})]
    ordered += free or left[:1]
    left = [entity for entity in left if entity not in ordered]
  present = {entity.name for entity in ordered}
  done: set[str] = set()
  result = []
  for entity in ordered:
    done.add(entity.name)
    result.append(
      dataclasses.replace(
        entity, references=tuple(r for r in entity.references if r.entity in done & present)
      )
    )
  return result


def _add_domain(
  tables: dict[str, TableDesign],
  entities: list[Entity],
  style: Style,
  notation: Notation,
  rng: random.Random,
) -> None:
  made: dict[str, TableDesign] = {}
  for entity in entities:
    words = _pick(entity.words, rng)
    table = _TableWriter(words, entity, style, notation, rng).write(made, len(tables))
    if table.name.lower() not in {name.lower() for name in tables}:
      tables[table.name] = made[entity.name] = table


def _pick(words: tuple[str, ...], rng: random.Random) -> str:
  return words[0] if rng.random() < 0.6 else rng.choice(words)


class _TableWriter:
  """One table under way: its columns so far, no two of one name."""

  def __init__(
    self, words: str, entity: Entity, style: Style, notation: Notation, rng: random.Random
  ):
    self._words, self._entity, self._style = words, entity, style
    self._notation, self._rng = notation, rng
    self._columns: dict[str, ColumnDesign] = {}

  def write(self, made: dict[str, TableDesign], number: int) -> TableDesign:
    """The table; `made` holds those that it may refer to, by the entity's name."""
    style, rng = self._style, self._rng
    name = f"T{number + 1:02}" if style.cryptic else style.table(self._words, rng)
    references = [r for r in self._entity.references if r.entity in made or r.entity == self._own]
    linked = [r for r in references if not r.nullable and r.entity != self._own]
    natural = next((a for a in self._entity.attributes if a.unique and not a.nullable), None)
    key: tuple[str, ...] = ()
    pair = len({r.entity for r in linked}) == 2 == len(linked) and rng.random() < 0.35
    if style.key == "code" and natural is not None:
      key = (self._add(natural, _pick(natural.words, rng)),)
    elif not pair:
      key = (self._add(_KEY, "id" if style.key == "id" else f"{self._words} id", plain=True),)
    refer_first = rng.random() < 0.4
    foreign: list[KeyDesign] = []
    if refer_first:
      foreign = self._refer(references, made, name, key)
    for attribute in self._entity.attributes:
      if attribute is not (natural if key and style.key == "code" else None) and (
        attribute.names_row or rng.random() < 0.87
      ):
        self._add(attribute, _pick(attribute.words, rng))
    if not refer_first:
      foreign = self._refer(references, made, name, key)
    # What its own rows are referred to by stays its key.
    if pair and all(k.table != name for k in foreign):
      targets = {made[r.entity].name for r in linked}
      key = tuple(c for k in foreign if k.table in targets and not k.nullable for c in k.columns)
    comment = style.cryptic or rng.random() < style.comments / 2
    return TableDesign(
      name, self._words, tuple(self._columns.values()), key, tuple(foreign), comment
    )

  @property
  def _own(self) -> str:
    return self._entity.name

  def _refer(
    self,
    references: Sequence[Reference],
    made: dict[str, TableDesign],
    name: str,
    key: tuple[str, ...],
  ) -> list[KeyDesign]:
    found = []
    for reference in references:
      own = reference.entity == self._own
      if own and len(key) != 1:
        continue
      columns = []
      for column in [self._columns[key[0]]] if own else self._key_of(made[reference.entity]):
        target = self._words if own else made[reference.entity].words
        words = self._reference_words(reference.role or target, column, target)
        columns.append(self._add_reference(words, column.type, reference.nullable or own))
      table = name if own else made[reference.entity].name
      found.append(KeyDesign(tuple(columns), table, reference.nullable or own))
    return found

  @staticmethod
  def _key_of(table: TableDesign) -> list[ColumnDesign]:
    by_name = {column.name: column for column in table.columns}
    return [by_name[name] for name in table.primary_key]

  def _reference_words(self, base: str, column: ColumnDesign, target: str) -> str:
    own = column.words.removeprefix(f"{target} ")
    if self._style.reference == "entity":
      return base
    if self._style.reference == "id entity" and own == "id":
      return f"id {base}"
    return own if own.startswith(base) else f"{base} {own}"

  def _add_reference(self, words: str, type_name: str, nullable: bool) -> str:
    return self._keep(words, type_name, None, nullable)

  def _add(self, attribute: Attribute, words: str, plain: bool = False) -> str:
    if self._style.owner and not plain and not words.startswith(self._words):
      words = f"{self._words} {words}"
    type_name = "INTEGER" if attribute is _KEY else sql_type(attribute, self._notation)
    return self._keep(words, type_name, attribute, attribute.nullable)

  def _keep(self, words: str, type_name: str, attribute: Attribute | None, nullable: bool) -> str:
    style, rng = self._style, self._rng
    if style.cryptic:
      name = f"C{len(self._columns) + 1:02}"
    else:
      name = style.write(words, rng)
    taken = {column.lower() for column in self._columns}
    while name.lower() in taken:
      words = f"{words} 2"
      name = f"{name}2"
    says_less = style.cryptic or name.lower() != style_free(words, style)
    comment = says_less or rng.random() < style.comments
    self._columns[name] = ColumnDesign(name, type_name, words, attribute, comment, nullable)
    return name


def style_free(words: str, style: Style) -> str:
  """How a style writes words when it shortens none, in small letters."""
  full = dataclasses.replace(style, shorten=0.0)
  return full.write(words, random.Random(0)).lower()
