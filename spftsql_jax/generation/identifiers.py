"""SQL-aware decoding: identifiers are restricted to those of a schema, all else stays free.

    spelled = token_bytes(hf_tokenizer)
    automaton = identifier_automaton({"singer": ["id", "name"], ...}, spelled, end_ids)
    Request(prefix, prompt, automaton=automaton)

A word outside quotes is a keyword, a function, a name of the schema, or an alias of the usual shape
(a letter and digits: T1). Behind FROM and JOIN it is a table, behind a table's name and a dot a
column of that table, behind another dot any column, and behind AS and WITH whatever the model
likes; but a name made up there can be used again only if it has the usual shape. Literals, numbers,
quoted names and punctuation are free.

The rules are an automaton over bytes, with a trie of the words for each of these places. It is
turned into one over tokens by walking the vocabulary as a trie, once for each schema.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import transformers

from spftsql_jax.generation.automaton import TokenAutomaton

# Of SQLite, DuckDB and PostgreSQL together: keywords that a query may use, types and functions.
KEYWORDS = """
  abs all and any as asc avg between both by case cast ceil ceiling char coalesce collate concat
  concat_ws count cross cume_dist current current_date current_time current_timestamp date
  datetime day dense_rank desc distinct double else end escape except exists extract false fetch
  filter first first_value float floor following for format from full glob group group_concat
  groups having hex hour ifnull iif in inner instr int integer intersect interval is isnull join
  julianday lag last last_value lead leading left length like limit ln log log10 lower ltrim match
  max min minute mod month natural next not notnull now nth_value ntile null nullif nulls numeric
  offset on only or order outer over partition percent_rank pow power preceding printf quote
  random range rank real recursive regexp replace right round row row_number rows rtrim second
  select sign sqrt strftime string_agg substr substring sum text ties time timestamp to total
  trailing trim true trunc typeof unbounded union unique unixepoch upper using values varchar when
  where window with year
"""

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" + bytes(range(128, 256)))
_DIGITS = frozenset(b"0123456789")
_SPACE = frozenset(b" \t\r\n")
_QUOTES = {ord("'"): ord("'"), ord('"'): ord('"'), ord("`"): ord("`"), ord("["): ord("]")}
_DEAD = -1
# Places outside words, by what word may come next.
_ANY, _TABLE, _COLUMN, _ALIAS = "any", "table", "column", "alias"
_NAME = re.compile(r"[^\W\d]\w*")
# A part of a name with what it stands in before it: sales."Order".
_PART = re.compile(r'"(?:[^"]|"")*"|[^".]+')


def token_bytes(hf: transformers.PreTrainedTokenizerFast) -> list[bytes | None]:
  """What each token id stands for in text, None for special tokens and unused ids.

  Reads byte-level vocabularies (GPT-2's alphabet) and those that write a space as U+2581 and lone
  bytes as <0x0A>.
  """
  size = max(len(hf), hf.vocab_size)
  tokens, special = hf.convert_ids_to_tokens(list(range(size))), set(hf.all_special_ids)
  of_char = {char: byte for byte, char in _byte_alphabet().items()}
  byte_level = "ByteLevel" in repr(getattr(getattr(hf, "backend_tokenizer", None), "decoder", None))

  def spell(token: str) -> bytes:
    if byte_level:
      return (
        bytes(of_char[c] for c in token) if all(c in of_char for c in token) else token.encode()
      )
    if re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", token):
      return bytes([int(token[3:5], 16)])
    return token.replace("\u2581", " ").encode()

  return [None if token is None or i in special else spell(token) for i, token in enumerate(tokens)]


def identifier_automaton(
  tables: Mapping[str, Sequence[str]],
  spelled: Sequence[bytes | None],
  end_ids: Collection[int],
  vocab_size: int | None = None,
) -> TokenAutomaton:
  """The automaton of a schema over a vocabulary.

  Args:
    tables: names of the columns by name of the table, all as SQL has to write them
      (`databases.identifiers`): one in quotes may not stand without them, and sales.customer is
      read as the table of a schema.
    spelled: from `token_bytes`.
    end_ids: tokens that end an answer; they may stand wherever no word is begun and none is needed.
    vocab_size: the model's, where it is larger than the tokenizer's; the tokens in between are
      never chosen.
  """
  rules = _Rules(tables)
  step, final = rules.arrays()  # [S, 256], [S]
  dead = len(step)
  step = np.concatenate([np.where(step < 0, dead, step), np.full((1, 256), dead)]).astype(np.int32)
  columns: dict[bytes, int] = {}
  unique: list[np.ndarray] = []
  classes = np.zeros(max(vocab_size or 0, len(spelled)), np.int32)

  def class_of(reached: np.ndarray) -> int:
    key = reached.tobytes()
    if key not in columns:
      columns[key] = len(unique)
      unique.append(reached)
    return columns[key]

  never = np.full(dead + 1, dead, np.int32)
  classes[:] = class_of(never)
  ends = np.where(np.append(final, False), 0, dead).astype(np.int32)
  for token in end_ids:
    classes[token] = class_of(ends)
  # Words that share a beginning share the walk over it: the vocabulary in order is a trie.
  path: list[np.ndarray] = [np.arange(dead + 1, dtype=np.int32)]
  before = b""
  texts = sorted((text, i) for i, text in enumerate(spelled) if text and i not in end_ids)
  for text, token in texts:
    shared = _shared_length(before, text)
    del path[shared + 1 :]
    for byte in text[shared:]:
      path.append(step[path[-1], byte])
    before = text
    classes[token] = class_of(path[-1])
  table = np.stack(unique, axis=1)[:-1]
  return TokenAutomaton(classes, np.where(table == dead, -1, table).astype(np.int32))


def accepts(automaton: TokenAutomaton, tokens: Iterable[int]) -> bool:
  """Whether an automaton allows these tokens."""
  state = 0
  for token in tokens:
    state = int(automaton.table[state, automaton.classes[token]])
    if state < 0:
      return False
  return True


class _Rules:
  """The automaton over bytes, as a list of states: for each what follows it by byte, and whether an
  answer may end there.
  """

  def __init__(self, tables: Mapping[str, Sequence[str]]):
    self._next: list[dict[int, int]] = []
    self._final: list[bool] = []
    # Where a word ends: the names up to it, of which dots lead to the next, and the place behind
    # it.
    self._terminals: dict[int, tuple[tuple[str, ...], str]] = {}
    members, self._bare_qualifiers, behind_quotes = _members(tables)
    names = [path[0] for path in members if len(path) == 1]
    # State 0 is where an answer begins.
    self._outside = {
      place: self._state(place not in (_TABLE, _COLUMN))
      for place in (_ANY, _TABLE, _COLUMN, _ALIAS)
    }
    self._inside = {path: self._state(False) for path in members}
    self._number, self._free_word = self._state(True), self._state(True)
    self._quoted = {quote: self._state(True) for quote in _QUOTES}
    every_member = [name for inside in (*members.values(), behind_quotes) for name in inside]
    behind = {"from": _TABLE, "join": _TABLE, "as": _ALIAS, "with": _ALIAS}
    any_root = self._trie([*KEYWORDS.split(), *names, *every_member], behind, aliases=True)
    table_root, column_root = self._trie(names, {}), self._trie(every_member, {})
    self._leave(self._outside[_ANY], any_root, number=True)
    self._leave(self._outside[_TABLE], table_root, only=b"(")
    self._leave(self._outside[_COLUMN], column_root, only=b"*", number=True)
    for path, state in self._inside.items():
      self._leave(state, self._trie(members[path], {}, path=path), only=b"*")
    self._leave_for_free_word(self._outside[_ALIAS])
    self._end_word(self._number, _WORD | _DIGITS | {ord(".")}, self._number)
    self._end_word(self._free_word, _WORD | _DIGITS, self._free_word)
    for quote, state in self._quoted.items():
      self._next[state] = dict.fromkeys(range(256), state) | {_QUOTES[quote]: self._outside[_ANY]}
    self._end_terminals()

  def arrays(self) -> tuple[np.ndarray, np.ndarray]:
    """int32 [S, 256] with -1 where a byte may not follow, and bool [S]."""
    step = np.full((len(self._next), 256), _DEAD, np.int32)
    for state, following in enumerate(self._next):
      step[state, list(following)] = list(following.values())
    return step, np.array(self._final)

  def _state(self, final: bool) -> int:
    self._next.append({})
    self._final.append(final)
    return len(self._next) - 1

  def _trie(
    self,
    words: Iterable[str],
    behind: Mapping[str, str],
    aliases: bool = False,
    path: tuple[str, ...] = (),
  ) -> int:
    """A trie of words in either case; returns its root and keeps where each word ends and what may
    come behind it.

    `path` names what the words stand in, as in a schema the tables.
    """
    root = self._state(False)
    for word in {w for w in words if _NAME.fullmatch(w)}:
      end, place = self._insert(root, word), behind.get(word, _ANY)
      self._terminals[end] = ((*path, word), place)
      self._final[end] = place != _TABLE and (*path, word) not in self._bare_qualifiers
    if aliases:
      for letter in "abcdefghijklmnopqrstuvwxyz":
        end = self._insert(root, letter)
        self._terminals.setdefault(end, ((letter,), _ANY))
        digits = self._state(True)
        self._terminals[digits] = ((), _ANY)
        for digit in _DIGITS:
          self._next[end].setdefault(digit, digits)
          self._next[digits][digit] = digits
    return root

  def _insert(self, state: int, word: str) -> int:
    for byte in word.encode():
      if byte not in self._next[state]:
        child = self._state(False)
        self._next[state].update(
          {byte: child, ord(chr(byte).upper()) if byte < 128 else byte: child}
        )
      state = self._next[state][byte]
    self._final[state] = True
    return state

  def _leave(self, state: int, root: int, only: bytes | None = None, number: bool = False) -> None:
    """What follows a place outside words: white space, a word of the trie, a quote, and (`only`
    this) punctuation.
    """
    following = {byte: state for byte in _SPACE}
    if only is None:
      following |= {b: self._outside[_ANY] for b in range(256) if b not in _WORD | _DIGITS | _SPACE}
      following[ord(".")] = self._outside[_COLUMN]
    else:
      following |= dict.fromkeys(only, self._outside[_ANY])
    if number:
      following |= dict.fromkeys(_DIGITS, self._number)
    self._next[state] = following | self._quoted | self._next[root]

  def _leave_for_free_word(self, state: int) -> None:
    self._next[state] = {b: self._outside[_ANY] for b in range(256)} | dict.fromkeys(_SPACE, state)
    self._next[state] |= dict.fromkeys(_WORD | _DIGITS, self._free_word) | self._quoted

  def _end_word(self, state: int, inside: Collection[int], stay: int) -> None:
    self._next[state] = self._next[self._outside[_ANY]] | dict.fromkeys(inside, stay)

  def _end_terminals(self) -> None:
    """Behind a whole word comes what may come behind it, or more letters where a longer word begins
    so.
    """
    for state, (path, place) in self._terminals.items():
      following = {
        b: to for b, to in self._next[self._outside[place]].items() if b not in _WORD | _DIGITS
      }
      if path in self._bare_qualifiers:
        following = {}  # A schema is nothing without the name of a table.
      following[ord(".")] = self._inside.get(path, self._outside[_COLUMN])
      self._next[state] = following | self._next[state]


def _members(
  tables: Mapping[str, Sequence[str]],
) -> tuple[dict[tuple[str, ...], list[str]], set[tuple[str, ...]], list[str]]:
  """What may follow each name and a dot, of names without quotes: of a table its columns, of a
  schema its tables.

  Also the paths of schemas that are no table, column or keyword; and what may follow a quoted name
  and a dot. Quoted names are free wherever they stand, so that a path ends before them.
  """
  members: dict[tuple[str, ...], list[str]] = {}
  behind_quotes: list[str] = []
  of_tables = set()
  for name, columns in tables.items():
    parts = _PART.findall(name.lower())
    plain = next((i for i, part in enumerate(parts) if not _NAME.fullmatch(part)), len(parts))
    for length in range(1, plain + 1):
      members.setdefault(tuple(parts[:length]), [])
      if length > 1:
        members[tuple(parts[: length - 1])].append(parts[length - 1])
    own = members[tuple(parts)] if plain == len(parts) else behind_quotes
    own += [*parts[plain:], *map(str.lower, columns)]
    of_tables.add(tuple(parts))
  words = {column.lower() for columns in tables.values() for column in columns} | set(
    KEYWORDS.split()
  )
  qualifiers = {path for path in members if path not in of_tables and path[-1] not in words}
  return members, qualifiers, behind_quotes


def _byte_alphabet() -> dict[int, str]:
  """GPT-2's alphabet: printable bytes are themselves, the others are characters from 256 on."""
  printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
  alphabet = {byte: chr(byte) for byte in printable}
  others = (byte for byte in range(256) if byte not in alphabet)
  return alphabet | {byte: chr(256 + i) for i, byte in enumerate(others)}


def _shared_length(a: bytes, b: bytes) -> int:
  length = 0
  while length < min(len(a), len(b)) and a[length] == b[length]:
    length += 1
  return length
