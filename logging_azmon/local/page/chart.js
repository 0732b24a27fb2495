/** Charts over time: decide which results have one, and draw it. */

import uPlot from "./vendor/uplot.js";
import { axes } from "./axes.js";
import { clockTime, colour, h, localDate } from "./dom.js";
import { inline, LEVELS, levelRank } from "./schema.js";

const MAX_SERIES = 12;
const NUMBERS = new Set(["int", "long", "real", "decimal"]);
const HEIGHT = 220;

/**
 * Return the series of a result, or null unless its query is one over time, such as `summarize … by bin(TimeGenerated, …)`,
 * and it has a time column and numbers. Text columns name the series. Each is `{name, values}`, aligned to `times` (seconds).
 */
export function seriesOf(kql, { columns, rows }) {
  const code = kql.replace(/\/\/.*$/gm, "");
  if (!/\bsummarize\b[^|]*\bby\b[^|]*\bbin\s*\(|\bmake-series\b|\brender\s+(time|area|column|bar|line)/i.test(code)) return null;
  const time = columns.findIndex(({ type }) => type === "datetime");
  const values = columns.flatMap(({ type }, at) => (NUMBERS.has(type) ? [at] : []));
  const names = columns.flatMap(({ type }, at) => (at !== time && !NUMBERS.has(type) && type !== "datetime" ? [at] : []));
  if (time < 0 || values.length === 0 || rows.length === 0) return null;
  const times = [...new Set(rows.map((row) => Date.parse(row[time]) / 1000).filter((t) => !Number.isNaN(t)))].sort((a, b) => a - b);
  if (times.length === 0) return null;
  const position = new Map(times.map((t, at) => [t, at]));
  const series = new Map();
  for (const row of rows) {
    const at = position.get(Date.parse(row[time]) / 1000);
    if (at === undefined) continue;
    const group = names.map((column) => inline(row[column]) || "(none)").join(" · ");
    for (const column of values) {
      const name = [group, (values.length > 1 || !group) && columns[column].name].filter(Boolean).join(" · ");
      if (!series.has(name)) series.set(name, new Array(times.length).fill(null));
      if (row[column] !== null) series.get(name)[at] = Number(row[column]);
    }
  }
  const all = [...series].map(([name, points]) => ({ name, values: points }));
  const weight = ({ values: points }) => points.reduce((sum, n) => sum + Math.abs(n ?? 0), 0);
  if (all.length > MAX_SERIES) all.sort((a, b) => weight(b) - weight(a));
  const shown = all.slice(0, MAX_SERIES);
  // Counts add up, so they are stacked; percentiles and averages do not, so they are lines.
  const stacked = /\b(count|countif|dcount|sum|sumif)\s*\(/i.test(code) && !/\b(avg|avgif|percentiles?|min|max|stdev|arg_\w+)\s*\(/i.test(code);
  const ranks = shown.map(({ name }) => levelRank(name));
  const levels = ranks.every((rank) => rank < 5) && new Set(ranks).size === ranks.length;
  if (levels) shown.sort((a, b) => levelRank(a.name) - levelRank(b.name));
  return { times, series: shown, hidden: all.length - shown.length, stacked, levels };
}

/** Draw into `root`; return `{redraw, destroy}`. */
export function drawChart(root, { times, series, hidden, stacked, levels }) {
  const colourOf = (at) => colour(levels ? `bar-${LEVELS[levelRank(series[at].name)]}` : `series-${at % 8}`);
  const readout = h("span.chart-at");
  const keys = series.map(({ name }) => ({ swatch: h("span.swatch"), value: h("span.n"), name }));
  const legend = h(
    "ul.legend",
    { "aria-label": "Series" },
    keys.map(({ swatch, name, value }) => h("li", swatch, name, " ", value)),
    hidden > 0 && h("li.muted", `${hidden} more not drawn`),
  );
  const area = h("div.plot", { role: "img", "aria-label": `Chart over time of ${series.map(({ name }) => name).join(", ")}. The table below has the numbers.` });
  root.replaceChildren(h("div.chart-head", legend, readout), area);

  const step = Math.min(...times.slice(1).map((t, at) => t - times[at]), Infinity);
  // Every bin of the range is drawn, even one without rows.
  const bins = Math.round((times.at(-1) - times[0]) / step) + 1;
  const even = stacked && Number.isFinite(step) && bins < 5000;
  const x = even ? Array.from({ length: bins }, (_, at) => times[0] + at * step) : times;
  const place = new Map(x.map((t, at) => [Math.round(t * 1000), at]));
  const spread = series.map(({ values }) => {
    const out = new Array(x.length).fill(stacked ? 0 : null);
    values.forEach((value, at) => {
      const to = place.get(Math.round(times[at] * 1000));
      if (to !== undefined && value !== null) out[to] = value;
    });
    return out;
  });
  const bars = stacked && x.length > 1;
  let drawn = spread;
  if (stacked) {
    let below = new Array(x.length).fill(0);
    drawn = spread.map((values) => (below = below.map((n, at) => n + values[at])));
  }

  let plot = null;
  const draw = () => {
    plot?.destroy();
    const order = series.map((_, at) => at);
    if (stacked) order.reverse();
    keys.forEach(({ swatch }, at) => (swatch.style.background = colourOf(at)));
    plot = new uPlot(
      {
        width: area.clientWidth || 600,
        height: HEIGHT,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: !stacked } },
        scales: { x: { time: true, range: (_, min, max) => (bars ? [min, max + step] : min === max ? [min - 30, max + 30] : [min, max]) }, y: { range: (_, min, max) => [Math.min(0, min), Math.max(max * 1.06, 1e-9)] } },
        axes: axes({ width: 54 }),
        series: [
          {},
          ...order.map((at) =>
            stacked
              ? { label: series[at].name, fill: colourOf(at), stroke: colourOf(at), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.86, 60], align: bars ? 1 : 0 }) }
              : { label: series[at].name, stroke: colourOf(at), width: 2, spanGaps: true, points: { show: times.length < 80, size: 5 } },
          ),
        ],
        hooks: {
          setCursor: [
            (u) => {
              const { idx } = u.cursor;
              const at = idx === null || idx === undefined ? null : idx;
              readout.textContent = at === null ? "" : `${localDate(x[at] * 1000)} ${clockTime(x[at] * 1000).slice(0, 8)}`;
              keys.forEach(({ value }, s) => (value.textContent = at === null || spread[s][at] === null ? "" : decimals.format(spread[s][at])));
            },
          ],
        },
      },
      [x, ...order.map((at) => drawn[at])],
      area,
    );
  };
  const observer = new ResizeObserver(() => {
    if (area.clientWidth > 0 && area.clientWidth !== plot?.width) draw();
  });
  observer.observe(area);
  draw();
  return {
    redraw: draw,
    destroy() {
      observer.disconnect();
      plot.destroy();
    },
  };
}

const decimals = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
