// Resources for the rows that logging-azmon sends to Syslog.
// Deploy into the workspace's resource group.
targetScope = 'resourceGroup'

@description('Name of the Log Analytics workspace, in this resource group')
param workspaceName string

@description('Object id of the identity that sends the rows')
param principalId string

@allowed(['ServicePrincipal', 'User', 'Group'])
@description('Kind of that identity')
param principalType string = 'User'

@description('Region of the workspace')
param location string = resourceGroup().location

@description('Name of the data collection rule')
param ruleName string = 'logging-azmon'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource table 'Microsoft.OperationalInsights/workspaces/tables@2025-07-01' = {
  parent: workspace
  name: 'Syslog'
  properties: {
    totalRetentionInDays: 365
  }
}

resource endpoint 'Microsoft.Insights/dataCollectionEndpoints@2023-03-11' existing = {
  name: 'dce-net'
  scope: resourceGroup('s-1', 'rg-net')
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: ruleName
  location: location
  properties: {
    dataCollectionEndpointId: endpoint.id
    streamDeclarations: {
      'Custom-Syslog': {
        columns: [
          { name: 'CollectorHostName', type: 'string' }
          { name: 'Computer', type: 'string' }
          { name: 'EventTime', type: 'datetime' }
          { name: 'Facility', type: 'string' }
          { name: 'HostIP', type: 'string' }
          { name: 'HostName', type: 'string' }
          { name: 'ProcessID', type: 'int' }
          { name: 'ProcessName', type: 'string' }
          { name: 'SeverityLevel', type: 'string' }
          { name: 'SourceSystem', type: 'string' }
          { name: 'SyslogMessage', type: 'string' }
          { name: 'TimeGenerated', type: 'datetime' }
        ]
      }
    }
    destinations: {
      logAnalytics: [
        {
          workspaceResourceId: workspace.id
          name: 'workspace'
        }
      ]
    }
    dataFlows: [
      {
        streams: [
          'Custom-Syslog'
        ]
        destinations: [
          'workspace'
        ]
        transformKql: 'source'
        outputStream: 'Microsoft-Syslog'
      }
    ]
  }
  dependsOn: [
    table
  ]
}

// Monitoring Metrics Publisher: without it, the endpoint answers 403. An assignment can take 30 minutes to take effect.
var role = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '3913510d-42f4-4e42-8a64-420c390055eb')

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(rule.id, principalId, role)
  scope: rule
  properties: {
    roleDefinitionId: role
    principalId: principalId
    principalType: principalType
  }
}

// The three values of the handler's configuration.
output DATA_COLLECTION_ENDPOINT string = endpoint.properties.logsIngestion.endpoint
output LOGS_DCR_RULE_ID string = rule.properties.immutableId
output LOGS_DCR_STREAM_NAME string = 'Custom-Syslog'
