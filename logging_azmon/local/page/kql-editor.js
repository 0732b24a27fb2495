/** The KQL editor: highlighting, completion from the existing tables, and a mark at the position of an error. */

import {
  addOverlay,
  autoComplete,
  createEditor,
  cursorPosition,
  defaultCommands,
  editHistory,
  fuzzyFilter,
  insertText,
  matchBrackets,
  registerCompletions,
  setSelection,
} from "./vendor/editor.js";
import { h } from "./dom.js";

const OPERATORS = (
  "where summarize extend project project-away project-keep project-rename project-reorder take limit top sort order count " +
  "distinct join union parse mv-expand make-series search render as evaluate getschema lookup sample serialize"
).split(" ");
const FUNCTIONS = (
  "count countif dcount sum sumif avg avgif min max percentile percentiles stdev arg_max arg_min make_list make_set take_any bin ago now " +
  "datetime startofhour startofday endofday format_datetime datetime_diff tostring toint tolong todouble toreal tobool todatetime " +
  "totimespan strcat strlen substring split extract replace_string replace_regex tolower toupper trim parse_json bag_keys array_length " +
  "isnull isnotnull isempty isnotempty iff iif case coalesce round floor ceiling abs row_number prev next series_stats"
).split(" ");
const WORDS = "by asc desc and or not in has contains startswith endswith between matches regex kind inner leftouter on with step from to true false null".split(" ");

export class KqlEditor {
  #tables = [];
  #mark = h("div.error-mark", { "aria-hidden": "true" });

  constructor(root, { value, run }) {
    registerCompletions(["kusto"], { sources: [(context) => this.#complete(context)] });
    this.editor = createEditor(root, { language: "kusto", value, lineNumbers: true, tabSize: 2, onUpdate: () => this.clearError() });
    const { textarea } = this.editor;
    textarea.setAttribute("aria-label", "KQL query. Ctrl+Enter runs it, Ctrl+Space completes a name.");
    textarea.setAttribute("aria-describedby", "query-error");
    textarea.addEventListener(
      "keydown",
      (event) => {
        const completing = this.editor.container.querySelector(".pce-ac-wrapper") !== null;
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          event.stopImmediatePropagation();
          run();
        } else if (event.key === "Tab" && !completing) {
          // Tab leaves the editor as it leaves any other field, so that the focus is not trapped.
          event.stopImmediatePropagation();
        }
      },
      { capture: true },
    );
    this.editor.addExtensions(matchBrackets(), cursorPosition(), defaultCommands(), editHistory(), autoComplete({ filter: fuzzyFilter }));
    addOverlay(this.editor, this.#mark);
  }

  get value() {
    return this.editor.value;
  }

  set value(text) {
    insertText(this.editor, text, 0, this.editor.value.length);
  }

  set tables(tables) {
    this.#tables = tables;
  }

  focus() {
    this.editor.textarea.focus();
  }

  insert(text) {
    insertText(this.editor, text);
  }

  /** Underline the word at a position, which counts from 1. */
  markError(line, column) {
    const { value } = this.editor;
    const lines = value.split("\n");
    const at = Math.min(Math.max(1, line), lines.length);
    const start = lines.slice(0, at - 1).reduce((sum, text) => sum + text.length + 1, 0);
    let from = Math.min(start + Math.max(0, (column ?? 1) - 1), start + lines[at - 1].length);
    let to = from;
    if (column === null) to = start + lines[at - 1].length;
    else {
      while (to < value.length && /\w/.test(value[to])) to += 1;
      if (to === from && value[to] !== undefined && value[to] !== "\n") to += 1;
      // At the end of a line, underline the character before it.
      else if (to === from) from = Math.max(start, from - 1);
    }
    const marked = h("span.squiggle", value.slice(from, to) || " ");
    this.#mark.replaceChildren(value.slice(0, from), marked, value.slice(to));
    this.editor.textarea.setAttribute("aria-invalid", "true");
    return { from, to, text: value.slice(from, to) };
  }

  moveTo(position) {
    this.focus();
    setSelection(this.editor, position);
  }

  clearError() {
    this.#mark.replaceChildren();
    this.editor?.textarea.removeAttribute("aria-invalid");
  }

  #complete({ before, pos, explicit }) {
    const word = /[\w-]*$/.exec(before)[0];
    if (!word && !explicit && !/\|\s*$/.test(before)) return null;
    if (/\/\/[^\n]*$/.test(before) || /"[^"\n]*$/.test(before.replace(/"[^"\n]*"/g, ""))) return null;
    const option = (icon, detail) => (label) => ({ label, icon, detail });
    const from = pos - word.length;
    if (/\|\s*[\w-]*$/.test(before)) return { from, options: OPERATORS.map(option("keyword")) };
    const tables = this.#tables.map(({ name, rows }) => ({ label: name, icon: "class", detail: rows === null ? "" : `${rows} rows` }));
    if (!before.includes("|")) return { from, options: tables };
    const used = this.#tables.filter(({ name }) => this.editor.value.includes(name));
    const columns = new Map((used.length ? used : this.#tables).flatMap((table) => table.columns.map(({ name, type }) => [name, type])));
    return {
      from,
      options: [
        ...[...columns].map(([name, type]) => ({ label: name, icon: "property", detail: type, boost: 2 })),
        ...FUNCTIONS.map((name) => ({ label: name, icon: "function", insert: `${name}()`, tabStops: [name.length + 1, name.length + 1], boost: 1 })),
        ...WORDS.map(option("keyword")),
        ...tables,
      ],
    };
  }
}

/** Return `[title, query]` of each example for this table. */
export function examples(table, roles) {
  const { name } = table;
  const list = [["Newest 100 rows", `${name}\n| top 100 by TimeGenerated desc`]];
  if (roles.level) {
    list.push(["Rows by level over time", `${name}\n| summarize Rows = count() by bin(TimeGenerated, 1m), ${roles.level}`]);
    list.push(["Rows by level", `${name}\n| summarize Rows = count() by ${roles.level}\n| order by Rows desc`]);
    if (roles.logger) {
      list.push([
        "Errors by logger",
        `${name}\n| where ${roles.level} in ("ERROR", "CRITICAL")\n| summarize Errors = count(), Last = max(TimeGenerated) by ${roles.logger}\n| order by Errors desc`,
      ]);
    }
  } else list.push(["Rows over time", `${name}\n| summarize Rows = count() by bin(TimeGenerated, 1m)`]);
  if (roles.exception) {
    list.push([
      "Exceptions by type",
      `${name}\n| where isnotempty(${roles.exception})\n| extend Type = extract(@"(?m)^([\\w.]+)(?::.*)?\\s*$", 1, ${roles.exception})\n| summarize Times = count(), Last = max(TimeGenerated) by Type\n| order by Times desc`,
    ]);
  }
  if (name === "App_CL") {
    list.push([
      "95th percentile of a property",
      `${name}\n| extend Ms = todouble(Properties.duration_ms)\n| where isnotnull(Ms)\n| summarize P50 = percentile(Ms, 50), P95 = percentile(Ms, 95) by bin(TimeGenerated, 1m)`,
    ]);
    list.push(["Rows that arrived twice", `${name}\n| summarize Copies = count() by Instance, Sequence\n| where Copies > 1`]);
  }
  return list;
}
