/**
 * Build elements without markup: all text from a row, a query or the server becomes a text node or the value of an
 * attribute, never HTML. No module of the page uses innerHTML.
 */

export const byId = (id) => document.getElementById(id);

/** Build an element: `h("li.row", { onclick: open, "aria-label": name }, icon, "text")`. */
export function h(selector, ...rest) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  const [first] = rest;
  if (first && typeof first === "object" && !(first instanceof Node) && !Array.isArray(first)) {
    rest.shift();
    for (const [name, value] of Object.entries(first)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...rest.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set an element's text only if it differs: the list is updated many times a second. */
export function setText(element, text) {
  if (element.firstChild === null) {
    if (text !== "") element.append(text);
  } else if (element.firstChild.data !== text) element.firstChild.data = text;
}

export const number = new Intl.NumberFormat("en-US");

/** `1 row`, `2,000 rows`. */
export const count = (n, noun) => `${number.format(n)} ${noun}${n === 1 ? "" : "s"}`;

const pad = (n, width = 2) => String(n).padStart(width, "0");

/** Format the local time of day, to the millisecond. */
export function clockTime(ms) {
  const t = new Date(ms);
  return `${pad(t.getHours())}:${pad(t.getMinutes())}:${pad(t.getSeconds())}.${pad(t.getMilliseconds(), 3)}`;
}

export function localDate(ms) {
  const t = new Date(ms);
  return `${t.getFullYear()}-${pad(t.getMonth() + 1)}-${pad(t.getDate())}`;
}

/** Return a button that copies the result of `text()` and confirms it. */
export function copyButton(text, label = "Copy") {
  const button = h("button.button.quiet.copy", { type: "button" }, label);
  button.addEventListener("click", async () => {
    let done = "Copied";
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      done = "Not allowed";
    }
    button.textContent = done;
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

const probe = document.createElement("span");
probe.hidden = true;

/** Return the current value of a colour of the style sheet, for canvases. */
export function colour(name) {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

/** Return a function that runs `work` once before the next paint, however often it is called in between. */
export function oncePerFrame(work) {
  let requested = false;
  return () => {
    if (requested) return;
    requested = true;
    requestAnimationFrame(() => {
      requested = false;
      work();
    });
  };
}
