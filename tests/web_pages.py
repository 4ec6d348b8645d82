"""The page of `ask.py --serve` over a small shop, with an answerer that knows a few answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spftsql_jax.answering.web.address import Address, listen
from spftsql_jax.answering.web.answers import Answered, NotAnsweredError, Statements, StoppedError
from spftsql_jax.answering.web.app import make_app
from spftsql_jax.answering.web.serve import make_server
from spftsql_jax.databases import Executor
from spftsql_jax.databases.introspection import read_schema

MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id),
  placed_on DATE, total REAL);
INSERT INTO customers VALUES (1, 'Ann', 'Oslo'), (2, 'Bo', 'Łódź'), (3, 'Cy, "the"', NULL),
  (4, 'Di', 'Oslo'), (5, '=1+1', 'Rome');
INSERT INTO orders SELECT value, 1 + value % 5, date('2024-01-01', value || ' days'),
  20 + (value * 37) % 113 FROM generate_series(1, 60);
"""
MANY_ROWS = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
SELECT i, 'item ' || (i * 7919 % 100003) AS item, i * 7919 % 100003 AS amount FROM n"""
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
ANSWERS = {
  "How many customers are there in each city?": (
    "SELECT city, COUNT(*) AS customers\nFROM customers\nWHERE city IS NOT NULL\nGROUP BY city\n"
    "ORDER BY customers DESC"
  ),
  "What is the total of orders each day?": (
    "SELECT placed_on, SUM(total) AS total\nFROM orders\nGROUP BY placed_on\nORDER BY placed_on"
  ),
  "List all customers": "SELECT id, name, city FROM customers",
  "Give me everything": MANY_ROWS,
}


class StubAnswerer:
  """Answers from a table, runs what it answers, and tells how many ask it at once.

  Attributes:
    most: of the questions that were being answered at once. stopped: questions given up.
  """

  def __init__(self, statements: Statements):
    self._statements = statements
    self._now = 0
    self.most = 0
    self.stopped: list[str] = []
    self.answered: list[str] = []

  def answer(self, question: str, stop: threading.Event) -> Answered:
    """As `Answerer` says."""
    self._now += 1
    self.most = max(self.most, self._now)
    try:
      if question.startswith("Delete"):
        raise NotAnsweredError("Only questions are answered ('delete' asks for a change).")
      if question.startswith("Fail"):
        raise KeyError("a secret of the server")
      if question.startswith("Slow") and stop.wait(0.3 if question == "Slow" else 20.0):
        self.stopped.append(question)
        raise StoppedError
      self.answered.append(question)
      sql = ANSWERS.get(question)
      if sql is None:
        doubts = ("only 2 of 8 answers give the same result",)
        words = tuple(w for w in question.split() if w.lower() not in ("how", "many", "customers"))
        return Answered("SELECT 42", None, 2, 8, doubts, words)
      return Answered(sql, self._statements.run(sql, stop), 7, 8)
    finally:
      self._now -= 1


class Page:
  """A server of the page, and requests to it as any program may send them."""

  def __init__(self, port: int, answerer: StubAnswerer, executor: Executor):
    self.port = port
    self.answerer = answerer
    self.executor = executor
    self.url = f"http://127.0.0.1:{port}"

  def request(
    self,
    method: str,
    path: str,
    body: object = None,
    headers: dict[str, str] | None = None,
    host: str | None = None,
  ) -> tuple[int, Any, http.client.HTTPMessage]:
    """Status, body (JSON read) and headers of an answer.

    Args:
      body: sent as JSON; bytes as they are. host: the Host header; "" for none.
    """
    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
    sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.putrequest(method, path, skip_host=True)
    if host != "":
      connection.putheader("Host", host or f"127.0.0.1:{self.port}")
    given = {"Content-Type": "application/json"} if body is not None else {}
    for name, value in (given | (headers or {})).items():
      connection.putheader(name, value)
    if sent is not None:
      connection.putheader("Content-Length", str(len(sent)))
    connection.endheaders(sent)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(text) if is_json else text.decode(), answer.headers

  def post(self, path: str, **body: object) -> tuple[int, Any]:
    """Status and record of the answer to a JSON body."""
    return self.request("POST", path, body)[:2]


@contextlib.contextmanager
def served(folder: Path, address: Address | None = None, timeout_s: float = 5.0) -> Iterator[Page]:
  """Serves the page over a new shop in `folder`."""
  path = folder / "shop.sqlite"
  if not path.exists():
    with contextlib.closing(sqlite3.connect(path)) as connection:
      rows = ", ".join(f"({i})" for i in range(1, 61))
      series = f"(SELECT column1 AS value FROM (VALUES {rows}))"
      connection.executescript(TABLES.replace("generate_series(1, 60)", series))
      connection.execute("INSERT INTO customers VALUES (6, ?, 'Rome')", (MARKUP,))
      connection.commit()
  address = address or Address("127.0.0.1", 0)
  with Executor(workers=1) as executor:
    statements = Statements(str(path), executor, timeout_s, 100_000)
    # Its own executor, as the model's answers have.
    with Executor(workers=1) as of_answers:
      answerer = StubAnswerer(Statements(str(path), of_answers, timeout_s, 100_000))
      listening = listen(address)
      server = make_server(make_app(answerer, statements, read_schema(str(path)), address))
      thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
      thread.start()
      while not server.started:
        time.sleep(0.01)
      try:
        yield Page(listening.getsockname()[1], answerer, executor)
      finally:
        server.should_exit = True
        thread.join(10)
