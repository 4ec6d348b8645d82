"""A model and a database behind the page."""

from __future__ import annotations

import dataclasses
import socket
import threading

from spftsql_jax.answering import known_words
from spftsql_jax.answering.exported import ExportedModel
from spftsql_jax.answering.one_question import Asking, answer_one
from spftsql_jax.answering.predict import PromptDatabase
from spftsql_jax.answering.web.address import Address
from spftsql_jax.answering.web.answers import (
  Answered,
  NotAnsweredError,
  Statements,
  StoppedError,
  killed_when,
)
from spftsql_jax.answering.web.app import make_app
from spftsql_jax.answering.web.serve import serve
from spftsql_jax.databases import Executor


@dataclasses.dataclass(frozen=True)
class ModelAnswerer:
  """Answers by the vote of several samples; see `vote.predict_by_vote`.

  A stop ends the queries of the answers at once. What the device decodes is not cut off: it ends
  with the model's longest answer, and the next question begins then.

  Attributes:
    exported: the model. database: what it answers on. executor: runs its queries.
    asking: how it answers.
  """

  exported: ExportedModel
  database: PromptDatabase
  executor: Executor
  asking: Asking

  def answer(self, question: str, stop: threading.Event) -> Answered:
    """See `Answerer`."""
    try:
      with killed_when(stop, self.executor):
        found = answer_one(
          self.exported,
          self.database,
          question,
          self.executor,
          self.asking,
        )
    except known_words.ChangeAskedError as error:
      raise NotAnsweredError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    if stop.is_set():
      raise StoppedError
    return Answered(
      found.sql,
      None if found.doubts else found.result,
      found.vote.votes,
      self.asking.samples,
      found.doubts,
      found.words.missing,
    )


def serve_model(
  exported: ExportedModel,
  database: PromptDatabase,
  address: Address,
  listening: socket.socket,
  asking: Asking,
) -> None:
  """Serves the page of a model and a database until the process is told to end.

  Args:
    exported, database, asking: see `ModelAnswerer`.
    address: see `Address`. listening: a socket there (`serve.listen`).
  """
  with Executor(workers=min(2, asking.samples)) as executor, Executor(workers=1) as of_page:
    answerer = ModelAnswerer(exported, database, executor, asking)
    statements = Statements(database.location, of_page, asking.timeout_s, asking.max_rows)
    serve(make_app(answerer, statements, database.schema, address), listening, address)
