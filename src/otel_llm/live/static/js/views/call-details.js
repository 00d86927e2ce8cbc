/** Tokens, limits, parameters, the server's facts and everything else that is known of a call. */

import { h } from "../dom.js";
import { count, duration, readable, whole } from "../format.js";
import { copyButton } from "../parts.js";

/** @param {any} call @returns {import("../dom.js").Child} */
export function details(call) {
  const ids = { id: call.id, trace: call.trace_id, span: call.span_id, conversation: call.conversation_id, response: call.server?.response_id, request: call.server?.request_id };
  return h(
    "div",
    { class: "details" },
    tokens(call.usage),
    limits(call.rate_limit),
    table("Parameters", call.parameters),
    table("Response", { finish_reasons: call.finish_reasons, response_model: call.response_model, request_model: call.request_model, tool_calls: call.tool_calls }),
    table("Server", { ...call.server, request_id: null, response_id: null }),
    table("Identifiers", ids, true),
    table("Attributes", byName(call.attributes)),
    table("Resource", byName(call.resource)),
    h("p", { class: "none" }, `Written by ${call.source}; tokens from ${call.usage?.source ?? "nowhere"}.`),
  );
}

/** @param {any} usage */
function tokens(usage) {
  if (!usage || (usage.input ?? usage.output ?? null) === null) return null;
  const most = Math.max(usage.input ?? 0, usage.output ?? 0, 1);
  const fresh = (usage.input ?? 0) - (usage.cache_read ?? 0) - (usage.cache_write ?? 0);
  return section(
    "Tokens",
    h(
      "div",
      { class: "token-bars" },
      bar("Input", usage.input, most, [["cached", usage.cache_read, "--series-5"], ["written to cache", usage.cache_write, "--series-4"], ["new", fresh, "--series-1"]]),
      bar("Output", usage.output, most, [["reasoning", usage.reasoning, "--series-3"], ["answer", (usage.output ?? 0) - (usage.reasoning ?? 0), "--series-2"]]),
    ),
    keyValues(usage.modalities ?? {}, false),
  );
}

/** @param {string} label @param {number | null} total @param {number} most @param {[string, number | null, string][]} parts */
function bar(label, total, most, parts) {
  const known = parts.filter(([, value]) => value !== null && value > 0);
  return h(
    "div",
    { class: "token-bar" },
    h("span", null, label),
    h("span", { class: "track", "aria-hidden": "true" }, known.map(([, value, color]) => h("i", { style: { width: `${(Number(value) / most) * 100}%`, background: `var(${color})` } }))),
    h("b", null, whole(total)),
    h("ul", { class: "legend" }, known.map(([name, value, color]) => h("li", null, h("i", { class: "swatch", style: { background: `var(${color})` } }), name, " ", h("b", null, whole(value))))),
  );
}

/** @param {any} limit */
function limits(limit) {
  if (!limit) return null;
  const meters = [
    ["Requests", limit.remaining_requests, limit.limit_requests, limit.reset_requests_s],
    ["Tokens", limit.remaining_tokens, limit.limit_tokens, limit.reset_tokens_s],
  ].filter(([, left]) => left !== null);
  if (!meters.length) return null;
  return section(
    "Rate limits after this call",
    h(
      "div",
      { class: "meters" },
      meters.map(([label, left, most, reset]) => {
        const share = most ? left / most : 1;
        const tone = share < 0.1 ? "bad" : share < 0.25 ? "warn" : "good";
        return h(
          "div",
          { class: `limit ${tone}` },
          h("span", null, label),
          h("span", { class: "track", role: "meter", "aria-label": `${label} left`, "aria-valuenow": left, "aria-valuemin": 0, "aria-valuemax": most ?? left }, h("i", { style: { width: `${Math.min(100, share * 100)}%` } })),
          h("b", null, `${count(left)}${most === null ? "" : ` of ${count(most)}`}`),
          h("small", null, reset === null ? "" : `full in ${duration(reset)}`),
        );
      }),
    ),
  );
}

/** @param {string} title @param {...import("../dom.js").Child} children */
function section(title, ...children) {
  return h("section", null, h("h3", null, title), children);
}

/** @param {string} title @param {Record<string, any>} values @param {boolean} [copied] */
function table(title, values, copied = false) {
  const list = keyValues(values ?? {}, copied);
  return list && section(title, list);
}

/** @param {Record<string, any>} values */
export function byName(values) {
  return Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Names and values; unknown and empty ones are left out.
 *
 * @param {Record<string, any>} values
 * @param {boolean} copied with a button to copy each
 */
export function keyValues(values, copied) {
  const known = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length));
  if (!known.length) return null;
  return h(
    "dl",
    { class: "pairs" },
    known.map(([name, value]) => {
      const text = Array.isArray(value) && value.every((one) => typeof one === "string") ? value.join(", ") : readable(value);
      return h("div", null, h("dt", null, name.split(/(?<=[._])/).flatMap((piece) => [piece, h("wbr", null)])), h("dd", null, h("span", null, text), copied ? copyButton(name, text) : null));
    }),
  );
}
