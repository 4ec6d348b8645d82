"""Conversations: a tokenizer's chat template, cut where schema, question and answer stand.

The template is rendered once, with markers in place of the three. What it puts around them does not
depend on them, so the schema's part is the prefix that all questions share, and the question's part
is the branch.
"""

from __future__ import annotations

import dataclasses
from typing import Any

_SCHEMA, _QUESTION, _ANSWER = "SCHEMA-STANDS-HERE", "QUESTION-STANDS-HERE", "ANSWER-STANDS-HERE"
# What templates ask for beside the messages, held fast: a date of today would change a model's
# prompt overnight, and an answer is the SQL alone, without the thoughts before it that some models
# are tuned to write.
_SETTINGS: dict[str, Any] = {"date_string": "26 Jul 2024", "enable_thinking": False}


@dataclasses.dataclass(frozen=True)
class ChatFrame:
  """What a chat template puts around schema, question and answer.

  Attributes:
    before_schema: up to the system's message (or the user's, where the template has no place for a
      system).
    between: from the schema to the question.
    behind_question: from the question to where the model begins.
    before_answer: what stands between that and the answer, mostly nothing.
    end_id: of the special token that ends the answer.
    special: the texts of all special tokens.
  """

  before_schema: str
  between: str
  behind_question: str
  before_answer: str
  end_id: int
  special: tuple[str, ...]

  def plain(self, text: str) -> str:
    """`text` without special tokens: what a question or a database says must not end a message or
    begin another.
    """
    for token in self.special:
      text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def chat_frame(hf: Any) -> ChatFrame:
  """The frame of a Hugging Face tokenizer's chat template.

  Raises:
    ValueError: there is no template, or it does not put schema, question and answer one behind the
      other, once each.
  """
  if not getattr(hf, "chat_template", None):
    raise ValueError(
      "the prompt format asks for a conversation, but the tokenizer has no chat template; set "
      "prompt.chat=False"
    )
  # Some templates refuse a system's message or drop it; then the schema opens the user's.
  with_system = [{"role": "system", "content": _SCHEMA}, {"role": "user", "content": _QUESTION}]
  without = [{"role": "user", "content": f"{_SCHEMA}\n\n{_QUESTION}"}]
  problem = "no such place"
  for messages in (with_system, without):
    try:
      asked = _render(hf, messages, add_generation_prompt=True)
      answered = _render(
        hf, [*messages, {"role": "assistant", "content": _ANSWER}], add_generation_prompt=False
      )
    except ImportError as error:
      raise ValueError(f"a chat template needs the package jinja2 ({error})") from error
    except Exception as error:  # jinja2's, or whatever the template raises
      problem = str(error)
      continue
    if (frame := _cut(hf, asked, answered)) is not None:
      return frame
  raise ValueError(
    f"the tokenizer's chat template cannot be cut at schema, question and answer ({problem}); "
    "set prompt.chat=False"
  )


def _cut(hf: Any, asked: str, answered: str) -> ChatFrame | None:
  """The frame of a conversation that was rendered without and with its answer; None where schema,
  question and answer do not stand one behind the other, once each.
  """
  if [asked.count(_SCHEMA), asked.count(_QUESTION), answered.count(_ANSWER)] != [1, 1, 1]:
    return None
  before_schema, rest = asked.split(_SCHEMA)
  if _QUESTION not in rest:
    return None
  between, behind_question = rest.split(_QUESTION)
  before, tail = answered.split(_ANSWER)
  special = {id_: str(token) for id_, token in hf.added_tokens_decoder.items() if token.special}
  ends = [id_ for id_ in hf.encode(tail, add_special_tokens=False) if id_ in special]
  return ChatFrame(
    before_schema,
    between,
    behind_question,
    before_answer=before.removeprefix(asked) if before.startswith(asked) else "",
    end_id=ends[0] if ends else hf.eos_token_id,
    # Longest first: a token that contains another is broken as a whole.
    special=tuple(sorted(special.values(), key=len, reverse=True)),
  )


def _render(hf: Any, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
  return hf.apply_chat_template(
    messages, tokenize=False, add_generation_prompt=add_generation_prompt, **_SETTINGS
  )
