"""The server of `ask.py --serve` without a browser: who may ask, limits, turns and stops."""

from __future__ import annotations

import datetime
import decimal
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from web_pages import ANSWERS, FOREVER, MANY_ROWS, served

from spftsql_jax.answering import known_words, vote
from spftsql_jax.answering.one_question import Asking
from spftsql_jax.answering.predict import Prediction, PromptDatabase
from spftsql_jax.answering.schema_choice import SchemaChooser
from spftsql_jax.answering.web import model_answerer
from spftsql_jax.answering.web.address import Address
from spftsql_jax.answering.web.answers import NotAnsweredError, StoppedError
from spftsql_jax.answering.web.cells import result_record
from spftsql_jax.databases import Executor
from spftsql_jax.databases.execution.results import Result

ASK = Path(__file__).resolve().parents[1] / "experiments" / "ask.py"
TOKEN = "correct-horse-battery"
QUESTION = next(iter(ANSWERS))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
  with served(tmp_path_factory.mktemp("shop")) as page:
    yield page


@pytest.fixture(scope="module")
def closed_page(tmp_path_factory):
  with served(tmp_path_factory.mktemp("closed"), Address("0.0.0.0", 0, TOKEN)) as page:
    yield page


def wait_for(condition, seconds=10.0):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "never"
    time.sleep(0.02)


def test_an_answer_has_sql_agreement_and_result(page):
  status, answer = page.post("/api/ask", question=QUESTION)
  assert status == 200
  assert answer["sql"] == ANSWERS[QUESTION]
  assert (answer["votes"], answer["samples"], answer["agreement"]) == (7, 8, 0.875)
  assert answer["result"]["columns"] == ["city", "customers"]
  assert answer["result"]["kinds"] == ["text", "number"]
  assert sorted(answer["result"]["rows"]) == [["Oslo", 2], ["Rome", 2], ["Łódź", 1]]


def test_an_answer_that_is_not_known_has_reasons_and_no_result(page):
  _, answer = page.post("/api/ask", question="How many zebras")
  assert answer["result"] is None
  assert answer["doubts"] and answer["missing"] == ["zebras"]


def test_the_schema_names_tables_keys_and_what_they_refer_to(page):
  _, schema, _ = page.request("GET", "/api/schema")
  tables = {table["name"]: table for table in schema["tables"]}
  columns = {column["name"]: column for column in tables["orders"]["columns"]}
  assert tables["orders"]["rows"] == 60
  assert columns["id"]["key"] and columns["customer_id"]["refers"] == "customers.id"


@pytest.mark.parametrize(
  ("sql", "status"),
  [
    ("DELETE FROM customers", "refused"),
    ("SELECT 1; DROP TABLE customers", "refused"),
    ("ATTACH 'other.sqlite' AS other", "refused"),
    ("SELECT load_extension('x')", "refused"),
    ("PRAGMA writable_schema = 1", "refused"),
    ("SELECT nope FROM customers", "error"),
    ("WITH c AS (SELECT 1) INSERT INTO customers SELECT 9, 'x', 'y' FROM c", "refused"),
    (MANY_ROWS.replace("100000", "100001"), "resource"),
    ("SELECT zeroblob(900000000)", "resource"),
  ],
)
def test_hostile_sql_changes_nothing_and_says_why(page, sql, status):
  done, answer = page.post("/api/run", sql=sql)
  assert done == 200
  result = answer["result"]
  assert (result["status"], result["rows"]) == (status, [])
  assert result["message"]
  _, after = page.post("/api/run", sql="SELECT COUNT(*) FROM customers")
  assert after["result"]["rows"] == [[6]]


def test_a_statement_has_a_time_limit(tmp_path):
  with served(tmp_path, timeout_s=0.5) as page:
    begin = time.monotonic()
    _, answer = page.post("/api/run", sql=FOREVER)
    assert answer["result"]["status"] == "timeout"
    assert time.monotonic() - begin < 4


@pytest.mark.parametrize(
  ("path", "body", "headers", "status"),
  [
    ("/api/ask", b"{", {}, 400),
    ("/api/ask", b"[" * 200_000, {}, 400),
    ("/api/ask", b"\xff\xfe", {}, 400),
    ("/api/ask", [], {}, 400),
    ("/api/ask", {}, {}, 400),
    ("/api/ask", {"question": 7}, {}, 400),
    ("/api/ask", {"question": " ?! "}, {}, 400),
    ("/api/ask", b'{"question": "a \\ud800 b"}', {}, 400),
    ("/api/ask", {"question": "a" * 2_001}, {}, 413),
    ("/api/run", {"sql": "a" * 100_001}, {}, 413),
    ("/api/run", b" " * 600_000, {}, 413),
    ("/api/run", {"sql": "SELECT 1"}, {"Content-Type": "text/plain"}, 415),
    ("/api/run", {"sql": "SELECT 1"}, {"Content-Type": "multipart/form-data"}, 415),
    ("/api/ask", {"question": "Delete all customers"}, {}, 422),
    ("/api/nothing", {"sql": "SELECT 1"}, {}, 404),
    ("/static/../app.py", {}, {}, 405),
  ],
)
def test_a_bad_request_gets_one_word_of_why(page, path, body, headers, status):
  got, answer, _ = page.request("POST", path, body, headers)
  assert got == status
  assert len(answer["error"] if isinstance(answer, dict) else answer) < 200


@pytest.mark.parametrize(
  "path",
  ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fvote.py", "/static//etc"],
)
def test_nothing_but_the_pages_own_files_is_served(page, path):
  assert page.request("GET", path)[0] == 404


def test_a_failure_of_the_server_keeps_its_secrets(page):
  status, answer = page.post("/api/ask", question="Fail")
  assert status == 500 and "KeyError" in answer["error"]
  assert "secret" not in answer["error"]
  assert page.post("/api/ask", question=QUESTION)[0] == 200


@pytest.mark.parametrize(
  ("host", "status"),
  [
    ("127.0.0.1:8000", 200),
    ("localhost:9000", 200),
    ("LOCALHOST", 200),
    ("[::1]:8000", 200),
    ("", 400),
    ("evil.example", 421),
    ("evil.example:8000", 421),
    ("127.0.0.1.evil.example", 421),
    ("localhost.evil.example", 421),
    ("localhost@evil.example", 421),
    ("192.168.1.5:8000", 421),
    ("[::1", 421),
    (" ", 421),
  ],
)
@pytest.mark.parametrize("path", ["/", "/api/schema", "/static/page.js"])
def test_a_request_must_name_the_server_by_its_own_name(page, host, status, path):
  assert page.request("GET", path, host=host)[0] == status


@pytest.mark.parametrize(
  ("headers", "status"),
  [
    ({}, 200),
    ({"Origin": "http://127.0.0.1:PORT"}, 200),
    ({"Origin": "http://127.0.0.1:PORT", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": "http://127.0.0.1:1"}, 403),
    ({"Origin": "http://localhost:PORT"}, 403),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 403),
  ],
)
def test_requests_of_other_pages_are_refused(page, headers, status):
  sent = {name: value.replace("PORT", str(page.port)) for name, value in headers.items()}
  assert page.request("POST", "/api/run", {"sql": "SELECT 1"}, sent)[0] == status


def test_a_link_elsewhere_may_open_the_page_and_nothing_else(page):
  link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
  assert page.request("GET", "/", headers=link)[0] == 200
  assert page.request("GET", "/api/schema", headers=link)[0] == 403
  assert page.request("GET", "/", headers=link | {"Sec-Fetch-Mode": "no-cors"})[0] == 403


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/api/schema", "/nothing"])
def test_every_answer_forbids_what_is_not_its_own(page, path):
  _, _, headers = page.request("GET", path)
  policy = headers["Content-Security-Policy"]
  assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
  assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
  assert headers["X-Content-Type-Options"] == "nosniff"
  assert headers["X-Frame-Options"] == "DENY"
  assert "server" not in headers and "access-control-allow-origin" not in headers


def test_the_page_loads_nothing_from_elsewhere_and_has_no_script_of_its_own_inside():
  folder = Path(model_answerer.__file__).parent
  files = [*folder.glob("templates/*"), *folder.glob("static/*")]
  assert len(files) >= 9
  for path in files:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "//" not in text.replace("// ", "").replace("a || b", ""), path
    assert not any(word in text for word in ("innerHTML", "<style", "style=", 'onclick="', "eval("))


def test_a_token_is_needed_for_everything_but_the_door(closed_page):
  status, text, _ = closed_page.request("GET", "/")
  assert status == 401 and "Token needed" in text and "<h1>Ask" not in text
  assert closed_page.request("GET", "/api/schema")[0] == 401
  assert closed_page.request("POST", "/api/run", {"sql": "SELECT 1"})[0] == 401
  assert closed_page.request("GET", "/?token=wrong")[0] == 401
  assert closed_page.request("GET", f"/api/schema?token={TOKEN}")[0] == 401
  for wrong in (
    "Bearer",
    "Bearer ",
    "Bearer x",
    f"Basic {TOKEN}",
    "Bearer łódź".encode().decode("latin-1"),
  ):
    assert closed_page.request("GET", "/api/schema", headers={"Authorization": wrong})[0] == 401


def test_a_token_opens_the_page_and_leaves_the_address(closed_page):
  status, _, headers = closed_page.request("GET", f"/?token={TOKEN}")
  assert (status, headers["Location"]) == (303, "/")
  cookie = headers["Set-Cookie"]
  assert "HttpOnly" in cookie and "SameSite=strict" in cookie and TOKEN not in cookie
  session = {"Cookie": cookie.partition(";")[0]}
  assert "<h1>Ask" in closed_page.request("GET", "/", headers=session)[1]
  assert closed_page.request("GET", "/api/schema", headers=session)[0] == 200
  program = {"Authorization": f"Bearer {TOKEN}"}
  assert closed_page.request("GET", "/api/schema", headers=program)[0] == 200


@pytest.mark.parametrize(
  ("host", "status"),
  [("192.168.1.5:80", 200), ("[fe80::1]", 200), ("localhost", 200), ("evil.example", 421)],
)
def test_an_open_address_goes_by_numbers_and_its_own_name(closed_page, host, status):
  program = {"Authorization": f"Bearer {TOKEN}"}
  assert closed_page.request("GET", "/api/schema", headers=program, host=host)[0] == status
  own = socket.gethostname()
  assert closed_page.request("GET", "/api/schema", headers=program, host=own)[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "127.0.0.1.x", ""])
def test_other_addresses_than_loopback_are_refused_without_a_token(host):
  with pytest.raises(ValueError, match="--host="):
    Address(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_token(host):
  assert Address(host, 0).is_loopback


def test_one_question_at_a_time_goes_to_the_model(page):
  page.answerer.most = 0
  threads = [
    threading.Thread(target=page.post, args=("/api/ask",), kwargs={"question": "Slow"})
    for _ in range(4)
  ]
  for thread in threads:
    thread.start()
  # What is typed need not wait for the model.
  assert page.post("/api/run", sql="SELECT 5")[1]["result"]["rows"] == [[5]]
  for thread in threads:
    thread.join()
  assert page.answerer.most == 1


def gives_up(page, path, **body):
  """Sends a request and leaves without its answer; returns what leaves."""
  connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=30)
  connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
  return connection


def test_a_stop_of_the_request_stops_the_query(tmp_path):
  with served(tmp_path, timeout_s=60.0) as page:
    page.post("/api/run", sql="SELECT 1")
    [pid] = page.executor.worker_pids()
    connection = gives_up(page, "/api/run", sql=FOREVER)
    time.sleep(0.5)
    assert page.executor.worker_pids() == [pid]
    connection.close()
    begin = time.monotonic()
    assert page.post("/api/run", sql="SELECT 2")[1]["result"]["rows"] == [[2]]
    assert time.monotonic() - begin < 10
    assert pid not in page.executor.worker_pids()


def test_a_stop_of_a_question_reaches_the_answerer_and_one_that_waits_never_begins(page):
  page.answerer.stopped.clear()
  first = gives_up(page, "/api/ask", question="Slow first")
  time.sleep(0.3)
  second = gives_up(page, "/api/ask", question="Slow second")
  time.sleep(0.3)
  second.close()
  time.sleep(0.3)
  first.close()
  wait_for(lambda: page.answerer.stopped)
  assert page.post("/api/ask", question=QUESTION)[0] == 200
  assert page.answerer.stopped == ["Slow first"]
  assert "Slow second" not in page.answerer.answered


def test_cells_travel_exactly():
  day = datetime.datetime(2024, 1, 2, 3, 4, 5)
  row = (
    (2**53, decimal.Decimal("0.10"), float("nan"), b"\x00\xff", day, True, None, "\ud800", [1]),
  )
  record = json.loads(json.dumps(result_record(Result("ok", tuple("abcdefghi"), row))))
  assert record["rows"] == [
    [
      "9007199254740992",
      "0.10",
      "nan",
      "x'00ff'",
      "2024-01-02 03:04:05",
      True,
      None,
      "\ud800",
      "[1]",
    ]
  ]
  assert record["kinds"] == [
    "number", "number", "number", "text", "date", "text", "text", "text", "text",
  ]  # fmt: skip


@pytest.fixture
def answerer(page, tmp_path, monkeypatch):
  """The answerer of a model that writes the texts it is given."""
  texts = []

  def answer(*arguments, samples, on_question, **named):
    on_question(
      0, tuple(Prediction(texts[i % len(texts)], "stop", -1.0 - i) for i in range(samples))
    )

  monkeypatch.setattr(vote, "answer_questions", answer)
  with served(tmp_path), Executor(workers=1) as executor:
    model = types.SimpleNamespace(
      generator=None,
      params=None,
      tokenizer=None,
      max_new_tokens=9,
      schemas=SchemaChooser(None, None),
    )
    database = PromptDatabase.read(str(tmp_path / "shop.sqlite"))
    made = model_answerer.ModelAnswerer(model, database, executor, Asking(max_rows=100))
    yield made, texts


def test_a_models_answers_are_voted_on(answerer):
  made, texts = answerer
  texts += ["SELECT 6", "SELECT COUNT(*) FROM customers", "SELECT 6", "SELECT 7"]
  answered = made.answer("How many customers are zebras?", threading.Event())
  assert (answered.votes, answered.samples, answered.doubts) == (6, 8, ())
  assert answered.result.rows == ((6,),) and answered.missing == ("zebras",)
  texts[:] = ["SELECT 6", "SELECT 7", "SELECT 8", "SELECT nope"]
  answered = made.answer("How many customers?", threading.Event())
  assert answered.result is None
  assert answered.doubts == ("only 2 of 8 answers give the same result",)
  texts[:] = ["SELECT nope"]
  assert "none of 8 answers ran" in made.answer("How many customers?", threading.Event()).doubts[0]
  texts[:] = ["SELECT 1"]
  assert "nothing in the database" in made.answer("asdf qwer", threading.Event()).doubts[0]
  assert known_words.asks_for_change("Delete all customers", made.database.schema) == "delete"
  with pytest.raises(NotAnsweredError, match="asks for a change"):
    made.answer("Delete all customers", threading.Event())


def test_a_stop_ends_the_queries_of_a_models_answers(answerer):
  made, texts = answerer
  texts += [FOREVER]
  stop = threading.Event()
  threading.Timer(0.5, stop.set).start()
  begin = time.monotonic()
  with pytest.raises(StoppedError):
    made.answer("How many customers?", stop)
  assert time.monotonic() - begin < 10


DRIVER = f"""
import runpy, sys, types
sys.path.insert(0, {str(ASK.parent)!r})
import launch
from spftsql_jax.answering import exported
model = types.SimpleNamespace(generator=None, params=None, tokenizer=None, max_new_tokens=9)
exported.load_exported = lambda *arguments, **named: model
sys.argv[0] = {str(ASK)!r}
launch.stopping.install()
runpy.run_path({str(ASK)!r}, run_name="__main__")
"""


def test_the_script_serves_until_it_is_told_to_end(tmp_path):
  with served(tmp_path):
    pass
  (tmp_path / "config.json").write_text("{}")
  command = [sys.executable, "-c", DRIVER, f"--model={tmp_path}", "--serve", "--port=0"]
  process = subprocess.Popen(
    [*command, f"--database={tmp_path / 'shop.sqlite'}"],
    stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
  )  # fmt: skip
  try:
    line = process.stderr.readline()
    assert line.startswith("open http://127.0.0.1:")
    port = int(line.split("/")[2].rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 143
    assert process.stderr.read() == "ask.py: terminated\n"
  finally:
    process.kill()
    process.wait()


def test_a_port_that_is_taken_is_one_line(tmp_path):
  with served(tmp_path) as page:
    (tmp_path / "config.json").write_text("{}")
    command = [sys.executable, "-c", DRIVER, f"--model={tmp_path}", "--serve"]
    done = subprocess.run(
      [*command, f"--port={page.port}", f"--database={tmp_path / 'shop.sqlite'}"],
      capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"ask.py: --host=127.0.0.1 --port={page.port}: Address already in use\n"
