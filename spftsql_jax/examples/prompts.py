"""The prompt: schema first (shared by all questions of a database), question last, tokenized apart at that boundary.

With `PromptFormat.chat` the same text is written as a conversation: instruction and schema are the system's message, evidence,
values and question the user's (`chat.py` puts the tokenizer's chat template around them).

A prompt format is part of a model: its `fingerprint` is stored with every version in the model base, and a model is never
evaluated under another format.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Sequence
from typing import Literal

from spftsql_jax.databases.schema import Schema, Table

SchemaStyle = Literal["ddl", "compact", "names"]


@dataclasses.dataclass(frozen=True)
class PromptFormat:
  """How schemas and questions are written into the prompt.

  Attributes:
    schema_style: "ddl" writes CREATE TABLE statements; "compact" a line a table, `name : column type , ...`; "names" a line a
      table with the names of its columns and the keys alone, for models that count every token.
    comments: whether the database's comments on columns are shown.
    samples: how many sample values of each column are shown.
    matched_values: how many database values that the question mentions are listed behind it.
    chat: whether prompts are written as a conversation by the tokenizer's chat template, for models tuned on conversations.

  Raises:
    ValueError: an unknown schema_style.
  """

  schema_style: SchemaStyle = "ddl"
  comments: bool = True
  samples: int = 0
  matched_values: int = 3
  version: int = 1
  chat: bool = False

  def __post_init__(self):
    if self.schema_style not in typing.get_args(SchemaStyle):
      raise ValueError(
        f"prompt format: schema_style {self.schema_style!r} is none of {', '.join(typing.get_args(SchemaStyle))}"
      )

  @property
  def fingerprint(self) -> str:
    """A short stable name of this format."""
    fields = dataclasses.asdict(self)
    if not self.chat:
      del fields["chat"]  # as the names of formats were before there were conversations
    text = json.dumps(fields, sort_keys=True)
    return f"{self.schema_style}-v{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclasses.dataclass(frozen=True)
class MatchedValue:
  """A database value that a question mentions, with where it stands."""

  table: str
  column: str
  value: str


def schema_prompt(schema: Schema, style: PromptFormat) -> str:
  """The prefix: the whole schema with types and keys."""
  if style.schema_style == "names":
    return f"{schema.name}\n" + "\n".join(map(_names_of_table, schema.tables)) + "\n"
  if style.schema_style == "compact":
    return f"{schema.name}\n" + "\n".join(_compact_table(t, style) for t in schema.tables) + "\n"
  return f"-- Database {schema.name} ({schema.dialect})\n" + "\n".join(_create_table(t, style) for t in schema.tables) + "\n"


def system_prompt(schema: Schema, style: PromptFormat) -> str:
  """The system's message of a conversation: what is to be done, then the schema."""
  return (
    f"You translate between questions and {schema.dialect} queries over the database below. Answer a question with one SQL "
    "query and nothing else; answer a query with the question it answers and nothing else.\n\n"
    + schema_prompt(schema, style).strip()
  )


def question_prompt(question: str, matched: Sequence[MatchedValue], style: PromptFormat, evidence: str = "") -> str:
  """The head of a text-to-SQL branch: evidence and matched values, then the question, up to where the SQL begins.

  In a conversation: the user's message.
  """
  lines = [f"Evidence: {evidence.strip()}"] if evidence.strip() else []
  if shown := matched[: style.matched_values]:
    lines.append("Values: " + " ; ".join(f"{m.table}.{m.column} = {_literal(m.value)}" for m in shown))
  lines.append(f"Question: {' '.join(question.split())}")
  text = "\n".join(lines)
  return text.strip() if style.chat else text + "\nSQL:"


def sql_prompt(query: str, style: PromptFormat) -> str:
  """The head of an SQL-to-text branch, up to where the question begins; in a conversation, the user's message."""
  text = f"SQL: {normalize_query(query)}"
  return text.strip() if style.chat else text + "\nQuestion:"


def answer_text(text: str) -> str:
  """An answer as it stands behind the colon of its prompt: one line, a space before it."""
  return " " + normalize_query(text)


def normalize_query(query: str) -> str:
  """One line, no trailing semicolon; white space outside string literals is folded."""
  out, quote = [], ""
  for ch in query.strip().rstrip(";").rstrip():
    if quote:
      quote = "" if ch == quote else quote
    elif ch in "'\"`":
      quote = ch
    elif ch.isspace():
      if out and out[-1] == " ":
        continue
      ch = " "
    out.append(" " if ch in "\r\n" else ch)
  return "".join(out)


def _literal(value: str) -> str:
  return "'" + str(value).replace("'", "''").replace("\n", " ") + "'"


def _notes(table: Table, column_name: str, style: PromptFormat) -> list[str]:
  column = table.column(column_name)
  notes = [" ".join(column.comment.split())] if style.comments and column.comment else []
  if style.samples and column.samples:
    notes.append("e.g. " + ", ".join(_literal(str(v)[:40]) for v in column.samples[: style.samples]))
  return notes


def _references(table: Table) -> dict[str, str]:
  """What each column refers to that is a foreign key by itself."""
  return {k.columns[0]: f"{k.referred_table}.{k.referred_columns[0]}" for k in table.foreign_keys if len(k.columns) == 1}


def _names_of_table(table: Table) -> str:
  references = _references(table)
  names = [f"{c.name} = {references[c.name]}" if c.name in references else c.name for c in table.columns]
  return f"{table.name} : {' '.join(names)}"


def _compact_table(table: Table, style: PromptFormat) -> str:
  references = _references(table)
  parts = []
  for column in table.columns:
    text = f"{column.name} {column.kind}"
    if column.name in table.primary_key:
      text += " key"
    if column.name in references:
      text += f" = {references[column.name]}"
    if notes := _notes(table, column.name, style):
      text += f" ( {' ; '.join(notes)} )"
    parts.append(text)
  composite = [k for k in table.foreign_keys if len(k.columns) > 1]
  parts += [f"( {' '.join(k.columns)} ) = {k.referred_table} ( {' '.join(k.referred_columns)} )" for k in composite]
  return f"{table.name} : " + " , ".join(parts)


def _create_table(table: Table, style: PromptFormat) -> str:
  lines = []
  for column in table.columns:
    text = f"  {_identifier(column.name)} {column.type or column.kind.upper()}"
    if table.primary_key == (column.name,):
      text += " PRIMARY KEY"
    notes = _notes(table, column.name, style)
    lines.append((text, f" -- {'; '.join(notes)}" if notes else ""))
  if len(table.primary_key) > 1:
    lines.append((f"  PRIMARY KEY ({_identifiers(table.primary_key)})", ""))
  for key in table.foreign_keys:
    referred = f"{_identifier(key.referred_table)} ({_identifiers(key.referred_columns)})"
    lines.append((f"  FOREIGN KEY ({_identifiers(key.columns)}) REFERENCES {referred}", ""))
  body = "\n".join(text + ("," if i + 1 < len(lines) else "") + note for i, (text, note) in enumerate(lines))
  return f"CREATE {'VIEW' if table.is_view else 'TABLE'} {_identifier(table.name)} (\n{body}\n);"


def _identifier(name: str) -> str:
  return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def _identifiers(names: Sequence[str]) -> str:
  return ", ".join(map(_identifier, names))
