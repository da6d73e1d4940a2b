"""What takes IP filters, and how each wants them.

Shapes, versions and limits: Microsoft's ARM reference and event-hubs-ip-filtering.md,
service-bus-ip-filtering.md, event-grid/configure-firewall.md and
storage/common/storage-network-security-limitations.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of resource with an IP filter. All take IPv4 only.

    Attributes:
        name: what the command line calls it.
        label: what people call it.
        limit: how many rules it takes.
        type: of the resource that holds the rules, with its API version.
        path: where the rules stand below `properties`.
        member: what the address of a rule is called.
        singles: whether a rule must name single addresses instead of /31 and /32.
        private: whether it takes addresses of RFC 1918.
        notes: what surprises there are.
    """

    name: str
    label: str
    limit: int
    type: str
    path: tuple[str, ...]
    member: str
    singles: bool = False
    private: bool = True
    notes: tuple[str, ...] = ()

    def write(self, network: IPv4Network) -> list[str]:
        """Return the addresses of the rules that let a network in."""
        if self.singles and network.prefixlen >= 31:  # noqa: PLR2004 - a prefix has 32 bits
            return [str(address) for address in network]
        return [str(network)]

    def rule(self, address: str) -> dict[str, str]:
        """Return one rule as the resource wants it."""
        return {self.member: address, "action": "Allow"}


EVENT_HUBS: Final = Target(
    name="event-hubs",
    label="an Event Hubs namespace",
    limit=128,
    type="Microsoft.EventHub/namespaces/networkRuleSets@2024-01-01",
    path=("ipRules",),
    member="ipMask",
    notes=("the Basic tier takes no rules", "with no rule at all, Deny is not enforced"),
)
SERVICE_BUS: Final = Target(
    name="service-bus",
    label="a Service Bus namespace",
    limit=128,
    type="Microsoft.ServiceBus/namespaces/networkRuleSets@2024-01-01",
    path=("ipRules",),
    member="ipMask",
    notes=("only the Premium tier takes rules",),
)
EVENT_GRID: Final = Target(
    name="event-grid",
    label="an Event Grid topic",
    limit=128,
    type="Microsoft.EventGrid/topics@2025-02-15",
    path=("inboundIpRules",),
    member="ipMask",
)
STORAGE: Final = Target(
    name="storage",
    label="a storage account",
    limit=400,
    type="Microsoft.Storage/storageAccounts@2025-01-01",
    path=("networkAcls", "ipRules"),
    member="value",
    singles=True,
    private=False,
    notes=("rules have no effect on callers in the account's own region",),
)

TARGETS: Final = {each.name: each for each in (EVENT_HUBS, SERVICE_BUS, EVENT_GRID, STORAGE)}
