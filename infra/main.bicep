// Twin Relay in Azure: docs/deploy.md says what this makes, in which order it is locked, and how
// what there is already takes the place of what it would make.
targetScope = 'subscription'

@description('Names the environment, and by it every resource.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Where all of it is. The region must offer Flex Consumption.')
param location string

@description('Where the instance is, if not there: Azure Digital Twins is in fewer regions.')
param twinsLocation string = ''

@description('Who deploys, by object id: gets Azure Digital Twins Data Owner, to write event routes. Empty: somebody else has it.')
param principalId string = ''

@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'

@description('The routes, in the format of RELAY_ROUTES. The relay reads the same file.')
param routes array = loadJsonContent('../routes.json')

// What there is already. Each takes the place of what would be made; none is changed, but for an
// endpoint, a consumer group, a private endpoint and role assignments.

@description('The subnet for the app: delegated to Microsoft.App/environments, and nobody else\'s. With endpointSubnetId.')
param appSubnetId string = ''

@description('The subnet for private endpoints. With appSubnetId.')
param endpointSubnetId string = ''

@description('The resource group that holds the private DNS zones, by resource id.')
param dnsZonesGroupId string = ''

@description('The event hub that Azure Digital Twins writes to, by resource id.')
param ingressHubId string = ''

@description('Namespaces by the connections of the routes: {"ANALYTICS": "/subscriptions/…/namespaces/…"}. Their hubs, queues and topics must be there.')
param namespaces object = {}

@description('Whether namespaces that are there get private endpoints here; false if the network has them.')
param namespacesNeedEndpoints bool = true

@description('The instance of Azure Digital Twins, by resource id; with a system-assigned identity.')
param twinsId string = ''

@description('The Log Analytics workspace, by resource id.')
param workspaceId string = ''

@description('The private link scope of Azure Monitor that the network uses, by resource id.')
param monitorScopeId string = ''

// What is locked behind the first deployment. All that holds events is locked from the beginning.

@description('Only the network reaches the API of Azure Digital Twins.')
param lockTwins bool = false

@description('The app may go nowhere but into the network and to Microsoft Entra. Of a new network only.')
param lockOutbound bool = false

@description('Only the network reaches the app, deployments included.')
param lockFunctionApp bool = false

// The HTTP surface

@description('What tokens for the HTTP surface are meant for: api://<client id>. Empty: it is off.')
param apiAudience string = ''

@description('Whether events may come in over HTTP too, from whom the app role allows.')
param webhook bool = false

@description('Origins of the pages that may use Azure Digital Twins through the relay, with commas. Empty: none.')
param twinsOrigins string = ''

@description('Who may call the app: ranges of addresses (203.0.113.0/24) and service tags (AzureEventGrid). None: only the network may, once lockFunctionApp gives it an endpoint.')
param allowedCallers array = []

@description('Further app settings of the relay, as the README lists them; what is set here wins.')
param settings object = {}

// Sizes

@description('Partitions of the landing hub. One keeps all the order that there is; it can\'t be changed later.')
@minValue(1)
@maxValue(32)
param ingressPartitions int = 1

@description('Partitions of new destination hubs.')
@minValue(1)
@maxValue(32)
param destinationPartitions int = 4

@description('Premium also logs who used which identity from where.')
@allowed(['Standard', 'Premium'])
param eventHubsSku string = 'Standard'

@allowed([1, 2, 4, 8, 16])
param serviceBusUnits int = 1

@allowed([512, 2048, 4096])
param memory int = 2048

@minValue(1)
@maxValue(1000)
param mostInstances int = 40

@description('Instances that never go away; 0 lets the app scale to zero between its timer\'s minutes.')
@minValue(0)
param alwaysReady int = 0

@description('Of a new network: /25 or more, half of which is not used yet.')
param networkAddresses string = '10.120.0.0/24'

// How long things are kept, and who is told

@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param deadLetterRedundancy string = 'Standard_ZRS'

@description('Days after which an undelivered event is deleted; 0 keeps it until somebody decides.')
@minValue(0)
param deadLetterRetentionDays int = 0

@description('Days for which no version of a dead letter can be changed or deleted; 0: off. See docs/deploy.md first.')
@minValue(0)
param deadLetterImmutableDays int = 0

@description('Whether Azure Digital Twins keeps what it can\'t deliver, in an account that is reachable from outside.')
param twinsDeadLetters bool = true

@description('Whom alerts tell. Empty: they are only shown.')
param alertEmail string = ''

var abbreviations = loadJsonContent('abbreviations.json')
var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var groupName = '${abbreviations.resourceGroup}${environmentName}'
var groupId = '${subscription().id}/resourceGroups/${groupName}'
var deadLetterContainer = 'dead-letters'
var consumerGroupName = 'relay'
var endpointName = 'relay'

// Destinations, from the routes: a connection is a namespace, of the kind that its entities say.

var hubRoutes = filter(routes, route => contains(route.destination, 'eventHub'))
var queueRoutes = filter(routes, route => contains(route.destination, 'queue'))
var topicRoutes = filter(routes, route => contains(route.destination, 'topic'))
var hubConnections = union(map(hubRoutes, route => route.destination.connection), [])
var busConnections = union(map(concat(queueRoutes, topicRoutes), route => route.destination.connection), [])

var hubsOf = toObject(hubConnections, connection => connection, connection => union(map(
  filter(hubRoutes, route => route.destination.connection == connection),
  route => route.destination.eventHub
), []))
var queuesOf = toObject(busConnections, connection => connection, connection => union(map(
  filter(queueRoutes, route => route.destination.connection == connection),
  route => route.destination.queue
), []))
var topicsOf = toObject(busConnections, connection => connection, connection => union(map(
  filter(topicRoutes, route => route.destination.connection == connection),
  route => route.destination.topic
), []))

var newHubs = union(map(
  filter(hubRoutes, route => !contains(namespaces, route.destination.connection)),
  route => route.destination.eventHub
), [])
var newQueues = union(map(
  filter(queueRoutes, route => !contains(namespaces, route.destination.connection)),
  route => {
    name: route.destination.queue
    session: route.destination.?session ?? false
  }
), [])
var newTopics = union(map(
  filter(topicRoutes, route => !contains(namespaces, route.destination.connection)),
  route => route.destination.topic
), [])

var newEventHubsId = '${groupId}/providers/Microsoft.EventHub/namespaces/${abbreviations.eventHubs}${token}'
var newServiceBusId = '${groupId}/providers/Microsoft.ServiceBus/namespaces/${abbreviations.serviceBus}${token}'
var namespaceIds = union(
  toObject(hubConnections, connection => connection, connection => newEventHubsId),
  toObject(busConnections, connection => connection, connection => newServiceBusId),
  namespaces
)

// Whether new or not, each thing has an id; what follows asks for no more.

var ingressNamespaceName = '${abbreviations.eventHubs}in-${token}'
var newIngressHubId = '${groupId}/providers/Microsoft.EventHub/namespaces/${ingressNamespaceName}/eventhubs/twin-events'
var ingressHub = split(empty(ingressHubId) ? newIngressHubId : ingressHubId, '/')
var ingressNamespaceId = join(take(ingressHub, 9), '/')
var ingressHost = '${ingressHub[8]}.servicebus.windows.net'

var newTwinsId = '${groupId}/providers/Microsoft.DigitalTwins/digitalTwinsInstances/${abbreviations.twins}${token}'
var twins = split(empty(twinsId) ? newTwinsId : twinsId, '/')

var newScopeId = '${groupId}/providers/Microsoft.Insights/privateLinkScopes/${abbreviations.monitorScope}${token}'
var monitorScope = split(empty(monitorScopeId) ? newScopeId : monitorScopeId, '/')

var zonesGroupId = empty(dnsZonesGroupId) ? groupId : dnsZonesGroupId
var theirNamespaceIds = union(
  map(items(namespaces), namespace => namespace.value),
  empty(ingressHubId) ? [] : [ingressNamespaceId]
)

var unreachedIds = namespacesNeedEndpoints ? theirNamespaceIds : []

// Groups of others that this deploys into. `azd down` would delete them whole, so a hook stops it.
var touchedIds = concat(theirNamespaceIds, [join(twins, '/'), join(monitorScope, '/')])
var sharedGroups = filter(
  union(map(touchedIds, id => first(skip(split(id, '/'), 4))), []),
  name => toLower(name) != toLower(groupName)
)

var surface = empty(apiAudience) ? {} : {
  RELAY_HTTP_API: 'true'
  ACCESS_TENANT: tenant().tenantId
  ACCESS_AUDIENCE: apiAudience
}
var webhookSettings = webhook ? {
  INGRESS_HTTP: 'true'
  INGRESS_HTTP_ROLE: 'AzureEventGridSecureWebhookSubscriber'
  INGRESS_HTTP_ORIGINS: 'eventgrid.azure.net'
} : {}
var twinsSettings = empty(twinsOrigins) ? {} : {
  TWINS_URL: 'https://${twinsIdentity.outputs.hostName}'
  TWINS_ORIGINS: twinsOrigins
}

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: groupName
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: '${abbreviations.identity}${token}'
    location: location
    tags: tags
  }
}

// The network

module network 'modules/network.bicep' = if (empty(appSubnetId)) {
  name: 'network'
  scope: group
  params: {
    name: '${abbreviations.virtualNetwork}${token}'
    location: location
    tags: tags
    securityGroupPrefix: '${abbreviations.securityGroup}${token}-'
    addressPrefix: networkAddresses
    lockOutbound: lockOutbound
  }
}

var appSubnet = empty(appSubnetId) ? network!.outputs.appSubnetId : appSubnetId
var endpointSubnet = empty(appSubnetId) ? network!.outputs.endpointSubnetId : endpointSubnetId

module dns 'modules/dns.bicep' = if (empty(dnsZonesGroupId)) {
  name: 'dns'
  scope: group
  params: {
    networkId: split(appSubnet, '/subnets/')[0]
    tags: tags
  }
}

// Monitoring

module workspace 'modules/workspace.bicep' = if (empty(workspaceId)) {
  name: 'workspace'
  scope: group
  params: {
    name: '${abbreviations.workspace}${token}'
    location: location
    tags: tags
  }
}

var logs = empty(workspaceId) ? workspace!.outputs.id : workspaceId

module component 'modules/component.bicep' = {
  name: 'component'
  scope: group
  params: {
    name: '${abbreviations.component}${token}'
    location: location
    tags: tags
    workspaceId: logs
  }
}

module newScope 'modules/monitor-scope.bicep' = if (empty(monitorScopeId)) {
  name: 'monitor-scope'
  scope: group
  params: {
    name: last(monitorScope)
    tags: tags
  }
}

module scopeMembers 'modules/monitor-scope-members.bicep' = {
  name: 'monitor-scope-${token}'
  scope: resourceGroup(monitorScope[2], monitorScope[4])
  params: {
    scopeName: last(monitorScope)
    componentId: component.outputs.id
    workspaceId: empty(workspaceId) ? logs : ''
  }
  dependsOn: [
    newScope
  ]
}

module actionGroup 'modules/action-group.bicep' = if (!empty(alertEmail)) {
  name: 'action-group'
  scope: group
  params: {
    name: '${abbreviations.actionGroup}${token}'
    tags: tags
    email: alertEmail
  }
}

module alerts 'monitoring/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    workspaceId: logs
    actionGroupIds: empty(alertEmail) ? [] : [actionGroup!.outputs.id]
    namePrefix: 'twin-relay-${environmentName}'
  }
  dependsOn: [
    component
  ]
}

// What events pass through, and where they wait

module ingress 'modules/ingress.bicep' = if (empty(ingressHubId)) {
  name: 'ingress'
  scope: group
  params: {
    name: ingressNamespaceName
    location: location
    tags: tags
    workspaceId: logs
    hubName: last(ingressHub)
    partitions: ingressPartitions
  }
}

module consumerGroup 'modules/consumer-group.bicep' = {
  name: 'consumer-group-${token}'
  scope: resourceGroup(ingressHub[2], ingressHub[4])
  params: {
    namespaceName: ingressHub[8]
    hubName: last(ingressHub)
    name: consumerGroupName
  }
  dependsOn: [
    ingress
  ]
}

module eventHubs 'modules/event-hubs.bicep' = if (!empty(newHubs)) {
  name: 'event-hubs'
  scope: group
  params: {
    name: last(split(newEventHubsId, '/'))
    location: location
    tags: tags
    workspaceId: logs
    hubNames: newHubs
    partitions: destinationPartitions
    sku: eventHubsSku
  }
}

module serviceBus 'modules/service-bus.bicep' = if (!empty(newQueues) || !empty(newTopics)) {
  name: 'service-bus'
  scope: group
  params: {
    name: last(split(newServiceBusId, '/'))
    location: location
    tags: tags
    workspaceId: logs
    queues: newQueues
    topicNames: newTopics
    units: serviceBusUnits
  }
}

module deadLetters 'modules/dead-letters.bicep' = {
  name: 'dead-letters'
  scope: group
  params: {
    name: '${abbreviations.storage}dl${token}'
    location: location
    tags: tags
    workspaceId: logs
    containerName: deadLetterContainer
    redundancy: deadLetterRedundancy
    retentionDays: deadLetterRetentionDays
    immutableDays: deadLetterImmutableDays
  }
}

module hostStorage 'modules/host-storage.bicep' = {
  name: 'host-storage'
  scope: group
  params: {
    name: '${abbreviations.storage}fn${token}'
    location: location
    tags: tags
  }
}

// Private endpoints: one for each thing that the app or an operator reaches.

module ingressEndpoint 'modules/private-endpoint.bicep' = if (empty(ingressHubId)) {
  name: 'endpoint-ingress'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}ingress-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: ingressNamespaceId
    groupId: 'namespace'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.servicebus.windows.net']
  }
  dependsOn: [
    dns
    ingress
  ]
}

module eventHubsEndpoint 'modules/private-endpoint.bicep' = if (!empty(newHubs)) {
  name: 'endpoint-event-hubs'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}event-hubs-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: newEventHubsId
    groupId: 'namespace'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.servicebus.windows.net']
  }
  dependsOn: [
    dns
    eventHubs
  ]
}

module serviceBusEndpoint 'modules/private-endpoint.bicep' = if (!empty(newQueues) || !empty(newTopics)) {
  name: 'endpoint-service-bus'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}service-bus-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: newServiceBusId
    groupId: 'namespace'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.servicebus.windows.net']
  }
  dependsOn: [
    dns
    serviceBus
  ]
}

module theirEndpoints 'modules/private-endpoint.bicep' = [for id in unreachedIds: {
  name: 'endpoint-${last(split(id, '/'))}'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}${last(split(id, '/'))}-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: id
    groupId: 'namespace'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.servicebus.windows.net']
  }
  dependsOn: [
    dns
  ]
}]

module deadLettersEndpoint 'modules/private-endpoint.bicep' = {
  name: 'endpoint-dead-letters'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}dead-letters-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: deadLetters.outputs.id
    groupId: 'blob'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.blob.core.windows.net']
  }
  dependsOn: [
    dns
  ]
}

module hostStorageEndpoint 'modules/private-endpoint.bicep' = {
  name: 'endpoint-host-storage'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}host-storage-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: hostStorage.outputs.id
    groupId: 'blob'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.blob.core.windows.net']
  }
  dependsOn: [
    dns
  ]
}

module monitorEndpoint 'modules/private-endpoint.bicep' = if (empty(monitorScopeId)) {
  name: 'endpoint-monitor'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}monitor-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: newScopeId
    groupId: 'azuremonitor'
    zonesGroupId: zonesGroupId
    zoneNames: [
      'privatelink.monitor.azure.com'
      'privatelink.oms.opinsights.azure.com'
      'privatelink.ods.opinsights.azure.com'
      'privatelink.agentsvc.azure-automation.net'
      'privatelink.blob.core.windows.net'
    ]
  }
  dependsOn: [
    dns
    scopeMembers
  ]
}

module twinsEndpoint 'modules/private-endpoint.bicep' = if (lockTwins) {
  name: 'endpoint-twins'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}twins-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: join(twins, '/')
    groupId: 'API'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.digitaltwins.azure.net']
  }
  dependsOn: [
    dns
    instance
  ]
}

module functionAppEndpoint 'modules/private-endpoint.bicep' = if (lockFunctionApp) {
  name: 'endpoint-function-app'
  scope: group
  params: {
    name: '${abbreviations.privateEndpoint}function-app-${token}'
    location: location
    tags: tags
    subnetId: endpointSubnet
    targetId: functionApp.outputs.id
    groupId: 'sites'
    zonesGroupId: zonesGroupId
    zoneNames: ['privatelink.azurewebsites.net']
  }
  dependsOn: [
    dns
  ]
}

// What the relay's identity may do, each at its narrowest scope: what `python -m relay roles` asks for.

module ingressReceiver 'modules/roles/event-hubs-receiver.bicep' = {
  name: 'ingress-receiver-${token}'
  scope: resourceGroup(ingressHub[2], ingressHub[4])
  params: {
    namespaceName: ingressHub[8]
    hubName: last(ingressHub)
    principalId: identity.outputs.principalId
  }
  dependsOn: [
    ingress
  ]
}

module hubSenders 'modules/roles/event-hubs-sender.bicep' = [for connection in hubConnections: {
  name: 'sender-${connection}-${token}'
  scope: resourceGroup(split(namespaceIds[connection], '/')[2], split(namespaceIds[connection], '/')[4])
  params: {
    namespaceName: last(split(namespaceIds[connection], '/'))
    hubNames: hubsOf[connection]
    principalId: identity.outputs.principalId
  }
  dependsOn: [
    eventHubs
  ]
}]

module busSenders 'modules/roles/service-bus-sender.bicep' = [for connection in busConnections: {
  name: 'sender-${connection}-${token}'
  scope: resourceGroup(split(namespaceIds[connection], '/')[2], split(namespaceIds[connection], '/')[4])
  params: {
    namespaceName: last(split(namespaceIds[connection], '/'))
    queueNames: queuesOf[connection]
    topicNames: topicsOf[connection]
    principalId: identity.outputs.principalId
  }
  dependsOn: [
    serviceBus
  ]
}]

module deadLetterContributor 'modules/roles/blob-contributor.bicep' = {
  name: 'dead-letter-contributor'
  scope: group
  params: {
    accountName: deadLetters.outputs.name
    containerName: deadLetters.outputs.containerName
    principalId: identity.outputs.principalId
  }
}

module hostStorageOwner 'modules/roles/blob-owner.bicep' = {
  name: 'host-storage-owner'
  scope: group
  params: {
    accountName: hostStorage.outputs.name
    principalId: identity.outputs.principalId
  }
}

module metricsPublisher 'modules/roles/metrics-publisher.bicep' = {
  name: 'metrics-publisher'
  scope: group
  params: {
    componentName: component.outputs.name
    principalId: identity.outputs.principalId
  }
}

// Azure Digital Twins: instance, what it may do, and only then its endpoint.

module instance 'modules/twins.bicep' = if (empty(twinsId)) {
  name: 'twins'
  scope: group
  params: {
    name: last(twins)
    location: empty(twinsLocation) ? location : twinsLocation
    tags: tags
    workspaceId: logs
    isLocked: lockTwins
  }
}

module twinsIdentity 'modules/twins-identity.bicep' = {
  name: 'twins-identity-${token}'
  scope: resourceGroup(twins[2], twins[4])
  params: {
    name: last(twins)
  }
  dependsOn: [
    instance
  ]
}

module twinsSender 'modules/roles/event-hubs-sender.bicep' = {
  name: 'twins-sender-${token}'
  scope: resourceGroup(ingressHub[2], ingressHub[4])
  params: {
    namespaceName: ingressHub[8]
    hubNames: [last(ingressHub)]
    principalId: twinsIdentity.outputs.principalId
  }
  dependsOn: [
    ingress
  ]
}

module twinsLetters 'modules/twins-dead-letters.bicep' = if (twinsDeadLetters) {
  name: 'twins-dead-letters'
  scope: group
  params: {
    name: '${abbreviations.storage}dt${token}'
    location: location
    tags: tags
    workspaceId: logs
  }
}

module twinsLetterContributor 'modules/roles/blob-contributor.bicep' = if (twinsDeadLetters) {
  name: 'twins-dead-letter-contributor'
  scope: group
  params: {
    accountName: twinsLetters!.outputs.name
    containerName: twinsLetters!.outputs.containerName
    principalId: twinsIdentity.outputs.principalId
  }
}

// For `python -m relay dead-letters redrive --adt`.
module relayLetterContributor 'modules/roles/blob-contributor.bicep' = if (twinsDeadLetters) {
  name: 'twins-dead-letter-redriver'
  scope: group
  params: {
    accountName: twinsLetters!.outputs.name
    containerName: twinsLetters!.outputs.containerName
    principalId: identity.outputs.principalId
  }
}

module endpoint 'modules/twins-endpoint.bicep' = {
  name: 'twins-endpoint-${token}'
  scope: resourceGroup(twins[2], twins[4])
  params: {
    twinsName: last(twins)
    name: endpointName
    namespaceHost: ingressHost
    hubName: last(ingressHub)
    deadLetterUri: twinsDeadLetters ? twinsLetters!.outputs.containerUri : ''
  }
  dependsOn: [
    twinsSender
    twinsLetterContributor
  ]
}

module routesWriter 'modules/roles/twins-owner.bicep' = if (!empty(principalId)) {
  name: 'twins-owner-${token}'
  scope: resourceGroup(twins[2], twins[4])
  params: {
    twinsName: last(twins)
    principalId: principalId
    principalType: principalType
  }
  dependsOn: [
    instance
  ]
}

// The relay, behind all that it needs, so that it does not begin with refusals.

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    name: '${abbreviations.functionApp}${token}'
    planName: '${abbreviations.plan}${token}'
    location: location
    tags: tags
    subnetId: appSubnet
    isLocked: lockFunctionApp
    allowedCallers: allowedCallers
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    packagesUri: hostStorage.outputs.packagesUri
    hostStorageId: hostStorage.outputs.id
    hostStorageUri: hostStorage.outputs.blobServiceUri
    insightsConnectionString: component.outputs.connectionString
    ingressNamespaceId: ingressNamespaceId
    ingressHost: ingressHost
    ingressHub: last(ingressHub)
    ingressConsumerGroup: consumerGroup.outputs.name
    deadLettersId: deadLetters.outputs.id
    deadLettersUri: deadLetters.outputs.blobServiceUri
    deadLettersContainer: deadLetters.outputs.containerName
    namespaceIds: namespaceIds
    settings: union(surface, webhookSettings, twinsSettings, settings)
    memory: memory
    mostInstances: mostInstances
    alwaysReady: alwaysReady
  }
  dependsOn: [
    ingressReceiver
    hubSenders
    busSenders
    deadLetterContributor
    hostStorageOwner
    metricsPublisher
    ingressEndpoint
    eventHubsEndpoint
    serviceBusEndpoint
    theirEndpoints
    deadLettersEndpoint
    hostStorageEndpoint
    monitorEndpoint
  ]
}

// For azd and its hooks.
output AZURE_RESOURCE_GROUP string = group.name
output RELAY_FUNCTION_APP string = functionApp.outputs.name
output RELAY_HOST string = functionApp.outputs.hostName
output RELAY_IDENTITY_CLIENT_ID string = identity.outputs.clientId
output RELAY_TWINS_HOST string = twinsIdentity.outputs.hostName
output RELAY_TWINS_ENDPOINT string = endpoint.outputs.name
output RELAY_SHARED_GROUPS string = join(sharedGroups, ', ')
output RELAY_TWINS_LOCKED bool = lockTwins
output RELAY_TWINS_DEAD_LETTERS string = twinsDeadLetters ? '${twinsLetters!.outputs.containerUri}/${endpointName}' : ''
