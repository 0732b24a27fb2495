# Resources for the rows that logging-azmon sends to Syslog: terraform init && terraform apply
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
  default     = "logging-azmon"
}

variable "endpoint_name" {
  type        = string
  description = "Name of the data collection endpoint"
  default     = "dce-x"
}

variable "public_network_access_enabled" {
  type        = bool
  description = "false: reachable through private link only"
  default     = true
}

data "azurerm_log_analytics_workspace" "workspace" {
  name                = var.workspace_name
  resource_group_name = var.resource_group_name
}

locals {
  location = data.azurerm_log_analytics_workspace.workspace.location
}

resource "azapi_update_resource" "table" {
  type        = "Microsoft.OperationalInsights/workspaces/tables@2025-07-01"
  resource_id = "${data.azurerm_log_analytics_workspace.workspace.id}/tables/Syslog"
  body = {
    properties = {
      schema = {
        name = "Syslog"
        columns = [
          { name = "Time_CF", type = "datetime" },
          { name = "Order_CF", type = "long" },
          { name = "Shop_CF", type = "string" },
        ]
      }
    }
  }
}

resource "azurerm_monitor_data_collection_endpoint" "endpoint" {
  name                          = var.endpoint_name
  resource_group_name           = var.resource_group_name
  location                      = local.location
  public_network_access_enabled = var.public_network_access_enabled
}

resource "azurerm_monitor_data_collection_rule" "rule" {
  name                        = var.rule_name
  resource_group_name         = var.resource_group_name
  location                    = local.location
  data_collection_endpoint_id = azurerm_monitor_data_collection_endpoint.endpoint.id

  stream_declaration {
    stream_name = "Custom-Mixed"
    column {
      name = "Time"
      type = "datetime"
    }
    column {
      name = "SyslogMessage"
      type = "string"
    }
    column {
      name = "Order"
      type = "long"
    }
    column {
      name = "Shop_CF"
      type = "string"
    }
  }

  destinations {
    log_analytics {
      workspace_resource_id = data.azurerm_log_analytics_workspace.workspace.id
      name                  = "workspace"
    }
  }

  data_flow {
    streams       = ["Custom-Mixed"]
    destinations  = ["workspace"]
    transform_kql = "source | extend TimeGenerated = ['Time'] | project-rename Time_CF = ['Time'], Order_CF = ['Order']"
    output_stream = "Microsoft-Syslog"
  }

  depends_on = [azapi_update_resource.table]
}

# Without this role, the endpoint answers 403. An assignment can take 30 minutes to take effect.
resource "azurerm_role_assignment" "sender" {
  scope                = azurerm_monitor_data_collection_rule.rule.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = var.principal_id
  principal_type       = var.principal_type
}

output "DATA_COLLECTION_ENDPOINT" {
  value = azurerm_monitor_data_collection_endpoint.endpoint.logs_ingestion_endpoint
}

output "LOGS_DCR_RULE_ID" {
  value = azurerm_monitor_data_collection_rule.rule.immutable_id
}

output "LOGS_DCR_STREAM_NAME" {
  value = "Custom-Mixed"
}
