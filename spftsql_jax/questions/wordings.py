"""The ways to word each construct, and the words that go with a noun, read from `lists/`."""

from __future__ import annotations

from pathlib import Path

from spftsql_jax.columns.word_lists import by_word, read_lists, tuples_by_word, weighted

_FOLDER = Path(__file__).parent / "lists"
_PHRASES = read_lists(_FOLDER / "phrases.txt")
_NOUNS = read_lists(_FOLDER / "nouns.txt")

# The wordings of each construct: with weights, or drawn from evenly.
COMMANDS = weighted(_PHRASES["commands"])
OF_SEVERAL = frozenset(_PHRASES["commands of several"])
INDIRECT = weighted(_PHRASES["indirect"])
EXACTLY = weighted(_PHRASES["exactly"])
AVERAGE = weighted(_PHRASES["average"])
MAXIMUM = weighted(_PHRASES["maximum"])
MINIMUM = weighted(_PHRASES["minimum"])
# Of several aggregates of one column, by their functions.
AGGREGATES = {
  "avg": AVERAGE,
  "max": MAXIMUM,
  "min": MINIMUM,
  "sum": weighted(_PHRASES["total"]),
}
# "highest, lowest": words that belong together.
EXTREMES = weighted(_PHRASES["extremes"])
JOINTS = frozenset(_PHRASES["joints"])
SAID_AGAIN = frozenset(_PHRASES["said again"])
NUMBER_WORDS = _PHRASES["number words"]
MONTHS = _PHRASES["months"]
WEEKDAYS = frozenset(_PHRASES["weekdays"])

# By the kind of a column: (more, less), (highest, lowest), and all words for each of the two.
COSTS = frozenset(_NOUNS["costs"])
THING_COMPARATIVES = tuples_by_word(_NOUNS["thing comparatives"])
THING_SUPERLATIVES = tuples_by_word(_NOUNS["thing superlatives"])
NOUN_SUPERLATIVES = {
  kind: tuple(tuple(words.split(", ")) for words in said.split("; "))
  for kind, said in by_word(_NOUNS["noun superlatives"]).items()
}
# Of the columns of any other kind.
ANY_KIND = "any"

DIRECTIONS = by_word(_NOUNS["directions"])
PLACES = frozenset(_NOUNS["places"])
LEVELS = frozenset(_NOUNS["levels"])
LEVELS_OF = frozenset(_NOUNS["levels of"])
TOWNS = _NOUNS["towns"]
AROUND = _NOUNS["around towns"]
PARTS = frozenset(_NOUNS["parts"])
PLACES_WITH_THE = frozenset(_NOUNS["places with the"])
SITES = frozenset(_NOUNS["sites"])
MAKERS = frozenset(_NOUNS["makers"])
HOLDERS = frozenset(_NOUNS["holders"])
LISTS = frozenset(_NOUNS["lists"])
FEATURES = frozenset(_NOUNS["features"])
EMPLOYERS = frozenset(_NOUNS["employers"])
ANYBODY = frozenset(_NOUNS["anybody"])
PERIODS = frozenset(_NOUNS["periods"])
SAYINGS = frozenset(_NOUNS["sayings"])
OCCASIONS = frozenset(_NOUNS["occasions"])
WORKS = frozenset(_NOUNS["works"])
SHOWS = frozenset(_NOUNS["shows"])
MEETINGS = frozenset(_NOUNS["meetings"])
WORKERS = frozenset(_NOUNS["workers"])
# What the doer did, what was done to the thing ("... by"), participle, base form.
EVENT_VERBS = tuples_by_word(_NOUNS["event verbs"])
# Past, participle, base form.
MAKER_VERBS = tuples_by_word(_NOUNS["maker verbs"])
DEEDS = tuples_by_word(_NOUNS["deeds"])
# Present tenses.
REGULAR_VERBS = _NOUNS["regular verbs"]
EARNED_OR_COST = by_word(_NOUNS["earned or cost"])
