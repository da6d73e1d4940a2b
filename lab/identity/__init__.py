"""Who exists, who may do what, and the tokens that say so."""

from __future__ import annotations

from lab.identity.directory import Assignment, Directory, Principal, UnknownNameError
from lab.identity.endpoint import IdentityEndpoint
from lab.identity.roles import ROLES, SUBSCRIPTION, Role, covers, role
from lab.identity.tokens import Claims, SigningKey, TokenRefused

__all__ = [
    "ROLES",
    "SUBSCRIPTION",
    "Assignment",
    "Claims",
    "Directory",
    "IdentityEndpoint",
    "Principal",
    "Role",
    "SigningKey",
    "TokenRefused",
    "UnknownNameError",
    "covers",
    "role",
]
