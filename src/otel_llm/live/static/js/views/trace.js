/** One trace as a waterfall: a tree of spans over time, of which only the visible rows are in the document. */

import { ApiError, get, poll } from "../api.js";
import { fill, h, icon, setText } from "../dom.js";
import { count, duration, money, moment, short } from "../format.js";
import { addShortcuts } from "../keys.js";
import { live } from "../live.js";
import { copyButton, empty, fact, problem } from "../parts.js";
import { go, href } from "../router.js";
import { seriesColor } from "../theme.js";
import { spanPanel } from "./trace-span.js";

const ROW = 28; // px, as in traces.css
const AHEAD = 12; // rows beyond the visible ones

/** @param {import("../router.js").Route} first */
export function traceView(first) {
  const id = first.id;
  let route = first;
  /** @type {any} */
  let trace = null;
  /** @type {any[]} */
  let rows = [];
  /** @type {Set<string>} spans whose children are hidden */
  const closed = new Set();
  let selected = "";
  /** @type {number | null} */
  let spans = -1;

  const head = h("header", { class: "trace-head" });
  const axis = h("div", { class: "axis", "aria-hidden": "true" });
  const layer = h("div", { class: "wf-layer" });
  const tree = h("div", { class: "wf", role: "tree", tabindex: "0", "aria-label": "Spans", onkeydown: onKey, onscroll: () => drawRows() }, layer);
  const panel = spanPanel(() => select("", false));
  const chart = h("div", { class: "card waterfall" }, h("div", { class: "wf-head" }, h("span", { class: "wf-name" }, "Span"), h("span", { class: "wf-took" }, "Duration"), axis), tree);
  const main = h("div", { class: "trace-main" }, chart, panel.node);
  const node = h("div", { class: "trace" }, head, main);
  const observer = new ResizeObserver(() => drawRows());
  observer.observe(tree);

  async function load(/** @type {AbortSignal} */ signal) {
    if (trace && (live.paused || live.spans === spans)) return;
    spans = live.spans;
    try {
      trace = await get(`api/traces/${encodeURIComponent(id)}`, {}, signal);
      drawHead();
      arrange();
    } catch (error) {
      if (signal.aborted) return;
      if (trace) throw error;
      const gone = error instanceof ApiError && error.status === 404;
      fill(node, backLink(), gone ? empty("This trace is not kept", h("p", null, "It was older than what the live view keeps, or has not arrived yet.")) : problem(/** @type {Error} */ (error), again.now));
    }
  }

  function backLink() {
    return h("a", { class: "back", href: href("traces") }, icon("chevron"), "Traces");
  }

  function drawHead() {
    if (!head.isConnected) fill(node, head, main);
    const calls = trace.spans.filter((/** @type {any} */ span) => span.call_id).length;
    const errors = trace.spans.filter((/** @type {any} */ span) => span.status === "error").length;
    fill(
      head,
      backLink(),
      h("div", { class: "trace-title" }, h("h1", null, trace.name), h("span", null, trace.services.join(", ")), h("time", null, moment(trace.start)), h("code", null, trace.trace_id), copyButton("the trace id", trace.trace_id)),
      h(
        "dl",
        { class: "facts" },
        fact("Duration", duration(trace.duration_ms / 1000)),
        fact("Spans", count(trace.spans.length), trace.truncated ? "more than are kept" : null),
        fact("Model calls", count(calls)),
        fact("Tokens", count(trace.total_tokens)),
        fact("Cost", money(trace.cost)),
        errors ? fact("Errors", h("span", { class: "bad" }, count(errors))) : null,
      ),
    );
    drawAxis();
  }

  function drawAxis() {
    const total = trace.duration_ms || 1;
    const step = roundStep(total / 6);
    const ticks = Array.from({ length: Math.ceil(total / step) }, (_, at) => at * step);
    tree.style.setProperty("--tick", `${(step / total) * 100}%`);
    fill(axis, ticks.map((at) => h("span", { style: { left: `${(at / total) * 100}%` }, class: at / total > 0.94 ? "last" : null }, short(at / 1000))));
  }

  /** Work out which rows are there, from what is closed. */
  function arrange() {
    rows = [];
    let hidden = Infinity;
    trace.spans.forEach((/** @type {any} */ span, /** @type {number} */ at) => {
      if (span.depth > hidden) return;
      const parent = trace.spans[at + 1]?.depth > span.depth;
      hidden = closed.has(span.span_id) ? span.depth : Infinity;
      rows.push({ span, parent, open: !closed.has(span.span_id) });
    });
    layer.style.height = `${rows.length * ROW}px`;
    const wanted = selected || route.query.get("span") || "";
    selected = "";
    select(wanted, true);
  }

  function drawRows() {
    if (!trace) return;
    const from = Math.max(0, Math.floor(tree.scrollTop / ROW) - AHEAD);
    const to = Math.min(rows.length, Math.ceil((tree.scrollTop + tree.clientHeight) / ROW) + AHEAD);
    fill(layer, rows.slice(from, to).map((row, at) => drawRow(row, from + at)));
  }

  /** @param {any} row @param {number} at */
  function drawRow({ span, parent, open }, at) {
    const total = trace.duration_ms || 1;
    const left = Math.min(100, Math.max(0, (span.offset_ms / total) * 100));
    const width = Math.min(100 - left, ((span.duration_ms ?? 0) / total) * 100);
    const kind = span.status === "error" ? "error" : span.call_id ? "llm" : "plain";
    const bar = h("i", { class: `bar ${kind}`, style: { left: `${left}%`, width: `${width}%` } });
    return h(
      "div",
      {
        class: `wf-row ${kind}`,
        role: "treeitem",
        id: `span-${span.span_id}`,
        "aria-level": span.depth + 1,
        "aria-expanded": parent ? String(open) : null,
        "aria-selected": String(span.span_id === selected),
        style: { top: `${at * ROW}px` },
        onclick: () => select(span.span_id, false),
      },
      h(
        "span",
        { class: "wf-name", style: { "padding-left": `${Math.min(span.depth, 24) * 14 + 8}px` } },
        parent ? h("button", { type: "button", class: "twist", tabindex: "-1", "aria-hidden": "true", onclick: (/** @type {Event} */ event) => twist(event, span.span_id) }, icon("chevron")) : h("i", { class: "twist" }),
        trace.services.length > 1 ? h("i", { class: "service", title: span.service, style: { background: `var(${seriesColor(span.service ?? "")})` } }) : null,
        h("span", { class: "wf-label" }, span.name),
        span.call_id ? h("span", { class: "tag llm" }, "LLM") : null,
        span.missing_parent ? h("span", { class: "tag warn", title: "Its parent has not arrived" }, "no parent") : null,
      ),
      h("span", { class: "wf-took" }, duration((span.duration_ms ?? 0) / 1000)),
      h("span", { class: "wf-time" }, bar, span.events.map((/** @type {any} */ event) => h("i", { class: "event", title: event.name, style: { left: `${(event.offset_ms / total) * 100}%` } }))),
    );
  }

  /** @param {Event} event @param {string} spanId */
  function twist(event, spanId) {
    event.stopPropagation();
    toggle(spanId);
  }

  /** @param {string} spanId */
  function toggle(spanId) {
    if (!closed.delete(spanId)) closed.add(spanId);
    arrange();
  }

  /** @param {string} spanId @param {boolean} scroll */
  function select(spanId, scroll) {
    const changed = spanId !== selected;
    selected = spanId;
    const at = rows.findIndex((row) => row.span.span_id === spanId);
    if (at >= 0 && scroll) reveal(at);
    if (changed) panel.show(at >= 0 ? rows[at].span : null, trace);
    main.classList.toggle("open", at >= 0);
    drawRows();
    if (at >= 0) tree.setAttribute("aria-activedescendant", `span-${spanId}`);
    else tree.removeAttribute("aria-activedescendant");
  }

  /** @param {number} at */
  function reveal(at) {
    const top = at * ROW;
    if (top < tree.scrollTop) tree.scrollTop = top;
    else if (top + ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + ROW - tree.clientHeight;
  }

  /** @param {number} from @param {number} by @param {(span: any) => boolean} [test] */
  function moveTo(from, by, test = () => true) {
    for (let at = from; at >= 0 && at < rows.length; at += by) {
      if (test(rows[at].span)) return select(rows[at].span.span_id, true);
    }
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const at = rows.findIndex((row) => row.span.span_id === selected);
    const row = rows[at];
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => moveTo(at + 1, 1),
      ArrowUp: () => moveTo(Math.max(0, at - 1), -1),
      Home: () => moveTo(0, 1),
      End: () => moveTo(rows.length - 1, -1),
      ArrowRight: () => row && (row.parent && !row.open ? toggle(selected) : row.parent && moveTo(at + 1, 1)),
      ArrowLeft: () => row && (row.parent && row.open ? toggle(selected) : moveTo(at - 1, -1, (span) => span.depth < row.span.depth)),
      Enter: () => row?.span.call_id && go(href("calls", row.span.call_id)),
    };
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** @param {number} by */
  function toModelCall(by) {
    const at = rows.findIndex((row) => row.span.span_id === selected);
    moveTo(at < 0 ? 0 : at + by, by, (span) => span.call_id !== null);
    tree.focus({ preventScroll: true });
  }

  const stopKeys = addShortcuts([
    { keys: "n", label: "Next model call", group: "Trace", run: () => toModelCall(1) },
    { keys: "N", label: "Previous model call", group: "Trace", run: () => toModelCall(-1) },
    { keys: "j", label: "Next span", group: "Trace", run: () => moveTo(rows.findIndex((row) => row.span.span_id === selected) + 1, 1) },
    { keys: "k", label: "Previous span", group: "Trace", run: () => moveTo(rows.findIndex((row) => row.span.span_id === selected) - 1, -1) },
    { keys: "Escape", label: "Close the span, leave the trace", group: "Trace", run: () => (selected ? select("", false) : go(href("traces"))) },
  ]);
  setText(head, "Loading");
  const again = poll(2000, load);

  return {
    node,
    /** @param {import("../router.js").Route} changed */
    update(changed) {
      route = changed;
    },
    destroy() {
      again.stop();
      observer.disconnect();
      stopKeys();
    },
  };
}

/** The next 1, 2 or 5 times a power of ten. @param {number} value */
function roundStep(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((one) => one * power >= value) ?? 10);
}
