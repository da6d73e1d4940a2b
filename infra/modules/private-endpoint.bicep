// The way into a resource from the network, and its name there.
param name string
param location string
param tags object
param subnetId string

@description('The resource that it leads to.')
param targetId string

@description('Which part of the resource: namespace, blob, API, sites or azuremonitor.')
param groupId string

@description('The resource group that holds the private DNS zones.')
param zonesGroupId string
param zoneNames array

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: targetId
          groupIds: [groupId]
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [for zoneName in zoneNames: {
      name: replace(zoneName, '.', '-')
      properties: {
        privateDnsZoneId: '${zonesGroupId}/providers/Microsoft.Network/privateDnsZones/${zoneName}'
      }
    }]
  }
}
