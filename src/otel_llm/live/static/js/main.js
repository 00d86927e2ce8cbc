/** The frame: navigation, connection, theme, shortcuts; one view at a time below it. */

import { getToken, loadToken, poll, setToken } from "./api.js";
import { fill, h, icon, setAttr, setText } from "./dom.js";
import { clock, count } from "./format.js";
import { addShortcuts, showHelp } from "./keys.js";
import { connect, live, loadStatus } from "./live.js";
import { go, href, route } from "./router.js";
import { nextTheme, theme } from "./theme.js";
import * as calls from "./views/calls.js";
import * as compare from "./views/compare.js";
import * as overview from "./views/overview.js";
import * as traces from "./views/traces.js";
import * as usage from "./views/usage.js";

/**
 * @typedef {object} View
 * @property {(route: import("./router.js").Route) => void} update the address changed, the view stays
 * @property {() => void} destroy
 */

/** @type {Record<string, {title: string, key: string, mount: (root: HTMLElement, route: import("./router.js").Route) => View}>} */
const VIEWS = {
  overview: { title: "Overview", key: "o", mount: overview.mount },
  calls: { title: "Calls", key: "c", mount: calls.mount },
  traces: { title: "Traces", key: "t", mount: traces.mount },
  usage: { title: "Usage", key: "u", mount: usage.mount },
  compare: { title: "Compare", key: "m", mount: compare.mount },
};

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const main = byId("main");
/** @type {View | null} */
let view = null;
let shown = "";

function show() {
  const next = route();
  if (!(next.view in VIEWS)) return go(href("overview"), { replace: true });
  const { title, mount } = VIEWS[next.view];
  document.title = `${title} · otel-llm live`;
  for (const link of byId("nav").children) {
    setAttr(link, "aria-current", /** @type {HTMLElement} */ (link).dataset.view === next.view ? "page" : null);
  }
  if (next.view === shown) return view?.update(next);
  view?.destroy();
  shown = next.view;
  fill(main);
  main.dataset.view = shown;
  scrollTo(0, 0);
  view = mount(main, next);
}

function drawNavigation() {
  fill(
    byId("nav"),
    Object.entries(VIEWS).map(([name, { title }]) =>
      h("a", { href: href(name), "data-view": name }, icon(/** @type {"calls"} */ (name)), title),
    ),
  );
}

function drawControls() {
  const dot = h("span", { class: "connection", role: "status" }, h("i", { "aria-hidden": "true" }), h("span", null));
  const text = /** @type {HTMLElement} */ (dot.lastElementChild);
  const pause = h("button", { type: "button", class: "icon-button", title: "Pause (p)", onclick: live.togglePause });
  const look = h("button", { type: "button", class: "icon-button", onclick: changeTheme }, icon("theme"));
  const help = h(
    "button",
    { type: "button", class: "icon-button key-only", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", onclick: showHelp },
    icon("help"),
  );
  const names = { connecting: "Connecting", live: "Live", paused: "Paused", retrying: "Reconnecting" };

  function changeTheme() {
    nextTheme();
    nameTheme();
  }
  function nameTheme() {
    look.setAttribute("aria-label", `Theme: ${theme()}. Change`);
    look.title = `Theme: ${theme()} (d)`;
  }
  function draw() {
    dot.dataset.state = live.state;
    setText(text, names[live.state]);
    setAttr(pause, "aria-pressed", String(live.paused));
    pause.setAttribute("aria-label", live.paused ? "Go on" : "Pause");
    fill(pause, icon(live.paused ? "play" : "pause"));
  }
  live.on("state", draw);
  draw();
  nameTheme();
  fill(byId("controls"), dot, pause, look, help);
  return changeTheme;
}

/** Say that the connection is lost, and when it is tried again. */
function watchConnection() {
  const notice = byId("notice");
  const text = h("span", null);
  const again = h("button", { type: "button", class: "button", onclick: live.retryNow }, "Try now");
  let timer = 0;
  function draw() {
    clearTimeout(timer);
    if (live.state !== "retrying") return fill(notice);
    const wait = Math.max(0, Math.ceil((live.retryAt - performance.now()) / 1000));
    const age = live.at ? ` What you see is from ${clock(live.at)}.` : "";
    setText(text, `The live view does not answer. Trying again${wait ? ` in ${wait} s` : ""}.${age}`);
    if (!notice.firstChild) fill(notice, text, again);
    timer = setTimeout(draw, 1000);
  }
  live.on("state", draw);
}

/** What the server received, keeps and drops. */
function drawFooter() {
  const foot = h("footer", { id: "foot" });
  main.after(foot);
  live.on("status", () => {
    const { version, mode, otlp, received, calls: kept, forward, keep } = live.status;
    /** @type {[string, boolean][]} */
    const facts = [[`otel-llm ${version}, ${mode === "receiver" ? "receiver" : "in process"}`, false]];
    if (otlp.http) facts.push([`OTLP ${otlp.http}`, false]);
    if (otlp.grpc) facts.push([`gRPC ${otlp.grpc}`, false]);
    if (otlp.http || otlp.grpc) facts.push([`${count(received.spans)} spans received`, false]);
    if (received.rejected) facts.push([`${count(received.rejected)} rejected`, true]);
    facts.push([`${count(kept.kept)} of ${count(kept.seen)} calls kept${keep ? ` in ${keep.path}` : ""}`, false]);
    if (forward) facts.push([`Forwarded ${count(forward.sent)} to ${forward.url}, ${count(forward.queued)} queued`, false]);
    if (forward?.dropped) facts.push([`${count(forward.dropped)} dropped while forwarding`, true]);
    fill(foot, facts.map(([fact, bad]) => h("span", { class: bad ? "bad" : null }, fact)));
  });
}

function askToken() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("token"));
  if (dialog.open) return;
  const field = h("input", { type: "password", id: "token-value", autocomplete: "off", required: true, "aria-label": "Token" });
  const wrong = getToken() ? h("p", { class: "bad", role: "alert" }, "That token was not accepted.") : null;
  fill(
    dialog,
    h(
      "form",
      { method: "dialog", class: "token", onsubmit: submit },
      h("header", null, h("h2", { id: "token-title" }, "This view needs a token")),
      h("p", null, "It is the value that was given to ", h("code", null, "otel-llm live --token"), "."),
      wrong,
      h("div", { class: "row" }, field, h("button", { class: "button primary" }, "Open")),
    ),
  );
  function submit() {
    setToken(field.value);
    status.now();
    connect();
    dialog.addEventListener("close", () => fill(dialog), { once: true }); // and so forget the token and the focus
    if (shown) {
      shown = ""; // draw the view anew
      show();
    }
  }
  dialog.showModal();
}

loadToken();
addEventListener("token-needed", askToken);
drawNavigation();
const changeTheme = drawControls();
watchConnection();
drawFooter();
addShortcuts([
  ...Object.entries(VIEWS).map(([name, { title, key }]) => ({
    keys: `g ${key}`,
    label: title,
    group: "Go to",
    run: () => go(href(name)),
  })),
  { keys: "p", label: "Pause or go on", group: "Everywhere", run: live.togglePause },
  { keys: "d", label: "Theme: system, light, dark", group: "Everywhere", run: changeTheme },
  { keys: "?", label: "This help", group: "Everywhere", run: showHelp },
]);
/** @type {HTMLElement} */ (document.querySelector(".skip")).addEventListener("click", (event) => {
  event.preventDefault(); // the fragment is the address of the view
  main.focus();
});
addEventListener("hashchange", show);
const status = poll(4000, loadStatus);
connect();
show();
