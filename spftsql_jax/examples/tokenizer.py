"""Text to token ids and back, by Hugging Face tokenizers, and the training of a small one.

The boundary rule: schema prefix, question prompt and answer are tokenized *apart* and their ids
concatenated, in training, scoring and generation alike, so that a branch has the same ids whatever
it is used for. No special token is added but the end token behind an answer, and in conversations
those of the chat template.
"""

from __future__ import annotations

import collections
import itertools
import json
import re
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
import transformers
from tokenizers import decoders, models, pre_tokenizers, trainers

from spftsql_jax.examples.batches import Branch
from spftsql_jax.examples.chat import chat_frame
from spftsql_jax.examples.linked_answers import has_begun, sql_of
from spftsql_jax.examples.name_codes import NameCodes, code_tokens, name_codes
from spftsql_jax.examples.prompts import (
  NO_MENTIONS,
  Mentions,
  PromptFormat,
  question_prompt,
  question_text,
  schema_prompt,
  sql_prompt,
  styled_answer,
  system_prompt,
)
from spftsql_jax.examples.special_ids import joined_ids, read_end_ids
from spftsql_jax.schema import Schema

END = "<|endoftext|>"
PAD = "<|pad|>"
# Qwen2's split (words with the space before them, digits one by one, punctuation runs), so that a
# small model's tokens look like those of the models it stands for; other programs know it by name.
_SPLIT = (
  r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| "
  r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# A finer split, within which merges are learned: a word apart from the space, the point or the
# underscore before it and from the word before it in camel case. So a word has the same tokens in
# " opening year", "T1.opening_year" and "openingYear", and can be copied from one to the other.
# No merge crosses these borders, so that text under Qwen2's split is cut there as well.
_WORDS = (
  r"\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{Lo}+|\p{L}|\p{N}| "
  r"?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s"
)
# Capital words behind a space, SQL's keywords, are one token with it where they make up at least
# this share of a corpus' words: nothing copies them.
_KEYWORD = re.compile(r" [A-Z]{2,}\b")
_KEYWORD_SHARE = 1e-3
# A space as byte-level tokens write it.
_SPACE = "Ġ"


class Tokenizer:
  """Ids of prompts and answers in one prompt format.

  Attributes:
    hf: the Hugging Face tokenizer, a fast one where the model has it.
    style: the prompt format.
    end_id, pad_id: ids of the token that training ends an answer with, and of padding.
    end_ids: all tokens that end an answer when one is written: that one first, then the model's
      own. An export names the same (`models.hf.save_hf`).

  Raises:
    ValueError: no end token, or a conversation is asked for and the tokenizer's chat template
      cannot give one.
  """

  def __init__(
    self,
    hf: transformers.PreTrainedTokenizerBase,
    style: PromptFormat,
    own_ends: Sequence[int] = (),
  ):
    """A tokenizer of a model that has ended its texts with any of `own_ends`, beside the
    tokenizer's end token.
    """
    if hf.eos_token_id is None:
      raise ValueError(
        "the tokenizer has no end token (eos_token); set one in its tokenizer_config.json"
      )
    self.hf, self.style = hf, style
    self._chat = chat_frame(hf) if style.chat else None
    self.end_id = hf.eos_token_id if self._chat is None else self._chat.end_id
    self.end_ids = joined_ids(self.end_id, own_ends, hf.eos_token_id)
    self.pad_id = hf.pad_token_id if hf.pad_token_id is not None else hf.eos_token_id
    self._fast: tokenizers.Tokenizer | None = getattr(hf, "backend_tokenizer", None)
    self._prefixes: dict[int, tuple[Schema, tuple[int, ...]]] = {}
    self._codes: dict[int, NameCodes] = {}

  def encode(self, text: str) -> tuple[int, ...]:
    """Ids of a piece of text, without special tokens."""
    # The library behind a fast tokenizer, asked directly: its wrapper costs half as much again.
    if self._fast is not None:
      return tuple(self._fast.encode(text, add_special_tokens=False).ids)
    return tuple(self.hf.encode(text, add_special_tokens=False))

  def decode(self, ids: Sequence[int]) -> str:
    """Text of answer ids: up to the first token that ends one, stripped."""
    kept = list(itertools.takewhile(lambda i: i not in self.end_ids, ids))
    text = self.hf.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return typing.cast(str, text).strip()  # of one list of ids, one text

  def sql(self, ids: Sequence[int], schema: Schema | None = None) -> str:
    """The SQL of answer ids; `schema` is the one of the prompt."""
    codes, text = self.codes(schema), self.decode(ids)
    if self.style.answer_style == "linked":
      text = sql_of(text)
    return text if codes is None else codes.sql(text)

  def statement(self, ids: Sequence[int]) -> str | None:
    """What of an answer's ids is SQL, as it was written; None where it has not begun."""
    text = self.decode(ids)
    if self.style.answer_style == "sql":
      return text
    return sql_of(text) if has_begun(text) else None

  def codes(self, schema: Schema | None) -> NameCodes | None:
    """The codes of a schema's names; None in a format without codes."""
    if not self.style.codes or schema is None:
      return None
    if id(schema) not in self._codes:  # As in `prefix`.
      self._codes[id(schema)] = self.new_codes(schema)
    return self._codes[id(schema)]

  def new_codes(self, schema: Schema) -> NameCodes:
    """Codes for a schema's names."""
    return name_codes(schema, implied_joins=self.style.implied_joins)

  def prefix(self, schema: Schema) -> tuple[int, ...]:
    """Ids of the schema prompt; the same object for the same schema."""
    # Keyed by identity (hashing a schema walks it whole); the schema is kept, so its id stays its
    # own.
    if id(schema) not in self._prefixes:
      text = self._prefix_text(schema, self.codes(schema))
      self._prefixes[id(schema)] = schema, self.encode(text)
    return self._prefixes[id(schema)][1]

  def prefix_length(self, schema: Schema) -> int:
    """Number of ids of the schema prompt, of a schema that is not kept."""
    codes = self.new_codes(schema) if self.style.codes else None
    return len(self.encode(self._prefix_text(schema, codes)))

  def question(
    self,
    question: str,
    mentions: Mentions = NO_MENTIONS,
    evidence: str = "",
    schema: Schema | None = None,
  ) -> tuple[int, ...]:
    """Ids of a text-to-SQL branch up to where the SQL begins. A format with codes writes those of
    `schema`.
    """
    codes = self.codes(schema)
    return self._branch(question_prompt(question, mentions, self.style, evidence, codes))

  def prompt_texts(
    self, schema: Schema, question: str, mentions: Mentions = NO_MENTIONS, evidence: str = ""
  ) -> tuple[str, str]:
    """The texts of `prefix` and `question`, which are tokenized apart."""
    codes = self.codes(schema)
    asked = question_prompt(question, mentions, self.style, evidence, codes)
    return self._prefix_text(schema, codes), self._branch_text(asked)

  def query(self, query: str, dialect: str, schema: Schema | None = None) -> tuple[int, ...]:
    """Ids of an SQL-to-text branch up to where the question begins; `schema` as in `question`."""
    return self._branch(sql_prompt(query, self.style, dialect, self.codes(schema)))

  def answer(self, query: str, dialect: str, schema: Schema | None = None) -> tuple[int, ...]:
    """Ids of a query as an answer, with its end token; `schema` as in `question`."""
    return self._answer(styled_answer(query, dialect, self.style, schema, self.codes(schema)))

  def question_answer(self, question: str) -> tuple[int, ...]:
    """Ids of a question as an answer, with its end token."""
    return self._answer(question_text(question))

  def _answer(self, text: str) -> tuple[int, ...]:
    text = text if self._chat is None else self._chat.before_answer + text.strip()
    return (*self.encode(text), self.end_id)

  def _prefix_text(self, schema: Schema, codes: NameCodes | None) -> str:
    if self._chat is None:
      return schema_prompt(schema, self.style, codes)
    return (
      self._chat.before_schema
      + self._chat.plain(system_prompt(schema, self.style, codes))
      + self._chat.between
    )

  def _branch(self, text: str) -> tuple[int, ...]:
    return self.encode(self._branch_text(text))

  def _branch_text(self, text: str) -> str:
    return text if self._chat is None else self._chat.plain(text) + self._chat.behind_question

  def text_to_sql(
    self,
    schema: Schema,
    question: str,
    query: str,
    mentions: Mentions = NO_MENTIONS,
    evidence: str = "",
  ) -> Branch:
    """The branch that teaches the SQL of a question."""
    return Branch(
      self.prefix(schema),
      self.question(question, mentions, evidence, schema),
      self.answer(query, schema.dialect, schema),
    )

  def sql_to_text(self, schema: Schema, query: str, question: str) -> Branch:
    """The branch that teaches the question of an SQL query."""
    return Branch(
      self.prefix(schema), self.query(query, schema.dialect, schema), self.question_answer(question)
    )


def train_bpe(
  texts: Iterable[str], vocab_size: int, words_apart: bool = False, codes: bool = False
) -> transformers.PreTrainedTokenizerFast:
  """Trains a byte-level BPE tokenizer (Qwen2's kind): any text can be encoded, and decoding gives
  it back.

  Args:
    texts: what the vocabulary is learned from.
    vocab_size: entries at most, special tokens and the 256 bytes counted.
    words_apart: a word has the same tokens whatever stands before it, so that it can be copied; a
      text has a fifth more of them.
    codes: the codes of names (`name_codes`) are a token each, counted too.
  """
  texts = list(texts)
  keywords = _frequent_keywords(texts) if words_apart else []
  whole = code_tokens() if codes else []
  tokenizer = tokenizers.Tokenizer(models.BPE())
  tokenizer.pre_tokenizer = _byte_level(_WORDS if words_apart else _SPLIT)
  trainer = trainers.BpeTrainer(
    vocab_size=vocab_size - len(keywords) - len(whole),
    special_tokens=[END, PAD],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
    min_frequency=2,
  )
  tokenizer.train_from_iterator(texts, trainer)
  if keywords:
    tokenizer = _with_space_before(tokenizer, keywords)
  tokenizer.pre_tokenizer = _byte_level(_SPLIT)
  tokenizer.decoder = decoders.ByteLevel()
  tokenizer.add_tokens([tokenizers.AddedToken(code, normalized=False) for code in whole])
  return transformers.PreTrainedTokenizerFast(
    tokenizer_object=tokenizer,
    eos_token=END,
    pad_token=PAD,
    clean_up_tokenization_spaces=False,
    model_max_length=32_768,
  )


def _byte_level(split: str) -> pre_tokenizers.PreTokenizer:
  return pre_tokenizers.Sequence(
    [
      pre_tokenizers.Split(tokenizers.Regex(split), behavior="isolated"),
      pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
  )


def _frequent_keywords(texts: Sequence[str]) -> list[str]:
  """Capital words that often stand behind a space, most frequent first."""
  counts = collections.Counter(word[1:] for text in texts for word in _KEYWORD.findall(text))
  words = sum(len(text.split()) for text in texts)
  return [word for word, count in counts.most_common() if count >= _KEYWORD_SHARE * words]


def _with_space_before(
  tokenizer: tokenizers.Tokenizer, keywords: Sequence[str]
) -> tokenizers.Tokenizer:
  """The tokenizer with one more merge for each keyword that is a token: that of the space and it.

  These merges come last, so that they join whole words only.
  """
  record = json.loads(tokenizer.to_str())
  vocab, merges = record["model"]["vocab"], record["model"]["merges"]
  for keyword in keywords:
    if keyword in vocab:
      vocab[f"{_SPACE}{keyword}"] = len(vocab)
      merges.append([_SPACE, keyword])
  return tokenizers.Tokenizer.from_str(json.dumps(record))


def load_tokenizer(
  directory: str | Path, style: PromptFormat, more_ends: Sequence[int] = ()
) -> Tokenizer:
  """Reads the tokenizer of a Hugging Face model folder. Raises FileNotFoundError or ValueError
  naming the folder.

  Args:
    more_ends: tokens that end a text beside those that the folder names.
  """
  directory = Path(directory)
  if not directory.is_dir():
    raise FileNotFoundError(f"{directory}: no such model folder")
  try:
    hf = transformers.AutoTokenizer.from_pretrained(str(directory), local_files_only=True)
  except (OSError, ValueError, KeyError) as error:
    raise ValueError(
      f"{directory}: no tokenizer can be read there ({str(error).splitlines()[0]})"
    ) from error
  try:
    return Tokenizer(hf, style, joined_ids(read_end_ids(directory), more_ends))
  except ValueError as error:
    raise ValueError(f"{directory}: {error}") from error


def has_chat_template(directory: str | Path) -> bool:
  """Whether the tokenizer of a model folder has a chat template that prompts can be written by."""
  try:
    load_tokenizer(directory, PromptFormat(chat=True))
  except ValueError:
    return False
  return True
