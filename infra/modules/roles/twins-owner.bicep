// Lets whoever deploys write the event routes of one instance: they are data, which no template can
// make. A new assignment takes some minutes to count.
param twinsName string
param principalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string

// Azure Digital Twins Data Owner
var role = 'bcd981a7-7f74-457b-83e1-cceb9e632ffe'

resource instance 'Microsoft.DigitalTwins/digitalTwinsInstances@2023-01-31' existing = {
  name: twinsName
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: instance
  name: guid(instance.id, principalId, role)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: principalId
    principalType: principalType
  }
}
