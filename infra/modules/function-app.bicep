// The relay on Flex Consumption. Only what its settings name is reached, only by its identity.
// Flex Consumption refuses site settings that other plans want (ftpsState, linuxFxVersion, alwaysOn)
// and sends all traffic of the app through the subnet by itself.
param name string
param planName string
param location string
param tags object
param subnetId string

@description('Whether only the network reaches it, deployments included.')
param isLocked bool

@description('Who may call it over HTTP: ranges of addresses, such as 203.0.113.0/24, and service tags.')
param allowedCallers array

param identityId string
param identityClientId string

param packagesUri string
param hostStorageId string
param hostStorageUri string

@description('Names what its telemetry is for, and opens nothing.')
param insightsConnectionString string

param ingressNamespaceId string
param ingressHost string
param ingressHub string
param ingressConsumerGroup string

param deadLettersId string
param deadLettersUri string
param deadLettersContainer string

@description('The namespace of each connection that a route names, by resource id.')
param namespaceIds object

@description('Further settings of the relay, as the README lists them, and other values for these.')
param settings object

param memory int
param mostInstances int
param alwaysReady int

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'relay' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: isLocked ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ipSecurityRestrictionsDefaultAction: 'Deny'
      ipSecurityRestrictions: [for (caller, index) in allowedCallers: {
        name: 'caller-${index}'
        action: 'Allow'
        priority: 100 + index
        ipAddress: caller
        tag: contains(caller, '/') ? 'Default' : 'ServiceTag'
      }]
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Allow'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUri
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: memory
        maximumInstanceCount: mostInstances
        alwaysReady: alwaysReady == 0 ? [] : [
          {
            name: 'function:event_hub'
            instanceCount: alwaysReady
          }
        ]
      }
    }
  }
}

// Who deploys shows a token: passwords for it don't work.
resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

var own = {
  AzureWebJobsStorage__blobServiceUri: hostStorageUri
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__resourceId: hostStorageId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  INGRESS__fullyQualifiedNamespace: ingressHost
  INGRESS__credential: 'managedidentity'
  INGRESS__clientId: identityClientId
  INGRESS__resourceId: ingressNamespaceId
  INGRESS_EVENT_HUB: ingressHub
  INGRESS_CONSUMER_GROUP: ingressConsumerGroup
  DEAD_LETTERS__blobServiceUri: deadLettersUri
  DEAD_LETTERS__credential: 'managedidentity'
  DEAD_LETTERS__clientId: identityClientId
  DEAD_LETTERS__resourceId: deadLettersId
  DEAD_LETTERS_CONTAINER: deadLettersContainer
  RELAY_ROUTES_FILE: 'routes.json'
  RELAY_TELEMETRY: 'azureMonitor'
  RELAY_CLOUD: 'AzureCloud'
}

var connections = items(namespaceIds)
var hosts = toObject(
  connections,
  connection => '${connection.key}__fullyQualifiedNamespace',
  connection => '${last(split(connection.value, '/'))}.servicebus.windows.net'
)
var credentials = toObject(
  connections,
  connection => '${connection.key}__credential',
  connection => 'managedidentity'
)
var clientIds = toObject(
  connections,
  connection => '${connection.key}__clientId',
  connection => identityClientId
)
var resourceIds = toObject(
  connections,
  connection => '${connection.key}__resourceId',
  connection => connection.value
)

resource appSettings 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'appsettings'
  properties: union(hosts, credentials, clientIds, resourceIds, own, settings)
}

output id string = app.id
output name string = app.name
output hostName string = app.properties.defaultHostName
