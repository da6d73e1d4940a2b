"""What Azure is not known to do, and how long it waits: the likeliest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Switches:
    """Behaviour that differs between reports, or that nobody has reported.

    Attributes:
        missing_role: where a missing role is refused.
        unknown_entity: where an unknown entity is.
        put_token_condition: whether a refused put-token carries `error-condition`.
        lapsed: what becomes of an open link whose token has run out.
        oversized: what becomes of a message larger than the link allows.
        read_needs_listen: whether `$management` READ needs Listen, or any right on the hub.
    """

    missing_role: Literal["attach", "put-token"] = "attach"
    unknown_entity: Literal["attach", "put-token"] = "attach"
    put_token_condition: bool = True
    lapsed: Literal["detach-forced", "unauthorized-access", "nothing"] = "detach-forced"
    oversized: Literal["detach", "reject"] = "detach"
    read_needs_listen: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds; the defaults are Azure's.

    Attributes:
        frame_bytes: the largest frame that is taken.
        connection_silent: how long a connection may say nothing; twice of it is announced.
        connection_without_links: how long one may have no links.
        connection_unopened: how long one may take to open.
        event_hubs_link_idle: how long a link of Event Hubs may carry nothing.
        service_bus_link_idle: the same for Service Bus.
        sweep: how often all this is looked at.
    """

    frame_bytes: int = 65536
    connection_silent: float = 240
    connection_without_links: float = 300
    connection_unopened: float = 30
    event_hubs_link_idle: float = 30 * 60
    service_bus_link_idle: float = 10 * 60
    sweep: float = 5
