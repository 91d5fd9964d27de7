"""Who may call what: every handler either names the roles it needs or says that it is public. Nothing is by default."""

from collections.abc import Iterable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from marketplace.core.errors import Forbidden, Unauthenticated
from marketplace.core.scopes import allows, scope_of
from marketplace.core.users import FINANCE_ROLES, MERCHANT_ROLES, OPS_ROLES, SALES_ROLES, STAFF_ROLES, UserRole

Role = UserRole

MERCHANT = MERCHANT_ROLES
STAFF = STAFF_ROLES
MERCHANT_BOOKS = frozenset({Role.MERCHANT_OWNER, Role.MERCHANT_MANAGER})
"""Who of a merchant sees its money; a cashier sees its orders."""
FINANCE = FINANCE_ROLES | {Role.ADMIN}
CONTROL = frozenset({Role.CONTROLLER, Role.ADMIN})
"""Who decides what accountants may not decide alone."""
OPS = OPS_ROLES | {Role.ADMIN}
APPROVERS = frozenset({Role.APPROVER, Role.ADMIN})
"""Who approves what operations have planned."""
SELLING = OPS | {Role.STOREFRONT}
"""Who acts for buyers: the shop's own key, and the house's people who help them."""
SALES = SALES_ROLES
"""Who wins merchants: a rep sees its own leads, a manager those of its territories."""
DISTRIBUTOR = frozenset({Role.DISTRIBUTOR})
"""A distributor's people: the leads that it brought, and its commission."""
GROWTH = frozenset({Role.GROWTH, Role.ADMIN})
PAYER = frozenset({Role.PAYER})
"""A third-party payer's people: its own contracts, caps, claims and statement."""
EVERYBODY = frozenset(Role)


class Needs:
    """A guard that lets in callers with at least one of `roles`; Litestar runs it before body and handler."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        actor = connection.scope["user"]
        if actor is None:
            raise Unauthenticated("sign in, or send an API key")
        if not actor.roles & self.roles:
            raise Forbidden(f"this needs one of the roles {', '.join(sorted(self.roles))}")
        scopes = connection.scope["auth"].scopes
        if scopes is not None:
            _check_scope(scopes, scope_of(connection.scope["path_template"], str(connection.scope.get("method"))))


class ScopeMissing(Forbidden):
    """The API key is narrowed to scopes without the one that this needs, though its user might do it."""

    code = "scope-missing"
    title = "This API key is not made for that"


def _check_scope(scopes: frozenset[str], needed: str | None) -> None:
    if not allows(scopes, needed):
        raise ScopeMissing(
            f"this needs an API key with the scope {needed}" if needed else "this is open only to a key without scopes"
        )


def needs(*roles: Role | Iterable[Role]) -> Needs:
    """A guard for roles and sets of roles: `needs(Role.CONTROLLER, MERCHANT)`."""
    wanted: set[Role] = set()
    for role in roles:
        wanted |= {role} if isinstance(role, Role) else set(role)
    return Needs(frozenset(wanted))


def check_approver(roles: frozenset[str], deed: str) -> None:
    """Raise Forbidden unless one of these roles approves what operations have planned."""
    if not roles & APPROVERS:
        raise Forbidden(f"{deed} needs one of the roles {', '.join(sorted(APPROVERS))}")


async def public(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """The guard of what anybody may see: it lets everyone in, and says that this is meant."""


signed_in = needs(EVERYBODY)
"""The guard of what every signed-in person may do with what is their own."""


async def in_person(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """The guard, after `signed_in`, of what an API key may not do: make keys that live on when it has ended."""
    if not connection.scope["auth"].is_cookie:
        raise Forbidden("an API key makes no API keys: sign in with login and password for that")


def roles_of(guards: Iterable[Guard]) -> frozenset[str] | None:
    """The roles that a handler's guards let in, None when it is public.

    Raises ValueError when no guard speaks to it: such a handler must not go into service.
    """
    needed = [guard.roles for guard in guards if isinstance(guard, Needs)]
    if needed:
        return frozenset.intersection(*(frozenset(str(role) for role in roles) for roles in needed))
    if public in guards:
        return None
    raise ValueError("the handler has no guard and is not public")
