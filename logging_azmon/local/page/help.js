/** The list of keyboard shortcuts, shown by `?`. app.js, logs.js, histogram.js and kql-editor.js implement them. */

import { byId, h } from "./dom.js";

const SHORTCUTS = [
  ["Everywhere", [["1  2  3", "Logs, Query, Problems"], ["[  ]", "Previous or next table"], ["t", "Theme: system, light, dark"], ["?", "This help"]]],
  [
    "Logs",
    [
      ["/", "Filter by text; ↓ moves to the rows"],
      ["↑ ↓  j k", "Move; also PgUp, PgDn, Home, End"],
      ["Enter", "Open the row"],
      ["Esc", "Close the row, then clear the filters"],
      ["f", "Follow new rows or stop following"],
      ["e", "Show errors and worse only, or all rows"],
      ["q", "Open the filtered rows as a query"],
    ],
  ],
  ["Histogram", [["← →", "Move from bar to bar"], ["Shift ← →", "Select a range"], ["Enter", "Zoom to the range"], ["Esc", "Show the whole time range"]]],
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
