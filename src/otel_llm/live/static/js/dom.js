/**
 * Building and updating elements. Text only ever becomes a text node: nothing here parses HTML, and the page's
 * content security policy (with Trusted Types) forbids it.
 */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false | readonly any[]} Child lists may hold lists */

/**
 * Make an element. Properties: `class`, `on<event>` (a function), `style` (an object of CSS properties, set one by
 * one through the CSSOM, which a strict policy allows), `true`/`false` for boolean attributes, anything else as attribute.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  setProps(node, props);
  append(node, children);
  return node;
}

/**
 * The same for SVG.
 *
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, props, ...children) {
  const node = document.createElementNS(SVG, tag);
  setProps(node, props);
  append(node, children);
  return node;
}

/** @param {HTMLElement | SVGElement} node @param {Record<string, any> | null | undefined} props */
function setProps(node, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, css] of Object.entries(value)) node.style.setProperty(key, String(css));
    else if (name === "value" && "value" in node) node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @param {Node} node @param {Child[]} children */
function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/** Replace what `node` holds. @param {Element} node @param {...Child} children */
export function fill(node, ...children) {
  const fragment = document.createDocumentFragment();
  append(fragment, children);
  node.replaceChildren(fragment);
}

/** Set text only when it changed, so that a selection and a screen reader are left alone. @param {Node} node @param {any} text */
export function setText(node, text) {
  const next = String(text);
  if (node.textContent !== next) node.textContent = next;
}

/** Set or, with null, remove an attribute, only on change. @param {Element} node @param {string} name @param {any} value */
export function setAttr(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/**
 * Make the children of `parent` be one element per item, in order, keeping elements whose key stays: focus, selection
 * and scroll position survive.
 *
 * @template I
 * @param {Element} parent
 * @param {I[]} items
 * @param {(item: I) => string} key
 * @param {(item: I) => Element} create
 * @param {(node: Element, item: I) => void} [update] called for new and for kept elements
 */
export function reconcile(parent, items, key, create, update) {
  /** @type {Map<string, Element>} */
  const old = new Map();
  for (const child of parent.children) old.set(/** @type {HTMLElement} */ (child).dataset.key ?? "", child);
  let cursor = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    let node = old.get(id);
    if (node) old.delete(id);
    else {
      node = create(item);
      /** @type {HTMLElement} */ (node).dataset.key = id;
    }
    update?.(node, item);
    if (node === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(node, cursor);
  }
  for (const node of old.values()) node.remove();
}

const ICONS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  calls: "M4 6h16M4 12h16M4 18h10",
  traces: "M4 5h9M8 10h9M12 15h8M8 20h6",
  usage: "M5 20V11M12 20V4M19 20v-6",
  compare: "M8 4v16M16 4v16M4 8h8M12 16h8",
  theme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  pause: "M9 5v14M15 5v14",
  play: "M7 5l12 7-12 7z",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.5",
  close: "M6 6l12 12M18 6L6 18",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16.5 16.5L21 21",
  expand: "M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  chevron: "M9 6l6 6-6 6",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5v.01",
  tool: "M14 6a4 4 0 0 1 5-1l-3 3 1 2 2 1 3-3a4 4 0 0 1-5 5l-8 8-3-3 8-8a4 4 0 0 1 0-4",
  brain: "M12 5a3 3 0 0 0-5 2 3 3 0 0 0-2 5 3 3 0 0 0 2 5 3 3 0 0 0 5 2zM12 5a3 3 0 0 1 5 2 3 3 0 0 1 2 5 3 3 0 0 1-2 5 3 3 0 0 1-5 2",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

/** A 24-unit line icon, decoration only: the control that holds it carries the name. @param {keyof typeof ICONS} name */
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, s("path", { d: ICONS[name] }));
}
