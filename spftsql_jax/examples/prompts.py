"""The prompt: schema first, which all questions of a database share, question last.

The two are tokenized apart at that boundary.

With `PromptFormat.chat` the same text is written as a conversation: instruction and schema are the
system's message, evidence, values and question the user's (`chat.py` puts the tokenizer's chat
template around them).

A prompt format is part of a model: its `fingerprint` is stored with every version in the model
base, and a model is never evaluated under another format.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Sequence
from typing import Literal

from spftsql_jax.examples.join_ways import links_between
from spftsql_jax.examples.linked_answers import LINKS, linked_answer
from spftsql_jax.examples.linking import MatchedName, NameMark
from spftsql_jax.examples.name_codes import NameCodes
from spftsql_jax.schema import ForeignKey, Schema, Table
from spftsql_jax.sql import identifiers
from spftsql_jax.sql.one_line import folded

# Of an enumeration so many values are shown.
_ALLOWED_SHOWN = 20

SchemaStyle = Literal["ddl", "compact", "names"]
AnswerStyle = Literal["sql", "linked"]


@dataclasses.dataclass(frozen=True)
class PromptFormat:
  """How schemas and questions are written into the prompt.

  Attributes:
    schema_style: "ddl" writes CREATE TABLE statements; "compact" a line a table, `name : column
      type , ...`; "names" a line a table with the names of its columns and the keys alone, for
      models that count every token.
    comments: whether the database's comments on columns are shown.
    samples: how many sample values of each column are shown.
    matched_values: how many database values that the question mentions are listed behind it.
    matched_names: how many columns that the question mentions are listed behind it, by tables
      (`linking.NameIndex`); 0 for no such line.
    chat: whether prompts are written as a conversation by the tokenizer's chat template, for models
      tuned on conversations.
    codes: whether tables and columns are called by short codes (`name_codes`), for models too small
      to spell names: a code stands before each name of the schema and behind each word of the
      question that mentions it (of `matched_names` columns at most), and alone in queries.
    implied_joins: with `codes`, whether queries leave out of joins what the keys tell
      (`implied_joins.py`).
    answer_style: "sql", the query alone; or "linked", a line before it that names the tables,
      columns and values that it uses (`linked_answers`), learned like the query and taken off
      before it is run.

  Raises:
    ValueError: an unknown schema_style or answer_style, or implied_joins without codes.
  """

  schema_style: SchemaStyle = "ddl"
  comments: bool = True
  samples: int = 0
  matched_values: int = 3
  version: int = 1
  chat: bool = False
  matched_names: int = 0
  codes: bool = False
  implied_joins: bool = False
  answer_style: AnswerStyle = "sql"

  def __post_init__(self) -> None:
    if self.schema_style not in typing.get_args(SchemaStyle):
      raise ValueError(
        f"prompt format: schema_style {self.schema_style!r} is none of "
        f"{', '.join(typing.get_args(SchemaStyle))}"
      )
    if self.answer_style not in typing.get_args(AnswerStyle):
      raise ValueError(
        f"prompt format: answer_style {self.answer_style!r} is none of "
        f"{', '.join(typing.get_args(AnswerStyle))}"
      )
    if self.implied_joins and not self.codes:
      raise ValueError("prompt format: implied_joins leaves joins out of codes; set codes as well")

  @property
  def fingerprint(self) -> str:
    """A short stable name of this format."""
    fields = dataclasses.asdict(self)
    if not self.chat:
      del fields["chat"]  # as the names of formats were before there were conversations
    if not self.codes:
      del fields["codes"]
    if not self.implied_joins:
      del fields["implied_joins"]
    if not self.matched_names:
      del fields["matched_names"]  # and before names were matched
    if self.answer_style == "sql":
      del fields["answer_style"]
    text = json.dumps(fields, sort_keys=True)
    return f"{self.schema_style}-v{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclasses.dataclass(frozen=True)
class MatchedValue:
  """A database value that a question mentions, with where it stands: table and column as SQL has to
  write them.
  """

  table: str
  column: str
  value: str


@dataclasses.dataclass(frozen=True)
class Mentions:
  """What a question mentions of its database: names of the schema, with or without the places
  where, and stored values.
  """

  names: tuple[MatchedName, ...] = ()
  values: tuple[MatchedValue, ...] = ()
  marks: tuple[NameMark, ...] = ()


NO_MENTIONS = Mentions()


def schema_prompt(schema: Schema, style: PromptFormat, codes: NameCodes | None = None) -> str:
  """The prefix: the whole schema with types and keys, every name as SQL has to write it; with a
  code before it where there are `codes`.
  """
  names = _Names(schema, codes)
  head = schema.name
  if style.schema_style == "names":
    lines = [_names_of_table(t, names) for t in schema.tables]
  elif style.schema_style == "compact":
    lines = [_compact_table(t, style, names) for t in schema.tables]
  else:
    head = f"-- Database {schema.name} ({schema.dialect})"
    lines = [_create_table(t, style, names) for t in schema.tables]
  if codes is not None:
    lines += _key_lines(schema, names)
  return "\n".join([head, *lines]) + "\n"


def system_prompt(schema: Schema, style: PromptFormat, codes: NameCodes | None = None) -> str:
  """The system's message of a conversation: what is to be done, then the schema."""
  return (
    f"You translate between questions and {schema.dialect} queries over the database below. Answer "
    "a question with one SQL query and nothing else; answer a query with the question it answers "
    "and nothing else.\n\n" + schema_prompt(schema, style, codes).strip()
  )


def question_prompt(
  question: str,
  mentions: Mentions,
  style: PromptFormat,
  evidence: str = "",
  codes: NameCodes | None = None,
) -> str:
  """The head of a text-to-SQL branch: evidence, names and values that the question mentions, then
  the question, up to where the SQL begins. With `codes` they stand within the question, each behind
  what mentions it, and the foreign keys between tables that are mentioned before it.

  In a conversation: the user's message.
  """
  lines = [f"Evidence: {evidence.strip()}"] if evidence.strip() else []
  if style.matched_names and mentions.names and codes is None:
    lines.append("Names: " + " ; ".join(_matched_name(m) for m in mentions.names))
  if shown := mentions.values[: style.matched_values]:
    values = [f"{_column_of(m, codes)} = {_literal(m.value)}" for m in shown]
    lines.append(f"Values: {' ; '.join(values)}")
  if codes is not None and (joins := _joins(mentions, codes)):
    lines.append(f"Joins:{joins}")
  asked = " ".join(question.split())
  lines.append(f"Question: {asked if codes is None else _marked(asked, mentions, codes)}")
  text = "\n".join(lines)
  if style.chat:
    return text.strip()
  return f"{text}\n{LINKS if style.answer_style == 'linked' else 'SQL:'}"


def sql_prompt(
  query: str, style: PromptFormat, dialect: str, codes: NameCodes | None = None
) -> str:
  """The head of an SQL-to-text branch, up to where the question begins; in a conversation, the
  user's message.
  """
  text = f"SQL:{answer_text(query, dialect, codes)}"
  return text.strip() if style.chat else text + "\nQuestion:"


def answer_text(query: str, dialect: str, codes: NameCodes | None = None) -> str:
  """A query as the answer behind the colon of its prompt: a space before it."""
  return " " + (normalize_query(query, dialect) if codes is None else codes.coded(query))


def styled_answer(
  query: str,
  dialect: str,
  style: PromptFormat,
  schema: Schema | None = None,
  codes: NameCodes | None = None,
) -> str:
  """A query as the answer that a prompt format wants: with a line before it where it is "linked".

  In a conversation the line is named, for there the prompt does not.

  Raises:
    ValueError: a line is wanted, and there is no schema to make it by.
  """
  sql = answer_text(query, dialect, codes)
  if style.answer_style == "sql":
    return sql
  if schema is None:
    raise ValueError("a linked answer is made by the schema of its prompt; give it")
  linked = linked_answer(normalize_query(query, schema.dialect), sql, schema, codes)
  return f" {LINKS}{linked}" if style.chat else linked


def question_text(question: str) -> str:
  """A question as the answer behind the colon of its prompt: one line, a space before it."""
  return " " + " ".join(question.split())


def normalize_query(query: str, dialect: str) -> str:
  """A query as models read and learn it: one statement without comments and semicolon, single
  spaces, literals as they are.

  A comment is no part of an answer, and a line comment would take the rest of a line with it (see
  `model_text.folded`).
  """
  return folded(query, dialect)


def _matched_name(name: MatchedName) -> str:
  return f"{name.table} : {' '.join(name.columns)}" if name.columns else name.table


def _column_of(match: MatchedValue, codes: NameCodes | None) -> str:
  code = codes and codes.of_written(match.table, match.column)
  return code or f"{match.table}.{match.column}"


def _marked(question: str, mentions: Mentions, codes: NameCodes) -> str:
  """A question with codes behind the words that mention names and values: a table's with those of
  its key and of what names its rows, a column's with that of its table.
  """
  found = [(m.end, m.table, m.column) for m in mentions.marks]
  for match in mentions.values:
    if (start := question.lower().find(match.value.lower())) >= 0:
      found.append((start + len(match.value), match.table, match.column))
  parts, at = [], 0
  for end, table, column in dict.fromkeys(sorted(found, key=lambda f: f[0])):
    parts += [question[at:end], *(f" {code}" for code in _codes_shown(table, column, codes))]
    at = max(at, end)
  return "".join([*parts, question[at:]])


def _codes_shown(table: str, column: str, codes: NameCodes) -> tuple[str, ...]:
  """The codes behind a mention of a table, or of a column of it; none for what is not there."""
  owner, own = codes.of_written(table), codes.of_written(table, column)
  if owner is None or own is None:
    return ()
  return (own, owner) if column else (owner, *codes.identifying(owner))


def _joins(mentions: Mentions, codes: NameCodes) -> str:
  """The foreign keys by which the tables that a question mentions are joined; "" for none."""
  # Of the columns that the same words may mean, the table of the first is meant.
  first = {mark.end: mark.table for mark in reversed(mentions.marks)}
  named = [
    mark.table for mark in mentions.marks if not mark.column or first[mark.end] == mark.table
  ]
  named += [match.table for match in mentions.values]
  written = {
    identifiers.written_path(t.parts, codes.schema.dialect): t.name for t in codes.schema.tables
  }
  links = links_between(codes.schema, [written[name] for name in named if name in written])
  names = _Names(codes.schema, codes)
  return " ;".join(_link_text(table, key, names) for table, key in links)


def _literal(value: str) -> str:
  return "'" + str(value).replace("'", "''").replace("\n", " ") + "'"


class _Names:
  """The names of a schema as SQL has to write them, or their codes."""

  def __init__(self, schema: Schema, codes: NameCodes | None = None):
    self._dialect, self._codes = schema.dialect, codes
    paths = {
      table.name: identifiers.written_path(table.parts, schema.dialect) for table in schema.tables
    }
    # Keys may be spelled in another case than their table; tables may differ in nothing else.
    self._paths = {name.lower(): path for name, path in reversed(paths.items())} | paths

  def table(self, name: str) -> str:
    """The name of a table, with its code before it."""
    path = self._path(name)
    return self._with_code(path, path)

  def column(self, table: str, name: str) -> str:
    """The name of a column, with its code before it."""
    written = identifiers.written(name, self._dialect)
    return self._with_code(written, self._path(table), written)

  def columns(self, table: str, names: Sequence[str], separator: str = ", ") -> str:
    """Columns that are referred to."""
    return separator.join(self._short(table, name) for name in names)

  def referred_table(self, name: str) -> str:
    """What a table is referred to by: its code, where it has one."""
    path = self._path(name)
    return (self._codes and self._codes.of_written(path)) or path

  def reference(self, table: str, column: str) -> str:
    """What a column is referred to by from elsewhere."""
    short = self._short(table, column)
    return short if self._codes else f"{self._path(table)}.{short}"

  def _short(self, table: str, name: str) -> str:
    written = identifiers.written(name, self._dialect)
    return (self._codes and self._codes.of_written(self._path(table), written)) or written

  def _path(self, name: str) -> str:
    path = self._paths.get(name) or self._paths.get(name.lower())
    return path or identifiers.written(name, self._dialect)

  def _with_code(self, written: str, table: str, column: str = "") -> str:
    code = self._codes and self._codes.of_written(table, column)
    return f" {code} {written}" if code else written


def _notes(
  table: Table, column_name: str, style: PromptFormat, with_type: bool = False
) -> list[str]:
  """What is said of a column beside its name; `with_type` where its declared type is shown, which
  may list what it allows.
  """
  column = table.column(column_name)
  notes = [" ".join(column.comment.split())] if style.comments and column.comment else []
  if column.allowed and not (with_type and column.type.startswith("ENUM(")):
    more = ", ..." if len(column.allowed) > _ALLOWED_SHOWN else ""
    notes.append(
      "one of " + ", ".join(_literal(value) for value in column.allowed[:_ALLOWED_SHOWN]) + more
    )
  if style.samples and column.samples:
    notes.append(
      "e.g. " + ", ".join(_literal(str(v)[:40]) for v in column.samples[: style.samples])
    )
  return notes


def _references(table: Table, names: _Names) -> dict[str, str]:
  """What each column refers to that is a foreign key by itself."""
  return {
    k.columns[0]: names.reference(k.referred_table, k.referred_columns[0])
    for k in table.foreign_keys
    if len(k.columns) == 1
  }


def _key_lines(schema: Schema, names: _Names) -> list[str]:
  """A line a foreign key, tables first: what follows FROM, JOIN and ON."""
  return [_link_text(t.name, key, names) for t in schema.tables for key in t.foreign_keys]


def _link_text(table: str, key: ForeignKey, names: _Names) -> str:
  """A foreign key of a table: both tables, and what follows ON."""
  other = key.referred_table
  pairs = [
    f"{names.reference(other, theirs)} = {names.reference(table, own)}"
    for own, theirs in zip(key.columns, key.referred_columns, strict=True)
  ]
  tables = f"{names.referred_table(other)} {names.referred_table(table)}"
  return f" {tables} : {' AND '.join(pairs)}"


def _names_of_table(table: Table, names: _Names) -> str:
  references = _references(table, names)
  columns = [
    names.column(table.name, c.name) + (f" = {references[c.name]}" if c.name in references else "")
    for c in table.columns
  ]
  return f"{names.table(table.name)} :{_joined(columns, ' ')}"


def _compact_table(table: Table, style: PromptFormat, names: _Names) -> str:
  references = _references(table, names)
  parts = []
  for column in table.columns:
    text = f"{names.column(table.name, column.name)} {column.kind}"
    if column.name in table.primary_key:
      text += " key"
    if column.name in references:
      text += f" = {references[column.name]}"
    if notes := _notes(table, column.name, style):
      text += f" ( {' ; '.join(notes)} )"
    parts.append(text)
  for key in table.foreign_keys:
    if len(key.columns) > 1:
      other = key.referred_table
      referred = names.columns(other, key.referred_columns, " ")
      own = names.columns(table.name, key.columns, " ")
      parts.append(f"( {own} ) = {names.referred_table(other)} ( {referred} )")
  return f"{names.table(table.name)} :{_joined(parts, ' , ')}"


def _joined(parts: Sequence[str], separator: str) -> str:
  """Parts behind a colon, one space before each, which those with codes bring along."""
  apart = separator.rstrip()
  return apart.join(part if part.startswith(" ") else f" {part}" for part in parts)


def _create_table(table: Table, style: PromptFormat, names: _Names) -> str:
  lines = []
  for column in table.columns:
    name = names.column(table.name, column.name)
    text = f"  {name.lstrip()} {column.type or column.kind.upper()}"
    if table.primary_key == (column.name,):
      text += " PRIMARY KEY"
    notes = _notes(table, column.name, style, with_type=True)
    lines.append((text, f" -- {'; '.join(notes)}" if notes else ""))
  if len(table.primary_key) > 1:
    lines.append((f"  PRIMARY KEY ({names.columns(table.name, table.primary_key)})", ""))
  for key in table.foreign_keys:
    other, own = key.referred_table, names.columns(table.name, key.columns)
    referred = f"{names.referred_table(other)} ({names.columns(other, key.referred_columns)})"
    lines.append((f"  FOREIGN KEY ({own}) REFERENCES {referred}", ""))
  body = "\n".join(
    text + ("," if i + 1 < len(lines) else "") + note for i, (text, note) in enumerate(lines)
  )
  head = f"CREATE {'VIEW' if table.is_view else 'TABLE'} {names.table(table.name).lstrip()}"
  return f"{head} (\n{body}\n);"
