/** Traces, newest first; one of them as a waterfall. */

import { get, poll } from "../api.js";
import { fill, h, icon, reconcile, setText } from "../dom.js";
import { clock, count, duration, money, moment } from "../format.js";
import { addShortcuts } from "../keys.js";
import { live } from "../live.js";
import { empty, firstSteps, picker, problem, receives, refine, rowLink } from "../parts.js";
import { go, href, route as currentRoute } from "../router.js";
import { traceView } from "./trace.js";

const PAGE = 100;
const FILTERS = ["q", "service", "llm", "errors"];

/** @param {HTMLElement} root @param {import("../router.js").Route} first */
export function mount(root, first) {
  const list = traceList();
  /** @type {ReturnType<typeof traceView> | null} */
  let one = null;
  let shown = "";

  /** @param {import("../router.js").Route} route */
  function update(route) {
    if (route.id !== shown) {
      one?.destroy();
      one = route.id ? traceView(route) : null;
    }
    shown = route.id;
    if (one) {
      list.sleep();
      if (one.node.parentNode !== root) fill(root, one.node);
      one.update(route);
    } else {
      if (list.node.parentNode !== root) fill(root, list.node);
      list.update(route);
    }
  }
  update(first);
  return {
    update,
    destroy() {
      one?.destroy();
      list.sleep();
    },
  };
}

const COLUMNS = [
  ["time", "Time"],
  ["name", "Trace"],
  ["took", "Duration"],
  ["spans", "Spans"],
  ["llm", "Model calls"],
  ["tokens", "Tokens"],
  ["money", "Cost"],
];

/** The list; asleep while a trace is open. */
function traceList() {
  /** @type {import("../router.js").Route} */
  let route = currentRoute();
  /** @type {any[]} */
  let rows = [];
  /** @type {number | null} */
  let next = null;
  let asked = "";
  /** @type {number | null} */
  let spans = -1;
  let typing = 0;
  /** @type {(() => void)[]} */
  let stops = [];

  const search = h("input", {
    type: "search",
    placeholder: "Search traces",
    "aria-label": "Search traces",
    maxlength: 200,
    autocomplete: "off",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => refine(currentRoute(), { q: search.value.trim() }), 200);
    },
  });
  const service = picker("Service", "Service", (value) => refine(route, { service: value }));
  const llm = toggle("With model calls", "llm");
  const errors = toggle("With errors", "errors");
  const body = h("tbody", null);
  const table = h(
    "table",
    { class: "grid traces", hidden: true },
    h("caption", { class: "visually-hidden" }, "Traces, newest first"),
    h("thead", null, h("tr", null, COLUMNS.map(([name, label]) => h("th", { scope: "col", class: `t-${name}` }, label)))),
    body,
  );
  const message = h("div", null);
  const older = h("button", { type: "button", class: "button", hidden: true, onclick: () => void load(true) }, "Older traces");
  const node = h(
    "div",
    null,
    h("div", { class: "toolbar", role: "search" }, h("h1", { class: "visually-hidden" }, "Traces"), h("label", { class: "field search" }, icon("search"), search, h("kbd", { "aria-hidden": "true" }, "/")), service.node, llm, errors),
    table,
    message,
    h("div", { class: "more" }, older),
  );

  /** @param {string} label @param {string} name */
  function toggle(label, name) {
    return h("button", { type: "button", class: "button toggle", "data-filter": name, onclick: () => refine(route, { [name]: route.query.get(name) ? "" : "true" }) }, label);
  }

  function params() {
    return Object.fromEntries(FILTERS.map((name) => [name, route.query.get(name) ?? ""]));
  }

  /** @param {boolean} [more] the next page instead of the first @param {AbortSignal} [signal] */
  async function load(more = false, signal) {
    const wanted = JSON.stringify(params());
    const changed = wanted !== asked;
    asked = wanted;
    spans = live.spans;
    try {
      const answer = await get("api/traces", { ...params(), limit: PAGE, before: more ? next : null }, signal);
      if (wanted !== asked) return;
      const page = new Set(answer.traces.map((/** @type {any} */ one) => one.trace_id));
      const oldest = answer.traces.at(-1)?.seq ?? 0;
      const kept = changed ? [] : rows.filter((one) => !page.has(one.trace_id) && (more || one.seq < oldest));
      if (more || !kept.length) next = answer.next;
      rows = more ? [...kept, ...answer.traces] : [...answer.traces, ...kept];
      draw();
    } catch (error) {
      if (signal?.aborted) return;
      if (!rows.length) fill(message, problem(/** @type {Error} */ (error), () => void load()));
    }
  }

  function draw() {
    const most = Math.max(1, ...rows.map((row) => row.duration_ms ?? 0));
    reconcile(body, rows, (row) => row.trace_id, () => h("tr", { onclick: open }, COLUMNS.map(([name]) => h("td", { class: `t-${name}` }))), (node, row) => drawRow(node, row, most));
    table.hidden = !rows.length;
    older.hidden = next === null || !rows.length;
    const filtered = FILTERS.some((name) => route.query.get(name));
    if (rows.length) fill(message);
    else if (filtered) fill(message, empty("No trace matches", h("button", { type: "button", class: "button", onclick: () => go(href("traces"), { replace: true }) }, "Clear filters")));
    else if (live.status && !receives(live.status)) fill(message, noReceiver());
    else firstSteps(message, live.status);
  }

  function drawFilters() {
    const wanted = params();
    if (document.activeElement !== search) search.value = wanted.q;
    service.set(live.status?.services ?? [], wanted.service);
    for (const one of [llm, errors]) one.setAttribute("aria-pressed", String(Boolean(wanted[one.dataset.filter ?? ""])));
    if (!rows.length && asked) draw();
  }

  function wake() {
    const timer = poll(2000, async (signal) => {
      if (!live.paused && (live.spans === null || live.spans !== spans)) await load(false, signal);
    });
    stops = [
      timer.stop,
      live.on("reload", () => void load()),
      live.on("status", drawFilters),
      addShortcuts([{ keys: "/", label: "Search", group: "Traces", run: () => search.select() }]),
    ];
  }

  return {
    node,
    /** @param {import("../router.js").Route} changed */
    update(changed) {
      route = changed;
      if (!stops.length) wake();
      drawFilters();
      if (JSON.stringify(params()) !== asked) void load();
    },
    sleep() {
      clearTimeout(typing);
      for (const stop of stops) stop();
      stops = [];
    },
  };
}

/** The view runs inside a program, which sends its spans elsewhere. */
function noReceiver() {
  return empty("No traces here", h("p", null, "This view runs inside the program and hears of its calls only. Traces appear in the receiver:"), h("pre", { class: "setting" }, "otel-llm live"));
}

/** @param {Event} event */
function open(event) {
  if (/** @type {Element} */ (event.target).closest("a") || String(getSelection())) return;
  /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.currentTarget).querySelector("a"))?.click();
}

/** @param {Element} node @param {any} row @param {number} most */
function drawRow(node, row, most) {
  const text = JSON.stringify([row, most]);
  if (/** @type {HTMLElement} */ (node).dataset.drawn === text) return;
  /** @type {HTMLElement} */ (node).dataset.drawn = text;
  const [time, name, took, spans, llm, tokens, cost] = node.children;
  fill(time, h("time", { title: moment(row.start) }, clock(row.start)));
  fill(
    name,
    rowLink(href("traces", row.trace_id), row.name),
    h("small", null, row.services.join(", ")),
    row.errors ? h("span", { class: "tag bad" }, `${row.errors} ${row.errors === 1 ? "error" : "errors"}`) : null,
  );
  fill(took, h("b", null, duration(row.duration_ms / 1000)), h("span", { class: "took", "aria-hidden": "true" }, h("i", { class: row.errors ? "flow bad-bar" : "flow other", style: { width: `${(row.duration_ms / most) * 100}%` } })));
  setText(spans, count(row.spans));
  fill(llm, row.llm_calls ? h("span", { class: "tag llm" }, row.llm_calls) : h("span", { class: "none" }, "–"));
  setText(tokens, count(row.total_tokens));
  setText(cost, money(row.cost));
}
