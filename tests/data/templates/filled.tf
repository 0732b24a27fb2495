# Resources for the rows that logging-azmon sends to Shop_CL: terraform init && terraform apply
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
  default     = "rg-shop"
}

variable "workspace_name" {
  type        = string
  description = "Name of the Log Analytics workspace"
  default     = "log-shop"
}

variable "principal_id" {
  type        = string
  description = "Object id of the identity that sends the rows"
  default     = "00000000-0000-0000-0000-00000000000a"
}

variable "principal_type" {
  type        = string
  description = "ServicePrincipal, User or Group"
  default     = "ServicePrincipal"
}

variable "rule_name" {
  type        = string
  description = "Name of the data collection rule"
  default     = "dcr-shop"
}

variable "endpoint_name" {
  type        = string
  description = "Name of the data collection endpoint"
  default     = "dce-shop"
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
  location = "westeurope"
}

resource "azapi_resource" "table" {
  type      = "Microsoft.OperationalInsights/workspaces/tables@2025-07-01"
  parent_id = data.azurerm_log_analytics_workspace.workspace.id
  name      = "Shop_CL"
  body = {
    properties = {
      plan                 = "Auxiliary"
      totalRetentionInDays = 1095
      schema = {
        name = "Shop_CL"
        columns = [
          { name = "TimeGenerated", type = "datetime" },
          { name = "Level", type = "string" },
          { name = "Logger", type = "string" },
          { name = "Message", type = "string" },
          { name = "Exception", type = "string" },
          { name = "Properties", type = "dynamic" },
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
    stream_name = "Custom-Shop"
    column {
      name = "TimeGenerated"
      type = "datetime"
    }
    column {
      name = "Level"
      type = "string"
    }
    column {
      name = "Logger"
      type = "string"
    }
    column {
      name = "Message"
      type = "string"
    }
    column {
      name = "Exception"
      type = "string"
    }
    column {
      name = "Properties"
      type = "dynamic"
    }
  }

  destinations {
    log_analytics {
      workspace_resource_id = data.azurerm_log_analytics_workspace.workspace.id
      name                  = "workspace"
    }
  }

  data_flow {
    streams       = ["Custom-Shop"]
    destinations  = ["workspace"]
    transform_kql = "source"
    output_stream = "Custom-Shop_CL"
  }

  depends_on = [azapi_resource.table]
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
  value = "Custom-Shop"
}
