// Lets an identity send to queues and topics, each by an assignment of its own.
param namespaceName string
param queueNames array
param topicNames array
param principalId string

// Azure Service Bus Data Sender
var role = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [for queueName in queueNames: {
  parent: namespace
  name: queueName
}]

resource topics 'Microsoft.ServiceBus/namespaces/topics@2024-01-01' existing = [for topicName in topicNames: {
  parent: namespace
  name: topicName
}]

resource ofQueues 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (queueName, index) in queueNames: {
  scope: queues[index]
  name: guid(queues[index].id, principalId, role)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]

resource ofTopics 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (topicName, index) in topicNames: {
  scope: topics[index]
  name: guid(topics[index].id, principalId, role)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
