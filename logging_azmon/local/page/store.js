/**
 * The rows that the page holds, and the subset that passes the filter. No DOM here.
 *
 * `entries` are in order of arrival, oldest first, at most `CAPACITY`; `visible` is a subsequence. New rows are filtered
 * as they arrive. A changed filter is applied to all rows in slices, so that typing never waits for it. The searchable
 * text of a row is built once, when a text filter first needs it.
 */

import { inline, levelRank, LEVELS } from "./schema.js";

export const CAPACITY = 100_000;
const SLICE_MS = 8;

export class Store {
  #changed;
  #run = 0;
  #nextId = 1;
  #firstId = 0;

  /** `changed({dropped, refiltered})` is called after each change; `dropped` visible rows were removed at the front. */
  constructor(changed) {
    this.#changed = changed;
    this.filter = noFilter();
    this.#clear(null);
  }

  reset(roles) {
    this.#clear(roles);
    this.#changed({ dropped: 0 });
  }

  #clear(roles) {
    this.#run += 1;
    this.roles = roles;
    this.entries = [];
    this.visible = [];
    this.levels = new Array(LEVELS.length).fill(0);
    this.loggers = new Map();
    this.filtering = false;
  }

  get full() {
    return this.entries.length >= CAPACITY;
  }

  append(rows) {
    let dropped = 0;
    for (const row of rows) {
      const entry = this.#entry(row, this.#nextId++);
      this.entries.push(entry);
      if (!this.filtering && passes(entry, this.filter, this.roles)) this.visible.push(entry);
    }
    const over = this.entries.length - CAPACITY;
    if (over > 0) {
      for (const entry of this.entries.splice(0, over)) this.#count(entry, -1);
      const firstKept = this.entries[0].id;
      while (dropped < this.visible.length && this.visible[dropped].id < firstKept) dropped += 1;
      this.visible.splice(0, dropped);
    }
    if (this.filtering) this.#refilter();
    this.#changed({ dropped });
  }

  /** Add earlier rows, oldest first, in front. */
  prepend(rows) {
    const room = Math.max(0, CAPACITY - this.entries.length);
    const kept = rows.slice(Math.max(0, rows.length - room));
    this.#firstId -= kept.length;
    const earlier = kept.map((row, at) => this.#entry(row, this.#firstId + at));
    this.entries = earlier.concat(this.entries);
    const shown = earlier.filter((entry) => passes(entry, this.filter, this.roles));
    this.visible = shown.concat(this.visible);
    if (this.filtering) this.#refilter();
    this.#changed({ dropped: -shown.length });
  }

  setFilter(filter) {
    this.filter = filter;
    this.#refilter();
  }

  #entry(row, id) {
    const { time, level, logger } = this.roles;
    const ms = Date.parse(row[time]);
    const entry = {
      id,
      row,
      time: Number.isNaN(ms) ? 0 : ms,
      level: level === null ? 5 : levelRank(row[level]),
      logger: logger === null ? "" : inline(row[logger]),
      text: null,
    };
    this.#count(entry, 1);
    return entry;
  }

  #count(entry, step) {
    this.levels[entry.level] += step;
    const n = (this.loggers.get(entry.logger) ?? 0) + step;
    if (n) this.loggers.set(entry.logger, n);
    else this.loggers.delete(entry.logger);
  }

  async #refilter() {
    const run = ++this.#run;
    const { entries, filter, roles } = this;
    this.filtering = true;
    const found = [];
    let until = performance.now() + SLICE_MS;
    for (let i = 0; i < entries.length; i += 1) {
      if (passes(entries[i], filter, roles)) found.push(entries[i]);
      if ((i & 255) === 255 && performance.now() > until) {
        await pause();
        if (run !== this.#run) return;
        until = performance.now() + SLICE_MS;
      }
    }
    this.filtering = false;
    this.visible = found;
    this.#changed({ dropped: 0, refiltered: true });
  }
}

export const noFilter = () => ({ levels: new Set(), logger: "", words: [], from: null, to: null });

/** Parse `slow "two words" -healthz` into words that must or must not occur, in lower case. */
export function parseWords(text) {
  const words = [];
  for (const [, minus, phrase, word] of text.matchAll(/(-?)(?:"([^"]*)"?|(\S+))/g)) {
    const wanted = (phrase ?? word).toLowerCase();
    if (wanted) words.push({ text: wanted, not: minus === "-" });
  }
  return words;
}

export function passes(entry, filter, roles) {
  if (filter.levels.size && !filter.levels.has(entry.level)) return false;
  if (filter.from !== null && (entry.time < filter.from || entry.time >= filter.to)) return false;
  const { logger } = filter;
  if (logger && entry.logger !== logger && !(entry.logger.startsWith(logger) && entry.logger[logger.length] === ".")) return false;
  if (filter.words.length) {
    entry.text ??= searchText(entry.row, roles);
    for (const word of filter.words) if (entry.text.includes(word.text) === word.not) return false;
  }
  return true;
}

function searchText(row, roles) {
  let text = "";
  for (const name in row) if (name !== roles.time && row[name] !== null) text += `${inline(row[name])}\n`;
  return text.toLowerCase();
}

/** Yield to input and painting. */
const pause = () => (globalThis.scheduler?.yield ? scheduler.yield() : new Promise((resolve) => setTimeout(resolve)));
