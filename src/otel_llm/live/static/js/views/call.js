/** One call in full: figures, where the time went, the conversation, every detail, the record itself. */

import { ApiError, get } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { count, duration, money, moment, rate } from "../format.js";
import { copyButton, empty, fact, outcomeBadge, problem } from "../parts.js";
import { pref, setPref } from "../prefs.js";
import { href } from "../router.js";
import { conversation } from "./call-conversation.js";
import { details } from "./call-details.js";
import { timeline } from "./call-timing.js";

/** @typedef {[name: string, draw: (call: any) => import("../dom.js").Child]} Tab */

/** @type {Tab[]} */
const TABS = [
  ["Conversation", conversation],
  ["Details", details],
  ["Record", record],
];

const seconds = (/** @type {number | null | undefined} */ ms) => (ms === null || ms === undefined ? null : ms / 1000);

/**
 * @param {{close: () => void, step: (by: number) => void}} actions
 */
export function callPanel({ close, step }) {
  const node = h("aside", { class: "call-panel", hidden: true, "aria-label": "Call", tabindex: "-1" });
  let shown = "";
  let query = new URLSearchParams();
  let tab = pref("call-tab", "Conversation");
  let asking = new AbortController();

  /** @param {string} id @param {URLSearchParams} filters */
  function show(id, filters) {
    query = filters;
    if (id === shown) return;
    shown = id;
    asking.abort();
    node.hidden = id === "";
    document.body.classList.toggle("has-panel", id !== "");
    if (id) void load(id);
    else fill(node);
  }

  /** @param {string} id */
  async function load(id) {
    asking = new AbortController();
    const { signal } = asking;
    try {
      const call = await get(`api/calls/${encodeURIComponent(id)}`, {}, signal);
      draw(call);
    } catch (error) {
      if (signal.aborted) return;
      const gone = error instanceof ApiError && error.status === 404;
      fill(
        node,
        h("header", { class: "panel-head" }, h("span", { class: "space" }), closeButton()),
        gone ? empty("This call is not kept", h("p", null, "It was older than what the live view keeps.")) : problem(/** @type {Error} */ (error), () => load(id)),
      );
    }
  }

  function closeButton() {
    return h("button", { type: "button", class: "icon-button", "aria-label": "Close", title: "Close (Esc)", onclick: close }, icon("close"));
  }

  function toggleWide() {
    const wide = node.classList.toggle("wide");
    setPref("call-wide", wide ? "yes" : "no");
  }

  /** @param {any} call */
  function draw(call) {
    fill(node, head(call), h("div", { class: "call-body" }, h("div", { class: "call-summary" }, error(call), facts(call), timeline(call)), tabs(call)));
    node.scrollTop = 0;
  }

  /** @param {any} call */
  function head(call) {
    const arrow = (/** @type {number} */ by, /** @type {string} */ label, /** @type {string} */ key) =>
      h("button", { type: "button", class: `icon-button ${by < 0 ? "up" : "down"}`, "aria-label": label, title: `${label} (${key})`, onclick: () => step(by) }, icon("chevron"));
    return h(
      "header",
      { class: "panel-head" },
      h(
        "div",
        { class: "panel-title" },
        h("h2", null, call.model ?? call.operation),
        h("p", null, outcomeBadge(call.outcome), h("span", null, call.provider), h("span", null, call.endpoint), h("span", null, call.service), h("time", null, moment(call.start))),
      ),
      arrow(-1, "Previous call", "k"),
      arrow(1, "Next call", "j"),
      h("button", { type: "button", class: "icon-button widen", "aria-label": "Wide or narrow", title: "Wide or narrow (w)", onclick: toggleWide }, icon("expand")),
      closeButton(),
    );
  }

  /** @param {any} call */
  function tabs(call) {
    const panel = h("div", { role: "tabpanel", class: "tab-panel", tabindex: "0" });
    const buttons = TABS.map(([name]) => h("button", { type: "button", role: "tab", id: `tab-${name}`, onclick: () => pick(name), onkeydown: move }, name));
    /** @param {string} name */
    function pick(name) {
      tab = name;
      setPref("call-tab", name);
      TABS.forEach(([other, drawTab], at) => {
        buttons[at].setAttribute("aria-selected", String(other === name));
        buttons[at].tabIndex = other === name ? 0 : -1;
        if (other === name) fill(panel, drawTab(call));
      });
      panel.setAttribute("aria-labelledby", `tab-${name}`);
    }
    /** @param {KeyboardEvent} event */
    function move(event) {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const at = (TABS.findIndex(([name]) => name === tab) + by + TABS.length) % TABS.length;
      pick(TABS[at][0]);
      buttons[at].focus();
    }
    pick(TABS.some(([name]) => name === tab) ? tab : "Conversation");
    const links = h(
      "span",
      { class: "tab-links" },
      call.conversation_id && h("a", { href: href("calls", call.id, { conversation: call.conversation_id }), title: call.conversation_id }, "Same conversation"),
      call.has_trace && h("a", { href: href("traces", call.trace_id, { span: call.span_id }) }, "Trace"),
    );
    return h("section", { class: "tabs" }, h("div", { class: "tab-bar" }, h("div", { role: "tablist", "aria-label": "Parts of the call" }, buttons), links), panel);
  }

  node.classList.toggle("wide", pref("call-wide", "no") === "yes");
  return {
    node,
    show,
    shortcuts: [
      { keys: "w", label: "Open call wide or narrow", group: "Calls", run: () => shown && toggleWide() },
      { keys: "v", label: "Trace of the open call", group: "Calls", run: () => /** @type {HTMLElement | null} */ (node.querySelector(".tab-links a[href^='#/traces']"))?.click() },
      { keys: "Escape", label: "Close the call", group: "Calls", run: () => shown && close() },
    ],
    destroy() {
      asking.abort();
      document.body.classList.remove("has-panel");
    },
  };
}

/** @param {any} call */
function facts(call) {
  const reused = call.cache_read_tokens ? `${count(call.cache_read_tokens)} cached` : null;
  const thought = call.reasoning_tokens ? `${count(call.reasoning_tokens)} reasoning` : null;
  return h(
    "dl",
    { class: "facts" },
    fact("Duration", duration(seconds(call.duration_ms))),
    call.stream ? fact("First token", duration(seconds(call.ttft_ms))) : null,
    fact("Input", count(call.input_tokens), reused),
    fact("Output", count(call.output_tokens), thought),
    call.tokens_per_second === null ? null : fact("Speed", `${rate(call.tokens_per_second)}/s`),
    fact("Cost", money(call.cost)),
    call.attempts > 1 ? fact("Attempts", String(call.attempts)) : null,
  );
}

/** @param {any} call */
function error(call) {
  const found = call.error_detail;
  if (!found) return null;
  const parts = [found.status && `status ${found.status}`, found.category && found.category !== "unknown" && found.category.replaceAll("_", " "), found.retryable ? "can be retried" : "retrying does not help"];
  return h(
    "section",
    { class: "failure", "aria-label": "Error" },
    h("h3", null, found.type),
    h("p", null, [found.exception, ...parts].filter(Boolean).join(" · ")),
    found.message && h("pre", null, found.message),
  );
}

/** @param {any} call */
function record(call) {
  const text = JSON.stringify(call, null, 2);
  return h("div", { class: "record" }, copyButton("the record", text), h("pre", { class: "code" }, text));
}
