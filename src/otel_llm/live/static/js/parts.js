/** Pieces that several views share: badges, figures, selects, empty states, notes, sortable tables, copying. */

import { fill, h, icon, reconcile, setText } from "./dom.js";
import { go, href } from "./router.js";

/** @typedef {import("./dom.js").Child} Child */

const OUTCOMES = {
  completed: ["good", "Completed"],
  failed: ["bad", "Failed"],
  cancelled: ["warn", "Cancelled"],
  closed: ["warn", "Closed"],
  abandoned: ["warn", "Abandoned"],
};

const MEANING = {
  completed: "The response was received whole.",
  failed: "An exception, or a response that says it failed.",
  cancelled: "The application cancelled the call.",
  closed: "The application closed the stream before its end.",
  abandoned: "The stream was dropped without being read to its end.",
};

/** How a call ended: a mark with a different shape per class, so that colour is not needed. @param {string} outcome @param {string} [text] */
export function outcomeBadge(outcome, text) {
  const [tone, label] = OUTCOMES[/** @type {keyof typeof OUTCOMES} */ (outcome)] ?? ["warn", outcome];
  return h(
    "span",
    { class: `outcome ${tone}`, title: MEANING[/** @type {keyof typeof MEANING} */ (outcome)] },
    h("i", { "aria-hidden": "true" }),
    h("span", null, text ?? label),
  );
}

/** @param {string} label @param {Child} value @param {Child} [sub] */
export function fact(label, value, sub) {
  return h("div", { class: "fact" }, h("dt", null, label), h("dd", null, value, sub ? h("small", null, sub) : null));
}

/** @param {string} label @param {string} text what is copied @param {string} [className] */
export function copyButton(label, text, className = "icon-button") {
  const button = h("button", { type: "button", class: className, "aria-label": `Copy ${label}`, title: `Copy ${label}`, onclick: copy }, icon("copy"));
  /** @param {Event} event */
  async function copy(event) {
    event.stopPropagation();
    try {
      await navigator.clipboard.writeText(text);
      button.dataset.done = "true";
    } catch {
      button.dataset.done = "false"; // not allowed here; the text can still be selected
    }
    setTimeout(() => delete button.dataset.done, 1200);
  }
  return button;
}

/** A block of text to be copied into a terminal. @param {string} label @param {string} text */
export function snippet(label, text) {
  return h("div", { class: "snippet" }, h("pre", null, h("code", null, text)), copyButton(label, text));
}

/**
 * A labelled select whose options can change while it is used.
 *
 * @param {string} label
 * @param {string} all text of the empty choice
 * @param {(value: string) => void} onChange
 */
export function picker(label, all, onChange) {
  const select = h("select", { "aria-label": label, onchange: () => onChange(select.value) });
  const node = h("div", { class: "picker" }, select);
  return {
    node,
    /** @param {string[]} values @param {string} current @param {(value: string) => string} [text] */
    set(values, current, text = (value) => value) {
      const listed = current && !values.includes(current) ? [...values, current] : values;
      reconcile(
        select,
        ["", ...listed],
        (value) => `=${value}`,
        (value) => h("option", { value }),
        (option, value) => setText(option, value ? text(value) : all),
      );
      if (select.value !== current) select.value = current;
      node.classList.toggle("active", current !== "");
    },
  };
}

/**
 * One of a few choices, as buttons.
 *
 * @param {string} label
 * @param {[value: string, text: string][]} choices
 * @param {string} current
 * @param {(value: string) => void} onChange
 */
export function segmented(label, choices, current, onChange) {
  const buttons = choices.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === current), onclick: () => pick(value) }, text),
  );
  /** @param {string} value */
  function pick(value) {
    choices.forEach(([other], at) => buttons[at].setAttribute("aria-pressed", String(other === value)));
    onChange(value);
  }
  return h("div", { class: "segmented", role: "group", "aria-label": label }, buttons);
}

/** @param {string} title @param {...Child} children */
export function empty(title, ...children) {
  return h("div", { class: "empty" }, h("h2", null, title), children);
}

/** @param {Error} error @param {() => void} again */
export function problem(error, again) {
  return empty("This could not be loaded", h("p", null, error.message), h("button", { type: "button", class: "button", onclick: again }, "Try again"));
}

/** Whether spans of other programs arrive here. @param {any} status `/api/status` */
export function receives(status) {
  return Boolean(status.otlp.http || status.otlp.grpc);
}

/**
 * What a newcomer sees until the first call has arrived; drawn again only when it says something else, so that the
 * focus stays.
 *
 * @param {HTMLElement} node what is filled
 * @param {any} status `/api/status`, null while it is not known
 */
export function firstSteps(node, status) {
  const state = status === null ? "" : !receives(status) ? "in-process" : status.received.spans > 0 ? "arriving" : "waiting";
  const drawn = /** @type {HTMLElement | null} */ (node.firstElementChild);
  if (drawn && drawn.dataset.steps === state) return;
  if (state === "") fill(node);
  else if (state === "in-process") fill(node, empty("Waiting for the first call", h("p", null, "This view runs inside your program. A call to a model appears here as soon as it starts."), doctorHint()));
  else if (state === "arriving") {
    const text = "Spans of other things arrive. Install an instrumentation of your model SDK beside theirs:";
    fill(node, empty("Spans arrive, but none is a call to a model", h("p", null, text), program(), doctorHint()));
  } else {
    // The address under which this page was reached is the one that works from there.
    const endpoint = (status.otlp.http ?? "http://localhost:4318").replace(/\/\/(127\.0\.0\.1|0\.0\.0\.0|\[::1?\])(?=[:/]|$)/, `//${location.hostname}`);
    const setting = snippet("the setting", `export OTEL_EXPORTER_OTLP_ENDPOINT=${endpoint}`);
    fill(node, empty("Waiting for the first call", h("p", null, "Point any program that exports OpenTelemetry at this address:"), setting, h("p", null, "A Python program needs no change at all:"), program(), doctorHint()));
  }
  if (node.firstElementChild) /** @type {HTMLElement} */ (node.firstElementChild).dataset.steps = state;
}

function program() {
  return snippet("the commands", 'pip install "otel-llm[otlp]"\nopentelemetry-instrument python app.py');
}

function doctorHint() {
  return h("p", { class: "hint" }, "Nothing appears? ", h("code", null, "otel-llm doctor"), " says what is missing. Only looking? ", h("code", null, "otel-llm demo --live"), " makes traffic.");
}

/** A link that fills its table row for the pointer, and is the row's one tab stop. @param {string} address @param {...Child} children */
export function rowLink(address, ...children) {
  return h("a", { class: "row-link", href: address }, children);
}

/** @param {string} provider @param {string | null} model @param {Child} [extra] */
export function modelName(provider, model, extra) {
  return h("span", { class: "model" }, h("b", null, model ?? "unknown model"), h("small", null, provider ?? "unknown provider"), extra);
}

/**
 * Move the query of the address: set some values, keep the others.
 *
 * @param {import("./router.js").Route} route
 * @param {Record<string, string>} changes
 */
export function refine(route, changes) {
  const query = Object.fromEntries(route.query);
  go(href(route.view, route.id, { ...query, ...changes }), { replace: true });
}

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} label
 * @property {boolean} [number] right aligned, sorted down first
 * @property {(row: any) => any} value what is sorted by
 * @property {(row: any) => Child} [cell] what is shown; `value` by default
 *
 * A table that can be sorted by each column.
 *
 * @param {string} caption
 * @param {Column[]} columns
 * @param {{key: string, down: boolean}} initial
 */
export function sortable(caption, columns, initial) {
  const order = { ...initial };
  /** @type {any[]} */
  let rows = [];
  const body = h("tbody", null);
  const heads = columns.map((column) =>
    h(
      "th",
      { scope: "col", class: column.number ? "number" : null },
      h("button", { type: "button", class: "sort", onclick: () => sortBy(column) }, column.label),
    ),
  );
  const node = h("table", { class: "grid" }, h("caption", { class: "visually-hidden" }, caption), h("thead", null, h("tr", null, heads)), body);

  /** @param {Column} column */
  function sortBy(column) {
    order.down = order.key === column.key ? !order.down : column.number === true;
    order.key = column.key;
    draw();
  }

  function draw() {
    const column = columns.find((one) => one.key === order.key) ?? columns[0];
    const sorted = rows.toSorted((a, b) => compare(column.value(a), column.value(b)) * (order.down ? -1 : 1));
    columns.forEach((one, at) => {
      if (one === column) heads[at].setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else heads[at].removeAttribute("aria-sort");
    });
    fill(
      body,
      sorted.map((row) =>
        h("tr", null, columns.map((one) => h("td", { class: one.number ? "number" : null }, (one.cell ?? one.value)(row)))),
      ),
    );
  }
  return {
    node,
    /** @param {any[]} next */
    set(next) {
      rows = next;
      draw();
    },
  };
}

/** Unknown values sort as smallest. @param {any} a @param {any} b */
function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return a < b ? -1 : 1;
}
