/** The eight figures of the last minute. */

import { sparkline } from "../charts.js";
import { h, setAttr, setText } from "../dom.js";
import { count, durationParts, money, NONE, percent, rate, short } from "../format.js";

/**
 * @typedef {object} Tile
 * @property {string} label
 * @property {string} color
 * @property {(data: any) => [value: string, unit: string, below: string, tone?: string]} read
 * @property {(bins: import("../points.js").Bins) => (number | null)[]} line
 */

const split = (/** @type {string} */ text) => /** @type {[string, string]} */ (text.split(" ", 2).concat("").slice(0, 2));
const seconds = (/** @type {any} */ stats, /** @type {string} */ name) => (stats ? stats[name] / 1000 : null);

/** @type {Tile[]} */
const TILES = [
  {
    label: "Requests",
    color: "--series-1",
    read: ({ overview, throughput }) => [rate(overview.requests_per_sec), "/s", `${count(overview.calls)} in ${window_(throughput)}`],
    line: (bins) => bins.sums(["requests"])[0],
  },
  {
    label: "Errors",
    color: "--bad",
    read: ({ overview }) => [
      ...split(percent(overview.error_rate)),
      overview.errors ? `${count(overview.errors)} failed` : "none failed",
      overview.errors ? "bad" : "",
    ],
    line: (bins) => bins.sums(["errors"])[0],
  },
  {
    label: "Latency p50",
    color: "--series-1",
    read: ({ overview: { latency_ms: stats } }) => [...durationParts(seconds(stats, "p50")), tails(stats)],
    line: (bins) => bins.typical("latency_p50"),
  },
  {
    label: "First token p50",
    color: "--series-1",
    read: ({ overview: { ttft_ms: stats } }) => [...durationParts(seconds(stats, "p50")), tails(stats)],
    line: (bins) => bins.typical("ttft_p50"),
  },
  {
    label: "Output tokens",
    color: "--series-2",
    read: ({ overview }) => [
      rate(overview.tokens_per_sec),
      "/s",
      overview.tokens_per_second ? `${rate(overview.tokens_per_second.p50)}/s in one call` : "no output yet",
    ],
    line: (bins) => bins.sums(["output_tokens"])[0],
  },
  {
    label: "Cost",
    color: "--series-3",
    read: ({ overview, throughput }) => {
      const minutely = (overview.cost / (throughput.window_s || 60)) * 60;
      const unpriced = overview.unpriced ? ` · ${count(overview.unpriced)} unpriced` : "";
      return [money(minutely), "/min", `${money(Math.round(minutely * 6000) / 100)}/h${unpriced}`];
    },
    line: (bins) => bins.sums(["cost"])[0],
  },
  {
    label: "Cache hits",
    color: "--series-5",
    read: ({ overview, cache }) => [
      ...split(percent(overview.cache_hit_rate)),
      overview.cache_hit_rate === null ? "no call says" : `${percent(cache.token_reuse_rate / 100)} of input reused`,
    ],
    line: (bins) => bins.ratio("cache_hits", "cache_lookups"),
  },
  {
    label: "Active streams",
    color: "--series-2",
    read: ({ overview }) => [
      overview.active_streams === null ? NONE : count(overview.active_streams),
      "",
      overview.active_requests === null ? "only known in process" : `${count(overview.active_requests)} in flight`,
    ],
    line: (bins) => bins.last("active_streams"),
  },
];

/** @param {any} throughput */
function window_(throughput) {
  return `${Math.max(1, Math.round(throughput.window_s))} s`;
}

/** @param {any} stats */
function tails(stats) {
  return stats ? `p90 ${short(stats.p90 / 1000)}, p99 ${short(stats.p99 / 1000)}` : "nothing measured";
}

/** All eight, updated in place. */
export function tiles() {
  const parts = TILES.map((tile) => {
    const value = h("span", { class: "value" }, NONE);
    const unit = h("small", null);
    const below = h("p", { class: "below" });
    const line = sparkline(tile.color);
    const node = h("div", { class: "tile" }, h("dt", null, tile.label), h("dd", null, h("p", { class: "figure" }, value, unit), below, line.node));
    return { tile, value, unit, below, line, node };
  });
  return {
    node: h("dl", { class: "tiles card", "aria-label": "The last minute" }, parts.map((part) => part.node)),
    /** @param {any} data `DATA` of the protocol @param {import("../points.js").Bins} bins of the lines */
    set(data, bins) {
      if (!data.overview) return;
      for (const { tile, value, unit, below, line, node } of parts) {
        const [figure, suffix, sub, tone] = tile.read(data);
        setText(value, figure);
        setText(unit, suffix);
        setText(below, sub);
        setAttr(node, "data-tone", tone || null);
        line.set(tile.line(bins));
      }
    },
  };
}
