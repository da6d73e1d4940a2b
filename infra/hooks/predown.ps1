# Stops `azd down` where it would delete what belongs to others: it deletes every resource group
# that the templates wrote something into, whole (Azure/azure-dev#2916).
$ErrorActionPreference = 'Stop'

if ($env:RELAY_SHARED_GROUPS) {
    [Console]::Error.WriteLine("azd down would also delete resource groups that were there before: $env:RELAY_SHARED_GROUPS")
    [Console]::Error.WriteLine("Instead: az group delete --name $env:AZURE_RESOURCE_GROUP; docs/deploy.md says what stays behind.")
    exit 1
}
