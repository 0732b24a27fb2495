# Resources for the rows that logging-azmon sends to App_CL: terraform init && terraform apply
terraform {
  required_version = ">= 1.5"
  required_providers {
    azapi   = { source = "Azure/azapi", version = "~> 2.0" }
    azurerm = { source = "hashicorp/azurerm", version = "~> 4.0" }
  }
}

# The subscription comes from ARM_SUBSCRIPTION_ID.
provider "azurerm" {
  features {}
}

provider "azapi" {}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the workspace"
}

variable "workspace_name" {
  type        = string
  description = "Name of the Log Analytics workspace"
}

variable "principal_id" {
  type        = string
  description = "Object id of the identity that sends the rows"
}

variable "principal_type" {
  type        = string
  description = "ServicePrincipal, User or Group"
  default     = "ServicePrincipal"
}

variable "rule_name" {
  type        = string
  description = "Name of the data collection rule"
  default     = "dcr-app"
}

data "azurerm_log_analytics_workspace" "workspace" {
  name                = var.workspace_name
  resource_group_name = var.resource_group_name
}

locals {
  location = data.azurerm_log_analytics_workspace.workspace.location
}

resource "azapi_resource" "table" {
  type      = "Microsoft.OperationalInsights/workspaces/tables@2025-07-01"
  parent_id = data.azurerm_log_analytics_workspace.workspace.id
  name      = "App_CL"
  body = {
    properties = {
      plan = "Analytics"
      schema = {
        name = "App_CL"
        columns = [
          { name = "TimeGenerated", type = "datetime" },
          { name = "Level", type = "string" },
          { name = "Logger", type = "string" },
          { name = "Message", type = "string" },
          { name = "Exception", type = "string" },
          { name = "Properties", type = "dynamic" },
          { name = "Module", type = "string" },
          { name = "Function", type = "string" },
          { name = "Line", type = "int" },
          { name = "ProcessId", type = "int" },
          { name = "Thread", type = "string" },
          { name = "Host", type = "string" },
          { name = "TraceId", type = "string" },
          { name = "SpanId", type = "string" },
          { name = "Instance", type = "string" },
          { name = "Sequence", type = "long" },
        ]
      }
    }
  }
}

data "azurerm_resource_group" "group" {
  name = var.resource_group_name
}

resource "azapi_resource" "rule" {
  type      = "Microsoft.Insights/dataCollectionRules@2023-03-11"
  parent_id = data.azurerm_resource_group.group.id
  name      = var.rule_name
  location  = local.location
  body = {
    kind = "Direct"
    properties = {
      streamDeclarations = {
        Custom-App = {
          columns = [
            { name = "TimeGenerated", type = "datetime" },
            { name = "Level", type = "string" },
            { name = "Logger", type = "string" },
            { name = "Message", type = "string" },
            { name = "Exception", type = "string" },
            { name = "Properties", type = "dynamic" },
            { name = "Module", type = "string" },
            { name = "Function", type = "string" },
            { name = "Line", type = "int" },
            { name = "ProcessId", type = "int" },
            { name = "Thread", type = "string" },
            { name = "Host", type = "string" },
            { name = "TraceId", type = "string" },
            { name = "SpanId", type = "string" },
            { name = "Instance", type = "string" },
            { name = "Sequence", type = "long" },
          ]
        }
      }
      destinations = {
        logAnalytics = [
          {
            workspaceResourceId = data.azurerm_log_analytics_workspace.workspace.id
            name                = "workspace"
          },
        ]
      }
      dataFlows = [
        {
          streams      = ["Custom-App"]
          destinations = ["workspace"]
          transformKql = "source"
          outputStream = "Custom-App_CL"
        },
      ]
    }
  }
  response_export_values = ["properties.immutableId", "properties.endpoints.logsIngestion"]
  depends_on             = [azapi_resource.table]
}

# Without this role, the endpoint answers 403. An assignment can take 30 minutes to take effect.
resource "azurerm_role_assignment" "sender" {
  scope                = azapi_resource.rule.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = var.principal_id
  principal_type       = var.principal_type
}

output "DATA_COLLECTION_ENDPOINT" {
  value = azapi_resource.rule.output.properties.endpoints.logsIngestion
}

output "LOGS_DCR_RULE_ID" {
  value = azapi_resource.rule.output.properties.immutableId
}

output "LOGS_DCR_STREAM_NAME" {
  value = "Custom-App"
}
