// What belongs to a private link scope of Azure Monitor, be it new or not.
param scopeName string
param componentId string

@description('The workspace, where it is new; empty: it is somebody else\'s, and so is its scope.')
param workspaceId string

resource scope 'Microsoft.Insights/privateLinkScopes@2021-07-01-preview' existing = {
  name: scopeName
}

resource component 'Microsoft.Insights/privateLinkScopes/scopedResources@2021-07-01-preview' = {
  parent: scope
  name: last(split(componentId, '/'))
  properties: {
    linkedResourceId: componentId
  }
}

// A scope takes one member at a time.
resource workspace 'Microsoft.Insights/privateLinkScopes/scopedResources@2021-07-01-preview' = if (!empty(workspaceId)) {
  parent: scope
  name: empty(workspaceId) ? 'workspace' : last(split(workspaceId, '/'))
  properties: {
    linkedResourceId: workspaceId
  }
  dependsOn: [
    component
  ]
}
