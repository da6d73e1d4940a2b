"""A proxy that spoils what passes through it, in the manner of Shopify/toxiproxy.

It sits on the address and the port that clients know, the service behind it on another port.
It knows bytes only, so TLS and the SDKs pass through it as they are.
"""

from __future__ import annotations

from lab.proxy.proxy import Proxy
from lab.proxy.toxics import (
    BOTH,
    Bandwidth,
    Latency,
    Outage,
    Reset,
    Silence,
    Slicer,
    SlowClose,
    Toxic,
    Way,
)

__all__ = [
    "BOTH",
    "Bandwidth",
    "Latency",
    "Outage",
    "Proxy",
    "Reset",
    "Silence",
    "Slicer",
    "SlowClose",
    "Toxic",
    "Way",
]
