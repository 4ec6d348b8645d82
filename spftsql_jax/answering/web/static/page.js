import {chartOf, drawChart} from "./chart.js";
import {byId, count, element} from "./dom.js";
import {Grid, csv, shownCell} from "./grid.js";
import {remember, showHistory} from "./history.js";
import {showSchema} from "./schema.js";

const grid = new Grid(byId("grid"), (cell) => {
  byId("cell").textContent = shownCell(cell);
  byId("cell").hidden = false;
});
let running = null;
let name = "result";
let drawn = null;

// Sends a request and shows that it is under way; a new one, or Stop, gives up the one before.
async function send(path, body, doing) {
  running?.abort();
  const mine = running = new AbortController();
  byId("message").hidden = true;
  byId("doing").textContent = doing;
  byId("progress").hidden = false;
  try {
    const answer = await fetch(path, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), signal: mine.signal,
    });
    const record = await answer.json().catch(() => ({error: `the server answered ${answer.status}`}));
    if (mine !== running) return null;
    if (!answer.ok) throw new Error(record.error || `the server answered ${answer.status}`);
    return record;
  } catch (error) {
    if (mine !== running) return null;
    tell(error.name === "AbortError" ? "Stopped." :
      error instanceof TypeError ? "The server does not answer; is it still running?" : error.message);
    return null;
  } finally {
    if (mine === running) {
      running = null;
      byId("progress").hidden = true;
    }
  }
}

function tell(message) {
  byId("message").textContent = message;
  byId("message").hidden = false;
}

async function ask(question) {
  byId("question").value = question;
  byId("answer").hidden = byId("result").hidden = true;
  const answer = await send("/api/ask", {question}, "The model is writing SQL …");
  if (!answer) return;
  name = question;
  remember(question, ask);
  showTrust(question, answer);
  showSql(answer.sql);
  if (answer.result) showResult(answer.result);
}

function showTrust(question, {agreement, votes, samples, doubts, missing}) {
  byId("asked").textContent = question;
  byId("answer").hidden = false;
  byId("trust").hidden = agreement === null && !missing.length && !doubts.length;
  document.querySelector(".share").hidden = agreement === null;
  byId("fill").style.width = `${100 * agreement}%`;
  byId("agreement").textContent = `${Math.round(100 * agreement)} % agreement: ${votes} of ${samples} answers give this result`;
  byId("unknown").hidden = !doubts.length;
  byId("doubts").replaceChildren(...doubts.map((why) => element("li", {}, why)));
  byId("missing").hidden = !missing.length;
  byId("words").textContent = missing.join(", ");
}

function showSql(sql) {
  const box = byId("sql");
  box.value = sql;
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 360)}px`;
}

async function run() {
  const sql = byId("sql").value;
  if (!sql.trim()) return byId("sql").focus();
  byId("result").hidden = true;
  const answer = await send("/api/run", {sql}, "The database is working …");
  if (!answer) return;
  // The agreement is that of the model's own statement.
  byId("answer").hidden = true;
  showResult(answer.result);
}

const failures = {
  error: "The database says", timeout: "It took too long", refused: "Refused", resource: "Too large",
};

function showResult(result) {
  if (result.status !== "ok") {
    return tell(`${failures[result.status] ?? result.status}: ${result.message || "no reason is known"}`);
  }
  byId("result").hidden = false;
  byId("cell").hidden = true;
  const time = result.seconds < 0.1 ? `${Math.max(1, Math.round(1000 * result.seconds))} ms` : `${result.seconds.toFixed(1)} s`;
  const note = result.message ? ` · ${result.message}` : "";
  byId("count").textContent = `${count(result.rows.length)} ${result.rows.length === 1 ? "row" : "rows"} · ${time}${note}`;
  const chart = chartOf(result);
  byId("tabs").hidden = !chart;
  drawn = chart;
  view(false);
  grid.show(result);
}

function view(chart) {
  byId("grid").hidden = chart;
  byId("chart").hidden = !chart;
  byId("as-table").setAttribute("aria-pressed", !chart);
  byId("as-chart").setAttribute("aria-pressed", chart);
  if (chart) byId("cell").hidden = true;
  draw();
}

// At the width that there is, so that its words keep their size.
function draw() {
  if (drawn && !byId("chart").hidden) drawChart(byId("chart"), drawn);
}

function exportCsv() {
  const url = URL.createObjectURL(new Blob(csv(grid.result, grid.order), {type: "text/csv;charset=utf-8"}));
  const file = name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "result";
  const link = element("a", {href: url, download: `${file}.csv`});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = byId("question").value.trim();
  if (question) ask(question);
});
byId("run").addEventListener("click", run);
byId("stop").addEventListener("click", () => running?.abort());
byId("sql").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
byId("as-table").addEventListener("click", () => view(false));
byId("as-chart").addEventListener("click", () => view(true));
window.addEventListener("resize", draw);
byId("export").addEventListener("click", exportCsv);
if (matchMedia("(max-width: 860px)").matches) byId("schema").open = byId("past").open = false;
showHistory(ask);
showSchema((sql) => { showSql(sql); run(); }).catch(() => tell("The tables cannot be read; is the server still running?"));
