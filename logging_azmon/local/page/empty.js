/** The view of a table without rows: how to send the first one. */

import { copyButton, h } from "./dom.js";

const SNIPPET = `import logging
from logging_azmon import AzureMonitorHandler

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(AzureMonitorHandler())
log.info("order placed", extra={"order": 4711, "total": 12.5})
`;

const ERRORS = "DCRLogErrors";

const SHELLS = {
  "bash, zsh": (name, value) => `export ${name}="${value}"`,
  PowerShell: (name, value) => `$env:${name} = "${value}"`,
};

/** Fill `root`. Only the default table's rule is known; for another table the user must fill in the names. */
export function showEmpty(root, table) {
  if (table?.name === ERRORS) {
    root.replaceChildren(
      h(
        "div.empty-card.calm",
        h("h2", "Nothing to report"),
        h("p.muted", "Each value that the workspace drops, cuts or replaces is reported here, as in Azure if the rule's diagnostic settings enable it."),
      ),
    );
    return;
  }
  const own = table !== null && table.name !== "App_CL";
  const variables = [
    ["DATA_COLLECTION_ENDPOINT", location.origin],
    ["LOGS_DCR_RULE_ID", own ? "<the rule's immutableId>" : "dcr-local"],
    ["LOGS_DCR_STREAM_NAME", own ? "<its stream>" : "Custom-App"],
  ];
  const block = h("pre.code", { tabindex: "0", role: "region", "aria-label": "Variables" });
  const select = h("select", { "aria-label": "Shell" }, Object.keys(SHELLS).map((name) => h("option", name)));
  const write = () => (block.textContent = variables.map(([name, value]) => SHELLS[select.value](name, value)).join("\n"));
  select.addEventListener("change", write);
  if (navigator.userAgent.includes("Windows")) select.value = "PowerShell";
  write();
  root.replaceChildren(
    h(
      "div.empty-card",
      h("h2", table === null ? "No tables yet" : `No rows in ${table.name} yet`),
      h("p.muted", "Send the first row: it appears here as soon as it is stored, without a reload."),
      step(1, "Set three variables", select, copyButton(() => block.textContent)),
      block,
      step(2, "Log something", copyButton(() => SNIPPET)),
      h("pre.code", { tabindex: "0", role: "region", "aria-label": "Python" }, SNIPPET.trimEnd()),
      h("p.muted", "Rows are sent within 5 seconds, or when the program ends."),
    ),
  );
}

function step(n, title, ...tools) {
  return h("div.empty-step", h("span.step-number", { "aria-hidden": "true" }, String(n)), h("h3", title), h("span.grow"), tools);
}
