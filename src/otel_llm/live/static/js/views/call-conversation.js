/** Request and response as a conversation. All of it is text; nothing is loaded, whatever it refers to. */

import { h, icon } from "../dom.js";
import { bytes, readable } from "../format.js";
import { copyButton, empty } from "../parts.js";

const LONG = 1400; // characters shown before "Show all"

/** @param {any} call @returns {import("../dom.js").Child} */
export function conversation(call) {
  const { content } = call;
  if (!content || ![content.system, content.input, content.output].some((list) => list?.length)) return notCaptured();
  return h(
    "div",
    { class: "conversation" },
    content.tools?.length ? toolList(content.tools) : null,
    content.system?.length ? message({ role: "system", parts: content.system }) : null,
    (content.input ?? []).map(message),
    content.output?.length ? content.output.map((/** @type {any} */ one) => message(one, true)) : h("p", { class: "none no-answer" }, call.outcome === "failed" ? "The call failed before an answer." : "No answer was captured."),
  );
}

function notCaptured() {
  return empty(
    "Content was not captured",
    h("p", null, "Prompts and answers stay in the program unless it asks for them to be recorded:"),
    h("pre", { class: "setting" }, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only"),
  );
}

/** @param {any} one @param {boolean | number} [answer] */
function message(one, answer) {
  const role = one.role || "message";
  const text = one.parts.filter((/** @type {any} */ part) => part.type === "text").map((/** @type {any} */ part) => part.content).join("\n");
  return h(
    "article",
    { class: `message ${["user", "assistant", "system", "tool"].includes(role) ? role : "other"}${answer === true ? " answer" : ""}` },
    h(
      "header",
      null,
      h("h3", null, role),
      one.name ? h("span", null, one.name) : null,
      one.finish_reason ? h("span", { class: one.finish_reason === "stop" ? "tag" : "tag warn", title: "Finish reason" }, one.finish_reason) : null,
      text ? copyButton(`the ${role} message`, text) : null,
    ),
    one.parts.map(part),
  );
}

/** @param {any} one */
function part(one) {
  switch (one.type) {
    case "text":
      return prose(one.content);
    case "reasoning":
      return folded(icon("brain"), "Reasoning", prose(one.content), false);
    case "tool_call":
      return tool("Calls", one.name ?? "a tool", one.id, one.arguments);
    case "tool_call_response":
      return tool("Result", one.name ?? "", one.id, one.response ?? one.result);
    case "blob":
    case "uri":
    case "file":
      return media(one);
    default:
      return h("pre", { class: "code" }, readable(one));
  }
}

/** Text with its fenced code set apart. @param {any} content */
function prose(content) {
  const text = typeof content === "string" ? content : readable(content);
  const node = h("div", { class: "prose" });
  /** @param {string} shown */
  function draw(shown) {
    // Odd pieces are inside a fence; their first line names the language.
    const pieces = shown.split(/^```/m);
    node.replaceChildren(
      ...pieces.map((piece, at) => (at % 2 ? h("pre", { class: "code" }, piece.replace(/^[^\n]*\n?/, "").trimEnd()) : h("p", null, piece.trim()))).filter((block) => block.textContent),
    );
  }
  if (text.length <= LONG * 1.2) {
    draw(text);
    return node;
  }
  draw(`${text.slice(0, LONG)}…`);
  const more = h("button", { type: "button", class: "button more-text", "aria-expanded": "false", onclick: all }, `Show all ${text.length.toLocaleString("en-GB")} characters`);
  function all() {
    draw(text);
    more.remove();
  }
  return [node, more];
}

/** @param {Node} mark @param {string} title @param {import("../dom.js").Child} inside @param {boolean} open */
function folded(mark, title, inside, open) {
  return h("details", { class: "fold", open }, h("summary", null, icon("chevron"), mark, title), h("div", { class: "fold-body" }, inside));
}

/** @param {string} verb @param {string} name @param {any} id @param {any} value */
function tool(verb, name, id, value) {
  const text = readable(value);
  const short = text.length < 1200;
  return h(
    "details",
    { class: "fold tool", open: short },
    h("summary", null, icon("chevron"), icon("tool"), verb, " ", h("b", null, name), id ? h("code", null, String(id)) : null),
    h("pre", { class: "code" }, text),
  );
}

/** A placeholder: what was sent, not shown. @param {any} one */
function media(one) {
  const kind = one.modality ?? (one.mime_type ?? "").split("/")[0] ?? "";
  const size = typeof one.content === "string" ? bytes(Math.floor((one.content.length * 3) / 4)) : null;
  const facts = [one.mime_type, size, one.uri ?? one.file_id].filter(Boolean).join(" · ");
  return h("div", { class: "media" }, icon("image"), h("span", null, h("b", null, kind || "File"), h("small", null, facts || "not captured")));
}

/** @param {any[]} tools */
function toolList(tools) {
  const names = tools.map((one) => one.name ?? one.function?.name ?? one.type ?? "tool");
  return folded(
    icon("tool"),
    `${tools.length} ${tools.length === 1 ? "tool" : "tools"} offered: ${names.join(", ")}`,
    tools.map((one) => h("pre", { class: "code" }, readable(one))),
    false,
  );
}
