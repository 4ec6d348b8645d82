"""Style sheet and script of the report page. They stand in the page itself, so that it is one file
and needs no network.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1e23; --muted: #626975; --line: #e4e6ea; --soft: #f5f6f8; --track: #eceef1;
  --accent: #2b5c9e; --good: #2f7045; --bad: #b0392e; --mark: #fbe9c6; --shade: #c9cdd4;
  --c0: #7b828d; --c1: #2b5c9e; --c2: #b9571f; --c3: #3f7d4a; --c4: #7c4c9c; --c5: #92701a; --c6: #1f7d86;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --ink: #e7e9ec; --muted: #9ba2ad; --line: #2b2f36; --soft: #1b1e23; --track: #262a31;
    --accent: #82ade8; --good: #7cc493; --bad: #ee8a7e; --mark: #4d3f1c; --shade: #4a505b;
    --c0: #8f96a1; --c1: #82ade8; --c2: #e59a68; --c3: #86c692; --c4: #c39ade; --c5: #d3b35c; --c6: #6cc3cb;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 15px/1.55 -apple-system, "Segoe UI", Inter, Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif;
}
main { max-width: 1000px; margin: 0 auto; padding: 56px 24px 96px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; margin: 0 0 14px; text-wrap: balance; }
h2 { font-size: 20px; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em; margin: 0 0 4px; }
h3 { font-size: 15px; font-weight: 600; margin: 28px 0 8px; }
p { margin: 0 0 12px; max-width: 68ch; }
a { color: inherit; text-decoration-color: var(--line); text-underline-offset: 3px; }
a:hover { text-decoration-color: currentColor; }
.lead { font-size: 18px; line-height: 1.5; text-wrap: pretty; }
.muted, .about, figcaption { color: var(--muted); }
.about { font-size: 14px; margin-bottom: 18px; max-width: 84ch; text-wrap: pretty; }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 20px; font-size: 14px; color: var(--muted); }
main > section { margin-top: 64px; scroll-margin-top: 16px; }
.notes { margin: 24px 0 0; padding: 0 0 0 18px; max-width: 84ch; color: var(--muted); font-size: 14px; }
/* A shade at the edge where there is more to scroll to: its covers move with the content, the shades do not. */
.scroll {
  overflow-x: auto;
  background:
    linear-gradient(to right, var(--paper) 40%, transparent) left / 36px 100% no-repeat local,
    linear-gradient(to left, var(--paper) 40%, transparent) right / 36px 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 14px 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 14px 100% no-repeat scroll;
}
.nowrap { white-space: nowrap; }
.scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
code, pre { font: 12.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.question, .origin span, .sub, .from, li, dd, option, td, th, pre, code, .name { unicode-bidi: isolate; }

table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; text-align: left; vertical-align: middle; border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--muted); font-size: 13px; white-space: nowrap; vertical-align: bottom; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
tbody th { font-weight: 500; color: var(--ink); font-size: 14px; white-space: normal; vertical-align: middle; }
tr.best td, tr.best th { font-weight: 650; }
.name { display: block; overflow-wrap: anywhere; }
.sub { display: block; color: var(--muted); font-size: 12.5px; font-weight: 400; }
.results td.range { width: 34%; min-width: 150px; }
.results tbody th { min-width: 132px; }
@media (min-width: 641px) { .results tbody th { min-width: 215px; } }
.scale { display: flex; justify-content: space-between; }
.multiples .bars td:first-child { min-width: 110px; overflow-wrap: anywhere; }
.bars.reasons td { vertical-align: top; }
.bars.reasons td.range { width: 28%; min-width: 60px; padding-top: 14px; }
.reasons .name { color: var(--ink); }
.reasons details > summary { cursor: pointer; }
.bars td.range { width: 40%; min-width: 80px; }
td.reason { min-width: 180px; }
td.template { width: 60%; min-width: 200px; }
td.template code { overflow-wrap: anywhere; }

svg { display: block; overflow: visible; }
svg.bar { width: 100%; height: 8px; }
svg.bar .track { fill: var(--track); }
svg.bar .fill { fill: var(--c0); }
svg.bar.accent .fill { fill: var(--accent); }
.hardness svg.bar { height: 4px; margin-top: 2px; }
.hardness tbody th { min-width: 160px; }
svg.interval { width: 100%; height: 18px; }
.interval .rail { stroke: var(--line); stroke-width: 1; }
.interval .span { stroke: var(--c0); stroke-width: 2; }
.interval .dot { fill: var(--c0); stroke: var(--c0); stroke-width: 1.5; }
.interval .span.best { stroke: var(--accent); stroke-width: 2.5; }
.interval .dot.best { fill: var(--accent); stroke: var(--accent); }
.interval .dot.hollow { fill: var(--paper); }
svg.chart, svg.rounds { width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--muted); font-variant-numeric: tabular-nums; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .curve { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round; }
svg .band { stroke-width: 1; opacity: 0.3; }
svg .carry { fill: none; stroke-width: 1; stroke-dasharray: 1 4; stroke-linecap: round; }
svg .whisker { stroke-width: 1.4; opacity: 0.75; }
svg .point { stroke-width: 1.5; }
.c0 { stroke: var(--c0); fill: var(--c0); } .c1 { stroke: var(--c1); fill: var(--c1); }
.c2 { stroke: var(--c2); fill: var(--c2); } .c3 { stroke: var(--c3); fill: var(--c3); }
.c4 { stroke: var(--c4); fill: var(--c4); } .c5 { stroke: var(--c5); fill: var(--c5); }
.c6 { stroke: var(--c6); fill: var(--c6); }
svg .point.hollow { fill: var(--paper); }
svg text.t1 { fill: var(--c1); } svg text.t2 { fill: var(--c2); } svg text.t3 { fill: var(--c3); }
svg text.t4 { fill: var(--c4); } svg text.t5 { fill: var(--c5); } svg text.t6 { fill: var(--c6); }
.narrow { display: none; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 13px; margin-bottom: 4px; }
.multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: 20px 24px; }
.multiples figure { max-width: 280px; }
.multiples.large { grid-template-columns: repeat(auto-fit, minmax(min(290px, 100%), 1fr)); gap: 28px 36px; }
.multiples.large figure { max-width: 460px; }
.multiples h3 { margin-top: 0; margin-bottom: 2px; }
.stage { border-top: 1px solid var(--line); padding-top: 14px; margin-top: 22px; break-inside: avoid; }
.stage h3 { margin: 0 0 10px; }

.lineage { display: flex; gap: 12px; align-items: flex-start; }
.lineage-graph { flex: none; }
.lineage { min-width: max-content; }
.lineage > div { flex: 1; min-width: max-content; }
.lineage ol { list-style: none; margin: 0; padding: 0; }
.lineage li, .lineage .head {
  display: grid; grid-template-columns: minmax(max-content, 1fr) 64px 64px; column-gap: 8px; align-content: center;
  border-bottom: 1px solid var(--line); font-size: 14px; line-height: 19px; font-variant-numeric: tabular-nums;
}
.lineage li { height: 48px; }
.lineage .head { height: 32px; color: var(--muted); font-size: 13px; }
.lineage-graph { margin-top: 32px; }
.lineage li > * { white-space: nowrap; }
.lineage .score { text-align: right; }
.lineage .from { grid-column: 1 / -1; color: var(--muted); font-size: 12.5px; }
.descent { fill: none; stroke: var(--c0); stroke-width: 1.6; }
.played { fill: none; stroke: var(--c2); stroke-width: 1.2; stroke-dasharray: 3 3; }
.version { fill: var(--paper); stroke: var(--c0); stroke-width: 2; }
.version.best { fill: var(--accent); stroke: var(--accent); }
.lineage li.best > :not(.from) { font-weight: 650; }
.key { display: inline-block; width: 22px; border-top: 2px solid var(--c0); vertical-align: 4px; margin-right: 4px; }
.key.dashed { border-top: 1.5px dashed var(--c2); }

.good { color: var(--good); } .bad { color: var(--bad); }
#filter { display: flex; flex-wrap: wrap; gap: 10px 16px; align-items: center; margin: 0 0 14px; font-size: 14px; }
#filter[hidden] { display: none; }
#filter fieldset { border: 1px solid var(--line); border-radius: 6px; padding: 0; margin: 0; display: flex; }
#filter legend { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
#filter input[type=radio] { position: absolute; opacity: 0; pointer-events: none; }
#filter fieldset span { display: block; padding: 5px 12px; color: var(--muted); border-radius: 5px; cursor: pointer; }
#filter input:checked + span { background: var(--track); color: var(--ink); }
#filter input:focus-visible + span { outline: 2px solid var(--accent); }
#filter input[type=search], #filter select {
  font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: 6px; padding: 5px 10px;
}
#filter input[type=search] { flex: 1 1 200px; min-width: 0; }
#filter select { max-width: 220px; margin-left: 6px; }
#filter output { color: var(--muted); margin-left: auto; font-variant-numeric: tabular-nums; }
#examples { border-top: 1px solid var(--line); }
.example { border-bottom: 1px solid var(--line); }
.example > summary {
  display: grid; grid-template-columns: 8px 62px minmax(0, 1fr) auto; gap: 0 12px; padding: 10px 0; align-items: baseline;
  cursor: pointer; list-style: none;
}
.example > summary::-webkit-details-marker { display: none; }
.example > summary::before {
  content: ""; align-self: center; border: 4px solid transparent; border-left: 6px solid var(--muted); border-right: 0;
}
.example[open] > summary::before { transform: rotate(90deg); }
.example > summary:hover .question { text-decoration: underline var(--line); text-underline-offset: 3px; }
summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.verdict { font-size: 13px; font-weight: 600; white-space: nowrap; }
.verdict.correct { color: var(--good); } .verdict.wrong { color: var(--bad); }
.question { overflow-wrap: anywhere; }
.origin {
  min-width: 0; overflow-wrap: anywhere; display: flex; flex-wrap: wrap; gap: 0 12px;
  font-size: 13px; color: var(--muted);
}
.status { color: var(--bad); }
.sides h3 { font-size: 12px; color: var(--muted); margin: 0 0 6px; }
.sides { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 28px; padding: 6px 0 24px 90px; }
pre.sql { margin: 0 0 12px; padding: 10px 12px; background: var(--soft); border-radius: 6px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: 2px; }
table.rows { width: auto; font-size: 13px; }
.rows th, .rows td { padding: 3px 18px 3px 0; vertical-align: top; }
.rows td { white-space: nowrap; }
.rows td.long { white-space: normal; min-width: 200px; overflow-wrap: anywhere; }
.rows .number { text-align: right; }
.null { color: var(--muted); font-style: italic; }
.count { font-size: 12.5px; margin: 6px 0 0; }
.message { font-size: 13px; color: var(--bad); overflow-wrap: anywhere; }
details.more { margin-top: 10px; }
details.more > summary { cursor: pointer; color: var(--muted); font-size: 14px; }
details.more > pre { background: var(--soft); border-radius: 6px; padding: 14px 16px; overflow-x: auto; margin: 10px 0 0; }
dl { display: grid; grid-template-columns: fit-content(40%) minmax(0, 1fr); gap: 4px 20px; margin: 0 0 20px; font-size: 14px; }
dt { color: var(--muted); min-width: 0; overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }

@media (max-width: 640px) {
  main { padding: 32px 16px 64px; }
  h1 { font-size: 25px; }
  .lead { font-size: 16.5px; }
  main > section { margin-top: 48px; }
  .wide { display: none; }
  .narrow { display: block; }
  .example > summary { grid-template-columns: 8px 60px minmax(0, 1fr); gap: 0 10px; }
  .example > summary::before { align-self: start; margin-top: 8px; }
  .origin { grid-column: 3; }
  .sides { grid-template-columns: minmax(0, 1fr); gap: 18px; padding: 4px 0 22px; }
  #filter output { margin-left: 0; }
  td.template { min-width: 150px; }
  th, td { padding-left: 7px; padding-right: 7px; }
}
@media print {
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  main > section { margin-top: 28pt; }
  h2, h3 { break-after: avoid; }
  .about { break-after: avoid; }
  figure, tr, .lineage, #rounds { break-inside: avoid; }
  .multiples { grid-template-columns: repeat(4, 1fr); }
  .multiples.large { grid-template-columns: repeat(2, 1fr); }
  .rows td { white-space: normal; overflow-wrap: anywhere; }
  .rows td.long { min-width: 0; }
  nav, #filter { display: none !important; }
  .scroll { overflow: visible; }
  details.more::details-content { content-visibility: visible; height: auto; }
  .more > pre { white-space: pre-wrap; }
}
"""

SCRIPT = """
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const examples = [...document.querySelectorAll(".example")].map((node) => ({node, text: node.textContent.toLowerCase()}));
  const shown = document.getElementById("shown");
  const update = () => {
    const words = form.elements.text.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const verdict = form.elements.verdict.value;
    const model = form.elements.model ? form.elements.model.value : "";
    let count = 0;
    for (const {node, text} of examples) {
      const keep = (!verdict || node.dataset.verdict === verdict) && (!model || node.dataset.model === model) &&
        words.every((word) => text.includes(word));
      node.hidden = !keep;
      count += keep;
    }
    shown.textContent = count + " of " + examples.length;
    document.getElementById("none").hidden = count > 0;
  };
  form.addEventListener("input", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  update();
})();
"""
