// The tables of the database; a click on a name writes it into the SQL.
import {byId, count, element} from "./dom.js";

const SHOW_SEARCH_FROM = 8;
const LOOKED_AT = 1000;

function write(text) {
  const sql = byId("sql");
  sql.setRangeText(text, sql.selectionStart, sql.selectionEnd, "end");
  sql.focus();
}

function column({name, written, type, key, refers, comment}) {
  const button = element("button", {class: "column", type: "button", title: comment || `Write ${written}`}, name);
  button.addEventListener("click", () => write(written));
  const about = [key ? "key" : "", refers ? `→ ${refers}` : "", type.toLowerCase()].filter(Boolean).join(" · ");
  return element("li", {}, button, element("span", {class: "muted"}, about));
}

function table({name, written, rows, view, comment, columns}, onRows) {
  const sizes = element("span", {class: "muted"}, view ? "view" : count(rows));
  const made = element("details", {class: "table"}, element("summary", {}, element("span", {class: "name"}, name), sizes));
  // Its columns when it is opened: a database may have tens of thousands.
  made.addEventListener("toggle", () => {
    if (made.childElementCount > 1) return;
    if (comment) made.append(element("p", {class: "about"}, comment));
    const look = element("button", {class: "quiet", type: "button"}, "Show rows");
    look.addEventListener("click", () => onRows(`SELECT * FROM ${written} LIMIT ${LOOKED_AT}`));
    const from = element("button", {class: "quiet", type: "button", title: `Write ${written}`}, "Write name");
    from.addEventListener("click", () => write(written));
    made.append(element("ul", {}, ...columns.map(column)), element("p", {class: "do"}, look, from));
  });
  return made;
}

export async function showSchema(onRows) {
  const answer = await fetch("/api/schema");
  const {tables} = await answer.json();
  const made = tables.map((each) => ({
    node: table(each, onRows), text: [each.name, ...each.columns.map((c) => c.name)].join("\n").toLowerCase(),
  }));
  byId("tables").replaceChildren(...made.map(({node}) => node));
  const find = byId("find");
  find.hidden = tables.length < SHOW_SEARCH_FROM;
  find.addEventListener("input", () => {
    for (const {node, text} of made) node.hidden = !text.includes(find.value.trim().toLowerCase());
  });
}
