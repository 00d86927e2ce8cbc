/** Asking the server. All addresses are relative to the page, so that any port and any mount path work. */

/** @type {string} */
let token = "";

/** An answer that is not a success. `status` is 0 when there was none. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * The token to send, if any: from `#token=...` in the address (which no server sees; it is removed), else what this
 * tab had before.
 */
export function loadToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (found) {
    setToken(decodeURIComponent(found[1]));
    history.replaceState(null, "", location.pathname + location.search);
  } else {
    try {
      token = sessionStorage.getItem("otel-llm.token") ?? "";
    } catch {
      // storage can be forbidden: then the token is asked for again
    }
  }
}

/** @param {string} value */
export function setToken(value) {
  token = value;
  try {
    sessionStorage.setItem("otel-llm.token", value);
  } catch {
    // it holds until the page is left
  }
}

export function getToken() {
  return token;
}

/** @typedef {Record<string, string | number | boolean | string[] | null | undefined>} Params */

/** @param {string} path @param {Params} params */
function address(path, params) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "" && one !== false) url.searchParams.append(name, String(one));
    }
  }
  return url;
}

/** @param {string} path @param {Params} params @param {AbortSignal} [signal] */
async function request(path, params, signal) {
  const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
  let response;
  try {
    response = await fetch(address(path, params), { headers, signal, cache: "no-store" });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    throw new ApiError(0, "The live view does not answer.");
  }
  if (response.ok) return response;
  if (response.status === 401) dispatchEvent(new Event("token-needed"));
  const body = await response.json().catch(() => ({}));
  throw new ApiError(response.status, typeof body.error === "string" ? body.error : `Status ${response.status}`);
}

/**
 * GET JSON.
 *
 * @param {string} path relative: `api/calls`
 * @param {Params} [params] empty values are left out, lists are repeated
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, params = {}, signal) {
  return (await request(path, params, signal)).json();
}

/** Save an answer as a file; a plain link could not carry the token. @param {string} path @param {Params} params @param {string} name */
export async function download(path, params, name) {
  const url = URL.createObjectURL(await (await request(path, params)).blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * Run `task` now and then again `ms` after it ended, not while the page is hidden, until stopped. The signal of a
 * run is aborted by `stop` and by `now`.
 *
 * @param {number} ms
 * @param {(signal: AbortSignal) => Promise<unknown>} task handles its own API errors
 * @returns {{now: () => void, stop: () => void}}
 */
export function poll(ms, task) {
  let timer = 0;
  let running = new AbortController();
  async function run() {
    clearTimeout(timer);
    running.abort();
    const mine = new AbortController();
    running = mine;
    try {
      if (!document.hidden) await task(mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
    } finally {
      if (!mine.signal.aborted) timer = setTimeout(run, ms);
    }
  }
  const visible = () => document.hidden || run();
  document.addEventListener("visibilitychange", visible);
  run();
  return {
    now: run,
    stop() {
      clearTimeout(timer);
      running.abort();
      document.removeEventListener("visibilitychange", visible);
    },
  };
}
