"""Who exists, who may do what, and the tokens that say so."""

from __future__ import annotations

from lab.identity.directory import Assignment, Directory, Principal, UnknownNameError
from lab.identity.endpoint import IdentityEndpoint
from lab.identity.roles import RESOURCE_GROUP, ROLES, Role, covers, role
from lab.identity.tokens import Claims, SigningKey, TokenRefused

__all__ = [
    "RESOURCE_GROUP",
    "ROLES",
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
