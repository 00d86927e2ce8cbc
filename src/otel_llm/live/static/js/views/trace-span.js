/** One span of a trace in full, beside the waterfall. */

import { fill, h, icon } from "../dom.js";
import { duration } from "../format.js";
import { fact } from "../parts.js";
import { href } from "../router.js";
import { byName, keyValues } from "./call-details.js";

/** @param {() => void} close */
export function spanPanel(close) {
  const node = h("aside", { class: "span-panel card", hidden: true, "aria-label": "Span" });
  return {
    node,
    /** @param {any} span null: nothing is selected @param {any} trace */
    show(span, trace) {
      node.hidden = span === null;
      if (span) fill(node, head(span, close), h("div", { class: "span-body" }, body(span, trace)));
      node.scrollTop = 0;
    },
  };
}

/** @param {any} span @param {() => void} close */
function head(span, close) {
  return h(
    "header",
    { class: "panel-head" },
    h("div", { class: "panel-title" }, h("h2", null, span.name), h("p", null, h("span", null, span.service), h("span", null, span.kind), h("span", null, span.scope))),
    h("button", { type: "button", class: "icon-button", "aria-label": "Close", title: "Close (Esc)", onclick: close }, icon("close")),
  );
}

/** @param {any} span @param {any} trace */
function body(span, trace) {
  return [
    span.status === "error" ? h("section", { class: "failure" }, h("h3", null, "Error"), span.status_message && h("p", null, span.status_message)) : null,
    h(
      "dl",
      { class: "facts" },
      fact("Duration", duration((span.duration_ms ?? 0) / 1000)),
      fact("Starts after", duration(span.offset_ms / 1000)),
      fact("Share", `${Math.round(((span.duration_ms ?? 0) / (trace.duration_ms || 1)) * 100)} %`),
    ),
    span.call_id ? h("p", { class: "open-call" }, h("a", { class: "button primary", href: href("calls", span.call_id) }, "Open the call")) : null,
    h("div", { class: "details" }, part("Attributes", keyValues(byName(span.attributes), false)), events(span), links(span), part("Identifiers", keyValues({ span: span.span_id, parent: span.parent_id }, true))),
  ];
}

/** @param {string} title @param {Node | null} inside */
function part(title, inside) {
  return inside && h("section", null, h("h3", null, title), inside);
}

/** @param {any} span */
function events(span) {
  if (!span.events.length) return null;
  return part(
    "Events",
    h("div", null, span.events.map((/** @type {any} */ event) => h("div", { class: "span-event" }, h("p", null, h("b", null, event.name), h("small", null, `after ${duration((event.offset_ms - span.offset_ms) / 1000)}`)), keyValues(event.attributes, false)))),
  );
}

/** @param {any} span */
function links(span) {
  if (!span.links.length) return null;
  return part("Links", h("ul", null, span.links.map((/** @type {any} */ link) => h("li", null, h("a", { href: href("traces", link.trace_id, { span: link.span_id }) }, h("code", null, link.trace_id))))));
}
