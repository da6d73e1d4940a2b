"""What a connection's tokens allow, now and until they run out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from lab.messaging.node import Refusal
from lab.messaging.refusals import missing_claim, token_expired
from lab.messaging.wallet import Wallet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.identity import Claims
    from lab.messaging.node import Claim, Error
    from lab.messaging.site import Site

_MARGIN_SECONDS: Final = 0.01
"""How long after a token's end to look: timers may be early by less than this."""


class Rights:
    """The claims of one connection; calls `changed` when a token has run out."""

    def __init__(self, site: Site, host: str, changed: Callable[[], None]) -> None:
        self._site = site
        self._host = host
        self._changed = changed
        self._wallet = Wallet(site.directory, site.namespace.service)
        self._expiries: dict[float, asyncio.TimerHandle] = {}

    def put(self, path: str, claims: Claims) -> None:
        """Keep a verified token for an audience path, until it runs out."""
        self._wallet.put(path, claims)
        if claims.expires_at not in self._expiries:
            wait = max(0.0, claims.expires_at - time.time()) + _MARGIN_SECONDS
            self._expiries[claims.expires_at] = asyncio.get_running_loop().call_later(
                wait, self._expire, claims.expires_at
            )

    def _expire(self, moment: float) -> None:
        self._expiries.pop(moment, None)
        self._changed()

    def allows(self, claim: Claim) -> bool:
        """Tell whether a token bears this claim now."""
        return self._wallet.allows(claim)

    def require(self, claims: Sequence[Claim]) -> None:
        """Raise `Refusal` unless one of these is borne; none at all is no demand."""
        if self._site.switches.missing_role == "put-token":
            return
        if claims and not any(map(self.allows, claims)):
            raise Refusal(missing_claim(self._host, claims[0]))

    def lost(self, claims: Sequence[Claim], link: str) -> Error | None:
        """Return why a link that needed one of these may no longer be, `None` if it may.

        The role is gone if a good token is there still; otherwise the token is.
        """
        if not claims or any(map(self.allows, claims)):
            return None
        fate = self._site.switches.lapsed
        if self._wallet.covers(claims[0]) or fate == "unauthorized-access":
            return missing_claim(self._host, claims[0])
        return token_expired(self._host, link, claims[0]) if fate == "detach-forced" else None

    def close(self) -> None:
        """Wait for nothing any more."""
        for timer in self._expiries.values():
            timer.cancel()
