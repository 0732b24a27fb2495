// Upload and query with Azure's unmodified clients, and print the results as JSON.
import { LogsIngestionClient } from "@azure/monitor-ingestion";
import { LogsQueryClient } from "@azure/monitor-query-logs";

const endpoint = process.env.DATA_COLLECTION_ENDPOINT;
const rule = process.env.LOGS_DCR_RULE_ID;
const stream = process.env.LOGS_DCR_STREAM_NAME;
const credential = { getToken: async () => ({ token: "any", expiresOnTimestamp: Date.now() + 3_600_000 }) };
const found = {};

const ingestion = new LogsIngestionClient(endpoint, credential);
await ingestion.upload(rule, stream, [{ Message: "from node", Line: 7, Properties: { a: [1] } }]);
await ingestion.upload(rule, "Custom-Nope", [{}]).catch((error) => {
  found.refused = error.errors.map((each) => each.cause.code ?? each.cause.message);
});

const query = "App_CL | project Message, Line, Properties, TimeGenerated";
for (const version of ["", "/v1"]) {
  const client = new LogsQueryClient(credential, { endpoint: endpoint + version });
  for (let attempt = 0; attempt < 500; attempt++) {
    const result = await client.queryWorkspace("local", query, { duration: "PT1H" });
    found[`query${version}`] = result.tables[0].rows;
    found.time = result.tables[0].rows[0]?.[3] instanceof Date;
    if (result.tables[0].rows.length > 0) break;
  }
  await client.queryWorkspace("local", "App_CL | where Nope == 1", { duration: "PT1H" }).catch((error) => {
    found[`mistake${version}`] = error.code;
  });
}

const client = new LogsQueryClient(credential, { endpoint: endpoint + "/v1" });
const answers = await client.queryBatch([
  { workspaceId: "local", query: "print a = 1", timespan: { duration: "PT1H" } },
  { workspaceId: "local", query: "nope", timespan: { duration: "PT1H" } },
]);
found.first = answers[0].tables[0].rows;
found.second = answers[1].status;
console.log(JSON.stringify(found));
