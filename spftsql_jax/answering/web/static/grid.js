// A table of any number of rows, of which only those in sight are elements.
import {element} from "./dom.js";

const ROW = 30;
const AROUND = 12;
const MEASURED = 200;
const LONGEST_SHOWN = 300;

export const shownCell = (cell) => cell === null ? "NULL" : String(cell);

// Which row comes where: NULL and what is no number last, equal rows as they came.
export function sortedOrder(rows, column, kind, descending) {
  const sign = descending ? -1 : 1;
  const keys = kind === "number" ? Float64Array.from(rows, (row) => row[column] === null ? NaN : Number(row[column])) :
    rows.map((row) => row[column] === null ? null : String(row[column]));
  const none = kind === "number" ? Number.isNaN : (key) => key === null;
  const compare = kind === "number" ? (a, b) => a < b ? -1 : Number(a > b) :
    kind === "date" ? (a, b) => a < b ? -1 : Number(a > b) : new Intl.Collator("en").compare;
  return Uint32Array.from(rows.keys()).sort((i, j) => {
    const a = keys[i], b = keys[j];
    if (none(a) || none(b)) return none(a) - none(b) || i - j;
    return sign * compare(a, b) || i - j;
  });
}

// RFC 4180: what has to be quoted is, lines end in CR LF. NULL is an empty field, the empty text "".
export function csv({columns, rows}, order) {
  const quoted = (text) => /[",\r\n]|^$|^\s|\s$/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  const line = (cells) => cells.map((cell) => cell === null ? "" : quoted(String(cell))).join(",") + "\r\n";
  const parts = [line(columns)];
  for (const i of order) parts.push(line(rows[i]));
  return parts;
}

export class Grid {
  constructor(root, onCell) {
    this.root = root;
    this.head = element("div", {class: "head", role: "row"});
    this.body = element("div", {class: "body"});
    root.replaceChildren(this.head, this.body);
    root.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(root);
    this.body.addEventListener("click", ({target}) => {
      if (target.dataset.row) onCell(this.result.rows[target.dataset.row][target.dataset.column]);
    });
    this.show({columns: [], kinds: [], rows: []});
  }

  show(result) {
    this.result = result;
    this.order = Uint32Array.from(result.rows.keys());
    this.sorted = {column: -1, descending: false};
    this.widths = result.columns.map((name, column) => {
      let longest = name.length + 2;
      for (const row of result.rows.slice(0, MEASURED)) longest = Math.max(longest, shownCell(row[column]).length);
      return `minmax(calc(${Math.min(Math.max(longest, 5), 42)}ch + 26px), 1fr)`;
    }).join(" ");
    this.head.style.gridTemplateColumns = this.widths;
    this.head.replaceChildren(...result.columns.map((name, column) => {
      const button = element("button", {type: "button", title: name}, name);
      button.addEventListener("click", () => this.sort(column));
      return element("div", {class: result.kinds[column], role: "columnheader"}, button);
    }));
    this.root.setAttribute("aria-rowcount", result.rows.length + 1);
    this.body.style.height = `${result.rows.length * ROW}px`;
    this.root.scrollTo(0, 0);
    this.draw(true);
  }

  // Up, down, and as it came.
  sort(column) {
    const {column: before, descending} = this.sorted;
    const next = before !== column ? {column, descending: false} :
      descending ? {column: -1, descending: false} : {column, descending: true};
    this.sorted = next;
    const {rows, kinds} = this.result;
    this.order = next.column < 0 ? Uint32Array.from(rows.keys()) :
      sortedOrder(rows, column, kinds[column], next.descending);
    [...this.head.children].forEach((header, i) => {
      const on = i === next.column;
      header.setAttribute("aria-sort", !on ? "none" : next.descending ? "descending" : "ascending");
      const button = header.firstChild;
      if (on) button.dataset.order = next.descending ? "down" : "up";
      else delete button.dataset.order;
      button.textContent = this.result.columns[i] + (on ? next.descending ? " ↓" : " ↑" : "");
    });
    this.root.scrollTop = 0;
    this.draw(true);
  }

  draw(anew = false) {
    const first = Math.max(0, Math.floor(this.root.scrollTop / ROW) - AROUND);
    const last = Math.min(this.order.length, first + Math.ceil((this.root.clientHeight || 420) / ROW) + 2 * AROUND);
    if (!anew && first === this.first && last === this.last) return;
    this.first = first;
    this.last = last;
    const rows = [];
    for (let place = first; place < last; place++) rows.push(this.row(place));
    this.body.replaceChildren(...rows);
    // Rows stand by themselves; the widest, the head, says how far one may scroll.
    this.body.style.width = `${this.head.offsetWidth}px`;
  }

  row(place) {
    const index = this.order[place];
    const row = element("div", {class: "row", role: "row", "aria-rowindex": place + 2});
    row.style.top = `${place * ROW}px`;
    row.style.gridTemplateColumns = this.widths;
    this.result.rows[index].forEach((cell, column) => {
      const text = shownCell(cell);
      const made = element("div", {role: "gridcell"}, text.slice(0, LONGEST_SHOWN));
      made.className = `cell ${this.result.kinds[column]}${cell === null ? " null" : ""}`;
      made.dataset.row = index;
      made.dataset.column = column;
      row.append(made);
    });
    return row;
  }
}
