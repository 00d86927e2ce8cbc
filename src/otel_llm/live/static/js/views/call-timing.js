/** Where the time of a call went: attempts, waits, the time to the first chunk, the stream. */

import { h } from "../dom.js";
import { bytes, count, duration, percent } from "../format.js";

/** @typedef {{kind: string, label: string, from: number, to: number, note?: string}} Phase */

/**
 * What lies between the events of a call's `timeline`.
 *
 * @param {any} call
 * @returns {Phase[]}
 */
export function phases(call) {
  const events = call.timeline.toSorted((/** @type {any} */ a, /** @type {any} */ b) => a.at_ms - b.at_ms);
  /** @type {Phase[]} */
  const found = [];
  for (let at = 1; at < events.length; at += 1) {
    const [before, after] = [events[at - 1], events[at]];
    found.push({ ...phase(before.name, after.name, call), from: before.at_ms, to: after.at_ms });
  }
  return found.filter((one) => one.to - one.from > 0);
}

/** @param {string} before @param {string} after @param {any} call @returns {{kind: string, label: string, note?: string}} */
function phase(before, after, call) {
  const failed = /^attempt (\d+) failed$/.exec(after);
  if (failed) {
    const retry = call.retries.find((/** @type {any} */ one) => String(one.number) === failed[1]);
    const status = retry?.status ? `status ${retry.status}` : null;
    const error = retry?.error === String(retry?.status) ? null : retry?.error;
    return { kind: "bad", label: `Attempt ${failed[1]} failed`, note: [status, error].filter(Boolean).join(", ") };
  }
  if (/ failed$/.test(before)) return { kind: "pause", label: "Waiting to retry" };
  if (after === "first chunk") return { kind: "wait", label: "Until the first token" };
  if (before === "first chunk") return { kind: "flow", label: "Streaming" };
  if (before === "last chunk") return { kind: "rest", label: "Until the end was read" };
  if (after === "end" && call.outcome === "failed") return { kind: "bad", label: "Until the error" };
  if (after === "end") return { kind: "wait", label: call.stream ? "Until the end" : "Until the response" };
  return { kind: "rest", label: `${before} to ${after}` };
}

/** @param {any} call */
export function timeline(call) {
  const parts = phases(call);
  const total = call.duration_ms || parts.at(-1)?.to;
  if (!parts.length || !total) return null;
  const stats = call.stream_stats;
  return h(
    "section",
    { class: "timing", "aria-label": "Where the time went" },
    h(
      "div",
      { class: "phases", "aria-hidden": "true" },
      parts.map((one) => h("i", { class: `phase ${one.kind}`, title: `${one.label}: ${duration((one.to - one.from) / 1000)}`, style: { "flex-grow": (one.to - one.from) / total } })),
    ),
    h(
      "ol",
      { class: "phase-list" },
      parts.map((one) =>
        h(
          "li",
          null,
          h("i", { class: `phase ${one.kind}`, "aria-hidden": "true" }),
          h("span", null, one.label, one.note ? h("small", null, one.note) : null),
          h("b", null, duration((one.to - one.from) / 1000)),
          h("small", null, percent((one.to - one.from) / total)),
        ),
      ),
    ),
    stats ? h("p", { class: "stream-stats" }, streamText(stats)) : null,
  );
}

/** @param {any} stats */
function streamText(stats) {
  const ms = (/** @type {number} */ value) => duration(value / 1000);
  const parts = [];
  if (stats.chunks !== null) parts.push(`${count(stats.chunks)} chunks`);
  if (stats.bytes) parts.push(bytes(stats.bytes));
  if (stats.gap_p50_ms !== null && stats.gap_max_ms !== null) parts.push(`gaps p50 ${ms(stats.gap_p50_ms)}, p99 ${ms(stats.gap_p99_ms)}, longest ${ms(stats.gap_max_ms)}`);
  return parts.join(" · ");
}
