#!/bin/sh
# Stops `azd down` where it would delete what belongs to others: it deletes every resource group
# that the templates wrote something into, whole (Azure/azure-dev#2916).
set -eu

if [ -n "${RELAY_SHARED_GROUPS:-}" ]; then
  echo "azd down would also delete resource groups that were there before: $RELAY_SHARED_GROUPS" >&2
  echo "Instead: az group delete --name ${AZURE_RESOURCE_GROUP:-<group>}; docs/deploy.md says what stays behind." >&2
  exit 1
fi
