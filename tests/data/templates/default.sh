#!/usr/bin/env bash
# Resources for the rows that logging-azmon sends to App_CL. Needs az and 'az login'; running it again changes nothing.
set -euo pipefail

RESOURCE_GROUP="${RESOURCE_GROUP:?set it to the resource group of the workspace}"
WORKSPACE_NAME="${WORKSPACE_NAME:?set it to the name of the Log Analytics workspace}"
PRINCIPAL_ID="${PRINCIPAL_ID:?set it to the object id of the identity that sends}"
PRINCIPAL_TYPE="${PRINCIPAL_TYPE:-ServicePrincipal}"
RULE_NAME="${RULE_NAME:-dcr-app}"

workspace=(--resource-group "$RESOURCE_GROUP" --workspace-name "$WORKSPACE_NAME")
show_workspace() { az monitor log-analytics workspace show "${workspace[@]}" --query "$1" --output tsv; }
group_id=$(az group show --name "$RESOURCE_GROUP" --query id --output tsv | tr -d '\r')
workspace_id=$(show_workspace id | tr -d '\r')
location=$(show_workspace location | tr -d '\r')
rule_id="$group_id/providers/Microsoft.Insights/dataCollectionRules/$RULE_NAME"

az monitor log-analytics workspace table create "${workspace[@]}" \
  --name App_CL --output none --plan Analytics \
  --columns \
    TimeGenerated=datetime \
    Level=string \
    Logger=string \
    Message=string \
    Exception=string \
    Properties=dynamic \
    Module=string \
    Function=string \
    Line=int \
    ProcessId=int \
    Thread=string \
    Host=string \
    TraceId=string \
    SpanId=string \
    Instance=string \
    Sequence=long

az rest --method put --url "https://management.azure.com$rule_id?api-version=2023-03-11" --output none --body @- <<JSON
{
  "location": "$location",
  "kind": "Direct",
  "properties": {
    "streamDeclarations": {
      "Custom-App": {
        "columns": [
          {
            "name": "TimeGenerated",
            "type": "datetime"
          },
          {
            "name": "Level",
            "type": "string"
          },
          {
            "name": "Logger",
            "type": "string"
          },
          {
            "name": "Message",
            "type": "string"
          },
          {
            "name": "Exception",
            "type": "string"
          },
          {
            "name": "Properties",
            "type": "dynamic"
          },
          {
            "name": "Module",
            "type": "string"
          },
          {
            "name": "Function",
            "type": "string"
          },
          {
            "name": "Line",
            "type": "int"
          },
          {
            "name": "ProcessId",
            "type": "int"
          },
          {
            "name": "Thread",
            "type": "string"
          },
          {
            "name": "Host",
            "type": "string"
          },
          {
            "name": "TraceId",
            "type": "string"
          },
          {
            "name": "SpanId",
            "type": "string"
          },
          {
            "name": "Instance",
            "type": "string"
          },
          {
            "name": "Sequence",
            "type": "long"
          }
        ]
      }
    },
    "destinations": {
      "logAnalytics": [
        {
          "workspaceResourceId": "$workspace_id",
          "name": "workspace"
        }
      ]
    },
    "dataFlows": [
      {
        "streams": [
          "Custom-App"
        ],
        "destinations": [
          "workspace"
        ],
        "transformKql": "source",
        "outputStream": "Custom-App_CL"
      }
    ]
  }
}
JSON

# Monitoring Metrics Publisher: without it, the endpoint answers 403. An assignment can take 30 minutes to take effect.
az role assignment create --role 3913510d-42f4-4e42-8a64-420c390055eb --scope "$rule_id" \
  --assignee-object-id "$PRINCIPAL_ID" --assignee-principal-type "$PRINCIPAL_TYPE" --output none

# The three values of the handler's configuration.
value() {
  az rest --method get --url "https://management.azure.com$1?api-version=2023-03-11" --query "properties.$2" \
    --output tsv | tr -d '\r'
}
echo "export DATA_COLLECTION_ENDPOINT=$(value "$rule_id" endpoints.logsIngestion)"
echo "export LOGS_DCR_RULE_ID=$(value "$rule_id" immutableId)"
echo "export LOGS_DCR_STREAM_NAME=Custom-App"
