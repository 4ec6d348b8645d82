"""The small pieces from which questions are put together, and the grammar that joins them."""

from __future__ import annotations

import dataclasses
import random
import re

from sqlglot import exp

from spftsql_jax.columns import vocabulary
from spftsql_jax.columns.inflection import plural_of, singular_of
from spftsql_jax.columns.kinds import is_person
from spftsql_jax.columns.words import alike
from spftsql_jax.questions import wordings
from spftsql_jax.questions.agreement import Verb, plural_verb
from spftsql_jax.questions.naming import Noun
from spftsql_jax.questions.query_meaning import Ref

# How the noun of a column of counts begins.
_NUMBER_OF = "number of "


def is_plural(phrase: str) -> bool:
  """Whether a noun phrase takes a plural verb: "total credits", but not "number of seats"."""
  head = re.split(r" (?:of|in|for|per) ", phrase, maxsplit=1)[0].split()[-1].lower()
  return head in vocabulary.PLURAL_VERB or (
    head not in vocabulary.UNCOUNTABLE and singular_of(head) != head
  )


@dataclasses.dataclass
class Clause:
  """One condition on some rows, in the forms that sentences need. Empty forms are not available.

  Attributes:
    noun: the attribute ("salary"); predicate: what is said of it, with its verb ("is above 100").
      "whose salary is above 100".
    having: after with or have ("a salary above 100").
    verbs: after who or that ("are older than 30", "is older than 30").
    posts: directly after the noun ("older than 30", "from Boston"); posts_of_one: the same of one
      row, where that differs ("of an invoice").
    adjectives: directly before the noun ("female").
    sentence: a full sentence part where noun and predicate are not enough ("the salary is above 100
      or the city is Boston").
    by_name: whether it says what the rows are called.
    compares: whether it says how much: "sales greater than 300" are no value of theirs.
    extreme: whether it tells which of the rows that all else is said of ("with the highest price").
  """

  noun: str = ""
  predicate: str = ""
  having: str = ""
  verbs: tuple[Verb, ...] = ()
  posts: tuple[str, ...] = ()
  adjectives: tuple[str, ...] = ()
  sentence: str = ""
  by_name: bool = False
  posts_of_one: tuple[str, ...] = ()
  extreme: bool = False
  compares: bool = False

  @property
  def is_value(self) -> bool:
    """Whether what follows with is a value behind its noun ("the position Nurse"): rows are seldom
    said to have it, their "position is Nurse".
    """
    behind = f"{self.noun} {self.predicate.removeprefix('is ')}"
    return bool(self.noun) and not self.compares and self.having.removeprefix("the ") == behind

  @property
  def had(self) -> str:
    """What follows have: of a value with its article ("the position Nurse")."""
    return f"the {self.having.removeprefix('the ')}" if self.is_value else self.having

  @property
  def said(self) -> str:
    """Noun and predicate, in agreement: "salary is above 100", "sales are above 100"."""
    plural = is_plural(self.noun)
    return f"{self.noun} {plural_verb(self.predicate) if plural else self.predicate}"


@dataclasses.dataclass
class Plan:
  """Where each condition of a query is spoken, once its head is chosen.

  Attributes:
    head: the alias whose rows the phrase names.
    own: conditions by the one alias that they are about.
    mixed: conditions over several aliases.
    absent: aliases that a LEFT JOIN with IS NULL says to be missing.
    spoken: aliases mentioned elsewhere in the question (returned, ordered by): their join alone
      says nothing new.
  """

  head: str
  own: dict[str, list[exp.Expr]]
  mixed: list[exp.Expr]
  absent: set[str]
  spoken: set[str]


@dataclasses.dataclass
class Message:
  """The content of a question, before it is put into a sentence.

  Attributes:
    content: a definite noun phrase ("the names of the doctors from Boston").
    plural: whether it takes are.
    lead: said first or last ("for each city"); `after` allows the latter.
    tail: said last ("sorted by name").
    sentences: complete questions that say the same ("Which doctors are from Boston?").
    sentence_rate: how often to use one of them.
    bare: "who" or "what" where the content names the rows themselves ("the doctors from Boston"),
      else "".
  """

  content: str
  plural: bool = True
  lead: str = ""
  after: bool = True
  tail: str = ""
  sentences: tuple[str, ...] = ()
  sentence_rate: float = 0.4
  bare: str = ""


@dataclasses.dataclass
class Returned:
  """A returned column.

  Its noun, whether it belongs to the head, whether the head's noun alone can stand for it.
  """

  noun: Noun
  own: bool
  natural: bool
  ref: Ref | None
  long: bool = False
  through: str = ""


@dataclasses.dataclass
class TopWords:
  """A superlative in words.

  `limit` rows, a number or adjective before the noun, clauses after it, a question's predicate.
  """

  limit: int
  before: str
  adjective: str
  clauses: list[Clause]
  predicate: str

  def __post_init__(self) -> None:
    for clause in self.clauses:
      clause.extreme = True

  def put(self, noun: str) -> str:
    """A noun behind the number and the adjective."""
    return " ".join(w for w in (self.before, self.adjective, noun) if w)


def told_once(amounts: list[str]) -> list[str]:
  """Amounts that end alike as one: "lowest and highest share in percent"."""
  rest = "".join(amounts[:1]).partition(" ")[2]
  alike = all(amount.partition(" ")[2] == rest for amount in amounts)
  if len(amounts) < 2 or not alike or not rest or rest.startswith("of "):
    return amounts
  return [f"{join_words([amount.split()[0] for amount in amounts])} {rest}"]


def pick(rng: random.Random, options: tuple) -> str:
  """A member of (text, weight) pairs, or of plain texts."""
  if isinstance(options[0], tuple):
    total = sum(w for _, w in options)
    point = rng.random() * total
    for text, weight in options:
      point -= weight
      if point <= 0:
        return text
    return options[-1][0]
  return options[int(rng.random() * len(options))]


def join_words(words: list[str], conjunction: str = "and") -> str:
  """ "a", "a and b", "a, b and c"."""
  if len(words) < 2:
    return "".join(words)
  return ", ".join(words[:-1]) + f" {conjunction} " + words[-1]


def parted_unit(phrase: str) -> tuple[str, str]:
  """A noun phrase and the unit behind it: ("assets", "billion"); the unit is "" without one."""
  before, _, unit = phrase.rpartition(" in ")
  return (before, unit) if before and unit.split()[-1] in vocabulary.UNITS else (phrase, "")


def names_rows(content: str, entity: str) -> bool:
  """Whether what is aggregated says whose it is: the largest amount claimed is that of claims."""
  row = singular_of(entity.split()[-1])
  return any(
    singular_of(word) == row or (word.endswith("ed") and alike(word, row))
    for word in content.split()
  )


def article(phrase: str) -> str:
  """The phrase with a or an; without, where it is no countable singular ("information", "GNP")."""
  before, unit = parted_unit(phrase)
  if unit and article(before) == before:
    return phrase  # "assets in billion"
  word = phrase.split(" ", 1)[0].lower()
  last = phrase.split(" ")[-1]
  plural = plural_of(phrase) == phrase or (
    singular_of(last) != last and plural_of(singular_of(last)) == last
  )
  if last.lower() in vocabulary.UNCOUNTABLE or (plural and " of " not in phrase):
    return phrase
  vowel = (
    word[0] in "aeiou"
    and not word.startswith(("uni", "use", "user", "eu", "one", "usu", "us"))
    or word in ("hour", "mph", "mpg", "honor", "sms", "x")
  )
  return f"{'an' if vowel else 'a'} {phrase}"


def article_for(text: str, noun: str) -> str:
  """Puts a or an before a modified noun; nothing before what cannot be counted."""
  if article(noun) == noun:
    return text
  return f"{article(text.split(' ', 1)[0] + ' thing').split(' ', 1)[0]} {text}"


def without_article(phrase: str) -> str:
  """ "a female doctor" -> "female doctor"."""
  return phrase.removeprefix("an ") if phrase.startswith("an ") else phrase.removeprefix("a ")


def fold_adjectives(noun: Noun, clauses: list[Clause]) -> tuple[Noun, list[Clause]]:
  """Puts the adjectives of clauses into the noun, so that a superlative stands before them."""
  rest = []
  for clause in clauses:
    if clause.adjectives:
      noun = Noun(
        f"{clause.adjectives[0]} {noun.singular}", f"{clause.adjectives[0]} {noun.plural}"
      )
    else:
      rest.append(clause)
  return noun, rest


def things_counted(noun: str) -> str:
  """What a column counts: "number of seats" -> "seats"; "" where it counts nothing."""
  return noun.removeprefix(_NUMBER_OF) if noun.startswith(_NUMBER_OF) else ""


def singular_head(phrase: str) -> str:
  """ "visits from Boston" -> "visit from Boston"."""
  words = phrase.split(" ")
  for place, word in enumerate(words):
    if word in ("that", "who", "which", "whose", "of", "with", "in", "from", "by", "for", "where"):
      break
    if (single := singular_of(word)) != word:
      return " ".join([*words[:place], single, *words[place + 1 :]])
  return phrase


def rounding(digits: exp.Expr | None) -> str:
  """ "(rounded to 2 decimals)"."""
  if digits is None or digits.name == "0":
    return "(rounded to a whole number)"
  return f"(rounded to {'one decimal' if digits.name == '1' else digits.name + ' decimals'})"


def related_by(preposition: str, others: str, owned: bool = True) -> str:
  """What rows do that are "of" others, or "in" them: "belong to doctors", "are in a city".

  Those that others cannot be said to own have them.
  """
  if preposition != "of":
    return f"are {preposition} {others}"
  return f"belong to {others}" if owned else f"have {others}"


def owned(parent: Noun, child: Noun) -> bool:
  """Whether rows can be said to belong to those that they point to.

  People, and who makes something, belong to groups and places alone.
  """
  last, thing = parent.singular.split()[-1], child.singular.split()[-1]
  people = is_person(child.singular) or thing in wordings.MAKERS
  return not people or last in wordings.HOLDERS | wordings.PLACES


def titled(noun: Noun, name: str) -> str:
  """A row and its name: "doctor Ann Lee", but "the product blue jeans", "the song Hello"."""
  title = name[:1].isupper() and is_person(noun.singular)
  return f"{'' if title else 'the '}{noun.singular} {name}"


def relation_preposition(noun: str, child: str, person: bool) -> tuple[str, ...]:
  """How a child row relates to its parent: "visits of a patient", "books by an author"."""
  last, thing = noun.split()[-1], child.split(" ")[-1]
  if person and last in wordings.WORKERS and thing in wordings.MEETINGS:
    return ("with", "to", "with", "of")
  if person and (thing in wordings.EVENT_VERBS or thing in wordings.DEEDS):
    return ("by", "of", "by", "of")
  if last in ("stage", "floor", "list", "playlist", "platform", "track"):
    return ("on", "on", "of")
  if last in wordings.MAKERS and (last in wordings.MAKER_VERBS or thing in wordings.WORKS):
    return ("by", "by", "of", "from")
  if last in wordings.PLACES:
    return (
      ("in", "at", "of", "from")
      if last
      not in (
        "city",
        "country",
        "state",
        "region",
        "county",
        "district",
        "town",
        "list",
        "playlist",
        "team",
        "club",
      )
      else ("in", "of", "from")
    )
  if last in wordings.OCCASIONS:
    return ("in", "at", "of", "for")
  return ("of", "for", "with", "of")
