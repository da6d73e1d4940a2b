// An instance of Azure Digital Twins. Its system-assigned identity is the one that the landing
// namespace lets past its firewall; a user-assigned one is stopped there.
param name string
param location string
param tags object
param workspaceId string

@description('Whether only the network reaches its API. The events that it routes out go another way.')
param isLocked bool

resource instance 'Microsoft.DigitalTwins/digitalTwinsInstances@2023-01-31' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    publicNetworkAccess: isLocked ? 'Disabled' : 'Enabled'
  }
}

// The one place that names the endpoint of a failed route.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'workspace'
  scope: instance
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        category: 'EventRoutesOperation'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}
