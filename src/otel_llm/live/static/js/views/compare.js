/** Models (or providers, or endpoints) side by side. */

import { get, poll } from "../api.js";
import { fill, h } from "../dom.js";
import { count, duration, money, percent, rate } from "../format.js";
import { live } from "../live.js";
import { empty, firstSteps, problem, refine, segmented } from "../parts.js";
import { href } from "../router.js";
import { seriesColor } from "../theme.js";

const WINDOWS = /** @type {[string, string][]} */ ([["300", "5 min"], ["3600", "1 hour"], ["86400", "1 day"], ["all", "All kept"]]);
const BY = /** @type {[string, string][]} */ ([["model", "Models"], ["provider", "Providers"], ["endpoint", "Endpoints"]]);
const MOST = 6; // columns at once

const ms = (/** @type {number | null | undefined} */ value) => duration(value === null || value === undefined ? null : value / 1000);

/**
 * @typedef {object} Measure
 * @property {string} label
 * @property {(row: any) => number | null | undefined} of
 * @property {(value: any) => string} text
 * @property {"low" | "high"} [best] which is better; without it none is
 */

/** @type {[string, Measure[]][]} */
const MEASURES = [
  [
    "Traffic",
    [
      { label: "Calls", of: (row) => row.calls, text: count },
      { label: "Failed", of: (row) => row.error_rate, text: percent, best: "low" },
      { label: "Retried", of: (row) => (row.calls ? row.retried / row.calls : null), text: percent, best: "low" },
    ],
  ],
  [
    "Latency",
    [
      { label: "p50", of: (row) => row.latency_ms?.p50, text: ms, best: "low" },
      { label: "p90", of: (row) => row.latency_ms?.p90, text: ms, best: "low" },
      { label: "p99", of: (row) => row.latency_ms?.p99, text: ms, best: "low" },
    ],
  ],
  [
    "Stream",
    [
      { label: "First token p50", of: (row) => row.ttft_ms?.p50, text: ms, best: "low" },
      { label: "First token p90", of: (row) => row.ttft_ms?.p90, text: ms, best: "low" },
      { label: "Tokens per second", of: (row) => row.tokens_per_second?.p50, text: rate, best: "high" },
    ],
  ],
  [
    "Tokens and cost",
    [
      { label: "Input per call", of: (row) => (row.calls && row.input_tokens !== null ? row.input_tokens / row.calls : null), text: count },
      { label: "Output per call", of: (row) => (row.calls && row.output_tokens !== null ? row.output_tokens / row.calls : null), text: count },
      { label: "Cache hits", of: (row) => row.cache_hit_rate, text: percent, best: "high" },
      { label: "Cost per call", of: (row) => number(row.cost_per_call), text: money, best: "low" },
      { label: "Cost per 1,000 tokens", of: (row) => number(row.cost_per_1k_tokens), text: money, best: "low" },
      { label: "Cost", of: (row) => number(row.cost), text: money },
    ],
  ],
];

/**
 * The best of some values, null when it is not ahead of the next by a twentieth.
 *
 * @param {number[]} values @param {"low" | "high"} better
 */
function winner(values, better) {
  const [first, second] = values.toSorted((a, b) => (better === "low" ? a - b : b - a));
  return second !== undefined && Math.abs(first - second) > 0.05 * Math.max(first, second) ? first : null;
}

/** @param {string | null} text */
const number = (text) => (text === null ? null : Number(text));

/** @param {HTMLElement} root @param {import("../router.js").Route} first */
export function mount(root, first) {
  let route = first;
  /** @type {any} */
  let answer = null;
  let asked = "";
  let cursor = -1;
  const controls = h("div", { class: "toolbar" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Shown side by side" });
  const board = h("div", { class: "scroller" });
  fill(root, controls, chips, board);

  const by = () => (BY.some(([name]) => name === route.query.get("by")) ? String(route.query.get("by")) : "model");
  const window_ = () => (WINDOWS.some(([name]) => name === route.query.get("window")) ? String(route.query.get("window")) : "all");
  const keyOf = (/** @type {any} */ row) => (by() === "model" ? `${row.provider ?? ""}/${row.model ?? ""}` : (row[by()] ?? "unknown"));

  function chosen() {
    const wanted = route.query.getAll("show").flatMap((text) => JSON.parse(text || "[]"));
    const picked = answer.rows.filter((/** @type {any} */ row) => wanted.includes(keyOf(row)));
    return picked.length ? picked : answer.rows.slice(0, 4);
  }

  function drawControls() {
    fill(
      controls,
      h("h1", { class: "visually-hidden" }, "Compare"),
      segmented("What is compared", BY, by(), (value) => refine(route, { by: value, show: "" })),
      h("span", { class: "space" }),
      segmented("Time", WINDOWS, window_(), (value) => refine(route, { window: value })),
    );
  }

  /** @param {AbortSignal} [signal] */
  async function load(signal) {
    const wanted = (asked = `${by()} ${window_()}`);
    cursor = live.cursor;
    try {
      const next = await get("api/compare", { by: by(), window: window_() === "all" ? null : window_() }, signal);
      if (wanted !== asked) return;
      answer = next;
      draw();
    } catch (error) {
      if (signal?.aborted) return;
      if (!answer) fill(board, problem(/** @type {Error} */ (error), () => void load()));
    }
  }

  function draw() {
    if (!answer.rows.length) {
      fill(chips);
      if (live.status?.calls.seen) return fill(board, empty("No call in this time"));
      return firstSteps(board, live.status);
    }
    const shown = chosen();
    const keys = shown.map(keyOf);
    fill(
      chips,
      answer.rows.slice(0, 24).map((/** @type {any} */ row) => {
        const on = keys.includes(keyOf(row));
        return h("button", { type: "button", class: "pick", "aria-pressed": String(on), disabled: !on && keys.length >= MOST, onclick: () => toggle(keyOf(row), keys) }, dot(row), h("span", null, name(row)), h("small", null, count(row.calls)));
      }),
    );
    const scroll = board.scrollLeft;
    fill(board, table(shown, answer.bounds_ms));
    board.scrollLeft = scroll;
  }

  /** @param {string} key @param {string[]} keys */
  function toggle(key, keys) {
    const next = keys.includes(key) ? keys.filter((one) => one !== key) : [...keys, key];
    const focused = [...chips.children].indexOf(/** @type {Element} */ (document.activeElement));
    refine(route, { show: next.length ? JSON.stringify(next) : "" });
    /** @type {HTMLElement | undefined} */ (chips.children[focused])?.focus();
  }

  const name = (/** @type {any} */ row) => row[by()] ?? "unknown";
  const dot = (/** @type {any} */ row) => h("i", { class: "dot", style: { background: `var(${seriesColor(name(row))})` } });

  /** @param {any[]} rows @param {number[]} bounds */
  function table(rows, bounds) {
    const used = bounds.map((_, at) => at).concat(bounds.length).filter((at) => rows.some((row) => row.latency_counts[at]));
    const [from, to] = [used[0], used[used.length - 1]];
    const busiest = Math.max(1e-9, ...rows.flatMap((row) => row.latency_counts.map((/** @type {number} */ n) => n / row.calls)));
    return h(
      "table",
      { class: "grid compare" },
      h("caption", { class: "visually-hidden" }, "Side by side"),
      h("thead", null, h("tr", null, h("td", null), rows.map((row) => h("th", { scope: "col" }, h("a", { class: "compare-name", href: href("calls", "", { [by()]: row[by()], provider: by() === "model" ? row.provider : "" }) }, dot(row), h("b", null, name(row))), by() === "model" ? h("small", null, row.provider) : null)))),
      h("tbody", null, h("tr", { class: "spread" }, h("th", { scope: "row" }, "Distribution of latency"), rows.map((row) => h("td", null, histogram(row, bounds, from, to, busiest))))),
      MEASURES.map(([title, measures]) =>
        h("tbody", null, h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: rows.length + 1 }, title)), measures.map((measure) => line(measure, rows))),
      ),
    );
  }

  /** @param {Measure} measure @param {any[]} rows */
  function line(measure, rows) {
    const values = rows.map((row) => measure.of(row) ?? null);
    const known = /** @type {number[]} */ (values.filter((value) => value !== null));
    const most = Math.max(...known, 1e-12);
    const best = measure.best ? winner(known, measure.best) : null;
    return h(
      "tr",
      null,
      h("th", { scope: "row" }, measure.label),
      rows.map((row, at) => {
        const value = values[at];
        return h(
          "td",
          { class: value !== null && value === best ? "best" : null },
          h("span", { class: "cell-value" }, measure.text(value), value !== null && value === best ? h("small", null, "best") : null),
          value === null ? null : h("i", { class: "cell-bar", "aria-hidden": "true", style: { width: `${(value / most) * 100}%`, background: `var(${seriesColor(name(row))})` } }),
        );
      }),
    );
  }

  /** @param {any} row @param {number[]} bounds @param {number} from @param {number} to bars that anybody has @param {number} busiest */
  function histogram(row, bounds, from, to, busiest) {
    const text = (/** @type {number} */ at) => (at < bounds.length ? `up to ${ms(bounds[at])}` : `above ${ms(bounds[bounds.length - 1])}`);
    const { p50, p99 } = row.latency_ms ?? {};
    return h(
      "div",
      { class: "histogram", role: "img", "aria-label": `Half of the calls within ${ms(p50)}, 99 of 100 within ${ms(p99)}` },
      h("div", null, row.latency_counts.slice(from, to + 1).map((/** @type {number} */ calls, /** @type {number} */ at) => h("i", { title: `${text(from + at)}: ${count(calls)}`, style: { height: `${(calls / row.calls / busiest) * 100}%`, background: `var(${seriesColor(name(row))})` } }))),
      h("p", { "aria-hidden": "true" }, h("span", null, from ? ms(bounds[from - 1]) : "0"), h("span", null, to < bounds.length ? ms(bounds[to]) : `> ${ms(bounds[to - 1])}`)),
    );
  }

  const timer = poll(4000, async (signal) => {
    if (!live.paused && live.cursor !== cursor) await load(signal);
  });
  const stop = live.on("status", () => answer && !answer.rows.length && draw());
  drawControls();
  return {
    /** @param {import("../router.js").Route} next */
    update(next) {
      route = next;
      drawControls();
      if (`${by()} ${window_()}` !== asked) void load();
      else if (answer) draw();
    },
    destroy() {
      timer.stop();
      stop();
    },
  };
}
