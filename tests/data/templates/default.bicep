// Resources for the rows that logging-azmon sends to App_CL.
// Deploy into the workspace's resource group.
targetScope = 'resourceGroup'

@description('Name of the Log Analytics workspace, in this resource group')
param workspaceName string

@description('Object id of the identity that sends the rows')
param principalId string

@allowed(['ServicePrincipal', 'User', 'Group'])
@description('Kind of that identity')
param principalType string = 'ServicePrincipal'

@description('Region of the workspace')
param location string = resourceGroup().location

@description('Name of the data collection rule')
param ruleName string = 'dcr-app'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource table 'Microsoft.OperationalInsights/workspaces/tables@2025-07-01' = {
  parent: workspace
  name: 'App_CL'
  properties: {
    plan: 'Analytics'
    schema: {
      name: 'App_CL'
      columns: [
        { name: 'TimeGenerated', type: 'datetime' }
        { name: 'Level', type: 'string' }
        { name: 'Logger', type: 'string' }
        { name: 'Message', type: 'string' }
        { name: 'Exception', type: 'string' }
        { name: 'Properties', type: 'dynamic' }
        { name: 'Module', type: 'string' }
        { name: 'Function', type: 'string' }
        { name: 'Line', type: 'int' }
        { name: 'ProcessId', type: 'int' }
        { name: 'Thread', type: 'string' }
        { name: 'Host', type: 'string' }
        { name: 'TraceId', type: 'string' }
        { name: 'SpanId', type: 'string' }
        { name: 'Instance', type: 'string' }
        { name: 'Sequence', type: 'long' }
      ]
    }
  }
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: ruleName
  location: location
  kind: 'Direct'
  properties: {
    streamDeclarations: {
      'Custom-App': {
        columns: [
          { name: 'TimeGenerated', type: 'datetime' }
          { name: 'Level', type: 'string' }
          { name: 'Logger', type: 'string' }
          { name: 'Message', type: 'string' }
          { name: 'Exception', type: 'string' }
          { name: 'Properties', type: 'dynamic' }
          { name: 'Module', type: 'string' }
          { name: 'Function', type: 'string' }
          { name: 'Line', type: 'int' }
          { name: 'ProcessId', type: 'int' }
          { name: 'Thread', type: 'string' }
          { name: 'Host', type: 'string' }
          { name: 'TraceId', type: 'string' }
          { name: 'SpanId', type: 'string' }
          { name: 'Instance', type: 'string' }
          { name: 'Sequence', type: 'long' }
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
          'Custom-App'
        ]
        destinations: [
          'workspace'
        ]
        transformKql: 'source'
        outputStream: 'Custom-App_CL'
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
output DATA_COLLECTION_ENDPOINT string = rule.properties.endpoints.logsIngestion
output LOGS_DCR_RULE_ID string = rule.properties.immutableId
output LOGS_DCR_STREAM_NAME string = 'Custom-App'
