/** Numbers, durations, money and times as text. An unknown value is "–", never 0. */

export const NONE = "–";

/** @param {any} value */
const known = (value) => typeof value === "number" && Number.isFinite(value);

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });

/** A count: 999, 1,234, 12.3k, 4.56M. @param {any} value */
export function count(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return `${trim(value / 1e9)}B`;
  if (size >= 1e6) return `${trim(value / 1e6)}M`;
  if (size >= 1e4) return `${trim(value / 1e3)}k`;
  return grouped.format(value);
}

/** A whole count with all its digits. @param {any} value */
export function whole(value) {
  return known(value) ? grouped.format(value) : NONE;
}

/** A rate: three significant digits, no exponent. @param {any} value */
export function rate(value) {
  if (!known(value)) return NONE;
  if (Math.abs(value) >= 1000) return count(value);
  if (value === 0) return "0";
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {number} value */
function trim(value) {
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** Seconds as a duration: 840 µs, 34.2 ms, 1.24 s, 2 m 05 s. @param {any} seconds */
export function duration(seconds) {
  const [value, unit] = durationParts(seconds);
  return unit ? `${value} ${unit}` : value;
}

/** The same as number and unit, for large figures. @param {any} seconds @returns {[string, string]} */
export function durationParts(seconds) {
  if (!known(seconds)) return [NONE, ""];
  const size = Math.abs(seconds);
  if (size === 0) return ["0", "ms"];
  if (size < 0.001) return [(seconds * 1e6).toFixed(0), "µs"];
  if (size < 0.01) return [(seconds * 1e3).toFixed(1), "ms"];
  if (size < 0.9995) return [(seconds * 1e3).toFixed(0), "ms"];
  if (size < 60) return [seconds.toFixed(size < 10 ? 2 : 1), "s"];
  const total = Math.round(seconds);
  if (total < 3600) return [`${Math.floor(total / 60)} m ${pad(total % 60)}`, "s"];
  return [`${Math.floor(total / 3600)} h ${pad(Math.floor((total % 3600) / 60))}`, "m"];
}

/** A duration in as few characters as tell it: 34ms, 1.2s, 2m. For axes and below figures. @param {any} seconds */
export function short(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds === 0) return "0";
  if (seconds < 0.9995) return `${trim(Number((seconds * 1e3).toPrecision(2)))}ms`;
  return seconds < 99.5 ? `${trim(Number(seconds.toPrecision(2)))}s` : `${trim(Number((seconds / 60).toPrecision(2)))}m`;
}

/** A number as short as it goes: for axes. @param {number} value */
export function tick(value) {
  return Math.abs(value) >= 1000 ? count(value) : String(Number(value.toPrecision(3)));
}

/** US dollars; small amounts keep two significant digits. @param {any} value a number, or a decimal as text */
export function money(value) {
  const amount = typeof value === "string" && value !== "" ? Number(value) : value;
  if (!known(amount)) return NONE;
  const size = Math.abs(amount);
  if (size === 0) return "$0";
  if (size >= 1000) return `$${grouped.format(amount)}`;
  if (size >= 1) return `$${amount.toFixed(2)}`;
  if (size < 1e-9) return "< $0.000000001";
  const digits = Math.min(12, 1 - Math.floor(Math.log10(size)));
  return `$${amount.toFixed(Math.max(2, digits))}`;
}

/** A ratio in 0..1 as a percentage. @param {any} ratio */
export function percent(ratio) {
  if (!known(ratio)) return NONE;
  const value = ratio * 100;
  return `${value === 0 || value === 100 || Math.abs(value) >= 10 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** @param {any} size bytes */
export function bytes(size) {
  if (!known(size)) return NONE;
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${trim(size / 1024)} KiB`;
  return `${trim(size / 1024 / 1024)} MiB`;
}

/** @param {number} value */
const pad = (value) => String(value).padStart(2, "0");

/** Seconds since the epoch as local wall clock, 14:03:09. @param {any} seconds */
export function clock(seconds) {
  if (!known(seconds)) return NONE;
  const at = new Date(seconds * 1000);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** The same with its day when that is not today. @param {any} seconds */
export function moment(seconds) {
  if (!known(seconds)) return NONE;
  const at = new Date(seconds * 1000);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${isoDay(at)} `;
  return `${day}${clock(seconds)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** @param {Date} at */
const isoDay = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;

/** Cut long text in the middle, both ends stay readable. @param {string} text @param {number} [length] */
export function middle(text, length = 40) {
  if (text.length <= length) return text;
  const half = Math.floor((length - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(-half)}`;
}

/** A value of unknown type as readable text: text as is, everything else as indented JSON. @param {any} value */
export function readable(value) {
  if (typeof value === "string") {
    const text = value.trim();
    if (!/^[[{]/.test(text)) return value;
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return value; // half a tool call's arguments, for instance
    }
  }
  return value === undefined ? "" : JSON.stringify(value, null, 2);
}
