"""What holds of the templates, one policy an invariant; each yields where it does not."""

from __future__ import annotations

from tests.infra.policies import (
    app,
    azd,
    kept,
    locked,
    network,
    reading,
    roles,
    settings,
    telemetry,
    twins,
)
from tests.infra.policies.policy import Policy

POLICIES: dict[str, Policy] = {
    each.name: each
    for room in (reading, locked, network, twins, roles, app, kept, settings, telemetry, azd)
    for each in vars(room).values()
    if isinstance(each, Policy)
}
