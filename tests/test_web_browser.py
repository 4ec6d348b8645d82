"""The page of `ask.py --serve` in headless Chromium, as its users have it."""

from __future__ import annotations

import csv
import io
import time

import pytest
from browser import CHROMIUM, Browser
from web_pages import ANSWERS, FOREVER, MANY_ROWS, MARKUP, served

from spftsql_jax.answering.web.address import Address

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to open the page with")

BY_CITY, BY_DAY, CUSTOMERS, EVERYTHING = ANSWERS
SHOWN = "document.getElementById({!r}).hidden === false"
TEXT = "document.getElementById({!r}).textContent"
CELLS = """[...document.querySelectorAll('.row')]
  .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
  .map(row => [...row.children].map(cell => cell.textContent))"""
DONE = "document.getElementById('progress').hidden"
# What the page hands over for download, as text.
DOWNLOAD = """(async () => {
  const made = URL.createObjectURL; let blob, file;
  URL.createObjectURL = (given) => { blob = given; return made.call(URL, given); };
  const click = HTMLAnchorElement.prototype.click;
  HTMLAnchorElement.prototype.click = function () { file = this.download; };
  document.getElementById('export').click();
  URL.createObjectURL = made; HTMLAnchorElement.prototype.click = click;
  return [file, await blob.text()];
})()"""
# Elements that stand out of the page to the right, those inside what scrolls left out.
OUTSIDE = """[...document.querySelectorAll('body *')].filter(node => !node.closest('.grid, #tables')
  && node.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(node => node.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
  with served(tmp_path_factory.mktemp("shop"), timeout_s=20.0) as page:
    yield page


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
  with Browser(tmp_path_factory.mktemp("profile")) as browser:
    yield browser


@pytest.fixture
def browser(chromium, page):
  chromium.size(1280)
  chromium.open(page.url)
  chromium.run("localStorage.clear()")
  chromium.open(page.url)
  chromium.wait("document.querySelectorAll('.table').length === 2")
  yield chromium
  assert chromium.run("document.title") == "Ask shop"


def ask(browser, question):
  browser.run(
    f"document.getElementById('question').value = {question!r};"
    "document.getElementById('send').click()"
  )
  browser.wait(DONE)


def run_sql(browser, sql):
  browser.run(
    f"document.getElementById('sql').value = {sql!r}; document.getElementById('run').click()"
  )
  browser.wait(DONE)


def test_a_question_gives_sql_agreement_and_a_table(browser):
  ask(browser, BY_CITY)
  assert browser.run("document.getElementById('sql').value") == ANSWERS[BY_CITY]
  assert browser.run(TEXT.format("agreement")).startswith("88 % agreement: 7 of 8 answers")
  assert sorted(browser.run(CELLS)) == [["Oslo", "2"], ["Rome", "2"], ["Łódź", "1"]]
  assert browser.run(TEXT.format("count")).startswith("3 rows")
  assert not browser.run(SHOWN.format("unknown"))
  assert browser.messages == []


def test_a_model_that_does_not_know_says_which_words_it_lacks(browser):
  ask(browser, "How many zebras")
  assert browser.run(SHOWN.format("unknown"))
  assert browser.run(TEXT.format("doubts")) == "only 2 of 8 answers give the same result"
  assert browser.run(TEXT.format("words")) == "zebras"
  assert not browser.run(SHOWN.format("result"))
  assert browser.run("document.getElementById('sql').value") == "SELECT 42"


def test_the_sql_can_be_edited_and_run_again(browser):
  ask(browser, BY_CITY)
  run_sql(browser, "SELECT COUNT(*) AS n FROM orders")
  assert browser.run(CELLS) == [["60"]]
  # The agreement was that of another statement.
  assert not browser.run(SHOWN.format("answer"))
  browser.run(
    "document.getElementById('sql').value = 'SELECT 1 + 1';"
    "document.getElementById('sql').dispatchEvent(new KeyboardEvent('keydown', "
    "{key: 'Enter', ctrlKey: true, bubbles: true}))"
  )
  browser.wait(DONE)
  assert browser.run(CELLS) == [["2"]]


def test_a_click_sorts_up_down_and_back_with_null_last(browser):
  ask(browser, CUSTOMERS)
  click = "document.querySelectorAll('.head button')[{}].click()"
  cities = f"{CELLS}.map(row => row[2])"
  browser.run(click.format(2))
  # Ł stands among the letters, not behind them.
  assert browser.run(cities) == ["Łódź", "Oslo", "Oslo", "Rome", "Rome", "NULL"]
  browser.run(click.format(2))
  assert browser.run(cities) == ["Rome", "Rome", "Oslo", "Oslo", "Łódź", "NULL"]
  browser.run(click.format(2))
  assert browser.run(f"{CELLS}.map(row => row[0])") == list("123456")
  browser.run(click.format(0) + ";" + click.format(0))
  assert browser.run(f"{CELLS}.map(row => row[0])") == list("654321")


def test_the_export_is_what_a_reader_of_csv_reads_back(browser):
  ask(browser, CUSTOMERS)
  browser.run("for (let i = 0; i < 2; i++) document.querySelector('.head button').click()")
  file, text = browser.run(DOWNLOAD)
  assert file == "List-all-customers.csv"
  assert list(csv.reader(io.StringIO(text, newline=""))) == [
    ["id", "name", "city"],
    ["6", MARKUP, "Rome"],
    ["5", "=1+1", "Rome"],
    ["4", "Di", "Oslo"],
    ["3", 'Cy, "the"', ""],
    ["2", "Bo", "Łódź"],
    ["1", "Ann", "Oslo"],
  ]


def test_a_failing_statement_says_what_the_database_says(browser):
  run_sql(browser, "SELECT nope FROM customers")
  assert browser.run(TEXT.format("message")) == "The database says: no such column: nope"
  run_sql(browser, "DROP TABLE customers")
  assert browser.run(TEXT.format("message")).startswith("Refused: ")
  run_sql(browser, "SELECT '" + "x" * 101_000 + "'")
  assert "more than 100,000" in browser.run(TEXT.format("message"))
  run_sql(browser, "SELECT 1")
  assert browser.run("document.getElementById('message').hidden") is True


def test_100_000_rows_scroll_sort_and_export_without_waiting(browser):
  begin = time.monotonic()
  ask(browser, EVERYTHING)
  assert browser.run(TEXT.format("count")).startswith("100,000 rows")
  assert time.monotonic() - begin < 20
  assert browser.run("document.querySelectorAll('.row').length") < 60
  moved = browser.run("""(async () => {
    const grid = document.getElementById('grid'), frame = () => new Promise(requestAnimationFrame);
    let longest = 0;
    for (let i = 1; i <= 20; i++) {
      const before = performance.now();
      grid.scrollTop = i * grid.scrollHeight / 20;
      await frame(); await frame();
      longest = Math.max(longest, performance.now() - before);
    }
    const rows = [...document.querySelectorAll('.row')];
    return [longest, Math.max(...rows.map(row => +row.firstChild.textContent))];
  })()""")
  assert moved[1] == 100_000 and moved[0] < 500
  seconds = browser.run("""(() => {
    const before = performance.now();
    for (const button of document.querySelectorAll('.head button')) button.click();
    return (performance.now() - before) / 1000;
  })()""")
  assert seconds < 5
  rows = list(csv.reader(io.StringIO(browser.run(DOWNLOAD)[1], newline="")))
  assert len(rows) == 100_001
  amounts = [int(row[2]) for row in rows[1:]]
  assert amounts == sorted(amounts) and len({row[0] for row in rows[1:]}) == 100_000
  assert browser.run(f"{CELLS}.map(row => +row[2])")[:9] == amounts[:9]


@pytest.mark.parametrize(
  "question", [MARKUP, "How many customers'; DROP TABLE customers; --", "\u202eabc " + "W" * 900]
)
def test_a_hostile_question_is_only_text(browser, question):
  ask(browser, question)
  assert browser.run(TEXT.format("asked")) == question.strip()
  assert (
    browser.run("document.querySelectorAll('#history button')[0].textContent") == question.strip()
  )
  assert browser.run("document.querySelectorAll('img, main script').length") == 0
  assert browser.run(OUTSIDE) == []
  run_sql(browser, "SELECT COUNT(*) FROM customers")
  assert browser.run(CELLS) == [["6"]]


def test_hostile_cells_and_column_names_are_only_text(browser):
  name = MARKUP.replace('"', "")
  run_sql(browser, f'SELECT name AS "{name}" FROM customers WHERE id = 6')
  assert browser.run(CELLS) == [[MARKUP]]
  browser.run("document.querySelector('.cell').click()")
  assert browser.run(TEXT.format("cell")) == MARKUP
  assert browser.run("document.querySelectorAll('img, main script').length") == 0
  run_sql(browser, f'SELECT name AS "{name}", id FROM customers WHERE id > 4')
  browser.run("document.getElementById('as-chart').click()")
  assert browser.run("document.querySelectorAll('.bars .label')[1].textContent") == MARKUP
  assert browser.messages == []


def test_the_policy_stops_a_script_that_got_in(browser):
  # Trusted types: the page cannot make markup of text, and neither can what gets in.
  blocked = """(() => {
    try { document.body.innerHTML = '<p>x</p>'; return 'made'; }
    catch (error) { return error.name; }
  })()"""
  assert browser.run(blocked) == "TypeError"
  browser.run(
    "{const s = document.createElement('img'); s.src = 'http://127.0.0.1:9/x.png';"
    "document.body.append(s)}"
  )
  browser.wait("true")
  assert any("Content Security Policy" in m for m in browser.messages), browser.messages


def test_bars_and_lines_are_drawn_where_the_result_is_such(browser):
  ask(browser, BY_CITY)
  browser.run("document.getElementById('as-chart').click()")
  widths = browser.run(
    "[...document.querySelectorAll('.bars .track div')].map(n => n.getBoundingClientRect().width)"
  )
  assert widths[0] == widths[1] == pytest.approx(2 * widths[2], rel=0.01)
  ask(browser, BY_DAY)
  assert browser.run("document.getElementById('chart').hidden")
  browser.run("document.getElementById('as-chart').click()")
  assert browser.run("document.querySelectorAll('svg .point').length") == 60
  assert "NaN" not in browser.run("document.querySelector('svg .curve').getAttribute('d')")
  ask(browser, CUSTOMERS)
  assert browser.run("document.getElementById('tabs').hidden")
  run_sql(browser, "SELECT id, id * 2 FROM customers")
  assert browser.run("document.getElementById('tabs').hidden")


def test_tables_show_their_columns_and_write_their_names(browser):
  assert browser.run("[...document.querySelectorAll('.table .name')].map(n => n.textContent)") == [
    "customers",
    "orders",
  ]
  browser.run("document.querySelectorAll('.table')[1].open = true")
  browser.wait("document.querySelectorAll('.column').length === 4")
  assert "→ customers.id" in browser.run("document.querySelectorAll('.table')[1].textContent")
  browser.run("document.querySelectorAll('.column')[3].click()")
  assert browser.run("document.getElementById('sql').value") == "total"
  browser.run("document.querySelector('.do button').click()")
  browser.wait(f"{DONE} && {SHOWN.format('result')}")
  assert browser.run(TEXT.format("count")).startswith("60 rows")


def test_the_history_is_kept_asked_again_and_cleared(browser, page):
  ask(browser, CUSTOMERS)
  ask(browser, BY_CITY)
  ask(browser, CUSTOMERS)
  browser.open(page.url)
  asked = "[...document.querySelectorAll('#history button')].map(n => n.textContent)"
  browser.wait(f"{asked}.length > 0")
  assert browser.run(asked) == [CUSTOMERS, BY_CITY]
  browser.run("document.querySelectorAll('#history button')[1].click()")
  browser.wait(f"{DONE} && {SHOWN.format('result')}")
  assert browser.run(asked) == [BY_CITY, CUSTOMERS]
  browser.run("document.getElementById('forget').click()")
  assert browser.run(asked) == []


def test_stop_gives_a_query_up(browser, page):
  browser.run(
    f"document.getElementById('sql').value = {FOREVER!r}; document.getElementById('run').click()"
  )
  time.sleep(0.5)
  assert browser.run(SHOWN.format("progress"))
  [pid] = page.executor.worker_pids()
  browser.run("document.getElementById('stop').click()")
  browser.wait(DONE)
  assert browser.run(TEXT.format("message")) == "Stopped."
  begin = time.monotonic()
  run_sql(browser, "SELECT 3")
  assert browser.run(CELLS) == [["3"]] and time.monotonic() - begin < 10
  assert pid not in page.executor.worker_pids()


@pytest.mark.parametrize(
  ("width", "dark"), [(1280, False), (1280, True), (390, True), (320, False)]
)
def test_nothing_stands_out_of_the_page_at_any_width(browser, page, width, dark):
  browser.size(width, dark=dark)
  browser.open(page.url)
  browser.wait("document.querySelectorAll('.table').length === 2")
  background = browser.run("getComputedStyle(document.body).backgroundColor")
  assert (background == "rgb(20, 22, 26)") == dark
  for question in (BY_CITY, BY_DAY, CUSTOMERS, EVERYTHING, "How many zebras " + "z" * 300):
    ask(browser, question)
    browser.run("document.getElementById('as-chart').click()")
    assert browser.run(OUTSIDE) == []
    browser.run("document.getElementById('as-table').click()")
    for panel in ("schema", "past"):
      browser.run(f"document.getElementById({panel!r}).open = true")
    browser.run("document.querySelectorAll('.table').forEach(node => { node.open = true; })")
    assert browser.run(OUTSIDE) == []
  run_sql(browser, MANY_ROWS.replace("SELECT i,", "SELECT i, " + ", ".join(["i"] * 40) + ","))
  assert browser.run(OUTSIDE) == []
  # Head and rows move and stand together, however wide.
  browser.run("document.getElementById('grid').scrollLeft = 1e6")
  apart = browser.run("""(() => {
    const x = (node) => node.getBoundingClientRect().left;
    const row = document.querySelector('.row').children;
    const head = [...document.querySelectorAll('.head > div')];
    return [head.length, Math.max(...head.map((node, i) => Math.abs(x(node) - x(row[i]))))];
  })()""")
  assert apart[0] == 43 and apart[1] < 1
  assert browser.messages == []


def test_the_token_is_asked_for_once(chromium, tmp_path):
  token = "correct horse & battery"
  with served(tmp_path, Address("127.0.0.1", 0, token)) as page:
    chromium.size(390)
    chromium.open(page.url)
    assert chromium.run("document.title") == "Token needed"
    enter = "document.querySelector('input').value = {!r}; document.querySelector('button').click()"
    chromium.run(enter.format("wrong"))
    chromium.wait("document.body.textContent.includes('That is not the token')")
    assert chromium.run(OUTSIDE) == []
    chromium.run(enter.format(token))
    chromium.wait("document.querySelectorAll('.table').length === 2")
    assert chromium.run("location.href") == f"{page.url}/"
    ask(chromium, BY_CITY)
    assert len(chromium.run(CELLS)) == 3
