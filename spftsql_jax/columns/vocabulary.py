"""The English of names, read from `lists/`: abbreviations, synonyms, how nouns and verbs behave.

What each list is for stands with it. `kinds` has the words that say what a column is.
"""

from __future__ import annotations

from pathlib import Path

from spftsql_jax.columns import kinds
from spftsql_jax.columns.word_lists import by_word, read_lists, tuples_by_word

_FOLDER = Path(__file__).parent / "lists"
_LEXICON = read_lists(_FOLDER / "lexicon.txt")
_GRAMMAR = read_lists(_FOLDER / "grammar.txt")
_COLUMNS = read_lists(_FOLDER / "columns.txt")
_TABLES = read_lists(_FOLDER / "tables.txt")

LEXICON = frozenset(_LEXICON["lexicon"])
ABBREVIATIONS = by_word(_LEXICON["abbreviations"]) | by_word(_LEXICON["misspelt"])
AGGREGATE_PREFIXES = by_word(_LEXICON["aggregate prefixes"])

UNCOUNTABLE = frozenset(_GRAMMAR["uncountable"])
PLURAL_VERB = frozenset(_GRAMMAR["plural verb"])
RECORDED = by_word(_GRAMMAR["recorded"])
IRREGULAR_PLURALS = by_word(_GRAMMAR["irregular plurals"])
IRREGULAR_SINGULARS = by_word(_GRAMMAR["irregular singulars"])
SINGULAR_IN_AS = frozenset(_GRAMMAR["singular in as"])
PLURAL_MODIFIERS = frozenset(_GRAMMAR["plural modifiers"])
PREPOSITIONS = frozenset(_GRAMMAR["prepositions"])
TRAILING_WORDS = frozenset(_GRAMMAR["trailing words"])
LEADING_WORDS = frozenset(_GRAMMAR["leading words"])
COUNTED_DEEDS = frozenset(_GRAMMAR["counted deeds"])
NOT_PARTICIPLES = frozenset(_GRAMMAR["not participles"])
PARTICIPLES = frozenset(_GRAMMAR["participles"])
ADJECTIVES = frozenset(_GRAMMAR["adjectives"])
SUFFERED = frozenset(_GRAMMAR["suffered"])
TIMES = frozenset(_GRAMMAR["times"])
UNITS = frozenset(_GRAMMAR["units"])
UNIT_NAMES = by_word(_GRAMMAR["unit names"])
UNIT_POWERS = by_word(_GRAMMAR["unit powers"])
MULTIPLES = by_word(_GRAMMAR["multiples"])

COLUMN_PHRASES = {
  tuple(name.split()): tuple(said.split())
  for name, said in by_word(_COLUMNS["column phrases"]).items()
}
ADDRESS_PARTS = frozenset(_COLUMNS["address parts"])
DONE_WITH = frozenset(_COLUMNS["done with"])
DOINGS = by_word(_COLUMNS["doings"])
DOERS = by_word(_COLUMNS["doers"])
COLUMN_SYNONYMS = tuples_by_word(_COLUMNS["column synonyms"])
LAST_WORD_SYNONYMS = tuples_by_word(_COLUMNS["last word synonyms"])
NAMING_COLUMNS = frozenset(_COLUMNS["naming columns"])
IN_PLACE_OF_NAMES = frozenset(_COLUMNS["in place of names"])
AFTER_INITIAL = frozenset(_COLUMNS["after initial"])
NOT_ROLES = frozenset(_COLUMNS["not roles"])
VERB_LIKE = frozenset(_COLUMNS["verb like"])
NOT_OF_COUNTS = frozenset(_COLUMNS["not of counts"])
NOT_COUNTED = frozenset(_COLUMNS["not counted"])
SUPERLATIVE_NAMES = frozenset(_COLUMNS["superlative names"])
ADJECTIVE_NAMES = frozenset(_COLUMNS["adjective names"])
NO_NAMES = frozenset(_COLUMNS["no names"])
SENTENCE_WORDS = frozenset(_COLUMNS["sentence words"])
TEXTS_OF_ROWS = by_word(_COLUMNS["texts of rows"])
_EVENTS = tuples_by_word(_COLUMNS["events"])
EVENTS_OF_COLUMNS = {participle: (stem, past) for participle, (stem, past) in _EVENTS.items()}
EVENT_BASES = by_word(_COLUMNS["event bases"])
OPTIONAL_EVENTS = frozenset(_COLUMNS["optional events"])
# Of events with the same stem the first.
EVENT_STEMS = {
  stem: participle
  for participle, (stem, _) in reversed(EVENTS_OF_COLUMNS.items())
  if stem not in _COLUMNS["vague stems"]
}

TABLE_PREFIXES = frozenset(_TABLES["table prefixes"]) | kinds.words_of("table prefix")
TABLE_SUFFIXES = frozenset(_TABLES["table suffixes"])
UNSPOKEN_SCHEMAS = frozenset(("", *_TABLES["unspoken schemas"]))
DEEDS = by_word(_TABLES["deeds"])
VERB_TABLES = by_word(_TABLES["verb tables"])
PARTAKERS = frozenset(_TABLES["partakers"])
JOINED = frozenset(_TABLES["joined"])
DECIDED = frozenset(_TABLES["decided"])
DECISIONS = frozenset(_TABLES["decisions"])
TABLE_SYNONYMS = tuples_by_word(_TABLES["table synonyms"])
