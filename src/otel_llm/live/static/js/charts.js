/** Time charts: uPlot with our colours, a legend that reads the value under the cursor, and a text for screen readers. */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { h, setText } from "./dom.js";
import { clock, NONE } from "./format.js";
import { color, onTheme } from "./theme.js";

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {string} color custom property
 * @property {boolean} [area] fill below the line
 * @property {boolean} [dash]
 *
 * @typedef {object} ChartSpec
 * @property {string} title
 * @property {string} [note] what is measured, as a tooltip
 * @property {Series[]} series
 * @property {(value: number | null) => string} format
 * @property {(value: number) => string} [axis] shorter form for the axis; `format` by default
 * @property {boolean} [hold] without a cursor, the legend has the newest known value instead of the newest
 * @property {boolean} [whole] no lines between whole numbers
 * @property {number} [floor] the axis reaches at least this value
 *
 * @typedef {object} Chart
 * @property {HTMLElement} node
 * @property {(times: number[], values: (number | null)[][]) => void} set
 * @property {() => void} destroy
 */

const HEIGHT = 132; // px, as in overview.css

/** @param {ChartSpec} spec @returns {Chart} */
export function chart(spec) {
  const values = spec.series.map(() => h("b", null, NONE));
  const when = h("span", { class: "chart-time", "aria-hidden": "true" });
  const legend = h(
    "ul",
    { class: "legend" },
    spec.series.map((series, at) =>
      h("li", null, h("i", { class: "swatch", style: { background: `var(${series.color})` } }), series.label, " ", values[at]),
    ),
  );
  const plot = h("div", { class: "plot", role: "img", "aria-label": spec.title });
  const node = h(
    "section",
    { class: "card chart" },
    h("header", null, h("h2", { title: spec.note }, spec.title), when),
    legend,
    plot,
  );

  const u = new uPlot(options(spec, () => read()), emptyData(spec), plot);

  function read() {
    const at = u.cursor.idx;
    const last = u.data[0].length - 1;
    const index = at === null || at === undefined ? last : at;
    spec.series.forEach((_, n) => {
      const column = /** @type {(number | null)[]} */ (u.data[n + 1]);
      setText(values[n], spec.format((index === last && spec.hold ? column.findLast((value) => value !== null) : column[index]) ?? null));
    });
    setText(when, index === last || index < 0 ? "" : clock(u.data[0][index]));
  }

  const observer = new ResizeObserver(() => {
    if (plot.clientWidth) u.setSize({ width: plot.clientWidth, height: HEIGHT });
  });
  observer.observe(plot);
  const stop = onTheme(() => u.redraw());

  return {
    node,
    set(times, columns) {
      u.setData(/** @type {any} */ ([times, ...columns]));
      read();
      const latest = spec.series.map((series, n) => `${series.label} ${spec.format(columns[n].at(-1) ?? null)}`);
      plot.setAttribute("aria-label", `${spec.title}, now: ${latest.join(", ")}`);
    },
    destroy() {
      observer.disconnect();
      stop();
      u.destroy();
    },
  };
}

/** @param {ChartSpec} spec */
function emptyData(spec) {
  return /** @type {any} */ ([[], ...spec.series.map(() => [])]);
}

/** @param {ChartSpec} spec @param {() => void} onCursor @returns {any} */
function options(spec, onCursor) {
  const axis = {
    stroke: () => color("--faint"),
    grid: { stroke: () => color("--line"), width: 1 },
    ticks: { show: false },
    font: '11px Inter, system-ui, "Segoe UI", Roboto, sans-serif',
  };
  const label = spec.axis ?? spec.format;
  return {
    width: 320,
    height: HEIGHT,
    padding: [6, 15, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "otel-llm" }, points: { size: 6 } },
    hooks: { setCursor: [onCursor] },
    scales: {
      x: { time: true },
      y: {
        range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number | null} */ max) => [
          0,
          Math.max((max || 1) * 1.08, spec.floor ?? 0), // nothing at all: up to 1, so that the axis has numbers to show
        ],
      },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 22, gap: 4, space: xSpace, values: xLabels },
      {
        ...axis,
        size: 48,
        gap: 6,
        space: 36,
        ...(spec.whole && { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] }),
        values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((value) => (value === null ? "" : label(value))),
      },
    ],
    series: [
      {},
      ...spec.series.map((series) => ({
        label: series.label,
        stroke: () => color(series.color),
        width: 1.5,
        dash: series.dash ? [4, 3] : undefined,
        fill: series.area ? () => color(series.color, 0.14) : undefined,
        points: { show: true, size: 3.5, filter: lonely, fill: () => color(series.color) },
        spanGaps: false,
      })),
    ],
  };
}

/** Values without neighbours, through which no line goes. @param {any} u @param {number} n @param {boolean} show */
function lonely(u, n, show) {
  const column = u.data[n];
  const missing = (/** @type {number} */ at) => (column[at] ?? null) === null;
  return show ? column.flatMap((/** @type {any} */ value, /** @type {number} */ at) => (value !== null && missing(at - 1) && missing(at + 1) ? [at] : [])) : null;
}

/** Pixels for a label: with seconds below two minutes. @param {any} _ @param {number} __ @param {number} min @param {number} max */
function xSpace(_, __, min, max) {
  return max - min < 120 ? 76 : 46;
}

/** @param {any} _ @param {number[]} splits */
function xLabels(_, splits) {
  const seconds = splits.length > 1 && splits[1] - splits[0] < 60;
  return splits.map((at) => (seconds ? clock(at) : clock(at).slice(0, 5)));
}

/**
 * A line without axes, for beside a figure. Decoration: the figure says it.
 *
 * @param {string} token colour
 */
export function sparkline(token) {
  const canvas = h("canvas", { class: "spark", "aria-hidden": "true" });
  /** @type {(number | null)[]} */
  let points = [];
  function draw() {
    const context = canvas.getContext("2d");
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    if (!context || !width) return;
    const scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    context.scale(scale, scale);
    const top = Math.max(...points.map((value) => value ?? 0), 1e-9);
    context.beginPath();
    let open = false;
    points.forEach((value, at) => {
      if (value === null) {
        open = false;
        return;
      }
      const x = (at / Math.max(points.length - 1, 1)) * width;
      const y = height - 1.5 - (value / top) * (height - 3);
      if (open) context.lineTo(x, y);
      else context.moveTo(x, y);
      open = true;
    });
    context.strokeStyle = color(token);
    context.lineWidth = 1.25;
    context.lineJoin = "round";
    context.stroke();
  }
  return {
    node: canvas,
    /** @param {(number | null)[]} next */
    set(next) {
      points = next;
      draw();
    },
  };
}
