/** Calls, tokens and cost by day, provider and model. */

import { download, get, poll } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { count, duration, money, percent, whole } from "../format.js";
import { live } from "../live.js";
import { empty, fact, firstSteps, modelName, problem, refine, segmented, sortable } from "../parts.js";
import { seriesColor } from "../theme.js";

/** @type {Record<string, {label: string, of: (row: any) => number, text: (value: number | null) => string}>} */
const MEASURES = {
  cost: { label: "Cost", of: (row) => Number(row.cost ?? 0), text: money },
  tokens: { label: "Tokens", of: (row) => row.total_tokens ?? 0, text: count },
  calls: { label: "Calls", of: (row) => row.calls, text: count },
};
const DAYS = ["7", "30", "90"];
const GROUPS = { day: "Day", model: "Model", provider: "Provider", all: "Every row" };

/** @param {HTMLElement} root @param {import("../router.js").Route} first */
export function mount(root, first) {
  let route = first;
  /** @type {any[]} */
  let rows = [];
  let asked = "";
  let cursor = -1;

  const controls = h("div", { class: "toolbar" });
  const totals = h("dl", { class: "facts usage-totals" });
  const chart = h("section", { class: "card usage-chart", "aria-label": "By day" });
  const tables = h("div", { class: "scroller" });
  const note = h("p", { class: "none usage-note" });
  const message = h("div", null);
  const body = h("div", { hidden: true }, totals, chart, tables, note);
  fill(root, controls, message, body);

  const choice = (/** @type {string} */ name, /** @type {string} */ fallback) => route.query.get(name) ?? fallback;

  function drawControls() {
    const pick = (/** @type {string} */ name) => (/** @type {string} */ value) => refine(route, { [name]: value });
    fill(
      controls,
      h("h1", { class: "visually-hidden" }, "Usage"),
      segmented("Days", DAYS.map((days) => [days, `${days} days`]), choice("days", "30"), pick("days")),
      segmented("Measure", Object.entries(MEASURES).map(([name, { label }]) => [name, label]), choice("measure", "cost"), pick("measure")),
      segmented("Group by", Object.entries(GROUPS), choice("by", "model"), pick("by")),
      h("span", { class: "space" }),
      h("button", { type: "button", class: "icon-button", title: "Save as CSV", "aria-label": "Save as CSV", onclick: () => void download("api/usage", { days: choice("days", "30"), format: "csv" }, "usage.csv") }, icon("download")),
    );
  }

  /** @param {AbortSignal} [signal] */
  async function load(signal) {
    const days = choice("days", "30");
    asked = days;
    cursor = live.cursor;
    try {
      const answer = await get("api/usage", { days }, signal);
      if (days !== asked) return;
      rows = answer.rows;
      fill(note, `Days are UTC. Calls without a known price count as $0.${answer.truncated ? " There are more rows than are shown." : ""}`);
      if (rows.length) fill(message);
      draw();
    } catch (error) {
      if (signal?.aborted) return;
      if (!rows.length) fill(message, problem(/** @type {Error} */ (error), () => void load()));
    }
  }

  function draw() {
    body.hidden = !rows.length;
    if (!rows.length) {
      if (live.status?.calls.seen) return fill(message, empty("No call in these days"));
      return firstSteps(message, live.status);
    }
    const total = sums(rows);
    fill(totals, fact("Cost", money(total.cost)), fact("Calls", count(total.calls)), fact("Errors", percent(total.errors / (total.calls || 1))), fact("Input tokens", count(total.input)), fact("Output tokens", count(total.output)), fact("Read from cache", percent(total.input ? total.cached / total.input : null)));
    fill(chart, dailyChart(rows, Number(choice("days", "30")), MEASURES[choice("measure", "cost")] ?? MEASURES.cost));
    drawTable();
  }

  function drawTable() {
    const by = choice("by", "model");
    const table = sortable("Usage", columns(by), by === "day" || by === "all" ? { key: "date", down: true } : { key: "cost", down: true });
    table.set(by === "all" ? rows.map((row) => ({ ...row, ...sums([row]) })) : grouped(rows, by));
    const scroll = tables.scrollLeft;
    fill(tables, table.node);
    tables.scrollLeft = scroll;
  }

  const timer = poll(5000, async (signal) => {
    if (!live.paused && live.cursor !== cursor) await load(signal);
  });
  const stops = [timer.stop, live.on("status", () => !rows.length && asked && draw())];
  drawControls();
  return {
    /** @param {import("../router.js").Route} next */
    update(next) {
      route = next;
      drawControls();
      if (choice("days", "30") !== asked) void load();
      else draw();
    },
    destroy() {
      for (const stop of stops) stop();
    },
  };
}

/** @param {any[]} rows */
function sums(rows) {
  const add = (/** @type {(row: any) => any} */ of) => rows.reduce((total, row) => total + (of(row) ?? 0), 0);
  const calls = add((row) => row.calls);
  return {
    calls,
    errors: add((row) => row.errors),
    input: add((row) => row.input_tokens),
    output: add((row) => row.output_tokens),
    cached: add((row) => row.cache_read_tokens),
    tokens: add((row) => row.total_tokens),
    cost: rows.some((row) => row.cost !== null) ? add((row) => Number(row.cost)) : null,
    unpriced: add((row) => row.unpriced),
    latency: calls ? add((row) => (row.avg_latency_ms ?? 0) * row.calls) / calls : null,
  };
}

/** @param {any[]} rows @param {string} by */
function grouped(rows, by) {
  const key = (/** @type {any} */ row) => (by === "day" ? row.date : by === "provider" ? row.provider : JSON.stringify([row.provider, row.model]));
  return [...Map.groupBy(rows, key).values()].map((members) => ({ ...members[0], ...sums(members) }));
}

/** @param {string} by @returns {import("../parts.js").Column[]} */
function columns(by) {
  /** @type {import("../parts.js").Column[]} */
  const names = [];
  if (by === "day" || by === "all") names.push({ key: "date", label: "Date", value: (row) => row.date });
  if (by === "provider") names.push({ key: "provider", label: "Provider", value: (row) => row.provider });
  if (by === "model" || by === "all") names.push({ key: "model", label: "Model", value: (row) => row.model, cell: (row) => modelName(row.provider, row.model) });
  return [
    ...names,
    { key: "calls", label: "Calls", number: true, value: (row) => row.calls, cell: (row) => whole(row.calls) },
    { key: "errors", label: "Errors", number: true, value: (row) => row.errors, cell: (row) => (row.errors ? h("span", { class: "bad" }, whole(row.errors)) : "0") },
    { key: "input", label: "Input", number: true, value: (row) => row.input, cell: (row) => whole(row.input) },
    { key: "output", label: "Output", number: true, value: (row) => row.output, cell: (row) => whole(row.output) },
    { key: "tokens", label: "Total", number: true, value: (row) => row.tokens, cell: (row) => whole(row.tokens) },
    { key: "cached", label: "From cache", number: true, value: (row) => (row.input ? row.cached / row.input : null), cell: (row) => percent(row.input ? row.cached / row.input : null) },
    { key: "latency", label: "Mean latency", number: true, value: (row) => row.latency, cell: (row) => duration(row.latency === null ? null : row.latency / 1000) },
    { key: "cost", label: "Cost", number: true, value: (row) => row.cost, cell: (row) => [row.unpriced ? h("span", { class: "tag warn", title: `${whole(row.unpriced)} calls without a known price` }, "unpriced") : null, " ", money(row.cost)] },
  ];
}

/**
 * A column per day, stacked by model. The table below holds the numbers for those who cannot see it.
 *
 * @param {any[]} rows @param {number} days
 * @param {{label: string, of: (row: any) => number, text: (value: number | null) => string}} measure
 */
function dailyChart(rows, days, measure) {
  const byDay = Map.groupBy(rows, (row) => row.date);
  const dates = lastDays(days);
  const names = [...new Set(rows.map((row) => row.model ?? "unknown model"))];
  const total = (/** @type {any[]} */ members) => members.reduce((sum, row) => sum + measure.of(row), 0);
  const ranked = names.map((name) => ({ name, value: total(rows.filter((row) => (row.model ?? "unknown model") === name)) })).sort((a, b) => b.value - a.value);
  const most = Math.max(1e-12, ...dates.map((date) => total(byDay.get(date) ?? [])));
  const readout = h("span", { class: "chart-time" });
  const bars = dates.map((date) => {
    const members = byDay.get(date) ?? [];
    const text = `${date}: ${measure.text(total(members))}`;
    const stack = ranked.map(({ name }) => ({ name, value: total(members.filter((row) => (row.model ?? "unknown model") === name)) })).filter((part) => part.value > 0);
    return h(
      "div",
      { class: "day", title: text, onpointerenter: () => fill(readout, text), onpointerleave: () => fill(readout) },
      stack.map((part) => h("i", { style: { height: `${(part.value / most) * 100}%`, background: `var(${seriesColor(part.name)})` } })),
    );
  });
  const label = (/** @type {string} */ date) => new Date(`${date}T00:00:00Z`).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  return [
    h("header", null, h("h2", null, `${measure.label} by day`), readout),
    h("ul", { class: "legend" }, ranked.slice(0, 7).map(({ name, value }) => h("li", null, h("i", { class: "swatch", style: { background: `var(${seriesColor(name)})` } }), h("span", { class: "legend-name" }, name), h("b", null, measure.text(value))))),
    h("div", { class: "bars", "aria-hidden": "true" }, h("span", { class: "bars-top" }, measure.text(most)), bars),
    h("div", { class: "bars-axis", "aria-hidden": "true" }, h("span", null, label(dates[0])), h("span", null, label(dates[Math.floor(dates.length / 2)])), h("span", null, label(dates[dates.length - 1]))),
  ];
}

/** The UTC days up to today, oldest first. @param {number} days */
function lastDays(days) {
  const today = Date.now();
  return Array.from({ length: days }, (_, back) => new Date(today - (days - 1 - back) * 86_400_000).toISOString().slice(0, 10));
}
