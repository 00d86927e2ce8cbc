/** Every call, newest first, as they arrive; one of them opened beside the list. */

import { download, get, poll } from "../api.js";
import { fill, h, icon, reconcile, setText } from "../dom.js";
import { whole } from "../format.js";
import { addShortcuts } from "../keys.js";
import { live } from "../live.js";
import { empty, firstSteps, picker, problem, refine } from "../parts.js";
import { go, href, route as currentRoute } from "../router.js";
import { callPanel } from "./call.js";
import { callRow, callTable, scaleOf, updateRow } from "./call-rows.js";

const PAGE = 100;
const MOST = 600; // rows; older ones are asked for again on demand
const FILTERS = ["q", "model", "provider", "endpoint", "service", "outcome", "conversation"];
const OUTCOMES = ["completed", "failed", "cancelled", "closed", "abandoned"];

/** @param {HTMLElement} root @param {import("../router.js").Route} first */
export function mount(root, first) {
  let route = first;
  /** What the server was last asked with. */
  let asked = "";
  /** @type {{calls: any[], next: number | null, cursor: number, loaded: boolean}} */
  const list = { calls: [], next: null, cursor: 0, loaded: false };
  /** Calls that arrived while the reader is further down. @type {any[]} */
  let held = [];

  const search = h("input", {
    type: "search",
    placeholder: "Search calls",
    "aria-label": "Search calls",
    maxlength: 200,
    autocomplete: "off",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => refine(currentRoute(), { q: search.value.trim() }), 200);
    },
  });
  let typing = 0;
  const pickers = {
    model: picker("Model", "Model", (value) => refine(route, { model: value })),
    provider: picker("Provider", "Provider", (value) => refine(route, { provider: value })),
    endpoint: picker("Endpoint", "Endpoint", (value) => refine(route, { endpoint: value })),
    service: picker("Service", "Service", (value) => refine(route, { service: value })),
    outcome: picker("Outcome", "Outcome", (value) => refine(route, { outcome: value })),
  };
  const conversation = h("button", { type: "button", class: "chip", hidden: true, onclick: () => refine(route, { conversation: "" }) });
  const clear = h("button", { type: "button", class: "button quiet", onclick: clearFilters }, "Clear");
  const matched = h("span", { class: "matched", role: "status" });
  const save = h("button", { type: "button", class: "icon-button", title: "Save as CSV", "aria-label": "Save as CSV", onclick: saveCsv }, icon("download"));
  const { table, body } = callTable();
  const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: () => showHeld(true) });
  const older = h("button", { type: "button", class: "button", hidden: true, onclick: () => void loadOlder() }, "Older calls");
  const message = h("div", null);
  const panel = callPanel({ close: () => select(""), step });
  const column = h("div", { class: "list" }, fresh, table, message, h("div", { class: "more" }, older));
  const split = h("div", { class: "split" }, column, panel.node);
  fill(
    root,
    h(
      "div",
      { class: "toolbar", role: "search" },
      h("h1", { class: "visually-hidden" }, "Calls"),
      h("label", { class: "field search" }, icon("search"), search, h("kbd", { "aria-hidden": "true" }, "/")),
      Object.values(pickers).map((one) => one.node),
      conversation,
      clear,
      h("span", { class: "space" }),
      matched,
      save,
    ),
    split,
  );

  function params() {
    return Object.fromEntries(FILTERS.map((name) => [name, route.query.get(name) ?? ""]));
  }

  async function load() {
    const wanted = (asked = JSON.stringify(params()));
    try {
      const answer = await get("api/calls", { ...params(), limit: PAGE });
      if (wanted !== asked) return;
      Object.assign(list, { calls: answer.calls, next: answer.next, cursor: answer.cursor, loaded: true });
      held = [];
      setMatched(answer.matched);
      draw();
    } catch (error) {
      fill(message, problem(/** @type {Error} */ (error), load));
    }
  }

  async function loadNew(/** @type {AbortSignal} */ signal) {
    if (live.paused || !list.loaded || live.cursor === list.cursor) return;
    const wanted = asked;
    const answer = await get("api/calls", { ...params(), since: list.cursor, limit: 1000 }, signal);
    if (wanted !== asked) return;
    list.cursor = answer.cursor;
    held = [...answer.calls, ...held];
    setMatched(answer.matched);
    showHeld(scrollY < 160 && !route.id); // while a call is read nothing moves beside it
  }

  async function loadOlder() {
    older.disabled = true;
    try {
      const answer = await get("api/calls", { ...params(), before: list.next, limit: PAGE });
      list.calls.push(...answer.calls);
      list.next = answer.next;
      draw();
    } finally {
      older.disabled = false;
    }
  }

  /** @param {boolean} now */
  function showHeld(now) {
    fresh.hidden = now || !held.length;
    setText(fresh, `${whole(held.length)} new`);
    if (!now || !held.length) return;
    if (scrollY > 160) scrollTo({ top: 0 });
    const room = Math.max(MOST, list.calls.length);
    list.calls = [...held, ...list.calls];
    held = [];
    if (list.calls.length > room) {
      list.calls.length = room;
      list.next = list.calls[room - 1].seq;
    }
    draw();
  }

  function draw() {
    const scale = scaleOf(list.calls);
    reconcile(
      body,
      list.calls,
      (call) => call.id,
      (call) => callRow(call, href("calls", call.id, route.query)),
      (row, call) => updateRow(row, call, scale, call.id === route.id),
    );
    table.hidden = !list.calls.length;
    older.hidden = list.next === null;
    drawEmpty();
  }

  function drawEmpty() {
    if (list.calls.length || !list.loaded) fill(message);
    else if (filtered() && live.status?.calls.kept) fill(message, empty("No call matches", h("p", null, "Calls are kept that these filters leave out."), h("button", { type: "button", class: "button", onclick: clearFilters }, "Clear filters")));
    else firstSteps(message, live.status);
  }

  const filtered = () => FILTERS.some((name) => route.query.get(name));

  /** @param {number} number */
  function setMatched(number) {
    setText(matched, `${whole(number)} ${number === 1 ? "call" : "calls"}`);
  }

  function clearFilters() {
    search.value = "";
    go(href("calls", route.id), { replace: true });
  }

  function saveCsv() {
    void download("api/calls", { ...params(), format: "csv", limit: 1000 }, "calls.csv");
  }

  function drawFilters() {
    const { status } = live;
    const wanted = params();
    if (document.activeElement !== search) search.value = wanted.q;
    pickers.model.set(status?.models ?? [], wanted.model);
    pickers.provider.set(status?.providers ?? [], wanted.provider);
    pickers.endpoint.set(status?.endpoints ?? [], wanted.endpoint);
    pickers.service.set(status?.services ?? [], wanted.service);
    pickers.service.node.hidden = !wanted.service && (status?.services.length ?? 0) < 2;
    if (list.loaded && !list.calls.length) drawEmpty();
    pickers.outcome.set(OUTCOMES, wanted.outcome, (value) => value[0].toUpperCase() + value.slice(1));
    conversation.hidden = !wanted.conversation;
    fill(conversation, `Conversation ${wanted.conversation}`, icon("close"));
    conversation.setAttribute("aria-label", `Conversation ${wanted.conversation}: remove this filter`);
    clear.hidden = !filtered();
  }

  /** @param {string} id empty: close the call */
  function select(id) {
    const was = route.id;
    go(href("calls", id, route.query), { replace: Boolean(was && id) });
    if (!id) rowOf(was)?.focus();
  }

  /** @param {string} id @returns {HTMLElement | null} */
  const rowOf = (id) => body.querySelector(`[data-key="${CSS.escape(id)}"] a`);

  /** @param {number} by */
  function step(by) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest("tr[data-key]"))?.dataset.key;
    const at = list.calls.findIndex((call) => call.id === (route.id || focused));
    const next = list.calls[Math.min(list.calls.length - 1, Math.max(0, at + by))];
    if (!next) return;
    if (route.id) select(next.id);
    const link = rowOf(next.id);
    link?.focus({ preventScroll: true });
    link?.closest("tr")?.scrollIntoView({ block: "nearest" });
  }

  function apply() {
    drawFilters();
    panel.show(route.id, route.query);
    if (JSON.stringify(params()) !== asked) void load();
    else draw();
  }

  const newer = poll(1000, loadNew);
  const onScroll = () => scrollY < 20 && !route.id && showHeld(true);
  addEventListener("scroll", onScroll, { passive: true });
  const stops = [
    newer.stop,
    live.on("reload", load),
    live.on("status", drawFilters),
    () => removeEventListener("scroll", onScroll),
    addShortcuts([
      { keys: "/", label: "Search", group: "Calls", run: () => search.select() },
      { keys: "j", label: "Next call", group: "Calls", run: () => step(1) },
      { keys: "k", label: "Previous call", group: "Calls", run: () => step(-1) },
      { keys: "e", label: "Only failed, or all", group: "Calls", run: () => refine(route, { outcome: route.query.get("outcome") === "failed" ? "" : "failed" }) },
      { keys: "x", label: "Clear filters", group: "Calls", run: clearFilters },
      ...panel.shortcuts,
    ]),
  ];
  apply();

  return {
    /** @param {import("../router.js").Route} next */
    update(next) {
      route = next;
      apply();
    },
    destroy() {
      clearTimeout(typing);
      for (const stop of stops) stop();
      panel.destroy();
    },
  };
}
