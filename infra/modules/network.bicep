// The network: one subnet that the function app goes out by, one for the private endpoints.
param name string
param location string
param tags object
param securityGroupPrefix string
param addressPrefix string

@description('Whether the app may reach nothing but this network and Microsoft Entra.')
param lockOutbound bool

resource outbound 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: '${securityGroupPrefix}app'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'entra'
        properties: {
          direction: 'Outbound'
          priority: 110
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'AzureActiveDirectory'
          destinationPortRange: '443'
        }
      }
      {
        name: 'internet'
        properties: {
          direction: 'Outbound'
          priority: 4000
          access: lockOutbound ? 'Deny' : 'Allow'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: 'Internet'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

// Only networks reach a private endpoint, so the rules are about ports: Flex Consumption does not
// always come by addresses of this network (Azure/azure-functions-host#10620).
resource inbound 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: '${securityGroupPrefix}endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'https-and-amqp'
        properties: {
          direction: 'Inbound'
          priority: 100
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRanges: ['443', '5671']
        }
      }
      {
        name: 'nothing-else'
        properties: {
          direction: 'Inbound'
          priority: 4000
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

// The subnets stand in the network itself: one that is written without its subnets may lose them.
// Flex Consumption takes this delegation and no other, and no underscore in the subnet's name. The
// policies let the security group say who reaches an endpoint.
resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          networkSecurityGroup: {
            id: outbound.id
          }
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          privateEndpointNetworkPolicies: 'Enabled'
          networkSecurityGroup: {
            id: inbound.id
          }
        }
      }
    ]
  }
}

output appSubnetId string = '${network.id}/subnets/app'
output endpointSubnetId string = '${network.id}/subnets/endpoints'
