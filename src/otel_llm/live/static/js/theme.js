/** Dark, light, or what the system says. Colours live in css/tokens.css; canvases ask for them here. */

import { pref, setPref } from "./prefs.js";

const ORDER = ["auto", "light", "dark"];
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {Map<string, string>} */
const resolved = new Map();

function changed() {
  resolved.clear();
  for (const fn of listeners) fn();
}

system.addEventListener("change", changed);

/** @returns {string} `auto`, `light` or `dark` */
export function theme() {
  return root.dataset.theme ?? "auto";
}

/** Go to the next of auto, light, dark. @returns {string} the new one */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  setPref("theme", next);
  changed();
  return next;
}

/** Be called when colours change. @param {() => void} fn @returns {() => void} stops it */
export function onTheme(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

/**
 * The colour that a custom property has now, as a canvas understands it.
 *
 * @param {string} token `--series-1`, ...
 * @param {number} [alpha]
 */
export function color(token, alpha = 1) {
  const key = `${token}/${alpha}`;
  let value = resolved.get(key);
  if (value === undefined) {
    const probe = document.createElement("i");
    probe.style.color = alpha === 1 ? `var(${token})` : `color-mix(in srgb, var(${token}) ${alpha * 100}%, transparent)`;
    document.body.append(probe);
    value = getComputedStyle(probe).color;
    probe.remove();
    resolved.set(key, value);
  }
  return value;
}

/** @type {Map<string, number>} */
const slots = new Map();

/** One of eight series colours per name, the same in every view. @param {string} name */
export function seriesColor(name) {
  let slot = slots.get(name);
  if (slot === undefined) {
    slot = slots.size % 8;
    slots.set(name, slot);
  }
  return `--series-${slot + 1}`;
}
