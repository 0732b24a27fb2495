/** Put the page together: the tables at the side, three views, the theme, and the keys that work everywhere. */

import * as api from "./api.js";
import { byId, h, number } from "./dom.js";
import { showEmpty } from "./empty.js";
import { showHelp } from "./help.js";
import { Logs } from "./logs.js";
import { Problems } from "./problems.js";
import { Query } from "./query.js";

const VIEWS = ["logs", "query", "problems"];
const REFRESH_MS = 2000;

let tables = [];
let view = null;
let emptyFor;

const announcer = h("div.visually-hidden", { "aria-live": "polite" });
document.body.append(announcer);

const host = {
  onState(state) {
    const element = byId("connection");
    element.dataset.state = state;
    element.textContent = state;
  },
  announce(text, visibly = false) {
    announcer.textContent = text;
    if (visibly) byId("row-count").textContent = text;
  },
  openQuery(kql) {
    location.hash = "query";
    show("query");
    query.runText(kql);
  },
  showEmpty(table, empty) {
    byId("empty").hidden = !empty;
    byId("view-logs").classList.toggle("is-empty", empty);
    if (empty && emptyFor !== (table?.name ?? null)) {
      emptyFor = table?.name ?? null;
      showEmpty(byId("empty"), table);
    }
  },
};

const logs = new Logs(host);
const query = new Query(host);
const problems = new Problems();

function show(name) {
  view = name;
  for (const other of VIEWS) {
    byId(`view-${other}`).hidden = other !== name;
    if (other === name) byId(`nav-${other}`).setAttribute("aria-current", "page");
    else byId(`nav-${other}`).removeAttribute("aria-current");
  }
  if (name === "logs") logs.shown();
  document.title = `${{ logs: logs.table?.name ?? "Logs", query: "Query", problems: "Problems" }[name]} · local workspace`;
}

/** `#logs/App_CL`, `#query`, `#problems`. */
function route() {
  const [name, table] = decodeURIComponent(location.hash.slice(1)).split("/");
  const wanted = tables.find((known) => known.name === table);
  if (wanted && wanted.name !== logs.table?.name) openTable(wanted);
  show(VIEWS.includes(name) ? name : "logs");
}

function openTable(table) {
  logs.open(table);
  query.setTables(tables, table);
  drawTables();
}

const items = new Map();

function drawTables() {
  const list = byId("table-list");
  for (const table of tables) {
    if (!items.has(table.name)) {
      const rows = h("span.rows");
      const button = h("button.table", { type: "button", onclick: () => choose(table.name) }, h("span.table-name", table.name), rows);
      const columns = h("ul.table-columns");
      const details = h("details", h("summary", { "aria-label": `Columns of ${table.name}` }, "Columns"), columns);
      items.set(table.name, { item: h("li", button, details), rows, button, columns, shape: "" });
      list.append(items.get(table.name).item);
    }
    const { rows, button, columns, item } = items.get(table.name);
    rows.textContent = number.format(table.rows);
    button.setAttribute("aria-label", `${table.name}, ${number.format(table.rows)} rows`);
    if (table.name === logs.table?.name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    item.classList.toggle("current", table.name === logs.table?.name);
    const shape = JSON.stringify(table.columns);
    if (items.get(table.name).shape === shape) continue;
    items.get(table.name).shape = shape;
    columns.replaceChildren(
      ...table.columns.map(({ name, type }) =>
        h("li", h("button", { type: "button", title: `Insert ${name} into the query`, onclick: () => insert(name) }, h("span", name), h("span.muted", type))),
      ),
    );
  }
  for (const [name, { item }] of items) {
    if (!tables.some((table) => table.name === name)) {
      item.remove();
      items.delete(name);
    }
  }
}

function choose(name) {
  if (view === "query") {
    query.setTables(tables, tables.find((table) => table.name === name));
    insert(name);
  } else {
    setDrawer(false);
    location.hash = `logs/${name}`;
  }
}

function insert(name) {
  setDrawer(false);
  location.hash = "query";
  show("query");
  query.editor.insert(name);
}

async function refresh() {
  try {
    const [latest] = await Promise.all([api.tables(), problems.refresh()]);
    tables = latest;
    if (logs.table === null && tables.length) {
      const named = tables.find(({ name }) => name === decodeURIComponent(location.hash).split("/")[1]);
      openTable(named ?? tables.find(({ name }) => name === "App_CL") ?? tables[0]);
      route();
    }
    for (const table of tables) logs.setTotal(table);
    query.editor.tables = tables;
    drawTables();
    if (tables.length === 0) host.showEmpty(null, true);
  } catch {
    // The tail shows that the workspace is offline, and reconnects by itself.
    if (logs.table === null) host.onState("offline");
  }
}

/** Refresh periodically, but not while the page is hidden. */
async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, REFRESH_MS);
}

const THEMES = [
  ["system", "◐"],
  ["light", "☀"],
  ["dark", "☾"],
];

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  try {
    localStorage.setItem("theme", name);
  } catch {
    // Without storage the choice lasts for this visit.
  }
  drawTheme();
  logs.redraw();
  query.redraw();
}

const theme = () => document.documentElement.dataset.theme ?? "system";

function drawTheme() {
  const [name, sign] = THEMES.find(([known]) => known === theme());
  byId("theme").textContent = sign;
  byId("theme").setAttribute("aria-label", `Theme: ${name === "system" ? "same as the system" : name}`);
  byId("theme").title = `Theme: ${name === "system" ? "same as the system" : name} (t)`;
}

function nextTheme() {
  const at = THEMES.findIndex(([name]) => name === theme());
  setTheme(THEMES[(at + 1) % THEMES.length][0]);
}

function setDrawer(open) {
  document.body.classList.toggle("drawer-open", open);
  byId("drawer").setAttribute("aria-expanded", open);
}

function stepTable(step) {
  if (tables.length === 0) return;
  const at = tables.findIndex(({ name }) => name === logs.table?.name);
  location.hash = `logs/${tables[(at + step + tables.length) % tables.length].name}`;
}

function toggleErrors() {
  const chips = [...byId("level-filter").children].slice(0, 2);
  const on = chips.some((chip) => chip.getAttribute("aria-pressed") === "true");
  for (const chip of chips) if ((chip.getAttribute("aria-pressed") === "true") === on) chip.click();
}

const KEYS = {
  1: () => (location.hash = `logs/${logs.table?.name ?? ""}`),
  2: () => {
    location.hash = "query";
    show("query");
    query.editor.focus();
  },
  3: () => (location.hash = "problems"),
  "[": () => stepTable(-1),
  "]": () => stepTable(1),
  t: nextTheme,
  "?": showHelp,
  "/": () => {
    location.hash = `logs/${logs.table?.name ?? ""}`;
    show("logs");
    byId("text-filter").select();
    byId("text-filter").focus();
  },
  f: () => view === "logs" && logs.toggleFollow(),
  e: () => view === "logs" && toggleErrors(),
  q: () => view === "logs" && logs.table && host.openQuery(logs.asQuery()),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, dialog[open]")) return;
  const action = KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  logs.redraw();
  query.redraw();
});
byId("theme").addEventListener("click", nextTheme);
byId("help-button").addEventListener("click", showHelp);
byId("drawer").addEventListener("click", () => setDrawer(!document.body.classList.contains("drawer-open")));
for (const dialog of document.querySelectorAll("dialog")) {
  // A click outside the dialog closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

drawTheme();
route();
keepFresh();
