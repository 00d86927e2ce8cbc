/** What happens now: figures of the last minute, charts of the last five, running calls, models, failures. */

import { get, poll } from "../api.js";
import { chart } from "../charts.js";
import { fill, h, reconcile, setText } from "../dom.js";
import { count, duration, money, percent, rate, short, tick } from "../format.js";
import { live } from "../live.js";
import { firstSteps, modelName, outcomeBadge, picker, refine, rowLink, segmented } from "../parts.js";
import { binned } from "../points.js";
import { pref, setPref } from "../prefs.js";
import { href } from "../router.js";
import { seriesColor } from "../theme.js";
import { tiles } from "./overview-tiles.js";

/** Seconds of the charts, and of one bin. @type {Record<string, number>} */
const BIN = { 60: 1, 300: 5 };

const ms = (/** @type {number | null} */ value) => duration(value === null ? null : value / 1000);

/** @returns {{spec: import("../charts.js").ChartSpec, columns: (bins: import("../points.js").Bins) => (number | null)[][]}[]} */
function chartSpecs() {
  const percentiles = (/** @type {string[]} */ names) =>
    names.map((label, at) => ({ label, color: `--series-${[1, 3, 4][at]}`, area: at === 0 }));
  return [
    {
      spec: {
        title: "Requests",
        note: "Calls begun and calls failed, per second",
        series: [
          { label: "begun", color: "--series-1", area: true },
          { label: "failed", color: "--bad", area: true },
        ],
        format: (value) => `${rate(value)}/s`,
        axis: tick,
      },
      columns: (bins) => bins.sums(["requests", "errors"]),
    },
    {
      spec: {
        title: "Latency",
        note: "Whole duration of calls by their end. p99: the highest second of each bin",
        series: percentiles(["p50", "p90", "p99"]),
        format: ms,
        axis: (value) => short(value / 1000),
        hold: true,
      },
      columns: (bins) => [bins.typical("latency_p50"), bins.typical("latency_p90"), bins.worst("latency_p99")],
    },
    {
      spec: {
        title: "Time to first token",
        note: "From sending the request to the first chunk, streams only",
        series: percentiles(["p50", "p90"]),
        format: ms,
        axis: (value) => short(value / 1000),
        hold: true,
      },
      columns: (bins) => [bins.typical("ttft_p50"), bins.typical("ttft_p90")],
    },
    {
      spec: {
        title: "Tokens",
        note: "Tokens per second over all calls, counted when a call ends",
        series: [
          { label: "input", color: "--series-5", area: true },
          { label: "output", color: "--series-2", area: true },
        ],
        format: (value) => `${rate(value)}/s`,
        axis: tick,
      },
      columns: (bins) => bins.sums(["input_tokens", "output_tokens"]),
    },
    {
      spec: {
        title: "Cost",
        note: "US dollars per minute, of calls whose price is known",
        series: [{ label: "per minute", color: "--series-3", area: true }],
        format: money,
      },
      columns: (bins) => bins.sums(["cost"]).map((column) => column.map((value) => value && value * 60)),
    },
    {
      spec: {
        title: "Active streams",
        note: "Streams being read",
        series: [{ label: "active", color: "--series-2", area: true }],
        format: (value) => count(value),
        whole: true,
        floor: 4,
      },
      columns: (bins) => [bins.last("active_streams")],
    },
  ];
}

/** @param {HTMLElement} root @param {import("../router.js").Route} first */
export function mount(root, first) {
  let route = first;
  /** Seconds of the charts as chosen; 0: as fits what there is. */
  let chosen = Number(pref("window", "0"));
  if (!(chosen in BIN)) chosen = 0;

  const model = picker("Model", "All models", (value) => refine(route, { model: value }));
  const endpoint = picker("Endpoint", "All endpoints", (value) => refine(route, { endpoint: value }));
  const range = h("div", { class: "range" });
  let spanShown = 0;
  const figures = tiles();
  const charts = chartSpecs().map(({ spec, columns }) => ({ columns, ...chart(spec) }));
  const running = panel("Running now", "Calls that have not ended, newest first");
  const models = panel("Models", "Calls that ended in the last five minutes", h("a", { href: href("compare") }, "Compare"));
  const failures = panel("Latest failures", "", h("a", { href: href("calls", "", { outcome: "failed" }) }, "All"));
  const start = h("div", { hidden: true });
  const body = h(
    "div",
    { class: "overview" },
    h("div", { class: "toolbar" }, h("h1", { class: "visually-hidden" }, "Overview"), model.node, endpoint.node, h("span", { class: "space" }), range),
    figures.node,
    h("div", { class: "charts" }, charts.map((one) => one.node)),
    h("div", { class: "panels" }, running.node, models.node, failures.node),
  );
  fill(root, start, body);

  function filters() {
    return { model: route.query.get("model") ?? "", endpoint: route.query.get("endpoint") ?? "" };
  }

  /** @param {number} span */
  function drawRange(span) {
    if (span === spanShown) return;
    spanShown = span;
    const choose = (/** @type {string} */ value) => {
      chosen = spanShown = Number(value);
      setPref("window", value);
      draw();
    };
    fill(range, segmented("Time of the charts", [["60", "1 min"], ["300", "5 min"]], String(span), choose));
  }

  function draw() {
    const span = chosen || (young(live.points) ? 60 : 300);
    drawRange(span);
    if (!live.data) return;
    const bins = binned(live.points, span, BIN[span]);
    figures.set(live.data, binned(live.points, span, BIN[span] * 2));
    for (const one of charts) one.set(bins.times, one.columns(bins));
  }

  function drawStatus() {
    const { status } = live;
    const wanted = filters();
    model.set(status?.models ?? [], wanted.model);
    endpoint.set(status?.endpoints ?? [], wanted.endpoint);
    if (!status) return;
    const fresh = status.calls.seen === 0 && status.calls.kept === 0 && status.calls.running === 0;
    if (fresh) firstSteps(start, status);
    start.hidden = !fresh;
    body.classList.toggle("waiting", fresh);
  }

  function apply() {
    const wanted = filters();
    void live.select(wanted.endpoint, wanted.model);
    drawStatus();
    tables.now();
  }

  const active = poll(900, async (signal) => {
    if (live.paused) return;
    const answer = await get("api/active", {}, signal);
    const wanted = filters();
    const shown = answer.active.filter(
      (/** @type {any} */ one) => (!wanted.model || one.model === wanted.model) && (!wanted.endpoint || one.endpoint === wanted.endpoint),
    );
    drawRunning(running.body, shown.toSorted((/** @type {any} */ a, /** @type {any} */ b) => b.start - a.start));
  });
  const tables = poll(3000, async (signal) => {
    if (live.paused) return;
    const [summary, failed] = await Promise.all([
      get("api/summary", { group_by: "provider,model", window: 300, ...filters() }, signal),
      get("api/calls", { errors: true, limit: 6, ...filters() }, signal),
    ]);
    drawModels(models.body, summary.rows.slice(0, 8));
    drawFailures(failures.body, failed.calls);
  });
  const stops = [live.on("frame", draw), live.on("status", drawStatus), active.stop, tables.stop];
  apply();
  draw();

  return {
    /** @param {import("../router.js").Route} next */
    update(next) {
      route = next;
      apply();
    },
    destroy() {
      for (const stop of stops) stop();
      for (const one of charts) one.destroy();
    },
  };
}

/** Whether nothing happened before the last minute: five would be mostly empty. @param {any[]} points */
function young(points) {
  const first = points.find((point) => point.requests || point.responses);
  return first !== undefined && first.t > points[points.length - 1].t - 60;
}

/** @param {string} title @param {string} note @param {Node} [link] */
function panel(title, note, link) {
  const body = h("div", { class: "panel-body" });
  return { body, node: h("section", { class: "card panel" }, h("header", null, h("h2", { title: note || null }, title), link), body) };
}

/** @param {Element} body @param {any[]} rows */
function drawRunning(body, rows) {
  if (!rows.length) {
    const text = live.status?.mode === "receiver" ? "A call is known here when it ends. Running calls show when the view runs inside the program." : "No call is running.";
    return fill(body, h("p", { class: "none" }, text));
  }
  let list = body.querySelector("ul");
  if (!list) fill(body, (list = h("ul", { class: "running" })));
  reconcile(list, rows.slice(0, 8), (row) => row.id, runningRow, updateRunning);
}

/** @param {any} row */
function runningRow(row) {
  return h("li", null, modelName(row.provider, row.model), h("span", { class: "run-state" }), h("b", { class: "run-time" }));
}

/** @param {Element} node @param {any} row */
function updateRunning(node, row) {
  const [, state, time] = /** @type {any} */ (node.children);
  const retry = row.attempts > 1 ? `attempt ${row.attempts}, ` : "";
  const text = row.stream && row.chunks ? `${count(row.chunks)} chunks, ${rate(row.chunks_per_second)}/s` : "waiting for the first byte";
  setText(state, retry + text);
  state.classList.toggle("idle", !row.chunks);
  setText(time, duration(Math.round(row.elapsed_ms / 100) / 10));
}

/** @param {Element} body @param {any[]} rows */
function drawModels(body, rows) {
  if (!rows.length) return fill(body, h("p", { class: "none" }, "No call ended in the last five minutes."));
  const most = Math.max(...rows.map((row) => row.calls));
  fill(
    body,
    h(
      "table",
      { class: "mini" },
      h("thead", null, h("tr", null, ["Model", "Calls", "p50", "Cost"].map((label, at) => h("th", { scope: "col", class: at ? "number" : null }, label)))),
      h(
        "tbody",
        null,
        rows.map((row) =>
          h(
            "tr",
            null,
            h(
              "td",
              null,
              rowLink(href("calls", "", { model: row.model, provider: row.provider }), modelName(row.provider, row.model)),
              h("i", { class: "share", style: { width: `${(row.calls / most) * 100}%`, background: `var(${seriesColor(row.model ?? "")})` } }),
            ),
            h("td", { class: "number" }, count(row.calls), row.errors ? h("small", { class: "bad" }, percent(row.error_rate)) : null),
            h("td", { class: "number" }, ms(row.latency_ms?.p50 ?? null)),
            h("td", { class: "number" }, money(row.cost)),
          ),
        ),
      ),
    ),
  );
}

/** @param {Element} body @param {any[]} calls */
function drawFailures(body, calls) {
  if (!calls.length) return fill(body, h("p", { class: "none" }, "No call has failed."));
  let list = body.querySelector("ul");
  if (!list) fill(body, (list = h("ul", { class: "failures" })));
  reconcile(
    list,
    calls,
    (call) => call.id,
    (call) => h("li", null, rowLink(href("calls", call.id, { outcome: "failed" }), outcomeBadge("failed", call.error ?? "failed"), h("span", { class: "failed-model" }, call.model)), h("time", null)),
    (node, call) => setText(/** @type {Element} */ (node.lastElementChild), ago(call.start)),
  );
}

/** @param {number} seconds since the epoch */
function ago(seconds) {
  const age = Math.max(0, (live.at || Date.now() / 1000) - seconds);
  return age < 90 ? `${Math.round(age)} s ago` : age < 5400 ? `${Math.round(age / 60)} min ago` : `${Math.round(age / 3600)} h ago`;
}
