"""Claims-based security: the `$cbs` node, where a client puts its tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lab.identity import TokenRefused
from lab.messaging.codec import Int, Symbol
from lab.messaging.node import LinkRequest, Refusal, Reply
from lab.messaging.refusals import (
    NETWORK_DENIED_TEXT,
    NOT_FOUND,
    UNAUTHORIZED,
    UNAUTHORIZED_OPERATION,
)
from lab.messaging.wallet import entity_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.messaging.codec import Value
    from lab.messaging.node import Claim, Peer, Request
    from lab.messaging.rights import Rights
    from lab.messaging.site import Site

JWT: Final = "jwt"
NO_CONDITION: Final = ""
"""A denied network is seen by its text, which azure-eventhub drops beside a condition."""

SAS_DISABLED: Final = (
    "LocalAuthDisabled: Authorization failed because SAS authentication has been disabled for "
    "the namespace."
)


class Cbs:
    """Takes tokens for one connection: checks them, then keeps them."""

    claims: Sequence[Claim] = ()

    def __init__(self, site: Site, rights: Rights) -> None:
        self._site = site
        self._rights = rights

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """Answer a put-token."""
        try:
            self._put(request, peer)
        except TokenRefused as refused:
            return self._refuse(refused.code, refused.condition, refused.text)
        return _reply(202, "Accepted")

    def _put(self, request: Request, peer: Peer) -> None:
        """Check in Azure's order: network, kind of token, the token, the entity, roles."""
        properties = request.properties
        if self._site.trouble.network_denied:
            raise TokenRefused(401, NO_CONDITION, NETWORK_DENIED_TEXT)
        if properties.get("operation") != "put-token":
            raise TokenRefused(400, "amqp:not-implemented", "The operation is not put-token.")
        if properties.get("type") != JWT:
            raise TokenRefused(401, UNAUTHORIZED, SAS_DISABLED)
        path = entity_path(str(properties.get("name") or ""))
        claims = self._site.directory.verify(_token(request.body), self._site.audiences)
        self._rights.put(path, claims)
        self._check_entity(path, peer)

    def _check_entity(self, path: str, peer: Peer) -> None:
        """Refuse here what is otherwise refused when a link attaches, if so switched."""
        switches = self._site.switches
        try:
            needed = self._claims_of(path)
        except Refusal as refusal:
            if switches.unknown_entity == "put-token":
                raise TokenRefused(404, NOT_FOUND, refusal.error.description) from refusal
            return
        if switches.missing_role == "put-token" and not any(map(peer.allows, needed)):
            raise TokenRefused(401, UNAUTHORIZED, UNAUTHORIZED_OPERATION)

    def _claims_of(self, path: str) -> list[Claim]:
        """Return every claim that a link to the path's entity might need."""
        entity = LinkRequest("", path.partition("/")[0])
        needed = list(self._site.service.intake(entity).claims)
        return needed + [
            type(each)(right, each.path, each.scope)
            for each in needed
            for right in type(each.right)
            if right != each.right
        ]

    def _refuse(self, code: int, condition: str, text: str) -> Reply:
        reply = _reply(code, text)
        if condition == NO_CONDITION or not self._site.switches.put_token_condition:
            return reply
        return Reply({**reply.properties, "error-condition": Symbol(condition)})


def _token(body: Value) -> str:
    if not isinstance(body, str):
        raise TokenRefused(401, UNAUTHORIZED, "MalformedToken: The body holds no token.")
    return body


def _reply(code: int, text: str) -> Reply:
    return Reply({"status-code": Int(code), "status-description": text})
