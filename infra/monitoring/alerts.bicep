// Alerts on what the relay exports to Application Insights. Each is explained in
// docs/alerts.md: what it means, what to look at first, what to do.
targetScope = 'resourceGroup'

@description('Where the rules are; that of the workspace.')
param location string = resourceGroup().location

@description('The Log Analytics workspace behind the Application Insights component.')
param workspaceId string

@description('Action groups that are told; none: the alerts are only shown.')
param actionGroupIds array = []

@description('Begins the name of each rule.')
param namePrefix string = 'twin-relay'

@description('For how long a route may be silent; routes that carry nothing for longer need no alert of this kind.')
param silentWindow string = 'P1D'

var perRoute = [
  {
    name: 'route'
    operator: 'Include'
    values: [ '*' ]
  }
]

var perPlace = [
  {
    name: 'place'
    operator: 'Include'
    values: [ '*' ]
  }
]

var rules = [
  {
    name: 'refused'
    title: 'Twin Relay: somebody is not let in'
    severity: 1
    query: loadTextContent('queries/refused.kql')
    dimensions: perRoute
    measure: 'refused'
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'unhealthy'
    title: 'Twin Relay: a route does not deliver'
    severity: 1
    query: loadTextContent('queries/unhealthy.kql')
    dimensions: perRoute
    measure: ''
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'out-of-reach'
    title: 'Twin Relay: an ingress or the dead letters are out of reach'
    severity: 1
    query: loadTextContent('queries/out-of-reach.kql')
    dimensions: perPlace
    measure: ''
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'behind'
    title: 'Twin Relay: a route is behind'
    severity: 2
    query: loadTextContent('queries/behind.kql')
    dimensions: perRoute
    measure: ''
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'dead-letters'
    title: 'Twin Relay: events wait for a person'
    severity: 3
    query: loadTextContent('queries/dead-letters.kql')
    dimensions: perRoute
    measure: ''
    window: 'PT30M'
    every: 'PT15M'
    operator: 'GreaterThan'
  }
  {
    name: 'silent'
    title: 'Twin Relay: nothing is delivered to a route'
    severity: 3
    query: loadTextContent('queries/silent.kql')
    dimensions: perRoute
    measure: ''
    window: silentWindow
    every: 'PT1H'
    operator: 'GreaterThan'
  }
  {
    name: 'unsettled'
    title: 'Twin Relay: events are neither delivered nor in Blob'
    severity: 1
    query: loadTextContent('queries/unsettled.kql')
    dimensions: []
    measure: 'failed'
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'telemetry-rejected'
    title: 'Twin Relay: telemetry is not taken'
    severity: 2
    query: loadTextContent('queries/telemetry-rejected.kql')
    dimensions: []
    measure: 'rejected'
    window: 'PT15M'
    every: 'PT5M'
    operator: 'GreaterThan'
  }
  {
    name: 'service-tag-drift'
    title: 'Twin Relay: a service tag has addresses without a rule'
    severity: 2
    query: loadTextContent('queries/service-tag-drift.kql')
    dimensions: []
    measure: ''
    window: 'P1D'
    every: 'PT1H'
    operator: 'GreaterThan'
  }
  {
    name: 'no-telemetry'
    title: 'Twin Relay: the relay is not heard of'
    severity: 2
    query: loadTextContent('queries/no-telemetry.kql')
    dimensions: []
    measure: 'heard'
    window: 'PT30M'
    every: 'PT15M'
    operator: 'LessThanOrEqual'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: '${namePrefix}-${rule.name}'
  location: location
  kind: 'LogAlert'
  properties: {
    displayName: rule.title
    description: 'See docs/alerts.md#${rule.name}'
    severity: rule.severity
    enabled: true
    scopes: [ workspaceId ]
    // A new workspace has not got these tables yet.
    skipQueryValidation: true
    evaluationFrequency: rule.every
    windowSize: rule.window
    autoMitigate: true
    criteria: {
      allOf: [
        union({
          query: rule.query
          timeAggregation: empty(rule.measure) ? 'Count' : 'Total'
          dimensions: rule.dimensions
          operator: rule.operator
          threshold: 0
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }, empty(rule.measure) ? {} : { metricMeasureColumn: rule.measure })
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(workspaceId, namePrefix, 'workbook')
  location: location
  kind: 'shared'
  properties: {
    displayName: 'Twin Relay'
    category: 'workbook'
    sourceId: workspaceId
    serializedData: loadTextContent('workbook.json')
  }
}
