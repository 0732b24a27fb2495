// Resources for the rows that logging-azmon sends to Shop_CL.
// Deploy into the workspace's resource group.
targetScope = 'resourceGroup'

@description('Name of the Log Analytics workspace, in this resource group')
param workspaceName string = 'log-shop'

@description('Object id of the identity that sends the rows')
param principalId string = '00000000-0000-0000-0000-00000000000a'

@allowed(['ServicePrincipal', 'User', 'Group'])
@description('Kind of that identity')
param principalType string = 'ServicePrincipal'

@description('Region of the workspace')
param location string = 'westeurope'

@description('Name of the data collection rule')
param ruleName string = 'dcr-shop'

@description('Name of the data collection endpoint')
param endpointName string = 'dce-shop'

@allowed(['Enabled', 'Disabled'])
@description('Disabled: reachable through private link only')
param publicNetworkAccess string = 'Enabled'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource table 'Microsoft.OperationalInsights/workspaces/tables@2025-07-01' = {
  parent: workspace
  name: 'Shop_CL'
  properties: {
    plan: 'Auxiliary'
    totalRetentionInDays: 1095
    schema: {
      name: 'Shop_CL'
      columns: [
        { name: 'TimeGenerated', type: 'datetime' }
        { name: 'Level', type: 'string' }
        { name: 'Logger', type: 'string' }
        { name: 'Message', type: 'string' }
        { name: 'Exception', type: 'string' }
        { name: 'Properties', type: 'dynamic' }
      ]
    }
  }
}

resource endpoint 'Microsoft.Insights/dataCollectionEndpoints@2023-03-11' = {
  name: endpointName
  location: location
  properties: {
    networkAcls: {
      publicNetworkAccess: publicNetworkAccess
    }
  }
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: ruleName
  location: location
  properties: {
    dataCollectionEndpointId: endpoint.id
    streamDeclarations: {
      'Custom-Shop': {
        columns: [
          { name: 'TimeGenerated', type: 'datetime' }
          { name: 'Level', type: 'string' }
          { name: 'Logger', type: 'string' }
          { name: 'Message', type: 'string' }
          { name: 'Exception', type: 'string' }
          { name: 'Properties', type: 'dynamic' }
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
          'Custom-Shop'
        ]
        destinations: [
          'workspace'
        ]
        transformKql: 'source'
        outputStream: 'Custom-Shop_CL'
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
output LOGS_DCR_STREAM_NAME string = 'Custom-Shop'
