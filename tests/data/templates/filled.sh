#!/usr/bin/env bash
# Resources for the rows that logging-azmon sends to Shop_CL. Needs az and 'az login'; running it again changes nothing.
set -euo pipefail

RESOURCE_GROUP="${RESOURCE_GROUP:-rg-shop}"
WORKSPACE_NAME="${WORKSPACE_NAME:-log-shop}"
PRINCIPAL_ID="${PRINCIPAL_ID:-00000000-0000-0000-0000-00000000000a}"
PRINCIPAL_TYPE="${PRINCIPAL_TYPE:-ServicePrincipal}"
RULE_NAME="${RULE_NAME:-dcr-shop}"
ENDPOINT_NAME="${ENDPOINT_NAME:-dce-shop}"
PUBLIC_NETWORK_ACCESS="${PUBLIC_NETWORK_ACCESS:-Enabled}"

workspace=(--resource-group "$RESOURCE_GROUP" --workspace-name "$WORKSPACE_NAME")
show_workspace() { az monitor log-analytics workspace show "${workspace[@]}" --query "$1" --output tsv; }
group_id=$(az group show --name "$RESOURCE_GROUP" --query id --output tsv | tr -d '\r')
workspace_id=$(show_workspace id | tr -d '\r')
location=westeurope
rule_id="$group_id/providers/Microsoft.Insights/dataCollectionRules/$RULE_NAME"
endpoint_id="$group_id/providers/Microsoft.Insights/dataCollectionEndpoints/$ENDPOINT_NAME"

az monitor log-analytics workspace table create "${workspace[@]}" \
  --name Shop_CL --output none --plan Auxiliary --total-retention-time 1095 \
  --columns \
    TimeGenerated=datetime \
    Level=string \
    Logger=string \
    Message=string \
    Exception=string \
    Properties=dynamic

az rest --method put --url "https://management.azure.com$endpoint_id?api-version=2023-03-11" --output none --body @- <<JSON
{
  "location": "$location",
  "properties": {
    "networkAcls": {
      "publicNetworkAccess": "$PUBLIC_NETWORK_ACCESS"
    }
  }
}
JSON

az rest --method put --url "https://management.azure.com$rule_id?api-version=2023-03-11" --output none --body @- <<JSON
{
  "location": "$location",
  "properties": {
    "dataCollectionEndpointId": "$endpoint_id",
    "streamDeclarations": {
      "Custom-Shop": {
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
          "Custom-Shop"
        ],
        "destinations": [
          "workspace"
        ],
        "transformKql": "source",
        "outputStream": "Custom-Shop_CL"
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
echo "export LOGS_DCR_STREAM_NAME=Custom-Shop"
