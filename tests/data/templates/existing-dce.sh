#!/usr/bin/env bash
# Resources for the rows that logging-azmon sends to Syslog. Needs az and 'az login'; running it again changes nothing.
set -euo pipefail

RESOURCE_GROUP="${RESOURCE_GROUP:?set it to the resource group of the workspace}"
WORKSPACE_NAME="${WORKSPACE_NAME:?set it to the name of the Log Analytics workspace}"
PRINCIPAL_ID="${PRINCIPAL_ID:?set it to the object id of the identity that sends}"
PRINCIPAL_TYPE="${PRINCIPAL_TYPE:-User}"
RULE_NAME="${RULE_NAME:-logging-azmon}"

workspace=(--resource-group "$RESOURCE_GROUP" --workspace-name "$WORKSPACE_NAME")
show_workspace() { az monitor log-analytics workspace show "${workspace[@]}" --query "$1" --output tsv; }
group_id=$(az group show --name "$RESOURCE_GROUP" --query id --output tsv | tr -d '\r')
workspace_id=$(show_workspace id | tr -d '\r')
location=$(show_workspace location | tr -d '\r')
rule_id="$group_id/providers/Microsoft.Insights/dataCollectionRules/$RULE_NAME"
endpoint_id="/subscriptions/s-1/resourceGroups/rg-net/providers/Microsoft.Insights/dataCollectionEndpoints/dce-net"

az monitor log-analytics workspace table update "${workspace[@]}" \
  --name Syslog --output none --total-retention-time 365

az rest --method put --url "https://management.azure.com$rule_id?api-version=2023-03-11" --output none --body @- <<JSON
{
  "location": "$location",
  "properties": {
    "dataCollectionEndpointId": "$endpoint_id",
    "streamDeclarations": {
      "Custom-Syslog": {
        "columns": [
          {
            "name": "CollectorHostName",
            "type": "string"
          },
          {
            "name": "Computer",
            "type": "string"
          },
          {
            "name": "EventTime",
            "type": "datetime"
          },
          {
            "name": "Facility",
            "type": "string"
          },
          {
            "name": "HostIP",
            "type": "string"
          },
          {
            "name": "HostName",
            "type": "string"
          },
          {
            "name": "ProcessID",
            "type": "int"
          },
          {
            "name": "ProcessName",
            "type": "string"
          },
          {
            "name": "SeverityLevel",
            "type": "string"
          },
          {
            "name": "SourceSystem",
            "type": "string"
          },
          {
            "name": "SyslogMessage",
            "type": "string"
          },
          {
            "name": "TimeGenerated",
            "type": "datetime"
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
          "Custom-Syslog"
        ],
        "destinations": [
          "workspace"
        ],
        "transformKql": "source",
        "outputStream": "Microsoft-Syslog"
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
echo "export DATA_COLLECTION_ENDPOINT=$(value "$endpoint_id" logsIngestion.endpoint)"
echo "export LOGS_DCR_RULE_ID=$(value "$rule_id" immutableId)"
echo "export LOGS_DCR_STREAM_NAME=Custom-Syslog"
