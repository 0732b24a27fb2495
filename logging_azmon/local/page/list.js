/**
 * A list of rows of equal height that keeps elements only for the visible ones. A slot is an element that is reused for
 * another row as the list scrolls. The row at index `i` always takes slot `i % slots`, so that scrolling by one row
 * updates one slot.
 */

import { h, oncePerFrame } from "./dom.js";

const OVERSCAN = 6;

export class VirtualList {
  #container;
  #spacer;
  #slots = [];
  #length = 0;
  #top;
  #options;

  /**
   * `create(index of slot)` makes an element with role="row"; `update(element, index)` writes the row at `index` into it.
   * `head`, if given, stays at the container's top and is `headHeight` high.
   */
  constructor(container, { rowHeight, create, update, head = null, headHeight = 0 }) {
    this.#container = container;
    this.#options = { rowHeight, create, update };
    this.#top = headHeight;
    this.#spacer = h("div.spacer", { role: "presentation" });
    container.replaceChildren(...(head ? [head] : []), this.#spacer);
    container.addEventListener("scroll", () => this.#render(false), { passive: true });
    this.refresh = oncePerFrame(() => this.#render(true));
    new ResizeObserver(this.refresh).observe(container);
  }

  get length() {
    return this.#length;
  }

  /** Set the number of rows. `shift` rows were removed from the front (negative: added to it); the view stays in place. */
  setLength(length, shift = 0) {
    const { rowHeight } = this.#options;
    if (length !== this.#length) {
      this.#length = length;
      this.#spacer.style.height = `${length * rowHeight}px`;
      this.#container.setAttribute("aria-rowcount", length);
    }
    if (shift) this.#container.scrollTop -= shift * rowHeight;
    this.refresh();
  }

  get atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.#container;
    return scrollTop + clientHeight >= scrollHeight - this.#options.rowHeight;
  }

  scrollToEnd() {
    this.#container.scrollTop = this.#container.scrollHeight;
    this.refresh();
  }

  /** Scroll the row at `index` into view. */
  reveal(index) {
    const { rowHeight } = this.#options;
    const from = index * rowHeight;
    const height = this.#container.clientHeight - this.#top;
    if (from < this.#container.scrollTop) this.#container.scrollTop = from;
    else if (from + rowHeight > this.#container.scrollTop + height) this.#container.scrollTop = from + rowHeight - height;
    this.#render(true);
  }

  /** The number of rows that fit, for PageUp and PageDown. */
  get page() {
    return Math.max(1, Math.floor((this.#container.clientHeight - this.#top) / this.#options.rowHeight) - 1);
  }

  /** Return the element that currently shows the row at `index`, or null. */
  elementAt(index) {
    return this.#slots.find((slot) => slot.index === index)?.element ?? null;
  }

  #render(all) {
    const { rowHeight, create, update } = this.#options;
    const { scrollTop, clientHeight } = this.#container;
    if (clientHeight === 0) return;
    const wanted = Math.ceil(clientHeight / rowHeight) + 2 * OVERSCAN;
    if (this.#slots.length < wanted) {
      while (this.#slots.length < wanted) {
        const element = create(this.#slots.length);
        element.hidden = true;
        this.#slots.push({ element, index: -1 });
        this.#spacer.append(element);
      }
      all = true;
    }
    const first = Math.max(0, Math.floor(scrollTop / rowHeight) - OVERSCAN);
    const slots = this.#slots.length;
    for (let i = first; i < first + slots; i += 1) {
      const slot = this.#slots[i % slots];
      const index = i < this.#length ? i : -1;
      if (slot.index === index && !all) continue;
      if (slot.index !== index) {
        slot.index = index;
        slot.element.hidden = index < 0;
        if (index >= 0) {
          slot.element.style.transform = `translateY(${index * rowHeight}px)`;
          slot.element.setAttribute("aria-rowindex", index + 1);
        }
      }
      if (index >= 0) update(slot.element, index);
    }
  }
}

/** Return the index that a key moves to, or null for a key that does not move. */
export function moved(key, index, length, page) {
  const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
  if (length === 0) return null;
  if (key === "Home") return 0;
  if (key === "End") return length - 1;
  if (!(key in steps)) return null;
  if (index < 0) return steps[key] > 0 ? 0 : length - 1;
  return Math.min(length - 1, Math.max(0, index + steps[key]));
}
