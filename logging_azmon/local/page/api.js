/** The requests of the page, all to the server that it came from. */

export class QueryError extends Error {
  /** `line` and `column` count from 1 and are null where the server does not know them. */
  constructor(message, line = null, column = null) {
    super(message);
    this.line = line;
    this.column = column;
  }
}

async function getJson(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

export const tables = () => getJson("/api/tables");
export const problems = () => getJson("/api/problems");

/** Run KQL and return its first table: `{columns: [{name, type}], rows: [[…]]}`. */
export async function query(kql, timespan = null, signal = undefined) {
  const answer = await fetch("/v1/workspaces/local/query", {
    method: "POST",
    // The endpoint imitates the service, which requires a token; any token will do here.
    headers: { "Content-Type": "application/json", Authorization: "Bearer page" },
    body: JSON.stringify({ query: kql, timespan }),
    signal,
  });
  let document;
  try {
    document = await answer.json();
  } catch {
    throw new QueryError(`The workspace answered ${answer.status}, without JSON.`);
  }
  if (document.error) throw queryError(document.error);
  if (!answer.ok || !document.tables?.length) throw new QueryError(`The workspace answered ${answer.status}.`);
  return document.tables[0];
}

/** Build an error from the innermost message, which is the most specific; the position may be at any depth. */
function queryError(error) {
  let { message } = error;
  let line = null;
  let column = null;
  for (let inner = error; inner; inner = inner.innererror) {
    message = inner.message || message;
    line = inner.line ?? line;
    column = inner.pos ?? column;
  }
  return new QueryError(message || error.code || "The query failed.", line, column);
}

/**
 * Follow a table: `onRows(rows)` receives each batch. Every connection, a reconnection too, starts again with the newest
 * stored rows; `onOpen()` is called before them. Returns a function that stops following.
 */
export function tail(table, { onOpen, onRows, onState }) {
  onState("connecting");
  const source = new EventSource(`/api/tail?table=${encodeURIComponent(table)}`);
  source.onopen = () => {
    onOpen();
    onState("live");
  };
  source.onmessage = (event) => onRows(JSON.parse(event.data));
  // A browser reconnects by itself after a broken connection, but not after an answer that is not a stream.
  let again;
  let ended = false;
  let replaced = () => {};
  source.onerror = () => {
    onState("offline");
    if (source.readyState === EventSource.CLOSED && !ended) {
      again = setTimeout(() => (replaced = tail(table, { onOpen, onRows, onState })), 2000);
    }
  };
  return () => {
    ended = true;
    clearTimeout(again);
    source.close();
    replaced();
  };
}
