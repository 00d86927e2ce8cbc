/**
 * The connection to the server's metrics stream: the newest figures, the points of the charts, and how the connection
 * is. One for the page; views listen to it.
 */

import { get, getToken } from "./api.js";

/** @typedef {"connecting" | "live" | "paused" | "retrying"} State */
/** @typedef {"frame" | "state" | "status" | "reload"} Topic */

const SILENCE = 6000; // ms without a frame (one comes each second) after which the connection is given up
const WINDOW = 300; // seconds of points
const AGAIN = 20; // seconds until all points are asked for again: spans of long calls arrive later than `recent` reaches back

/** @type {Record<Topic, Set<() => void>>} */
const listeners = { frame: new Set(), state: new Set(), status: new Set(), reload: new Set() };

export const live = {
  /** @type {State} */ state: "connecting",
  /** The newest `DATA` of the protocol, null before the first frame. @type {any} */
  data: null,
  /** `POINT`s, one a second, oldest first. @type {any[]} */
  points: [],
  /** The newest call that the server knows. */
  cursor: 0,
  /** Spans that the server has received, null when it does not say. @type {number | null} */
  spans: null,
  /** Seconds since the epoch of the newest frame. */
  at: 0,
  /** Milliseconds (performance.now) of the next attempt to connect. */
  retryAt: 0,
  /** `/api/status`, null before the first answer. @type {any} */
  status: null,
  filter: { endpoint: "", model: "" },

  /** Listen. @param {Topic} topic @param {() => void} fn @returns {() => void} stops it */
  on(topic, fn) {
    listeners[topic].add(fn);
    return () => listeners[topic].delete(fn);
  },

  /** Freeze what is shown, or go on. Data is still received. */
  togglePause() {
    paused = !paused;
    setState(socket?.readyState === WebSocket.OPEN ? "live" : live.state);
    if (!paused) emit("reload", "frame");
  },

  get paused() {
    return paused;
  },

  retryNow() {
    if (live.state === "retrying") connect();
  },

  /** Narrow figures and points; empty text means all. @param {string} endpoint @param {string} model */
  async select(endpoint, model) {
    if (endpoint === live.filter.endpoint && model === live.filter.model) return;
    live.filter = { endpoint, model };
    subscribe();
    await loadHistory();
  },
};

let paused = false;
let attempts = 0;
let silence = 0;
let retry = 0;
/** Seconds since the epoch when all points were last got. */
let complete = 0;
/** Frames of the filter before are ignored until `subscribed` arrives. */
let awaiting = false;
/** @type {WebSocket | null} */
let socket = null;

/** @param {...Topic} topics */
function emit(...topics) {
  for (const topic of topics) for (const fn of listeners[topic]) fn();
}

/** @param {State} state */
function setState(state) {
  live.state = paused && state === "live" ? "paused" : state === "paused" && !paused ? "live" : state;
  emit("state");
}

/** Open the connection, anew if there is one, and for good: it is opened again whenever it ends. */
export function connect() {
  clearTimeout(retry);
  clearTimeout(silence);
  socket?.close();
  const url = new URL("metrics/stream", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(url);
  socket = mine;
  mine.onopen = () => {
    watchSilence();
    if (getToken()) mine.send(JSON.stringify({ type: "auth", token: getToken() }));
  };
  mine.onmessage = (event) => mine === socket && receive(JSON.parse(event.data));
  mine.onclose = (event) => mine === socket && lost(event.code);
}

/** @param {number} code */
function lost(code) {
  clearTimeout(silence);
  socket = null;
  if (code === 1008 && live.status === null) dispatchEvent(new Event("token-needed"));
  // Full jitter keeps many pages from coming back at the same instant.
  const wait = Math.min(10_000, 500 * 2 ** attempts) * (0.5 + Math.random() / 2);
  attempts += 1;
  live.retryAt = performance.now() + wait;
  setState("retrying");
  retry = setTimeout(connect, wait);
}

function watchSilence() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    const mine = socket;
    mine?.close();
    if (mine) lost(1006); // a half-open connection never says that it closed
  }, SILENCE);
}

/** @param {any} frame */
function receive(frame) {
  watchSilence();
  if (frame.type === "subscribed" || frame.type === "error") awaiting = false;
  if (frame.type === "historical_data") greeted(frame);
  if (frame.type !== "historical_data" && (frame.type !== "metrics_update" || awaiting)) return;
  live.at = frame.timestamp;
  live.data = frame.data;
  live.cursor = frame.cursor;
  live.spans = frame.spans ?? null;
  if (frame.recent) merge(frame.recent);
  if (live.at - complete > AGAIN) void loadHistory();
  if (!paused) emit("frame");
}

/** @param {any} frame the first of a connection */
function greeted(frame) {
  attempts = 0;
  complete = frame.timestamp;
  live.points = frame.history;
  setState("live");
  const { endpoint, model } = live.filter;
  if (endpoint || model) {
    subscribe();
    void loadHistory();
  }
  if (!paused) emit("reload");
}

/** @param {any[]} points */
function merge(points) {
  if (!points.length) return;
  const start = points[0].t;
  const kept = live.points.filter((point) => point.t < start);
  live.points = [...kept, ...points].filter((point) => point.t > points[points.length - 1].t - WINDOW);
}

function subscribe() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const { endpoint, model } = live.filter;
  const filters = { ...(endpoint && { endpoint }), ...(model && { model }) };
  awaiting = true;
  socket.send(JSON.stringify({ type: "unsubscribe" }));
  socket.send(JSON.stringify({ type: "subscribe", filters }));
}

async function loadHistory() {
  const wanted = live.filter;
  complete = live.at;
  const { points } = await get("api/history", wanted).catch(() => ({ points: live.points }));
  if (wanted !== live.filter) return;
  live.points = points;
  if (!paused) emit("frame");
}

/** Ask for `/api/status`; errors are left to whoever polls. @param {AbortSignal} [signal] */
export async function loadStatus(signal) {
  live.status = await get("api/status", {}, signal);
  emit("status");
}
