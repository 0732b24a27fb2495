/** The values of an opened row: dynamic values as a tree, exceptions with marked frames, the rest as text. */

import { h } from "./dom.js";

const OPEN_MEMBERS = 30;
const MAX_MEMBERS = 500;

/** Return a dynamic value as a tree of `details` elements, which the browser makes operable by keyboard. */
export function tree(value, depth = 0) {
  if (value === null || typeof value !== "object") return scalar(value);
  const isArray = Array.isArray(value);
  const members = isArray ? value.map((item, at) => [at, item]) : Object.entries(value);
  if (members.length === 0) return h("span.json-empty", isArray ? "[ ]" : "{ }");
  const list = h(
    "ul.json",
    members.slice(0, MAX_MEMBERS).map(([name, item]) => {
      const key = h("span.json-key", String(name));
      if (item === null || typeof item !== "object" || Object.keys(item).length === 0) return h("li", key, ": ", tree(item));
      const size = Object.keys(item).length;
      const what = Array.isArray(item) ? `[${size}]` : `{${size}}`;
      const branch = h("details", { open: depth < 2 && size <= OPEN_MEMBERS }, h("summary", key, " ", h("span.json-size", what)));
      branch.append(tree(item, depth + 1));
      return h("li", branch);
    }),
  );
  if (members.length > MAX_MEMBERS) list.append(h("li.json-size", `… ${members.length - MAX_MEMBERS} more`));
  return list;
}

function scalar(value) {
  if (typeof value === "string") return h("span.json-string", value);
  return h(`span.json-${value === null ? "null" : typeof value}`, String(value));
}

/** Return the value of a text that may be JSON: a query returns dynamic columns as text, the tail as values. */
export function parsed(value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

const FRAME = /^(\s*)File "(.*?)([^/\\"]*)", line (\d+)(?:, in (.*))?$/;
const CARET = /^\s*[~^]+\s*$/;
const CHAIN = /^(The above exception was|During handling of the above)/;
const RAISED = /^([\w.]*\w)(:\s?(.*))?$/;

/** Return a Python traceback with its parts as elements; text of another form is left as it is. */
export function traceback(text) {
  const block = h("pre.traceback", { tabindex: "0", role: "region", "aria-label": "Exception" });
  const lines = text.split("\n");
  lines.forEach((line, at) => {
    const frame = FRAME.exec(line);
    if (frame) {
      const [, indent, directory, file, number, name] = frame;
      block.append(h("span.tb-frame", `${indent}File "`, h("span.tb-dir", directory), h("span.tb-file", file), '", line ', h("span.tb-line", number)));
      if (name) block.append(", in ", h("span.tb-name", name));
    } else if (CARET.test(line)) block.append(h("span.tb-caret", line));
    else if (CHAIN.test(line) || line.startsWith("Traceback ")) block.append(h("span.tb-chain", line));
    else if (/^\S/.test(line) && RAISED.test(line)) {
      const [, name, rest = ""] = RAISED.exec(line);
      block.append(h("span.tb-raised", h("strong", name), rest));
    } else block.append(line);
    if (at < lines.length - 1) block.append("\n");
  });
  return block;
}

/** Return the last line of a traceback that names the exception. */
export function raised(text) {
  const lines = text.trimEnd().split("\n");
  for (let at = lines.length - 1; at >= 0; at -= 1) if (/^[A-Za-z_]/.test(lines[at])) return lines[at];
  return lines[0];
}
