/** The view of what was dropped, cut, replaced or refused, with the reasons, which Azure does not give. */

import { problems } from "./api.js";
import { byId, h, number, localDate, clockTime } from "./dom.js";

const KINDS = {
  dropped: "The value was left out.",
  cut: "The value was shortened.",
  replaced: "Another value was stored instead.",
  mistyped: "The value did not fit its column and became null.",
  refused: "The request was refused.",
};

export class Problems {
  #known = "";

  constructor() {
    this.root = byId("view-problems");
    this.#show([]);
  }

  async refresh() {
    const list = await problems();
    const text = JSON.stringify(list);
    if (text === this.#known) return;
    this.#known = text;
    this.#show(list);
  }

  #show(list) {
    const badge = byId("problem-count");
    badge.hidden = list.length === 0;
    badge.textContent = number.format(list.length);
    if (list.length === 0) {
      this.root.replaceChildren(
        h("div.empty-card.calm", h("h2", "Nothing was dropped, cut or replaced"), h("p.muted", "Azure says nothing when a row does not fit its table. This page names the column and the reason, and says what to change.")),
      );
      return;
    }
    this.root.replaceChildren(
      h(
        "div.problem-list",
        h("p.muted", "Azure does the same, but silently. Each line is one column and one reason, newest first."),
        h(
          "table",
          h("thead", h("tr", ["Problem", "Column", "Count", "Last seen", "Reason, and what to change"].map((title) => h("th", { scope: "col" }, title)))),
          h("tbody", list.map((problem) => row(problem))),
        ),
      ),
    );
  }
}

function row({ time, stream, column, kind, count, message, advice }) {
  const ms = Date.parse(time);
  const known = kind in KINDS;
  return h(
    "tr",
    h("td", h(`span.badge.kind${known ? `-${kind}` : ""}`, { title: known ? KINDS[kind] : undefined }, String(kind))),
    h("td", h("span.problem-column", column || "(row)"), h("span.muted.problem-stream", stream ?? "")),
    h("td.numeric", number.format(count)),
    h("td.problem-time", { title: String(time) }, Number.isNaN(ms) ? "" : `${localDate(ms)} ${clockTime(ms).slice(0, 8)}`),
    h("td", message && h("p", String(message)), h("p.advice", String(advice ?? ""))),
  );
}
