/** Keyboard shortcuts: one table, from which the help dialog is drawn. */

import { fill, h, icon } from "./dom.js";
import { pref, setPref } from "./prefs.js";

/**
 * @typedef {object} Shortcut
 * @property {string} keys `?`, `j`, `Escape`, or two in sequence: `g o`
 * @property {string} label what it does, for the help
 * @property {string} group heading in the help
 * @property {() => void} run
 */

/** @type {Shortcut[]} */
let shortcuts = [];
let pending = "";
let pendingUntil = 0;
let enabled = pref("shortcuts", "on") === "on";

/** Add shortcuts. @param {Shortcut[]} list @returns {() => void} removes them */
export function addShortcuts(list) {
  shortcuts.push(...list);
  return () => {
    shortcuts = shortcuts.filter((entry) => !list.includes(entry));
  };
}

/** @param {EventTarget | null} target */
function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return; // the dialog has its own keys
  if (event.key === "Escape" && typing(event.target)) {
    /** @type {HTMLElement} */ (event.target).blur();
    return;
  }
  // Single letters can be switched off (WCAG 2.1.4); Escape always works.
  if (typing(event.target) || (!enabled && event.key !== "Escape")) return;
  const sequence = performance.now() < pendingUntil ? `${pending} ${event.key}` : event.key;
  pendingUntil = 0;
  const hit = shortcuts.findLast((entry) => entry.keys === sequence || entry.keys === event.key);
  if (hit) {
    event.preventDefault();
    hit.run();
  } else if (shortcuts.some((entry) => entry.keys.startsWith(`${event.key} `))) {
    pending = event.key;
    pendingUntil = performance.now() + 1200;
  }
}

document.addEventListener("keydown", onKey);

/** @param {string} keys */
function caps(keys) {
  const names = { Escape: "Esc", ArrowRight: "→", ArrowLeft: "←" };
  return keys.split(" ").map((key) => h("kbd", null, names[/** @type {keyof typeof names} */ (key)] ?? key));
}

/** Show every shortcut that works now. */
export function showHelp() {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("help"));
  const groups = Map.groupBy(shortcuts, (entry) => entry.group);
  const toggle = h("input", {
    type: "checkbox",
    id: "shortcuts-on",
    checked: enabled,
    onchange: () => {
      enabled = toggle.checked;
      setPref("shortcuts", enabled ? "on" : "off");
    },
  });
  fill(
    dialog,
    h(
      "form",
      { method: "dialog", class: "help" },
      h(
        "header",
        null,
        h("h2", { id: "help-title" }, "Keyboard"),
        h("button", { class: "icon-button", "aria-label": "Close" }, icon("close")),
      ),
      h(
        "div",
        { class: "help-groups" },
        [...groups].map(([name, entries]) =>
          h(
            "section",
            null,
            h("h3", null, name),
            h("dl", null, entries.map((entry) => h("div", null, h("dt", null, caps(entry.keys)), h("dd", null, entry.label)))),
          ),
        ),
      ),
      h("label", { class: "check", for: "shortcuts-on" }, toggle, "Single-key shortcuts"),
    ),
  );
  dialog.showModal();
}
