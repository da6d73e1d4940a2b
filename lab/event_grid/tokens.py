"""The token with which Event Grid proves itself to a webhook, and how it may be spoilt.

Source: MicrosoftDocs/azure-docs articles/event-grid/secure-webhook-delivery.md: the webhook is
an application with the app role below, which Event Grid's own service principal must hold. The
form of audience and issuer is not documented; here it is that of version 1.0 tokens.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal, get_args

import jwt

from lab.identity.tokens import SigningKey

if TYPE_CHECKING:
    from lab.identity.directory import Directory

CLIENT_ID: Final = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
"""Event Grid's service principal in the public cloud."""
APP_ROLE: Final = "AzureEventGridSecureWebhookSubscriber"
NAME: Final = "event-grid"

type Spoilt = Literal["missing", "expired", "audience", "role", "caller", "issuer", "signature"]
"""What is wrong with a token on purpose."""
SPOILT: Final[tuple[Spoilt, ...]] = get_args(Spoilt.__value__)


class WebhookTokens:
    """Issues Event Grid's tokens by the lab's own tenant.

    Attributes:
        spoilt: what is wrong with tokens from now on; None for nothing.
    """

    def __init__(self, directory: Directory) -> None:
        self.spoilt: Spoilt | None = None
        self._directory = directory
        self._principal = directory.register(NAME, app=NAME, client_id=CLIENT_ID)

    def header(self, audience: str) -> dict[str, str]:
        """Return the header that carries a token for the audience, if one is wanted."""
        if not audience or self.spoilt == "missing":
            return {}
        return {"Authorization": f"Bearer {self._token(audience)}"}

    def _token(self, audience: str) -> str:
        issued = self._directory.issue(self._principal, audience)
        told = jwt.decode(issued, options={"verify_signature": False})
        told.pop("xms_mirid")  # it is no managed identity
        claims = told | {"roles": [APP_ROLE]} | self._wrong()
        strange = self.spoilt == "signature"
        return (SigningKey.kept_in(None) if strange else self._directory.key).sign(claims)

    def _wrong(self) -> dict[str, object]:
        match self.spoilt:
            case "expired":
                return {"exp": int(time.time()) - 600, "nbf": int(time.time()) - 7200}
            case "audience":
                return {"aud": "api://somebody-else"}
            case "role":
                return {"roles": []}
            case "caller":
                return {"appid": "00000000-0000-0000-0000-0000000000bd"}
            case "issuer":
                return {"iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/"}
            case _:
                return {}
