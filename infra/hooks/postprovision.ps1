# Writes the event route of Azure Digital Twins that leads to the landing hub, behind
# `azd provision`. Routes are data: no template can make them. docs/deploy.md says who may.
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
Set-Location (Join-Path $PSScriptRoot '../..')

if (-not $env:RELAY_TWINS_HOST) {
    Write-Output 'Nothing is provisioned yet, so there is no event route to write.'
    exit 0
}
if ($env:RELAY_TWINS_LOCKED -eq 'true' -and $env:RELAY_INSIDE_NETWORK -ne 'true') {
    Write-Output 'Azure Digital Twins answers inside its network only, so its event route is left as it is.'
    Write-Output 'To write it from in there: azd env set RELAY_INSIDE_NETWORK true; azd hooks run postprovision'
    exit 0
}

$python = '.azure/python/Scripts/python.exe'
if (-not (Test-Path $python)) {
    if ($env:PYTHON) { & $env:PYTHON -m venv .azure/python } else { & py -3.13 -m venv .azure/python }
}
& $python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt

$options = @('--instance', $env:RELAY_TWINS_HOST, '--endpoint', $env:RELAY_TWINS_ENDPOINT, '--routes', 'routes.json')
if ($env:RELAY_TWINS_FILTER) { $options += @('--filter', $env:RELAY_TWINS_FILTER) }
& $python -m relay routes adt --apply @options
