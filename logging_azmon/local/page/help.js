/** The keyboard's map, shown by `?`. What is listed here is what app.js, logs.js, histogram.js and kql.js do. */

import { byId, h } from "./dom.js";

const SHORTCUTS = [
  ["Everywhere", [["1  2  3", "Logs, query, problems"], ["[  ]", "Previous, next table"], ["t", "Theme: system, light, dark"], ["?", "This help"]]],
  [
    "Logs",
    [
      ["/", "Filter by text; ↓ goes to the rows"],
      ["↑ ↓  j k", "Move; also PgUp, PgDn, Home, End"],
      ["Enter", "Open the row"],
      ["Esc", "Close the row, then clear the filters"],
      ["f", "Follow new rows, or stop following"],
      ["e", "Errors and worse, or all"],
      ["q", "Open what is shown as a query"],
    ],
  ],
  ["Histogram", [["← →", "From bar to bar"], ["Shift ← →", "Select a range"], ["Enter", "Zoom to it"], ["Esc", "Back to the whole time"]]],
  ["Query", [["Ctrl Enter", "Run"], ["Ctrl Space", "Complete a name"], ["Ctrl /", "Comment a line"], ["Tab", "Leave the editor"], ["Enter", "Open a row of the result"]]],
];

export function showHelp() {
  const dialog = byId("help");
  if (dialog.open) {
    dialog.close();
    return;
  }
  dialog.replaceChildren(
    h("div.detail-head", h("h2", { id: "help-title" }, "Keyboard"), h("span.grow"), h("button.icon-button", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    h(
      "div.shortcuts",
      SHORTCUTS.map(([title, keys]) =>
        h(
          "section",
          h("h3", title),
          h("dl", keys.map(([key, what]) => [h("dt", key.split("  ").flatMap((part, at) => [at ? " " : null, ...part.split(" ").map((name) => h("kbd", name))])), h("dd", what)])),
        ),
      ),
    ),
  );
  dialog.showModal();
}
