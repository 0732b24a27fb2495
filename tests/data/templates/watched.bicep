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

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'errors'
  scope: rule
  properties: {
    workspaceId: workspace.id
    logs: [
      {
        category: 'LogErrors'
        enabled: true
      }
    ]
  }
}

resource group 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${ruleName}-alerts'
  location: 'Global'
  properties: {
    groupShortName: 'azmon-logs'
    enabled: true
    emailReceivers: [
      {
        name: 'mail'
        emailAddress: 'ops@example.com'
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rowsDropped 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${ruleName}-rows-dropped'
  location: 'global'
  properties: {
    description: 'The rule has dropped rows'
    severity: 2
    enabled: true
    scopes: [
      rule.id
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'rows-dropped'
          metricNamespace: 'Microsoft.Insights/dataCollectionRules'
          metricName: 'RowsDropped_Count'
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Total'
        }
      ]
    }
    autoMitigate: true
    actions: [
      {
        actionGroupId: group.id
      }
    ]
  }
}

resource transformationErrors 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${ruleName}-transformation-errors'
  location: 'global'
  properties: {
    description: 'The rule\'s transformation has failed'
    severity: 2
    enabled: true
    scopes: [
      rule.id
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'transformation-errors'
          metricNamespace: 'Microsoft.Insights/dataCollectionRules'
          metricName: 'TransformationErrors_Count'
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Count'
        }
      ]
    }
    autoMitigate: true
    actions: [
      {
        actionGroupId: group.id
      }
    ]
  }
}

resource requestsNearQuota 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: '${ruleName}-requests-near-quota'
  location: 'global'
  properties: {
    description: 'The rule gets over 90% of the 12,000 requests a minute that it may get'
    severity: 2
    enabled: true
    scopes: [
      rule.id
    ]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT1M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'requests-near-quota'
          metricNamespace: 'Microsoft.Insights/dataCollectionRules'
          metricName: 'ApiCallReceived_Count'
          operator: 'GreaterThan'
          threshold: 10800
          timeAggregation: 'Count'
        }
      ]
    }
    autoMitigate: true
    actions: [
      {
        actionGroupId: group.id
      }
    ]
  }
}

resource ruleErrors 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${ruleName}-rule-errors'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'The service has refused rows or failed to store them: see DCRLogErrors'
    description: 'The service has refused rows or failed to store them: see DCRLogErrors'
    severity: 2
    enabled: true
    scopes: [
      rule.id
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: 'DCRLogErrors'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        group.id
      ]
    }
  }
}

resource rowsLost 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${ruleName}-rows-lost'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'Rows tell of rows that an application could not keep'
    description: 'Rows tell of rows that an application could not keep'
    severity: 2
    enabled: true
    scopes: [
      workspace.id
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: '''
App_CL
| where ['Logger'] == 'logging_azmon' and ['Message'] has 'dropped'
| project TimeGenerated, Loss = ['Message']'''
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        group.id
      ]
    }
  }
}

resource rowsMissing 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${ruleName}-rows-missing'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'Numbers of Sequence are missing: rows have not arrived'
    description: 'Numbers of Sequence are missing: rows have not arrived'
    severity: 2
    enabled: true
    scopes: [
      workspace.id
    ]
    evaluationFrequency: 'PT1H'
    windowSize: 'PT2H'
    criteria: {
      allOf: [
        {
          query: '''
App_CL
| where TimeGenerated between (ago(2h) .. ago(30m))
| summarize TimeGenerated = min(TimeGenerated) by ['Instance'], ['Sequence']
| sort by ['Instance'] asc, ['Sequence'] asc
| extend Missing = iff(['Instance'] == prev(['Instance']), ['Sequence'] - prev(['Sequence']) - 1, 0)
| where Missing > 0 and TimeGenerated between (ago(110m) .. ago(45m))
| summarize Missing = sum(Missing)'''
          timeAggregation: 'Total'
          metricMeasureColumn: 'Missing'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        group.id
      ]
    }
  }
}

resource noRows 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: '${ruleName}-no-rows'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: 'No row has arrived for half an hour'
    description: 'No row has arrived for half an hour'
    severity: 2
    enabled: true
    scopes: [
      workspace.id
    ]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT30M'
    criteria: {
      allOf: [
        {
          query: '''
App_CL
| summarize Rows = count()'''
          timeAggregation: 'Total'
          metricMeasureColumn: 'Rows'
          operator: 'LessThanOrEqual'
          threshold: 0
        }
      ]
    }
    autoMitigate: true
    skipQueryValidation: true
    actions: {
      actionGroups: [
        group.id
      ]
    }
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(rule.id, 'workbook')
  location: location
  kind: 'shared'
  properties: {
    displayName: 'App_CL: rows, losses, cost'
    category: 'workbook'
    sourceId: workspace.id
    serializedData: string({
      version: 'Notebook/1.0'
      items: [
        {
          type: 9
          name: 'period'
          content: {
            version: 'KqlParameterItem/1.0'
            parameters: [
              {
                version: 'KqlParameterItem/1.0'
                name: 'Period'
                type: 4
                isRequired: true
                value: {
                  durationMs: 86400000
                }
                typeSettings: {
                  selectableValues: [
                    {
                      durationMs: 3600000
                    }
                    {
                      durationMs: 86400000
                    }
                    {
                      durationMs: 604800000
                    }
                  ]
                }
              }
            ]
          }
        }
        {
          type: 3
          name: 'Rows by level'
          content: {
            version: 'KqlItem/1.0'
            title: 'Rows by level'
            query: '''
App_CL
| summarize Rows = count() by ['Level'], bin(TimeGenerated, 5m)
| render timechart'''
            timeContextFromParameter: 'Period'
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
          }
        }
        {
          type: 3
          name: 'Rows by service or host'
          content: {
            version: 'KqlItem/1.0'
            title: 'Rows by service or host'
            query: '''
App_CL
| summarize Rows = count() by ['Host'], bin(TimeGenerated, 5m)
| render timechart'''
            timeContextFromParameter: 'Period'
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
          }
        }
        {
          type: 3
          name: 'Losses'
          content: {
            version: 'KqlItem/1.0'
            title: 'Losses'
            query: '''
App_CL
| where ['Logger'] == 'logging_azmon' and ['Message'] has 'dropped'
| project TimeGenerated, Loss = ['Message']'''
            timeContextFromParameter: 'Period'
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
          }
        }
        {
          type: 3
          name: 'Gaps in Sequence'
          content: {
            version: 'KqlItem/1.0'
            title: 'Gaps in Sequence'
            query: '''
App_CL
| summarize TimeGenerated = min(TimeGenerated) by ['Instance'], ['Sequence']
| sort by ['Instance'] asc, ['Sequence'] asc
| extend Missing = iff(['Instance'] == prev(['Instance']), ['Sequence'] - prev(['Sequence']) - 1, 0)
| where Missing > 0
| project TimeGenerated, ['Instance'], Missing, Before = ['Sequence']'''
            timeContextFromParameter: 'Period'
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
          }
        }
        {
          type: 3
          name: 'Volume by logger'
          content: {
            version: 'KqlItem/1.0'
            title: 'Volume by logger'
            query: '''
App_CL
| summarize Rows = count(), MB = round(sum(_BilledSize) / 1000000.0, 3) by ['Logger']
| top 20 by MB desc'''
            timeContextFromParameter: 'Period'
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
          }
        }
      ]
      fallbackResourceIds: [
        workspace.id
      ]
    })
  }
}

// The three values of the handler's configuration.
output DATA_COLLECTION_ENDPOINT string = rule.properties.endpoints.logsIngestion
output LOGS_DCR_RULE_ID string = rule.properties.immutableId
output LOGS_DCR_STREAM_NAME string = 'Custom-App'
