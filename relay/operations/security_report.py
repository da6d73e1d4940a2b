"""`security-report`: what a reviewer files, computed from the settings as they are."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from relay.assignments import READER
from relay.needs import Act, needs_of, needs_of_the_host
from relay.operations.console import AsJson, SettingsFile, out, read_settings, say_json
from relay.settings import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relay.needs import Need
    from relay.settings import Settings


class Format(StrEnum):
    """How the report is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


FORBIDDEN: Final = (
    (
        (
            "account keys, SAS, shared access keys, connection strings, passwords in URLs, "
            "client secrets and certificates, in any setting, in host.json, in the routes"
        ),
        "the start fails and names the setting, never the value",
        "tests/relay/test_secrets.py, tests/relay/test_settings.py",
    ),
    (
        "any credential but a managed identity: no developer's login, no environment's secret",
        "the only credential that the code makes is ManagedIdentityCredential",
        "relay/identity.py, docs/decisions/0003-identity-only.md",
    ),
    (
        "tokens and keys in logs, errors, metrics and the annotations of dead letters",
        "they are taken out of every word that a service says before it goes anywhere",
        "tests/relay/test_redaction.py, tests/test_no_leak.py",
    ),
    (
        "names that resolve to public addresses, unless a connection says so",
        "the doctor fails there and sends nothing",
        "docs/diagnosis.md",
    ),
    (
        "emulators' fixed strings outside Development",
        "the start fails",
        "tests/relay/test_settings.py",
    ),
)
"""What is forbidden, how that is enforced, and where that is shown."""

EXCEPTIONS: Final = (
    (
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        (
            "an ingestion address with an instrumentation key, which opens nothing once the "
            "component has local authentication off; it is accepted only together with "
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING = Authorization=AAD"
        ),
    ),
)


def command(
    *,
    settings: SettingsFile = None,
    how: Annotated[
        Format, typer.Option("--format", help="Write text, Markdown or JSON.")
    ] = Format.TEXT,
    in_json: AsJson = False,
) -> None:
    """Write identities, audiences, roles and network posture for a security review."""
    how = Format.JSON if in_json else how
    told = read_settings(settings, as_json=how is Format.JSON)
    report = as_json(told)
    if how is Format.JSON:
        say_json(report)
    elif how is Format.MARKDOWN:
        out().print(Text(markdown(report)))
    else:
        _as_text(report)


def as_json(settings: Settings) -> dict[str, Any]:
    """Return the whole report as one object."""
    needs = (*needs_of(settings), *needs_of_the_host(settings))
    return {
        "cloud": {
            "name": settings.cloud.name,
            "authority": settings.cloud.authority,
            "management": settings.cloud.management,
        },
        "identities": _identities(needs),
        "access": [_access(need) for need in needs],
        "network": [_network(need) for need in needs],
        "notes": _notes(settings),
        "forbidden": [
            {"what": what, "enforced": how, "shown": where} for what, how, where in FORBIDDEN
        ],
        "exceptions": [{"setting": name, "why": why} for name, why in EXCEPTIONS],
        "warnings": [str(warning) for warning in settings.warnings],
    }


def _identities(needs: Sequence[Need]) -> list[dict[str, Any]]:
    used: dict[str, dict[str, Any]] = {}
    for need in needs:
        which = need.identity
        entry = used.setdefault(
            which.name,
            {
                "identity": which.name,
                "client_id": which.client_id or None,
                "resource_id": which.resource_id or None,
                "audiences": [],
                "used_for": [],
            },
        )
        if need.resource.audience not in entry["audiences"]:
            entry["audiences"].append(need.resource.audience)
        entry["used_for"].append(need.subject)
    return list(used.values())


def _access(need: Need) -> dict[str, Any]:
    return {
        "subject": need.subject,
        "identity": need.identity.name,
        "resource": need.resource.label,
        "audience": need.resource.audience,
        "role": need.resource.role.name,
        "role_id": need.resource.role.id,
        "scope": need.resource.scope,
    }


def _network(need: Need) -> dict[str, Any]:
    is_private = need.network is Network.PRIVATE
    asked = (
        f"public network access off; a private endpoint, its zone {need.zone or 'your own'} "
        "linked to the app's network"
        if is_private
        else f"{need.setting}__network says public: reached by a public address"
    )
    return {
        "subject": need.subject,
        "host": need.host,
        "port": need.port,
        "protocol": "HTTPS" if need.address else f"AMQP over TLS ({need.transport})",
        "network": need.network.value,
        "private_link_group": need.resource.private_link_group if is_private else None,
        "private_dns_zone": (need.zone or None) if is_private else None,
        "asked": asked,
    }


def _notes(settings: Settings) -> list[str]:
    landing = [need for need in needs_of(settings) if need.act is Act.LISTEN]
    keys = (
        "Local authentication should be off on every namespace and account named here; the "
        f"doctor sees whether it is, where an identity of the relay has {READER.name} "
        f"({READER.id})."
    )
    entered = (
        f"{need.resource.label} is where Azure Digital Twins writes. It enters past the "
        "firewall by the trusted-services exception, which admits its system-assigned "
        "identity only; that identity needs the Data Sender role there."
        for need in landing
    )
    notes = [keys, *entered]
    if settings.event_grid_source or settings.ways_in.event_grid:
        notes.append(
            "INGRESS_EVENT_GRID or its SOURCE is set: events come by way of Event Grid. Azure "
            "Digital Twins has no managed identity for an Event Grid endpoint and keeps the "
            "topic's access key. That key is outside of the relay, and must stay enabled there."
        )
    return notes


def markdown(report: dict[str, Any]) -> str:
    """Write the report as a Markdown page."""
    cloud = report["cloud"]
    return "\n".join(
        [
            "# Twin Relay: security report\n",
            f"Cloud {cloud['name']}; tokens are issued by {cloud['authority']}.\n",
            *_section("Identities", report["identities"]),
            *_section("Roles needed", report["access"]),
            *_section("Network posture asked of each destination", report["network"]),
            *_section("Forbidden, and how that is enforced", report["forbidden"]),
            *_section("Exceptions", report["exceptions"]),
            "## Notes\n",
            *(f"- {note}" for note in (*report["notes"], *report["warnings"])),
        ]
    )


def _section(title: str, rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    names = list(rows[0])
    lines = [
        f"## {title}\n",
        f"| {' | '.join(name.replace('_', ' ') for name in names)} |",
        f"|{'---|' * len(names)}",
    ]
    lines += [f"| {' | '.join(_cell(row[name]) for name in names)} |" for row in rows]
    return [*lines, ""]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return str("-" if value is None else value).replace("|", "\\|")


def _as_text(report: dict[str, Any]) -> None:
    cloud = report["cloud"]
    out().print(Text(f"Cloud {cloud['name']}, authority {cloud['authority']}"))
    for title in ("identities", "access", "network", "forbidden", "exceptions"):
        rows = report[title]
        names = (name.replace("_", " ") for name in rows[0])
        table = Table(*(Column(name, overflow="fold") for name in names), title=title)
        for row in rows:
            table.add_row(*(Text(_cell(value)) for value in row.values()))
        out().print(table)
    for note in (*report["notes"], *report["warnings"]):
        out().print(Text(f"- {note}"))
