// Where logs and metrics are kept.
param name string
param location string
param tags object

// Azure's own services write here by a way of their own; ingestion is closed to everybody else but
// the network. Questions are asked from wherever people work, by Entra.
resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: 30
    features: {
      disableLocalAuth: true
    }
    publicNetworkAccessForIngestion: 'Disabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

output id string = workspace.id
