/** The view of a table's rows: filter bar, histogram, live list, and the opened row beside it. */

import { query, tail } from "./api.js";
import { byId, clockTime, count, h, number, oncePerFrame, setText } from "./dom.js";
import { showDetail } from "./detail.js";
import { Histogram } from "./histogram.js";
import { moved, VirtualList } from "./list.js";
import { inline, kqlString, LEVEL_NAMES, LEVELS, restOf, rolesOf } from "./schema.js";
import { CAPACITY, noFilter, parseWords, Store } from "./store.js";
import { parsed, raised } from "./tree.js";

const ROW_HEIGHT = 26;
const EARLIER = 20_000;

export class Logs {
  #end = () => {};
  #selected = null;
  #follow = true;
  #range = null;
  #levels = new Set();
  #lastTop = 0;

  /** `host`: `{onState(state), openQuery(kql), showEmpty(table, isEmpty), announce(text)}`. */
  constructor(host) {
    this.host = host;
    this.table = null;
    this.element = byId("view-logs");
    this.grid = byId("log-list");
    this.detail = byId("detail");
    this.list = new VirtualList(this.grid, {
      rowHeight: ROW_HEIGHT,
      create: (slot) => this.#createRow(slot),
      update: (element, index) => this.#updateRow(element, index),
    });
    this.histogram = new Histogram(byId("histogram"), (range) => this.#zoom(range));
    this.#draw = oncePerFrame(() => this.#drawNow());
    this.store = new Store((change) => this.#onChange(change));
    this.#wire();
  }

  #draw;

  /** Show this table and follow it. */
  open(table) {
    this.#end();
    this.table = table;
    this.roles = rolesOf(table.columns);
    this.#closeDetail(false);
    this.#clearFilters();
    this.store.reset(this.roles);
    this.setFollow(true);
    this.#end = tail(table.name, {
      onState: this.host.onState,
      onOpen: () => this.store.reset(this.roles),
      onRows: (rows) => this.store.append(rows),
    });
  }

  /** Update the number of rows stored in the table. */
  setTotal(table) {
    if (this.table?.name === table.name) this.table = table;
    this.#draw();
  }

  redraw() {
    this.histogram.redraw();
  }

  shown() {
    this.list.refresh();
    this.histogram.redraw();
    if (this.#follow) this.list.scrollToEnd();
  }

  setFollow(follow) {
    this.#follow = follow;
    byId("follow").setAttribute("aria-pressed", follow);
    if (follow) {
      byId("newer").hidden = true;
      this.list.scrollToEnd();
    }
  }

  toggleFollow() {
    this.setFollow(!this.#follow);
    this.host.announce(this.#follow ? "Following new rows" : "No longer following new rows");
  }

  #wire() {
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    byId("text-filter").addEventListener("input", () => this.#refilter());
    byId("text-filter").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") this.grid.focus();
    });
    byId("logger-filter").addEventListener("change", () => this.#refilter());
    byId("clear-filters").addEventListener("click", () => {
      this.#clearFilters();
      byId("text-filter").focus();
    });
    byId("level-filter").append(
      ...LEVELS.map((level, rank) => {
        const chip = h(`button.chip.${level}`, { type: "button", "aria-pressed": "false", hidden: true }, LEVEL_NAMES[rank], " ", h("span.n"));
        chip.addEventListener("click", () => {
          if (!this.#levels.delete(rank)) this.#levels.add(rank);
          chip.setAttribute("aria-pressed", this.#levels.has(rank));
          this.#refilter();
        });
        return chip;
      }),
    );
    byId("follow").addEventListener("click", () => this.toggleFollow());
    byId("newer").addEventListener("click", () => {
      this.setFollow(true);
      this.grid.focus();
    });
    byId("as-query").addEventListener("click", () => this.host.openQuery(this.asQuery()));
    byId("load-earlier").addEventListener("click", () => this.#loadEarlier());
    this.grid.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#follow && this.list.scrollToEnd()).observe(this.grid);
    this.grid.addEventListener("click", (event) => {
      const slot = event.target.closest("[role=row]");
      if (slot) this.#select(slot.rowIndex_, true);
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  #createRow(slot) {
    const cells = ["time", "level", "logger", "message"].map((name) => h(`span.cell-${name}`, { role: "gridcell" }));
    const element = h("div.row", { role: "row", id: `row-${slot}` }, cells);
    const text = h("span.text");
    const error = h("span.raised");
    const rest = h("span.rest");
    cells[3].append(text, error, rest);
    element.parts_ = { time: cells[0], level: cells[1], logger: cells[2], text, error, rest };
    return element;
  }

  #updateRow(element, index) {
    const entry = this.store.visible[index];
    const { parts_: parts } = element;
    element.rowIndex_ = index;
    const selected = this.#selected !== null && entry.id === this.#selected.id;
    if (element.entry_ === entry && element.selected_ === selected) return;
    element.entry_ = entry;
    element.selected_ = selected;
    element.className = `row ${LEVELS[entry.level]}${selected ? " selected" : ""}`;
    element.setAttribute("aria-selected", selected);
    if (selected) this.grid.setAttribute("aria-activedescendant", element.id);
    const { row } = entry;
    const { roles } = this;
    setText(parts.time, entry.time ? clockTime(entry.time) : "");
    setText(parts.level, roles.level === null ? "" : inline(row[roles.level]));
    setText(parts.logger, entry.logger);
    // The list shows the start of a long message; the opened row shows all of it.
    setText(parts.text, roles.message === null ? "" : inline(row[roles.message]).slice(0, 600));
    setText(parts.error, roles.exception !== null && row[roles.exception] ? raised(inline(row[roles.exception])).slice(0, 200) : "");
    setText(parts.rest, restOf(row, roles));
  }

  #onChange({ dropped, refiltered = false }) {
    const before = this.list.length;
    const length = this.store.visible.length;
    this.list.setLength(length, this.#follow ? 0 : dropped);
    if (this.#follow) this.list.scrollToEnd();
    else if (!refiltered && length > before && dropped >= 0) this.#offerNewer(length - before);
    if (refiltered && this.#selected) this.#keepSelected();
    this.#draw();
  }

  #offerNewer(n) {
    const button = byId("newer");
    button.count_ = (button.hidden ? 0 : button.count_) + n;
    button.hidden = false;
    button.textContent = `${count(button.count_, "newer row")} ↓`;
  }

  #drawNow() {
    const { store, table } = this;
    const total = Math.max(table?.rows ?? 0, store.entries.length);
    const filtered = this.#isFiltered();
    const held = store.entries.length < total ? `${number.format(store.entries.length)} of ${count(total, "row")}` : count(total, "row");
    setText(byId("row-count"), filtered ? `${number.format(store.visible.length)} match in ${held}` : held);
    byId("load-earlier").hidden = store.entries.length >= (table?.rows ?? 0) || store.full || store.entries.length === 0;
    byId("clear-filters").hidden = !filtered;
    byId("no-match").hidden = !(filtered && store.visible.length === 0 && !store.filtering);
    [...byId("level-filter").children].forEach((chip, rank) => {
      chip.hidden = this.roles?.level === null || (store.levels[rank] === 0 && !this.#levels.has(rank));
      setText(chip.querySelector(".n"), number.format(store.levels[rank]));
    });
    this.#drawLoggers();
    this.histogram.show(store.visible, this.#range);
    this.host.showEmpty(table, total === 0);
  }

  /** List the loggers of the rows, and each parent in `logging`'s hierarchy that has several of them below it. */
  #drawLoggers() {
    const counts = new Map();
    for (const [name, n] of this.store.loggers) {
      if (!name) continue;
      const parts = name.split(".");
      for (let depth = 1; depth <= parts.length; depth += 1) {
        const parent = parts.slice(0, depth).join(".");
        const known = counts.get(parent) ?? { n: 0, names: 0 };
        counts.set(parent, { n: known.n + n, names: known.names + 1 });
      }
    }
    const select = byId("logger-filter");
    const chosen = select.value;
    if (chosen && !counts.has(chosen)) counts.set(chosen, { n: 0, names: 2 });
    const names = [...counts].filter(([name, { names }]) => names > 1 || this.store.loggers.has(name)).map(([name]) => name);
    names.sort();
    select.hidden = this.roles?.logger === null;
    const wanted = names.join("\n");
    if (select.names_ === wanted) return;
    select.names_ = wanted;
    select.replaceChildren(h("option", { value: "" }, "All loggers"), ...names.map((name) => h("option", { value: name }, name)));
    select.value = chosen;
  }

  #isFiltered() {
    const { levels, logger, words, from } = this.store.filter;
    return levels.size > 0 || logger !== "" || words.length > 0 || from !== null;
  }

  #refilter() {
    this.store.setFilter({
      levels: new Set(this.#levels),
      logger: byId("logger-filter").value,
      words: parseWords(byId("text-filter").value),
      from: this.#range?.from ?? null,
      to: this.#range?.to ?? null,
    });
  }

  #clearFilters() {
    this.#levels.clear();
    this.#range = null;
    for (const chip of byId("level-filter").children) chip.setAttribute("aria-pressed", "false");
    byId("text-filter").value = "";
    byId("logger-filter").value = "";
    if (this.store.roles) this.#refilter();
    else this.store.filter = noFilter();
  }

  #zoom(range) {
    this.#range = range;
    if (range) this.setFollow(false);
    this.#refilter();
  }

  #scrolled() {
    const { scrollTop } = this.grid;
    if (this.list.atEnd) {
      if (!this.#follow && this.#range === null && this.detail.hidden && scrollTop > this.#lastTop) this.setFollow(true);
    } else if (scrollTop < this.#lastTop && this.#follow) this.setFollow(false);
    this.#lastTop = scrollTop;
  }

  #index() {
    return this.#selected === null ? -1 : this.store.visible.indexOf(this.#selected);
  }

  #select(index, open) {
    this.#selected = this.store.visible[index] ?? null;
    if (this.#selected === null) return;
    // New rows must not move the selected one.
    if (this.#follow) this.setFollow(false);
    this.list.reveal(index);
    if (open || !this.detail.hidden) this.#openDetail();
  }

  /** After a change of filter, keep the selected row in view if it still passes. */
  #keepSelected() {
    const index = this.#index();
    if (index >= 0 && !this.#follow) this.list.reveal(index);
  }

  #openDetail() {
    const wasClosed = this.detail.hidden;
    const hadFocus = this.detail.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    this.detail.hidden = false;
    showDetail(
      this.detail,
      { row: this.#selected.row, columns: this.table.columns, roles: this.roles },
      { close: () => this.#closeDetail(true), move: (step) => this.#move(step) },
    );
    if (hadFocus) [...this.detail.querySelectorAll("button")].find((b) => b.getAttribute("aria-label") === hadFocus)?.focus();
    if (wasClosed) {
      this.host.announce("Row opened");
      requestAnimationFrame(() => this.list.reveal(this.#index()));
    }
  }

  #move(step) {
    const index = this.#index();
    const to = Math.min(this.store.visible.length - 1, Math.max(0, index + step));
    this.#select(to, true);
  }

  #closeDetail(focus) {
    const wasOpen = !this.detail.hidden;
    this.detail.hidden = true;
    this.#selected = null;
    this.grid.removeAttribute("aria-activedescendant");
    this.list.refresh();
    if (focus && wasOpen) this.grid.focus();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (!this.detail.hidden) this.#closeDetail(true);
      else if (event.target === byId("text-filter") && event.target.value) return;
      else if (this.#isFiltered()) this.#clearFilters();
      return;
    }
    if (event.target !== this.grid) return;
    if (event.key === "Enter") {
      const index = this.#index();
      if (this.store.visible.length) this.#select(index < 0 ? this.store.visible.length - 1 : index, true);
      event.preventDefault();
      return;
    }
    const to = moved(event.key, this.#index(), this.store.visible.length, this.list.page);
    if (to === null) return;
    event.preventDefault();
    this.#select(to, false);
    if (event.key === "End") this.setFollow(true);
  }

  async #loadEarlier() {
    const button = byId("load-earlier");
    const { table, roles, store } = this;
    const oldest = store.entries.reduce((a, b) => (b.time && b.time < a.time ? b : a));
    const time = oldest.row[roles.time];
    button.disabled = true;
    try {
      // The store already holds some or all rows of the oldest timestamp.
      const key = (row) => JSON.stringify(table.columns.map(({ name }) => row[name] ?? null));
      const held = new Set(store.entries.filter((entry) => entry.time === oldest.time).map((entry) => key(entry.row)));
      const limit = Math.min(EARLIER, CAPACITY - store.entries.length) + held.size;
      const result = await query(`${table.name}\n| where TimeGenerated <= datetime(${time})\n| top ${limit} by TimeGenerated desc`);
      if (table.name !== this.table.name) return;
      const rows = result.rows.map((values) =>
        Object.fromEntries(result.columns.map(({ name, type }, at) => [name, type === "dynamic" ? parsed(values[at]) : values[at]])),
      );
      const earlier = rows.filter((row) => Date.parse(row[roles.time]) !== oldest.time || !held.has(key(row))).reverse();
      this.setFollow(false);
      store.prepend(earlier);
      this.host.announce(`${count(earlier.length, "earlier row")} loaded`);
    } catch (error) {
      this.host.announce(`Earlier rows could not be loaded: ${error.message}`, true);
    } finally {
      button.disabled = false;
    }
  }

  /** Return the current filter as a KQL query. */
  asQuery() {
    const { roles, table } = this;
    const { levels, logger, words, from, to } = this.store.filter;
    const lines = [table.name];
    if (from !== null) lines.push(`where ${roles.time} >= datetime(${new Date(from).toISOString()}) and ${roles.time} < datetime(${new Date(to).toISOString()})`);
    if (levels.size) {
      const names = new Set(this.store.entries.filter((entry) => levels.has(entry.level)).map((entry) => inline(entry.row[roles.level])));
      lines.push(`where ${roles.level} in (${[...names].map(kqlString).join(", ")})`);
    }
    if (logger) lines.push(`where ${roles.logger} == ${kqlString(logger)} or ${roles.logger} startswith ${kqlString(`${logger}.`)}`);
    const searched = table.columns.filter(({ type }) => type === "string" || type === "dynamic");
    const places = searched.filter(({ name }) => [roles.message, roles.exception, roles.logger, ...roles.dynamic].includes(name));
    for (const { text, not } of words) {
      const test = (places.length ? places : searched)
        .map(({ name, type }) => `${type === "dynamic" ? `tostring(${name})` : name} contains ${kqlString(text)}`)
        .join(" or ");
      lines.push(not ? `where not(${test})` : `where ${test}`);
    }
    if (roles.time) lines.push(`top 1000 by ${roles.time} desc`);
    else lines.push("take 1000");
    return lines.join("\n| ");
  }
}
