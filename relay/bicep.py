"""Role assignments as Bicep: by GUID, each at its narrowest scope."""

from __future__ import annotations

import re
from functools import partial
from itertools import chain, count
from typing import TYPE_CHECKING, Final

from relay.causes import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relay.needs import Need
    from relay.settings import ManagedIdentity

_MESSAGING_VERSION: Final = "2024-01-01"
_STORAGE_VERSION: Final = "2025-06-01"
_ASSIGNMENT: Final = "Microsoft.Authorization/roleAssignments"
_ROLES_VERSION: Final = "2022-04-01"


def assignments(needs: Sequence[Need]) -> str:
    """Return a module that assigns what is needed, for the resource group of the resources.

    Identities come in as parameters: object ids of managed identities.
    """
    named = _named([need.identity for need in needs])
    module = _Module()
    for which, name in named.items():
        module.declare(f"param {name}", name, partial(_parameter, which))
    for need in needs:
        scope = _scope(module, need)
        _assign(module, need, scope, named[need.identity])
    return module.text


class _Module:
    """Declarations, each once, under a symbol of its own."""

    def __init__(self) -> None:
        self._symbols: dict[str, str] = {}
        self._blocks: list[str] = []

    @property
    def text(self) -> str:
        return "\n\n".join(self._blocks) + "\n"

    def declare(self, key: str, wish: str, write: Callable[[str], str]) -> str:
        """Declare something once, and return its symbol: the wish, or a free one like it."""
        if key not in self._symbols:
            taken = set(self._symbols.values())
            wishes = chain([wish], (f"{wish}{number}" for number in count(2)))
            free = (name for name in wishes if name not in taken)
            self._symbols[key] = next(free)
            self._blocks.append(write(self._symbols[key]))
        return self._symbols[key]


def _named(identities: Sequence[ManagedIdentity]) -> dict[ManagedIdentity, str]:
    """Give each identity a parameter; the system-assigned one is `principalId`."""
    named: dict[ManagedIdentity, str] = {}
    for which in identities:
        if which not in named:
            number = len([each for each in named if each.selector]) + 1
            named[which] = f"principalId{number}" if which.selector else "principalId"
    return named


def _parameter(which: ManagedIdentity, symbol: str) -> str:
    return f"@description('Object id of the {which.name}.')\nparam {symbol} string"


def _scope(module: _Module, need: Need) -> str:
    """Declare the existing resources down to a need's scope; return the last one's symbol."""
    version = _STORAGE_VERSION if need.service is Service.STORAGE else _MESSAGING_VERSION
    symbol, kind, path = "", need.resource.provider, ""
    for level, (segment, name) in enumerate(_chain(need)):
        kind = f"{kind}/{segment}" if level else kind
        path = f"{path}/{segment}/{name}"
        symbol = module.declare(
            f"{kind} {need.resource.account} {path}".lower(),
            _symbol(symbol or _prefix(need), name),
            partial(_existing, kind=kind, name=name, version=version, parent=symbol),
        )
    return symbol


def _chain(need: Need) -> list[tuple[str, str]]:
    """Return kind and name of every level, the account's first."""
    names = need.resource.path.strip("/").split("/") if need.resource.path else []
    return [("", need.resource.account), *zip(names[::2], names[1::2], strict=True)]


def _prefix(need: Need) -> str:
    return "storage" if need.service is Service.STORAGE else "namespace"


def _existing(symbol: str, *, kind: str, name: str, version: str, parent: str) -> str:
    above = f"\n  parent: {parent}" if parent else ""
    return (
        f"resource {symbol} '{kind}@{version}' existing = {{{above}\n"
        f"  name: '{_quoted(name)}'\n}}"
    )


def _assign(module: _Module, need: Need, scope: str, principal: str) -> None:
    role = need.resource.role
    module.declare(
        f"{scope} {principal} {role.id}",
        _symbol(scope, principal, *role.name.split()[-2:]),
        lambda symbol: (
            f"// {need.subject}: {role.name}\n"
            f"resource {symbol} '{_ASSIGNMENT}@{_ROLES_VERSION}' = {{\n"
            f"  name: guid({scope}.id, {principal}, '{role.id}')\n"
            f"  scope: {scope}\n"
            "  properties: {\n"
            "    roleDefinitionId: subscriptionResourceId("
            f"'Microsoft.Authorization/roleDefinitions', '{role.id}')\n"
            f"    principalId: {principal}\n"
            "    principalType: 'ServicePrincipal'\n"
            "  }\n"
            "}"
        ),
    )


def _symbol(*parts: str) -> str:
    """Make a name that Bicep takes: letters and digits, the words run together."""
    words = [word for part in parts for word in re.split(r"[^A-Za-z0-9]+", part) if word]
    head, *rest = words
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
