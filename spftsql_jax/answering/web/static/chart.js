// A chart of a result of two columns: bars of (category, number), a line of (date, number).
import {drawn, element} from "./dom.js";

const MOST_BARS = 40;
const MOST_POINTS = 5000;
const WIDEST = 900, HEIGHT = 280, LEFT = 56, RIGHT = 20, TOP = 12, BOTTOM = 30;

// What can be drawn: {kind, label, value, points}, or null.
export function chartOf({status, columns, kinds, rows}) {
  if (status !== "ok" || columns.length !== 2 || rows.length < 2) return null;
  const value = kinds[1] === "number" ? 1 : kinds[0] === "number" ? 0 : -1;
  if (value < 0 || kinds[1 - value] === "number") return null;
  const label = 1 - value;
  const points = rows.filter((row) => row[value] !== null && Number.isFinite(Number(row[value])))
    .map((row) => ({label: row[label] === null ? "NULL" : String(row[label]), value: Number(row[value]), text: String(row[value])}));
  if (points.length < 2) return null;
  const names = {label: columns[label], value: columns[value]};
  if (kinds[label] === "date") {
    const dated = points.map((point) => ({...point, at: Date.parse(point.label.replace(" ", "T"))}))
      .filter((point) => Number.isFinite(point.at)).sort((a, b) => a.at - b.at);
    return dated.length > 1 && dated.length <= MOST_POINTS && dated.at(-1).at > dated[0].at ?
      {kind: "line", ...names, points: dated} : null;
  }
  return points.length <= MOST_BARS ? {kind: "bar", ...names, points} : null;
}

export function drawChart(root, chart) {
  const title = element("p", {class: "chart-title"}, `${chart.value} by ${chart.label}`);
  root.replaceChildren(title, chart.kind === "bar" ? bars(chart) : line(chart, Math.min(root.clientWidth, WIDEST)));
}

function bars({points}) {
  const low = Math.min(0, ...points.map((p) => p.value)), high = Math.max(0, ...points.map((p) => p.value));
  const share = (value) => 100 * value / (high - low || 1);
  const made = element("div", {class: "bars"});
  for (const {label, value, text} of points) {
    const fill = element("div");
    fill.style.left = `${share(Math.min(0, value) - low)}%`;
    fill.style.width = `${share(Math.abs(value))}%`;
    made.append(element("div", {class: "label", title: label}, label), element("div", {class: "track"}, fill),
      element("div", {class: "value"}, text));
  }
  return made;
}

function ticks(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough);
  const first = Math.ceil(low / step);
  return Array.from({length: Math.floor(high / step + 1e-9) - first + 1}, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function line({points, value, label}, width) {
  let low = Infinity, high = -Infinity;
  for (const p of points) { low = Math.min(low, p.value); high = Math.max(high, p.value); }
  if (low > 0 && low < 0.5 * high) low = 0;
  if (low === high) { low -= 1; high += 1; }
  const begin = points[0].at, end = points.at(-1).at;
  const x = (at) => LEFT + (width - LEFT - RIGHT) * (at - begin) / (end - begin);
  const y = (v) => TOP + (HEIGHT - TOP - BOTTOM) * (high - v) / (high - low);
  const svg = drawn("svg", {viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${value} by ${label}`});
  for (const tick of ticks(low, high)) {
    svg.append(drawn("line", {class: "rule", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick)}),
      drawn("text", {x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end"},
        tick.toLocaleString("en-US", {notation: Math.abs(tick) >= 1e6 ? "compact" : "standard", maximumSignificantDigits: 6})));
  }
  const shown = [0, Math.floor(points.length / 2), points.length - 1].map((i) => points[i]);
  shown.forEach((p, i) => svg.append(drawn("text", {x: x(p.at), y: HEIGHT - 8, "text-anchor": ["start", "middle", "end"][i]},
    p.label.slice(0, 10))));
  svg.append(drawn("path", {class: "curve", d: points.map((p, i) => `${i ? "L" : "M"}${x(p.at).toFixed(1)} ${y(p.value).toFixed(1)}`).join("")}));
  if (points.length <= 60) {
    for (const p of points) {
      const dot = drawn("circle", {class: "point", cx: x(p.at), cy: y(p.value), r: 3});
      dot.append(drawn("title", {}, `${p.label}: ${p.text}`));
      svg.append(dot);
    }
  }
  return svg;
}
