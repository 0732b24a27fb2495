/** The result of a query as a table: of any length, sortable by its headings, with rows that open to all columns. */

import { byId, h, setText } from "./dom.js";
import { showDetail } from "./detail.js";
import { moved, VirtualList } from "./list.js";
import { inline, levelRank, LEVELS, rolesOf } from "./schema.js";

const ROW_HEIGHT = 26;
const NUMBERS = new Set(["int", "long", "real", "decimal"]);
// Widths in characters of the cells' font; `sampled` rows are measured.
const WIDTH = { least: 6, most: 60, sampled: 200 };

export class ResultTable {
  #rows;
  #sorted = { column: -1, descending: false };
  #selected = -1;

  constructor(root, { columns, rows }) {
    this.columns = columns;
    this.roles = rolesOf(columns);
    this.#rows = rows;
    this.widths = columns.map((column, at) => widthOf(column, rows, at));
    this.grid = h("div.list.result-grid", { role: "grid", tabindex: "0", "aria-label": "Result", "aria-colcount": columns.length });
    this.head = h("div.result-head", { role: "row" }, columns.map((column, at) => this.#heading(column, at)));
    this.#size(this.head);
    root.append(this.grid);
    this.list = new VirtualList(this.grid, {
      rowHeight: ROW_HEIGHT,
      head: this.head,
      headHeight: 30,
      create: (slot) => this.#createRow(slot),
      update: (element, index) => this.#updateRow(element, index),
    });
    this.list.setLength(rows.length);
    // A short result is only as high as its rows; the last summand leaves room for a horizontal scroll bar.
    this.grid.style.setProperty("--rows-height", `${Math.min(rows.length, 1000) * ROW_HEIGHT + 30 + 18}px`);
    this.grid.addEventListener("keydown", (event) => this.#key(event));
    this.grid.addEventListener("click", (event) => {
      const row = event.target.closest("[role=row]");
      if (row && row !== this.head) this.#open(row.index_);
    });
  }

  #heading(column, at) {
    const button = h("button", { type: "button", title: `${column.type}: sort`, onclick: () => this.#sort(at) }, column.name, h("span.arrow", { "aria-hidden": "true" }));
    return h(`span.cell${NUMBERS.has(column.type) ? ".numeric" : ""}`, { role: "columnheader" }, button);
  }

  #size(element) {
    element.style.gridTemplateColumns = this.widths.map((width) => `${width}ch`).join(" ");
    element.style.minWidth = "100%";
    element.style.width = `calc(${this.widths.reduce((a, b) => a + b, 0)}ch + ${this.widths.length * 20 + 16}px)`;
  }

  #createRow(slot) {
    const cells = this.columns.map(({ type }) => h(`span.cell${NUMBERS.has(type) ? ".numeric" : ""}`, { role: "gridcell" }));
    const element = h("div.row", { role: "row", id: `result-${slot}` }, cells);
    element.cells_ = cells;
    this.#size(element);
    return element;
  }

  #updateRow(element, index) {
    const row = this.#rows[index];
    element.index_ = index;
    const selected = index === this.#selected;
    element.classList.toggle("selected", selected);
    element.setAttribute("aria-selected", selected);
    if (selected) this.grid.setAttribute("aria-activedescendant", element.id);
    element.cells_.forEach((cell, at) => {
      const value = row[at];
      const empty = value === null || value === undefined;
      setText(cell, empty ? "null" : inline(value).slice(0, 400));
      cell.classList.toggle("null", empty);
      if (this.columns[at].name === this.roles.level) cell.dataset.level = LEVELS[levelRank(value)];
    });
  }

  #sort(at) {
    const { column, descending } = this.#sorted;
    this.#sorted = { column: at, descending: column === at ? !descending : NUMBERS.has(this.columns[at].type) };
    const sign = this.#sorted.descending ? -1 : 1;
    const compare = (a, b) => {
      if (a[at] === b[at]) return 0;
      if (a[at] === null) return 1;
      if (b[at] === null) return -1;
      if (typeof a[at] === "number" && typeof b[at] === "number") return sign * (a[at] - b[at]);
      return sign * inline(a[at]).localeCompare(inline(b[at]), "en");
    };
    this.#rows = this.#rows.toSorted(compare);
    [...this.head.children].forEach((heading, i) => {
      if (i === at) heading.setAttribute("aria-sort", this.#sorted.descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
      heading.querySelector(".arrow").textContent = i === at ? (this.#sorted.descending ? " ↓" : " ↑") : "";
    });
    this.#selected = -1;
    this.list.refresh();
  }

  #key(event) {
    if (event.target !== this.grid || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && this.#rows.length) this.#open(Math.max(0, this.#selected));
    else {
      const to = moved(event.key, this.#selected, this.#rows.length, this.list.page);
      if (to === null) return;
      this.#select(to);
    }
    event.preventDefault();
  }

  #select(index) {
    this.#selected = index;
    this.list.reveal(index);
  }

  #open(index) {
    const dialog = byId("row-dialog");
    const show = (to) => {
      this.#select(Math.min(this.#rows.length - 1, Math.max(0, to)));
      const row = Object.fromEntries(this.columns.map(({ name }, at) => [name, this.#rows[this.#selected][at]]));
      const focused = dialog.open && document.activeElement?.getAttribute("aria-label");
      showDetail(dialog, { row, columns: this.columns, roles: this.roles }, { close: () => dialog.close(), move: (step) => show(this.#selected + step) });
      if (!dialog.open) dialog.showModal();
      if (focused) [...dialog.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === focused)?.focus();
    };
    dialog.onkeydown = (event) => {
      const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
      if (!step || event.target.closest("pre, summary")) return;
      event.preventDefault();
      show(this.#selected + step);
    };
    // When the dialog closes, the focus returns to the element that has it now.
    this.grid.focus({ preventScroll: true });
    show(index);
  }
}

function widthOf({ name, type }, rows, at) {
  let longest = name.length + 2;
  for (const row of rows.slice(0, WIDTH.sampled)) longest = Math.max(longest, inline(row[at]).length);
  return Math.min(type === "string" || type === "dynamic" ? WIDTH.most : 34, Math.max(WIDTH.least, longest)) + 1;
}

/** Return the rows as comma-separated values for a spreadsheet. */
export function toCsv({ columns, rows }) {
  const cell = (value) => {
    let text = inline(value);
    // Keep a spreadsheet from interpreting text as a formula.
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns.map(({ name }) => name), ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}
