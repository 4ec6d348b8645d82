"""The domains that synthetic schemas are drawn from, read from the text files in `domains/`.

    domain car rental
    vehicle/car                                an entity, with other words for it
      plate/number plate: code ??-### * !      an attribute: its words, its kind, and marks
      fuel: of petrol diesel electric
      > station                                a reference to another entity
      > driver as owner ?                      in a role, not always there

Marks: `!` the attribute names a row, `*` no two rows share a value, `?` it may be NULL. What a kind
means is told in `values`.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib

_FOLDER = pathlib.Path(__file__).parent / "domains"
# Nothing is pretrained on these: schemas of them show what a model makes of a new subject.
HELD_OUT = frozenset(
  {"car rental", "bird ringing", "astronomy club", "blood donation", "tennis club", "brewery"}
)
_MARKS = {"!": "names_row", "*": "unique", "?": "nullable"}


@dataclasses.dataclass(frozen=True, slots=True)
class Attribute:
  """What is known of an entity.

  Attributes:
    words: what it is called, the likeliest first: ("list price", "price").
    kind: what its values are, a key of `values.KINDS`.
    arguments: of the kind: the bounds of a number, the words of a category.
    names_row: people tell rows apart by it.
    unique: no two rows share a value.
    nullable: some rows have none.
  """

  words: tuple[str, ...]
  kind: str
  arguments: tuple[str, ...] = ()
  names_row: bool = False
  unique: bool = False
  nullable: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
  """A reference to another entity, by its first name; `role` is "" where it has none."""

  entity: str
  role: str = ""
  nullable: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Entity:
  """A kind of thing: its names (the likeliest first), what is known of it, what it refers to."""

  words: tuple[str, ...]
  attributes: tuple[Attribute, ...]
  references: tuple[Reference, ...]

  @property
  def name(self) -> str:
    return self.words[0]


@dataclasses.dataclass(frozen=True, slots=True)
class Domain:
  """A subject and its entities."""

  name: str
  entities: tuple[Entity, ...]


@functools.cache
def read_domains() -> tuple[Domain, ...]:
  """All domains, in the order of their files. Raises ValueError naming the file and the line."""
  found: list[Domain] = []
  for path in sorted(_FOLDER.glob("*.txt")):
    found += parse_domains(path.read_text(encoding="utf-8"), path.name)
  return tuple(found)


def domains_of(held_out: bool) -> tuple[Domain, ...]:
  """The domains to pretrain on, or those held out."""
  return tuple(domain for domain in read_domains() if (domain.name in HELD_OUT) == held_out)


def parse_domains(text: str, source: str) -> list[Domain]:
  """The domains in a text of the form above. Raises ValueError naming `source` and the line."""
  domains: list[tuple[str, list[tuple[tuple[str, ...], list[Attribute], list[Reference]]]]] = []
  for number, line in enumerate(text.splitlines(), start=1):
    where = f"{source}:{number}"
    if not line.strip() or line.startswith("#"):
      continue
    if line.startswith("domain "):
      domains.append((line.removeprefix("domain ").strip(), []))
    elif not line.startswith(" "):
      if not domains:
        raise ValueError(f"{where}: an entity before the first domain")
      domains[-1][1].append((_words(line), [], []))
    elif not domains or not domains[-1][1]:
      raise ValueError(f"{where}: an attribute before the first entity")
    elif line.strip().startswith(">"):
      domains[-1][1][-1][2].append(_reference(line, where))
    else:
      domains[-1][1][-1][1].append(_attribute(line, where))
  read = [
    Domain(name, tuple(Entity(w, tuple(a), tuple(r)) for w, a, r in entities))
    for name, entities in domains
  ]
  for domain in read:
    _check(domain, source)
  return read


def _words(text: str) -> tuple[str, ...]:
  return tuple(word.strip() for word in text.split("/"))


def _take_marks(tokens: list[str]) -> tuple[list[str], dict[str, bool]]:
  marks = {}
  while tokens and tokens[-1] in _MARKS:
    marks[_MARKS[tokens.pop()]] = True
  return tokens, marks


def _attribute(line: str, where: str) -> Attribute:
  words, separator, rest = line.partition(":")
  tokens, marks = _take_marks(rest.split())
  if not separator or not tokens:
    raise ValueError(f"{where}: `words: kind arguments` is needed, not {line.strip()!r}")
  kind, *arguments = tokens
  if kind == "named":
    # Words may have blanks; alternatives stand between bars.
    arguments = " ".join(arguments).split("|")
  return Attribute(_words(words), kind, tuple(arguments), **marks)


def _reference(line: str, where: str) -> Reference:
  tokens, marks = _take_marks(line.strip().removeprefix(">").split())
  if set(marks) - {"nullable"} or not tokens:
    raise ValueError(f"{where}: `> entity [as role] [?]` is needed, not {line.strip()!r}")
  entity, _, role = " ".join(tokens).partition(" as ")
  return Reference(entity, role, "nullable" in marks)


def _check(domain: Domain, source: str) -> None:
  names = [entity.name for entity in domain.entities]
  for entity in domain.entities:
    for reference in entity.references:
      if names.count(reference.entity) != 1:
        raise ValueError(
          f"{source}: {entity.name!r} of {domain.name!r} refers to {reference.entity!r}, "
          f"which the domain has {names.count(reference.entity)} times"
        )
