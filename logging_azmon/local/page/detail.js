/** The opened row: all its columns. */

import { clockTime, copyButton, h, localDate } from "./dom.js";
import { inline, LEVEL_NAMES, LEVELS, levelRank } from "./schema.js";
import { parsed, traceback, tree } from "./tree.js";

/** Fill `panel` with the row; its buttons call `close()` and `move(step)`. */
export function showDetail(panel, { row, columns, roles }, { close, move }) {
  const rank = roles.level === null ? 5 : levelRank(row[roles.level]);
  const ms = Date.parse(row[roles.time]);
  const head = h(
    "div.detail-head",
    h(`span.badge.${LEVELS[rank]}`, roles.level === null ? "Row" : inline(row[roles.level]) || LEVEL_NAMES[rank]),
    roles.logger !== null && h("span.detail-logger", inline(row[roles.logger])),
    h("span.grow"),
    move && h("button.icon-button", { type: "button", "aria-label": "Previous row", title: "Previous (↑)", onclick: () => move(-1) }, "↑"),
    move && h("button.icon-button", { type: "button", "aria-label": "Next row", title: "Next (↓)", onclick: () => move(1) }, "↓"),
    h("button.icon-button", { type: "button", "aria-label": "Close the row", title: "Close (Esc)", onclick: close }, "✕"),
  );
  const body = h("div.detail-body");
  if (!Number.isNaN(ms)) {
    body.append(h("p.detail-time", `${localDate(ms)} ${clockTime(ms)}`, h("span.muted", " local time")));
  }
  if (roles.message !== null) body.append(h("p.detail-message", inline(row[roles.message])));
  const exception = roles.exception !== null && row[roles.exception];
  if (exception) body.append(section(roles.exception, traceback(inline(exception)), inline(exception)));
  const displayed = new Set([roles.message, roles.exception]);
  for (const name of roles.dynamic) {
    const value = parsed(row[name]);
    if (value === null || value === undefined) continue;
    body.append(section(name, tree(value), JSON.stringify(value, null, 2)));
    displayed.add(name);
  }
  const list = h("dl.columns");
  const absent = [];
  for (const { name, type } of columns) {
    if (displayed.has(name)) continue;
    if (row[name] === null || row[name] === undefined || row[name] === "") absent.push(name);
    else list.append(h("dt", { title: type }, name), h(`dd.type-${type}`, inline(row[name])));
  }
  body.append(h("section", h("div.section-head", h("h3", "Columns"), copyButton(() => JSON.stringify(row, null, 2), "Copy row as JSON")), list));
  if (absent.length) body.append(h("p.muted.absent", `No value: ${absent.join(", ")}`));
  panel.replaceChildren(head, body);
}

function section(name, content, text) {
  return h("section", h("div.section-head", h("h3", name), copyButton(() => text)), content);
}
