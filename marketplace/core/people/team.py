"""A team: the users of one merchant, or those of the house, as who leads it sees and changes them.

Somebody always leads: the last active owner of a merchant, or administrator of the house, can neither leave nor become
something else. Changes of one team wait for each other, so two who remove each other at once do not both succeed.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ColumnElement, func, select, update

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.people.tables import access_link, second_factor
from marketplace.core.tables import app_user, session
from marketplace.core.users import (
    MERCHANT_ROLES,
    SALES_ROLES,
    STAFF_ROLES,
    UserRole,
    check_roles,
    end_sessions,
    set_active,
)

TEAM_MAX = 500
_TEAMS = 0x7EA4
"""The first half of the advisory lock of a team; the second is of its merchant."""


class Member(msgspec.Struct, frozen=True):
    """One of the team. last_seen_at: of the latest session that is still open. guarded: has a second factor."""

    user_id: int
    login: str
    name: str
    roles: list[str]
    active: bool
    email: str | None
    guarded: bool
    last_seen_at: datetime | None


def roles_for(merchant_id: int | None) -> list[str]:
    """What a member of such a team may be."""
    return [role for role in UserRole if role in (MERCHANT_ROLES if merchant_id is not None else _HOUSE)]


_HOUSE = STAFF_ROLES | SALES_ROLES


def leads(merchant_id: int | None) -> UserRole:
    """The role of which a team always has one."""
    return UserRole.MERCHANT_OWNER if merchant_id is not None else UserRole.ADMIN


def _of(merchant_id: int | None) -> ColumnElement[bool]:
    if merchant_id is not None:
        return app_user.c.merchant_id == merchant_id
    return app_user.c.merchant_id.is_(None) & app_user.c.roles.bool_op("&&")(sorted(_HOUSE))


async def list_team(tx: Tx, merchant_id: int | None) -> Sequence[Member]:
    """The members, those who were removed last, each group by name."""
    seen = (
        select(func.max(session.c.last_seen_at))
        .where(session.c.user_id == app_user.c.user_id, session.c.expires_at > tx.now)
        .scalar_subquery()
    )
    rows = await tx.rows(
        select(
            *(app_user.c[name] for name in Member.__struct_fields__[:6]),
            second_factor.c.confirmed_at.is_not(None),
            seen,
        )
        .outerjoin(second_factor, second_factor.c.user_id == app_user.c.user_id)
        .where(_of(merchant_id))
        .order_by(app_user.c.active.desc(), app_user.c.name, app_user.c.login)
        .limit(TEAM_MAX)
    )
    return [Member(*row) for row in rows]


async def change_roles(tx: Tx, merchant_id: int | None, user_id: int, roles: list[str]) -> None:
    """Make a member something else; it is signed out, so that what is open does not go on as what it was.

    Raises NotFound when the team has no such member, Invalid for roles that do not go together, Conflict when nobody
    would lead.
    """
    member = await _hold(tx, merchant_id, user_id)
    check_roles(roles, merchant_id)
    changed = update(app_user).where(app_user.c.user_id == user_id).values(roles=sorted(set(roles)))
    await tx.execute(changed)
    await _check_led(tx, merchant_id)
    await end_sessions(tx, user_id)
    await _end_invitations(tx, member.login)
    await audit.record(tx, "roles changed", f"user:{member.login}", before=member.roles, after=sorted(set(roles)))


async def remove_member(tx: Tx, merchant_id: int | None, user_id: int) -> None:
    """Shut a member out: sessions end, API keys stop, its invitations are withdrawn. Raises NotFound, Conflict."""
    member = await _hold(tx, merchant_id, user_id)
    await set_active(tx, member.login, active=False)
    await _check_led(tx, merchant_id)
    await _end_invitations(tx, member.login)


async def return_member(tx: Tx, merchant_id: int | None, user_id: int) -> None:
    """Let one who was removed in again. Raises NotFound."""
    member = await _hold(tx, merchant_id, user_id)
    await set_active(tx, member.login, active=True)


class _Held(msgspec.Struct, frozen=True):
    login: str
    roles: list[str]


async def _hold(tx: Tx, merchant_id: int | None, user_id: int) -> _Held:
    lock = "SELECT pg_advisory_xact_lock(:teams, hashint8(CAST(:merchant AS bigint)))"
    await tx.execute(lock, {"teams": _TEAMS, "merchant": merchant_id or 0})
    row = await tx.row(
        select(app_user.c.login, app_user.c.roles)
        .where(app_user.c.user_id == user_id, _of(merchant_id))
        .with_for_update()
    )
    if row is None:
        raise NotFound(f"user_id: the team has no member {user_id}")
    return _Held(*row)


async def _check_led(tx: Tx, merchant_id: int | None) -> None:
    leading = leads(merchant_id)
    leader = select(app_user.c.user_id).where(
        _of(merchant_id), app_user.c.active, app_user.c.roles.bool_op("@>")([leading])
    )
    if await tx.scalar(leader.limit(1)) is None:
        raise Conflict(f"roles: the team needs one {leading.replace('_', ' ')}; make somebody else one first")


async def _end_invitations(tx: Tx, login: str) -> None:
    """What somebody invited who may not any more is withdrawn."""
    open_ones = (access_link.c.made_by == login) & (access_link.c.kind == "invitation")
    unused = access_link.c.used_at.is_(None) & access_link.c.withdrawn_at.is_(None)
    await tx.execute(update(access_link).where(open_ones, unused).values(withdrawn_at=tx.now))
