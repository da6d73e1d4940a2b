#!/bin/sh
# Writes the event route of Azure Digital Twins that leads to the landing hub, behind
# `azd provision`. Routes are data: no template can make them. docs/deploy.md says who may.
set -eu
cd "$(dirname "$0")/../.."

if [ -z "${RELAY_TWINS_HOST:-}" ]; then
  echo "Nothing is provisioned yet, so there is no event route to write."
  exit 0
fi
if [ "${RELAY_TWINS_LOCKED:-false}" = true ] && [ "${RELAY_INSIDE_NETWORK:-false}" != true ]; then
  echo "Azure Digital Twins answers inside its network only, so its event route is left as it is."
  echo "To write it from in there: azd env set RELAY_INSIDE_NETWORK true && azd hooks run postprovision"
  exit 0
fi

python=.azure/python/bin/python
if [ ! -x "$python" ]; then
  "${PYTHON:-python3.13}" -m venv .azure/python || {
    echo "It takes Python 3.13: install it, or say PYTHON=/path/to/python3.13" >&2
    exit 1
  }
fi
"$python" -m pip install --quiet --disable-pip-version-check --requirement requirements.txt

set -- --instance "$RELAY_TWINS_HOST" --endpoint "$RELAY_TWINS_ENDPOINT" --routes routes.json
if [ -n "${RELAY_TWINS_FILTER:-}" ]; then
  set -- "$@" --filter "$RELAY_TWINS_FILTER"
fi
exec "$python" -m relay routes adt --apply "$@"
