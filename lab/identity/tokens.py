"""Access tokens as Microsoft Entra writes them: made with one RSA key, read with doubt."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

AUTH_FAILED: Final = "com.microsoft:auth-failed"
ALGORITHM: Final = "RS256"


class TokenRefused(Exception):  # noqa: N818 - a refusal is an answer, not a defect
    """A token that opens nothing.

    Attributes:
        code: the HTTP-like status that a service answers with.
        condition: the AMQP condition that goes with it.
        text: what is wrong, in Service Bus's words where they are known.
    """

    def __init__(self, code: int, condition: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.condition = condition
        self.text = text


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says.

    Attributes:
        object_id: who: the principal that roles are assigned to (`oid`).
        client_id: the application that asked (`appid`).
        audience: for which service, as it was asked for.
        expires_at: until when, in seconds since 1970.
        tenant_id: the tenant that issued it.
        issued: its place in the order of issue, in nanoseconds since 1970.
    """

    object_id: str
    client_id: str
    audience: str
    expires_at: float
    tenant_id: str
    issued: int = 0


class SigningKey:
    """The tenant's RSA key, and the secrets derived from it."""

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        self._private = private
        self.public = private.public_key()
        self.id = _thumbprint(self.public)

    @classmethod
    def kept_in(cls, directory: Path | None) -> SigningKey:
        """Load the key of a state directory, or make one; with no directory it is not kept.

        A kept key lets clients go on with the tokens that they hold when the lab is restarted.
        """
        if directory is None:
            return cls(_new_key())
        file = directory / "signing-key.pem"
        if not file.exists():
            directory.mkdir(parents=True, exist_ok=True)
            _write_private(file, _new_key())
        file.chmod(0o600)
        loaded = serialization.load_pem_private_key(file.read_bytes(), password=None)
        return cls(cast("rsa.RSAPrivateKey", loaded))

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return `claims` as a signed JWT."""
        return jwt.encode(
            dict(claims), self._private, ALGORITHM, headers={"kid": self.id, "x5t": self.id}
        )

    def secret(self, name: str) -> str:
        """Derive a secret for `name`, the same as long as the key is."""
        pem = _pem(self._private)
        return hmac.new(pem, name.encode(), hashlib.sha256).hexdigest()[:32].upper()

    def jwk(self) -> dict[str, str]:
        """Return the public key as a JSON Web Key."""
        numbers = self.public.public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": ALGORITHM,
            "kid": self.id,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }

    def read(
        self, token: str, *, issuer: str, audiences: Collection[str], now: float
    ) -> Claims:
        """Check signature, issuer, audience and time, in this order.

        Raises:
            TokenRefused: the token fails one of them.
        """
        claims = self._signed(token)
        if claims["iss"] != issuer:
            raise _refused("InvalidIssuer: Token issuer is invalid.")
        if str(claims["aud"]).rstrip("/") not in {each.rstrip("/") for each in audiences}:
            raise _refused("InvalidAudience: The token has an invalid audience.")
        if now < claims["nbf"]:
            raise _refused("InvalidToken: The token is not yet valid.")
        if now >= claims["exp"]:
            raise expired(claims["exp"])
        return _claims(claims)

    def _signed(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self.public,
                algorithms=[ALGORITHM],
                options={
                    "require": ["iss", "aud", "exp", "nbf", "oid", "appid", "tid"],
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidSignatureError as error:
            raise _refused("InvalidSignature: The token has an invalid signature.") from error
        except (jwt.PyJWTError, ValueError) as error:
            raise _refused("MalformedToken: The token could not be read.") from error


def expired(when: float) -> TokenRefused:
    """Return the refusal of a token that ended at `when`.

    The words are Service Bus's (Azure/azure-service-bus-java#354); those of the other refusals
    are ours, in its manner.
    """
    ended = datetime.fromtimestamp(when, UTC).strftime("%m/%d/%Y %H:%M:%S")
    return _refused(f"ExpiredToken: The token is expired. Expiration time: '{ended}'.")


def _refused(text: str) -> TokenRefused:
    return TokenRefused(401, AUTH_FAILED, text)


def _claims(claims: Mapping[str, Any]) -> Claims:
    return Claims(
        object_id=claims["oid"],
        client_id=claims["appid"],
        audience=claims["aud"],
        expires_at=float(claims["exp"]),
        tenant_id=claims["tid"],
        issued=int(claims.get("uti", "0"), 16),
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_private(file: Path, key: rsa.RSAPrivateKey) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(_pem(key))


def _thumbprint(key: rsa.RSAPublicKey) -> str:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()[:20]).decode().rstrip("=")


def _number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
