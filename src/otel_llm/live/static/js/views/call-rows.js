/** The rows of the call table. */

import { h, setAttr } from "../dom.js";
import { clock, count, duration, money, moment } from "../format.js";
import { modelName, outcomeBadge, rowLink } from "../parts.js";

const COLUMNS = [
  ["time", "Ended"],
  ["state", "Outcome"],
  ["what", "Model"],
  ["ask", "Request"],
  ["took", "Duration"],
  ["first", "First token"],
  ["tokens", "Tokens"],
  ["money", "Cost"],
];

/** The table without rows. Roles are explicit, because narrow screens lay the rows out as cards. */
export function callTable() {
  const body = h("tbody", { role: "rowgroup" });
  const head = COLUMNS.map(([name, label]) => h("th", { role: "columnheader", scope: "col", class: `c-${name}` }, label));
  const table = h(
    "table",
    { class: "calls", role: "table", hidden: true },
    h("caption", { class: "visually-hidden" }, "Calls, newest first"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    body,
  );
  return { table, body };
}

/** @param {any} call @param {string} address */
export function callRow(call, address) {
  const cells = {
    time: rowLink(address, h("time", { title: `Began ${moment(call.start)}` }, clock(call.start + (call.duration_ms ?? 0) / 1000))),
    state: outcomeBadge(call.outcome, call.outcome === "failed" ? call.error : undefined),
    what: [modelName(call.provider, call.model), call.attempts > 1 ? h("span", { class: "tag warn", title: `${call.attempts} attempts` }, `×${call.attempts}`) : null],
    ask: h("span", { class: call.preview ? "ask" : "ask none" }, call.preview ?? call.endpoint ?? call.operation),
    took: [h("b", null, duration(call.duration_ms === null ? null : call.duration_ms / 1000)), bar()],
    first: duration(call.ttft_ms === null ? null : call.ttft_ms / 1000),
    tokens: tokens(call),
    money: money(call.cost),
  };
  return h(
    "tr",
    { role: "row", class: call.outcome === "failed" ? "failed" : null, onclick: open },
    COLUMNS.map(([name]) => h("td", { role: "cell", class: `c-${name}` }, cells[/** @type {keyof typeof cells} */ (name)])),
  );
}

/** @param {any} call */
function tokens(call) {
  if (call.output_tokens === null) return count(call.input_tokens);
  return [count(call.input_tokens), h("span", { class: "visually-hidden" }, " in, "), h("i", { class: "arrow", "aria-hidden": "true" }, "→"), count(call.output_tokens), h("span", { class: "visually-hidden" }, " out")];
}

/** A bar in two parts: until the first token, and from then on. */
function bar() {
  return h("span", { class: "took", "aria-hidden": "true" }, h("i", { class: "wait" }), h("i", { class: "flow" }));
}

/** @param {Event} event the whole row opens the call, unless text is being selected */
function open(event) {
  if (/** @type {Element} */ (event.target).closest("a") || String(getSelection())) return;
  /** @type {HTMLElement} */ (/** @type {Element} */ (event.currentTarget).querySelector("a")).click();
}

/** A full bar in ms: a round number that nine of ten calls stay below. @param {any[]} calls */
export function scaleOf(calls) {
  const sorted = calls.map((call) => call.duration_ms ?? 0).sort((a, b) => a - b);
  const most = sorted[Math.floor(sorted.length * 0.9)] ?? 0;
  return [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000, 120_000].find((bound) => bound >= most) ?? 600_000;
}

/** @param {Element} row @param {any} call @param {number} scale @param {boolean} selected */
export function updateRow(row, call, scale, selected) {
  setAttr(row, "aria-current", selected ? "true" : null);
  const [wait, flow] = /** @type {any} */ (row.querySelector(".took")).children;
  const first = Math.min(call.ttft_ms ?? 0, call.duration_ms ?? 0);
  const width = (/** @type {number} */ ms) => `${Math.min(100, (ms / scale) * 100)}%`;
  wait.style.width = width(first);
  flow.style.width = width((call.duration_ms ?? 0) - first);
}
