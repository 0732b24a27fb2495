/** The role of each column on the page, and the rank of each level name. */

// In order of rank, the most severe first. `other` stands for no level and for an unknown one.
export const LEVELS = ["critical", "error", "warning", "info", "debug", "other"];
export const LEVEL_NAMES = ["Critical", "Error", "Warning", "Info", "Debug", "Other"];

const TIME = ["TimeGenerated"];
const LEVEL = ["Level", "SeverityLevel", "EventLevelName", "LogSeverity", "Severity", "SeverityText", "LogLevel"];
const LOGGER = ["Logger", "LoggerName", "ProcessName", "Provider", "ProviderName", "Source", "SourceName", "DeviceProduct", "OperationName"];
const MESSAGE = ["Message", "SyslogMessage", "RenderedDescription", "Activity", "EventData", "Event", "RawData", "Body"];
const EXCEPTION = ["Exception", "StackTrace", "Stack", "Error"];

/** Return `{time, level, logger, message, exception, dynamic}`: names of columns, null if the table has none. */
export function rolesOf(columns) {
  const names = new Map(columns.map((column) => [column.name.toLowerCase(), column.name]));
  const first = (candidates) => names.get(candidates.map((name) => name.toLowerCase()).find((name) => names.has(name))) ?? null;
  return {
    time: first(TIME),
    level: first(LEVEL),
    logger: first(LOGGER),
    message: first(MESSAGE),
    exception: first(EXCEPTION),
    dynamic: columns.filter((column) => column.type === "dynamic").map((column) => column.name),
  };
}

// Level names of logging, structlog, syslog, CEF and Windows; the first match counts.
const PATTERNS = [
  [/^(crit|fatal|emerg|alert|panic|very-high)/, 0],
  [/^(err|severe|fail|high$)/, 1],
  [/^(warn|medium$)/, 2],
  [/^(info|notice|audit|low$|success)/, 3],
  [/^(debug|trace|verbose|notset)/, 4],
];
const known = new Map();

/** Return the rank of a level name: its index in `LEVELS`. */
export function levelRank(text) {
  if (text === null || text === undefined || text === "") return 5;
  let rank = known.get(text);
  if (rank === undefined) {
    const lower = String(text).toLowerCase();
    rank = PATTERNS.find(([pattern]) => pattern.test(lower))?.[1] ?? 5;
    if (known.size < 1000) known.set(text, rank);
  }
  return rank;
}

/** Return a value of any type as one line of text. */
export function inline(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Summarize a row beside its message: the members of its dynamic columns or, in a table without messages, all columns. */
export function restOf(row, roles, limit = 300) {
  const parts = [];
  let length = 0;
  const take = (name, value) => {
    if (value === null || value === undefined || value === "" || length > limit) return;
    const part = `${name}=${inline(value)}`;
    length += part.length;
    parts.push(part);
  };
  if (roles.message === null) {
    for (const [name, value] of Object.entries(row)) {
      if (name !== roles.time && name !== roles.level && name !== roles.logger) take(name, value);
    }
  } else {
    for (const name of roles.dynamic) {
      const value = row[name];
      if (value && typeof value === "object" && !Array.isArray(value)) {
        for (const key in value) take(key, value[key]);
      } else take(name, value);
    }
  }
  return parts.join("  ").slice(0, limit);
}

/** Return a text as a KQL string literal. */
export const kqlString = (text) => `"${String(text).replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t")}"`;
