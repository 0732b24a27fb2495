/**
 * The histogram of rows over time by level, drawn with uPlot as stacked bars. A range is selected with the mouse or the
 * keyboard: arrows move, Shift+arrows select, Enter zooms, Escape goes back.
 */

import uPlot from "./vendor/uplot.js";
import { axes } from "./axes.js";
import { clockTime, colour, count, h, localDate, number } from "./dom.js";
import { LEVEL_NAMES, LEVELS } from "./schema.js";

const HEIGHT = 104;
const MS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const STEPS = [...MS, ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1000)];

/** Return the bin width that divides a span into at most `most` bins. */
export function binWidth(span, most) {
  const wanted = span / most;
  return STEPS.find((step) => step >= wanted) ?? Math.ceil(wanted / 86_400_000) * 86_400_000;
}

/** Count entries into bins by level: `{from, step, counts: [per level: Uint32Array]}`. */
export function binned(entries, from, to, most) {
  const step = binWidth(Math.max(1, to - from), most);
  const first = Math.floor(from / step) * step;
  const bins = Math.max(1, Math.ceil((to - first + 1) / step));
  const counts = LEVELS.map(() => new Uint32Array(bins));
  for (const entry of entries) {
    if (entry.time >= from && entry.time <= to) counts[entry.level][Math.floor((entry.time - first) / step)] += 1;
  }
  return { from: first, step, bins, counts };
}

export class Histogram {
  #root;
  #plot = null;
  #data = null;
  #zoomed;
  #cursor = -1;
  #anchor = -1;
  #held = false;

  /** `zoomed({from, to} | null)` is called when a range is chosen or left. */
  constructor(root, zoomed) {
    this.#root = root;
    this.#zoomed = zoomed;
    this.plotArea = h("div.plot", {
      tabindex: "0",
      role: "group",
      "aria-label": "Rows over time. Arrows move, Shift+arrows select a range, Enter zooms, Escape goes back.",
      "aria-describedby": "histogram-at",
    });
    this.readout = h("span", { id: "histogram-at" });
    this.reset = h("button.button.quiet", { type: "button", hidden: true, onclick: () => zoomed(null) }, "Whole time range");
    const hint = h("span.muted.hint", "drag to zoom");
    root.replaceChildren(h("div.histogram-head", this.readout, hint, h("span.grow"), this.reset), this.plotArea);
    this.plotArea.addEventListener("dblclick", () => this.range && zoomed(null));
    // New rows move the bars, but not while a range is being selected.
    this.plotArea.addEventListener("pointerdown", () => (this.#held = true));
    addEventListener("pointerup", () => (this.#held = false));
    this.plotArea.addEventListener("keydown", (event) => this.#key(event));
    this.plotArea.addEventListener("focus", () => (this.readout.ariaLive = "polite"));
    this.plotArea.addEventListener("blur", () => {
      this.readout.ariaLive = "off";
      this.#select(-1, -1);
    });
    new ResizeObserver(() => {
      const width = this.plotArea.clientWidth;
      if (this.#plot && width > 0 && width !== this.#plot.width) this.redraw();
    }).observe(this.plotArea);
  }

  /** Draw these entries, over their whole time range or the zoomed one. */
  show(entries, range) {
    this.entries = entries;
    this.range = range;
    this.reset.hidden = range === null;
    if (this.#held || this.#anchor >= 0) return;
    let from = Infinity;
    let to = -Infinity;
    if (range) ({ from, to } = range);
    else
      for (const { time } of entries) {
        if (time === 0) continue;
        if (time < from) from = time;
        if (time > to) to = time;
      }
    const width = this.plotArea.clientWidth;
    if (from > to || width === 0) {
      this.#plot?.destroy();
      this.#plot = null;
      this.#data = null;
      this.readout.textContent = "";
      return;
    }
    this.#data = binned(entries, from, to, Math.max(20, Math.floor(width / 9)));
    this.#draw(width, range);
  }

  /** Draw again, after a change of theme or width. */
  redraw() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.entries) this.show(this.entries, this.range);
  }

  #draw(width, range) {
    const { from, step, bins, counts } = this.#data;
    const x = Array.from({ length: bins }, (_, at) => (from + at * step) / 1000);
    // Each series is the sum of its level and all more severe ones; the longest bar is drawn first, the most severe last.
    const sums = [];
    let below = new Array(bins).fill(0);
    for (const level of counts) sums.push((below = below.map((n, at) => n + level[at])));
    const data = [x, ...sums.toReversed()];
    if (this.#plot) this.#plot.setData(data, false);
    else this.#plot = new uPlot(this.#config(width), data, this.plotArea);
    const end = range ? range.to : from + bins * step;
    this.#plot.batch(() => {
      this.#plot.setScale("x", { min: (range ? range.from : from) / 1000, max: Math.max(end, from + step) / 1000 });
      this.#plot.setScale("y", { min: 0, max: Math.max(1, ...sums.at(-1)) * 1.06 });
    });
    if (this.#plot.cursor.idx === null || this.#plot.cursor.idx === undefined) this.#describe(null);
  }

  #config(width) {
    return {
      width,
      height: HEIGHT,
      padding: [4, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      scales: { x: { time: true, auto: false }, y: { auto: false } },
      axes: axes({ whole: true }),
      series: [
        {},
        ...LEVELS.toReversed().map((level) => ({
          label: level,
          fill: colour(`bar-${level}`),
          stroke: colour(`bar-${level}`),
          width: 0,
          points: { show: false },
          paths: uPlot.paths.bars({ size: [0.86, 40], align: 1, gap: 0 }),
        })),
      ],
      hooks: {
        setCursor: [(u) => this.#describe(u.cursor.idx)],
        setSelect: [(u) => u.select.width > 3 && this.#brushed(u.posToVal(u.select.left, "x") * 1000, u.posToVal(u.select.left + u.select.width, "x") * 1000)],
      },
    };
  }

  #brushed(from, to) {
    this.#plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    // A selection that touches a bar includes the whole bar.
    const { from: first, step } = this.#data;
    this.#zoomed({ from: first + Math.floor((from - first) / step) * step, to: first + Math.ceil((to - first) / step) * step });
  }

  #describe(index) {
    if (!this.#data) return;
    const { from, step, bins, counts } = this.#data;
    if (index === null || index === undefined || index >= bins) {
      const all = counts.reduce((sum, level) => sum + level.reduce((a, b) => a + b, 0), 0);
      this.readout.textContent = `${count(all, "row")} over time, ${stepName(step)} per bar`;
      return;
    }
    const parts = LEVEL_NAMES.map((name, level) => [name.toLowerCase(), counts[level][index]]).filter(([, n]) => n);
    const at = from + index * step;
    const when = step < 1000 ? clockTime(at) : `${localDate(at)} ${clockTime(at).slice(0, 8)}`;
    this.readout.textContent = `${when} · ${parts.map(([name, n]) => `${number.format(n)} ${name}`).join(", ") || "no rows"}`;
  }

  #key(event) {
    if (!this.#data || event.ctrlKey || event.metaKey || event.altKey) return;
    const { from, step, bins } = this.#data;
    const start = this.#cursor < 0 ? { ArrowRight: -1, PageDown: -1 }[event.key] ?? bins : this.#cursor;
    const to = { ArrowLeft: start - 1, ArrowRight: start + 1, PageUp: start - 10, PageDown: start + 10, Home: 0, End: bins - 1 }[event.key];
    if (to !== undefined) {
      const at = Math.min(bins - 1, Math.max(0, to));
      const anchor = event.shiftKey ? (this.#anchor < 0 ? Math.max(0, this.#cursor) : this.#anchor) : -1;
      this.#select(at, anchor);
    } else if (event.key === "Enter" && this.#cursor >= 0) {
      const [low, high] = this.#selected();
      this.#select(-1, -1);
      this.#zoomed({ from: from + low * step, to: from + (high + 1) * step });
    } else if (event.key === "Escape" && (this.#cursor >= 0 || this.range)) {
      if (this.#cursor >= 0) this.#select(-1, -1);
      else this.#zoomed(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #selected() {
    const other = this.#anchor < 0 ? this.#cursor : this.#anchor;
    return [Math.min(this.#cursor, other), Math.max(this.#cursor, other)];
  }

  #select(cursor, anchor) {
    this.#cursor = cursor;
    this.#anchor = anchor;
    if (!this.#plot) return;
    const height = this.#plot.bbox.height / devicePixelRatio;
    if (cursor < 0) {
      this.#plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      this.#describe(null);
      return;
    }
    const { from, step } = this.#data;
    const [low, high] = this.#selected();
    const left = this.#plot.valToPos((from + low * step) / 1000, "x");
    const right = this.#plot.valToPos((from + (high + 1) * step) / 1000, "x");
    this.#plot.setSelect({ left, top: 0, width: right - left, height }, false);
    this.#describe(cursor);
  }
}

function stepName(step) {
  for (const [unit, size] of [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1000]]) {
    if (step >= size && step % size === 0) return `${step / size} ${unit}`;
  }
  return `${step} ms`;
}
