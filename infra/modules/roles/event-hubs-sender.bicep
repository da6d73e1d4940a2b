// Lets an identity send to event hubs, each by an assignment of its own.
param namespaceName string
param hubNames array
param principalId string

// Azure Event Hubs Data Sender
var role = '2b629674-e913-4c01-ae53-ef4638d8f975'

resource namespace 'Microsoft.EventHub/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource hubs 'Microsoft.EventHub/namespaces/eventhubs@2024-01-01' existing = [for hubName in hubNames: {
  parent: namespace
  name: hubName
}]

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (hubName, index) in hubNames: {
  scope: hubs[index]
  name: guid(hubs[index].id, principalId, role)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
