"""Two phrases that begin or end alike, taken apart so that the common words are said once."""

from __future__ import annotations

from collections.abc import Collection

from spftsql_jax.questions import wordings
from spftsql_jax.questions.naming import Noun

_BEFORE_NAMES = frozenset(("at", "by", "for", "from", "in", "of", "on", "to", "with"))
_MANY = ("at", "least", "one")


def verb_pair(a: str, b: str, nouns: Collection[str]) -> tuple[set[str], dict[str, str]]:
  """What follows who in two phrases, as features and slots of a grammar.

  behind: they differ in what stands behind one of the nouns: "have" {lead} "a playlist" {thing}
  "named Jazz" {first} "named Rock" {second}; one, many, the, several: how the thing is said.
  led: they differ in all that follows {lead}; alike: which begins alike on both sides.
  """
  x, y = a.split(" "), b.split(" ")
  same = _common(x, y)
  if not same or same == min(len(x), len(y)):
    return set(), {}
  places = _places(x[:same], nouns)
  if places and places[0][1] < same:
    begin, end = places[0]
    features = {"behind", _article(x[begin:end])}
  else:
    begin = places[0][0] if places else same if x[same - 1] in _BEFORE_NAMES else 1
    end = begin
    features = {"led", "alike"} if begin < same or begin > 1 else {"led"}
  words = (x[:begin], x[begin:end], x[end:], y[end:])
  return features, dict(
    zip(("lead", "thing", "first", "second"), map(" ".join, words), strict=True)
  )


def noun_pair(a: str, b: str, noun: str) -> tuple[set[str], dict[str, str]]:
  """Two sets of rows: behind: they differ behind the noun; before: they differ before it."""
  x, y, words = a.split(" "), b.split(" "), noun.split(" ")
  many = len(words)
  if x[:many] == y[:many] == words and min(len(x), len(y)) > many:
    return {"behind"}, {"first": " ".join(x[many:]), "second": " ".join(y[many:])}
  if x[-many:] == y[-many:] == words and min(len(x), len(y)) > many:
    return {"before"}, {"first": " ".join(x[:-many]), "second": " ".join(y[:-many])}
  return set(), {}


def denied_features(said: str, nouns: Collection[Noun]) -> set[str]:
  """How what follows who is denied: "have a visit" is some, "have visits" several."""
  verb, _, rest = said.partition(" ")
  if verb == "have":
    second, _, thing = rest.removeprefix("at least ").partition(" ")
    if second in ("no", "not", "never"):
      return {"other"}
    if second in _PARTICIPLES:
      return {"done"}
    if second in ("a", "an", "one") and thing.startswith(tuple(n.singular for n in nouns)):
      return {"some"}
    plurals = tuple(noun.plural for noun in nouns if noun.plural != noun.singular)
    return {"several"} if rest.startswith(plurals) else {"has"}
  if verb in ("are", "were", "can"):
    return {"aux"}
  if verb in wordings.REGULAR_VERBS:
    return {"does"}
  return {"did" if verb in _PASTS else "other"}


def _common(x: list[str], y: list[str]) -> int:
  count = 0
  for one, other in zip(x, y, strict=False):
    if one != other:
      break
    count += 1
  return count


def _places(words: list[str], nouns: Collection[str]) -> list[tuple[int, int]]:
  """Where nouns stand, each with its article, the outermost first."""
  found = {}
  for noun in sorted(nouns, key=len):
    said = noun.split(" ")
    for start in range(1, len(words) - len(said) + 1):
      if words[start : start + len(said)] == said:
        begin = start - 1 if words[start - 1] in ("a", "an", "the") else start
        if tuple(words[start - 3 : start]) == _MANY:
          begin = start - 3
        found[begin] = start + len(said)
  return sorted(found.items())


def _article(thing: list[str]) -> str:
  if thing[0] in ("a", "an"):
    return "one"
  if tuple(thing[:3]) == _MANY:
    return "many"
  return "the" if thing[0] == "the" else "several"


_EVENTS = (*wordings.EVENT_VERBS.values(), *wordings.DEEDS.values(), *wordings.MAKER_VERBS.values())
_PASTS = {verbs[0].split()[0] for verbs in _EVENTS}
_PARTICIPLES = {"been", *(verbs[-2].split()[0] for verbs in _EVENTS)}
