// Where the instance sends events to. Deploy it behind its roles: without them it drops what it
// can't deliver. How it authenticates can't be changed later; delete it and deploy again.
param twinsName string
param name string

@description('The landing namespace\'s host name.')
param namespaceHost string
param hubName string

@description('The container for its own dead letters; empty: it has none.')
param deadLetterUri string

resource instance 'Microsoft.DigitalTwins/digitalTwinsInstances@2023-01-31' existing = {
  name: twinsName
}

resource endpoint 'Microsoft.DigitalTwins/digitalTwinsInstances/endpoints@2023-01-31' = {
  parent: instance
  name: name
  properties: {
    endpointType: 'EventHub'
    authenticationType: 'IdentityBased'
    identity: {
      type: 'SystemAssigned'
    }
    endpointUri: 'sb://${namespaceHost}/'
    entityPath: hubName
    deadLetterUri: empty(deadLetterUri) ? null : deadLetterUri
  }
}

output name string = endpoint.name
