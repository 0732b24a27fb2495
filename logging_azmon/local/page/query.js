/** The view of queries: the editor, its examples, and the result. */

import { query, QueryError } from "./api.js";
import { drawChart, seriesOf } from "./chart.js";
import { byId, copyButton, count, h } from "./dom.js";
import { examples, KqlEditor } from "./kql-editor.js";
import { ResultTable, toCsv } from "./results.js";
import { rolesOf } from "./schema.js";

export class Query {
  #chart = null;
  #running = null;
  #examples = [];
  #touched = false;

  constructor(host) {
    this.host = host;
    this.editor = new KqlEditor(byId("editor"), { value: "", run: () => this.run() });
    byId("run").addEventListener("click", () => this.run());
    byId("examples").addEventListener("change", (event) => {
      const example = this.#examples[event.target.selectedIndex - 1];
      event.target.selectedIndex = 0;
      if (example) this.runText(example[1]);
    });
    this.editor.editor.on("update", () => (this.#touched = true));
    this.#results([h("p.muted.hint", "Write KQL and press Ctrl+Enter, or choose an example.")]);
  }

  /** Offer the examples of this table, and start with the first. */
  setTables(tables, table) {
    this.editor.tables = tables;
    if (!table || this.table === table.name) return;
    this.table = table.name;
    this.#examples = examples(table, rolesOf(table.columns));
    byId("examples").replaceChildren(h("option", "Examples"), ...this.#examples.map(([title]) => h("option", title)));
    if (!this.#touched || this.editor.value === "") {
      this.editor.editor.setOptions({ value: this.#examples[0][1] });
      this.#touched = false;
    }
  }

  runText(kql) {
    this.editor.value = kql;
    this.#touched = true;
    return this.run();
  }

  async run() {
    const kql = this.editor.value;
    if (!kql.trim()) return;
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const status = byId("query-status");
    status.textContent = "Running …";
    byId("results").setAttribute("aria-busy", "true");
    const began = performance.now();
    try {
      const result = await query(kql, byId("timespan").value || null, running.signal);
      const ms = Math.round(performance.now() - began);
      this.#clearError();
      status.textContent = `${count(result.rows.length, "row")} · ${ms} ms`;
      this.#show(kql, result);
    } catch (error) {
      if (error.name === "AbortError") return;
      status.textContent = "Failed";
      this.#showError(error);
    } finally {
      if (this.#running === running) byId("results").removeAttribute("aria-busy");
    }
  }

  redraw() {
    this.#chart?.redraw();
  }

  #results(children) {
    byId("results").classList.remove("stale");
    this.#chart?.destroy();
    this.#chart = null;
    byId("results").replaceChildren(...children);
  }

  #show(kql, result) {
    this.#results([]);
    const root = byId("results");
    const series = seriesOf(kql, result);
    if (series) {
      const figure = h("div.chart");
      root.append(figure);
      this.#chart = drawChart(figure, series);
    }
    if (result.rows.length === 0) {
      root.append(h("p.muted.hint", "No rows."));
      return;
    }
    root.append(h("div.result-tools", h("span.muted", "Click a row or press Enter to open it; click a heading to sort."), h("span.grow"), copyButton(() => toCsv(result), "Copy as CSV")));
    new ResultTable(root, result);
  }

  #clearError() {
    byId("query-error").hidden = true;
    this.editor.clearError();
  }

  #showError(error) {
    const box = byId("query-error");
    const { line = null, column = null } = error instanceof QueryError ? error : {};
    const parts = [h("p", error.message)];
    if (line !== null) {
      const mark = this.editor.markError(line, column);
      const where = column === null ? `Line ${line}` : `Line ${line}, column ${column}`;
      parts.unshift(h("button.button.quiet", { type: "button", onclick: () => this.editor.moveTo(mark.from) }, where));
    }
    box.replaceChildren(...parts);
    box.hidden = false;
    byId("results").classList.add("stale");
  }
}
