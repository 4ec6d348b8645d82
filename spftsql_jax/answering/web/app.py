"""The routes of the page.

    GET  /            the page
    GET  /static/...  its style and script
    GET  /api/schema  the tables
    POST /api/ask     {"question": ...} -> SQL, agreement, doubts, result
    POST /api/run     {"sql": ...} -> result

One question at a time goes to the model and one statement of the page to the database; others wait.
A request that the browser gives up stops its work. Failures are {"error": ...}.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from spftsql_jax.answering.web.address import Address
from spftsql_jax.answering.web.answers import (
  Answered,
  Answerer,
  NotAnsweredError,
  Statements,
  StoppedError,
)
from spftsql_jax.answering.web.cells import result_record, schema_record
from spftsql_jax.answering.web.guard import Guard
from spftsql_jax.schema import Schema

LONGEST_QUESTION = 2_000
LONGEST_SQL = 100_000
_LARGEST_BODY = 500_000
_MOST_WAITING = 16
# nginx's number for a client that closed its request; nobody reads it.
_CLOSED = 499
_HERE = Path(__file__).parent


class _Turn:
  """Lets one request work at a time; the others wait in the order in which they came."""

  def __init__(self, what: str) -> None:
    self._lock = asyncio.Lock()
    self._waiting = 0
    self._what = what

  async def take(self, request: Request, work: Callable[[threading.Event], bytes]) -> Response:
    """Does the work in a thread when its turn comes. Raises HTTPException.

    Args:
      request: whose body has been read. When its client goes, the work is told to stop.
      work: gives a JSON document; called with what is set when it is to stop.
    """
    if self._waiting >= _MOST_WAITING:
      raise HTTPException(503, f"{self._waiting} {self._what} are waiting already; try again later")
    gone = asyncio.ensure_future(_disconnect(request))
    self._waiting += 1
    try:
      if not await self._acquire(gone):
        return Response(status_code=_CLOSED)
      try:
        return await _work(gone, work)
      finally:
        self._lock.release()
    finally:
      self._waiting -= 1
      gone.cancel()

  async def _acquire(self, gone: asyncio.Future[None]) -> bool:
    """Waits for the turn; False where the client went before it came."""
    turn = asyncio.ensure_future(self._lock.acquire())
    await _first(turn, gone)
    if turn.done():
      return True
    turn.cancel()
    with contextlib.suppress(asyncio.CancelledError):
      if await turn:
        self._lock.release()
    return False


async def _first(*futures: asyncio.Future[Any]) -> None:
  """Waits until one of them is done."""
  await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _disconnect(request: Request) -> None:
  while (await request.receive())["type"] != "http.disconnect":
    pass


async def _work(gone: asyncio.Future[None], work: Callable[[threading.Event], bytes]) -> Response:
  stop = threading.Event()
  thread = asyncio.ensure_future(asyncio.to_thread(work, stop))
  try:
    await _first(thread, gone)
    if not thread.done():
      stop.set()
    return Response(await thread, media_type="application/json")
  except StoppedError:
    return Response(status_code=_CLOSED)
  except NotAnsweredError as error:
    raise HTTPException(422, str(error)) from error
  except RuntimeError as error:
    raise HTTPException(500, str(error)) from error
  finally:
    stop.set()


def make_app(
  answerer: Answerer, statements: Statements, schema: Schema, address: Address
) -> Starlette:
  """The application.

  Args:
    answerer: of questions. statements: runs what is typed.
    schema: what the page shows of the database. address: where it will be served.
  """
  questions, queries = _Turn("questions"), _Turn("statements")
  templates = Jinja2Templates(
    env=jinja2.Environment(
      loader=jinja2.FileSystemLoader(_HERE / "templates"),
      autoescape=True,
      undefined=jinja2.StrictUndefined,
      trim_blocks=True,
      lstrip_blocks=True,
    )
  )
  tables = schema_record(schema)

  async def page(request: Request) -> Response:
    if request.scope.get("needs_token"):
      refused = "token" in request.query_params
      return templates.TemplateResponse(request, "token.html", {"refused": refused}, 401)
    shown = {
      "schema": schema,
      "longest_question": LONGEST_QUESTION,
      "max_rows": statements.max_rows,
      "timeout_s": statements.timeout_s,
    }
    return templates.TemplateResponse(request, "page.html", shown)

  async def tell_schema(request: Request) -> Response:
    return JSONResponse(tables)

  async def ask(request: Request) -> Response:
    question = await _text(request, "question", LONGEST_QUESTION)

    def work(stop: threading.Event) -> bytes:
      return _bytes(answer_record(answerer.answer(question, stop)))

    return await questions.take(request, work)

  async def run(request: Request) -> Response:
    sql = await _text(request, "sql", LONGEST_SQL)

    def work(stop: threading.Event) -> bytes:
      return _bytes({"result": result_record(statements.run(sql, stop))})

    return await queries.take(request, work)

  return Starlette(
    routes=[
      Route("/", page),
      Mount("/static", StaticFiles(directory=_HERE / "static")),
      Route("/api/schema", tell_schema),
      Route("/api/ask", ask, methods=["POST"]),
      Route("/api/run", run, methods=["POST"]),
    ],
    middleware=[Middleware(Guard, address=address)],
    exception_handlers={HTTPException: _tell, Exception: _tell},
    max_body_size=_LARGEST_BODY,
  )


def answer_record(answered: Answered) -> dict[str, Any]:
  """An answer as the page reads it."""
  record = dataclasses.asdict(dataclasses.replace(answered, result=None))
  result = answered.result
  return record | {
    "agreement": answered.agreement,
    "result": result_record(result) if result is not None else None,
  }


async def _text(request: Request, field: str, longest: int) -> str:
  """The text that a request brings in a field of its JSON body. Raises HTTPException."""
  kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
  if kind != "application/json":
    # Also what a form of another page could send without asking first.
    raise HTTPException(415, "the body must be application/json")
  try:
    body = json.loads(await request.body())
  except (ValueError, RecursionError) as error:
    raise HTTPException(400, "the body is not JSON") from error
  text = body.get(field) if isinstance(body, dict) else None
  if not isinstance(text, str) or not any(map(str.isalnum, text)):
    raise HTTPException(400, f"no {field} given")
  if len(text) > longest:
    raise HTTPException(413, f"the {field} has {len(text):,} characters, more than {longest:,}")
  try:
    text.encode()
  except UnicodeEncodeError as error:
    raise HTTPException(400, f"the {field} has half a character") from error
  return text


def _bytes(record: object) -> bytes:
  return json.dumps(record, separators=(",", ":")).encode()


async def _tell(request: Request, error: Exception) -> Response:
  """What is said of a failure: what is known where it was foreseen, else its kind alone."""
  if isinstance(error, HTTPException):
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
  return JSONResponse({"error": f"the server failed ({type(error).__name__})"}, 500)
