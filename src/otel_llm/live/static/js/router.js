/** The address of a view: `#/calls?model=gpt-5.2&call=1`. In the fragment, so that the page works at any mount path. */

/** @typedef {{view: string, id: string, query: URLSearchParams}} Route */

/** @returns {Route} */
export function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [view, ...rest] = path.split("/");
  let id = "";
  try {
    id = decodeURIComponent(rest.join("/"));
  } catch {
    // a broken escape in a hand-made address: the view without a selection
  }
  return { view: view || "overview", id, query: new URLSearchParams(query) };
}

/**
 * @param {string} view
 * @param {string} [id]
 * @param {Record<string, string | null | undefined> | URLSearchParams} [query] empty values are left out
 */
export function href(view, id = "", query = {}) {
  const pairs = query instanceof URLSearchParams ? [...query] : Object.entries(query);
  const kept = new URLSearchParams(/** @type {[string, string][]} */ (pairs.filter(([, value]) => value)));
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}${kept.size ? `?${kept}` : ""}`;
}

/** @param {string} address @param {{replace?: boolean}} [how] */
export function go(address, { replace = false } = {}) {
  if (address === location.hash) return;
  if (replace) {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = address;
}
