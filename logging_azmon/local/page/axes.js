/** The axes of both charts: uPlot's, in the font and colours of the page, with times on a 24-hour clock. */

import { colour } from "./dom.js";

const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });
const day = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric" });
const pad = (n, width = 2) => String(n).padStart(width, "0");

/** Label ticks `step` seconds apart, with no more precision than tells them apart. */
function timeTicks(ticks, step) {
  return ticks.map((seconds) => {
    const t = new Date(seconds * 1000);
    if (step >= 86_400 || (t.getHours() === 0 && t.getMinutes() === 0 && t.getSeconds() === 0 && step >= 60)) return day.format(t);
    let text = `${pad(t.getHours())}:${pad(t.getMinutes())}`;
    if (step < 60) text += `:${pad(t.getSeconds())}`;
    if (step < 1) text += `.${pad(t.getMilliseconds(), 3)}`;
    return text;
  });
}

/** Return axes for times below and numbers at the left; `whole` leaves out labels that are not whole numbers. */
export function axes({ whole = false, width = 46 } = {}) {
  const axis = { stroke: colour("muted"), font: `11px ${getComputedStyle(document.body).fontFamily}`, ticks: { show: false } };
  return [
    { ...axis, size: 24, gap: 6, grid: { show: false }, space: 72, values: (_, ticks, __, ___, step) => timeTicks(ticks, step) },
    {
      ...axis,
      size: width,
      space: 28,
      grid: { stroke: colour("grid"), width: 1 },
      values: (_, ticks) => ticks.map((n) => (whole && !Number.isInteger(n) ? "" : compact.format(n))),
    },
  ];
}
