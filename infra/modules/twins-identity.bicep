// Who an instance is, be it new or not. One without a system-assigned identity stops the deployment
// here: az dt identity assign.
param name string

resource instance 'Microsoft.DigitalTwins/digitalTwinsInstances@2023-01-31' existing = {
  name: name
}

output principalId string = instance.identity.principalId
output hostName string = instance.properties.hostName
