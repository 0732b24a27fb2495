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
  default     = "User"
}

variable "rule_name" {
  type        = string
  description = "Name of the data collection rule"
  default     = "logging-azmon"
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
      totalRetentionInDays = 365
    }
  }
}

data "azurerm_monitor_data_collection_endpoint" "endpoint" {
  name                = "dce-net"
  resource_group_name = "rg-net"
}

resource "azurerm_monitor_data_collection_rule" "rule" {
  name                        = var.rule_name
  resource_group_name         = var.resource_group_name
  location                    = local.location
  data_collection_endpoint_id = data.azurerm_monitor_data_collection_endpoint.endpoint.id

  stream_declaration {
    stream_name = "Custom-Syslog"
    column {
      name = "CollectorHostName"
      type = "string"
    }
    column {
      name = "Computer"
      type = "string"
    }
    column {
      name = "EventTime"
      type = "datetime"
    }
    column {
      name = "Facility"
      type = "string"
    }
    column {
      name = "HostIP"
      type = "string"
    }
    column {
      name = "HostName"
      type = "string"
    }
    column {
      name = "ProcessID"
      type = "int"
    }
    column {
      name = "ProcessName"
      type = "string"
    }
    column {
      name = "SeverityLevel"
      type = "string"
    }
    column {
      name = "SourceSystem"
      type = "string"
    }
    column {
      name = "SyslogMessage"
      type = "string"
    }
    column {
      name = "TimeGenerated"
      type = "datetime"
    }
  }

  destinations {
    log_analytics {
      workspace_resource_id = data.azurerm_log_analytics_workspace.workspace.id
      name                  = "workspace"
    }
  }

  data_flow {
    streams       = ["Custom-Syslog"]
    destinations  = ["workspace"]
    transform_kql = "source"
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
  value = data.azurerm_monitor_data_collection_endpoint.endpoint.logs_ingestion_endpoint
}

output "LOGS_DCR_RULE_ID" {
  value = azurerm_monitor_data_collection_rule.rule.immutable_id
}

output "LOGS_DCR_STREAM_NAME" {
  value = "Custom-Syslog"
}
