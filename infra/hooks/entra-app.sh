#!/bin/sh
# Makes the Entra application that stands for the relay's HTTP surface, with its roles and scopes,
# or brings one that is there up to date. It needs the Azure CLI, signed in as somebody who may
# register applications: in many companies that is not whoever deploys.
#
#   sh infra/hooks/entra-app.sh twin-relay-production
#
# Never run against a tenant by whoever wrote it.
set -eu

name=${1:?"say what the application is called, for example twin-relay-production"}
here=$(dirname "$0")
graph=https://graph.microsoft.com/v1.0

# An application that already bears the name is brought up to date; two are a mistake.
found=$(az ad app list --display-name "$name" --query "[?displayName=='$name'].appId" --output tsv)
case $(printf '%s' "$found" | grep -c .) in
  0) app=$(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg --query appId --output tsv) ;;
  1) app=$found ;;
  *) echo "Several applications are called $name: remove all but one, or choose another name" >&2; exit 1 ;;
esac

az rest --method PATCH --uri "$graph/applications(appId='$app')" \
  --headers Content-Type=application/json --body "@$here/../entra-app.json"
az ad app update --id "$app" --identifier-uris "api://$app"
az ad sp show --id "$app" --output none 2>/dev/null || az ad sp create --id "$app" --output none

# Nobody gets a token for it who has no role in it.
az ad sp update --id "$app" --set appRoleAssignmentRequired=true

echo "Give roles: Enterprise applications, $name, Users and groups; for a managed identity docs/deploy.md."
echo "Then: azd env set RELAY_API_AUDIENCE api://$app,$app && azd provision"
