"""What the pages about people show: one's own account, a team, and who did what."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import select

from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core import policies
from marketplace.core.clock import day_begins
from marketplace.core.db import Tx
from marketplace.core.people import links, second_factor, team
from marketplace.core.people.links import Link
from marketplace.core.people.second_factor import Standing
from marketplace.core.people.team import Member
from marketplace.core.sessions import SessionInfo, hash_secret, list_sessions
from marketplace.core.tables import app_user
from marketplace.core.users import User, get_user

ZONE = "UTC"
"""The clocks of pages that belong to no merchant."""


class AccountPage(msgspec.Struct, frozen=True):
    """One's own account. here: the session this page was asked for with; required: the second factor must stay."""

    user: User
    sessions: Sequence[SessionInfo]
    here: str
    standing: Standing
    required: bool
    zone: str


async def known_logins(tx: Tx, logins: Iterable[str]) -> set[str]:
    """Those of these logins that somebody active has."""
    query = select(app_user.c.login).where(app_user.c.login.in_(list(logins)), app_user.c.active)
    return {row.login for row in await tx.rows(query)}


async def account_page(tx: Tx, login: str, token: str, issuer: str) -> AccountPage:
    user = await get_user(tx, login)
    return AccountPage(
        user=user,
        sessions=await list_sessions(tx, user.user_id),
        here=hash_secret(token)[:8].hex(),
        standing=await second_factor.standing(tx, user.user_id, login, issuer),
        required=user.is_staff and await policies.is_on(tx, "staff_second_factor"),
        zone=ZONE,
    )


class TeamPage(msgspec.Struct, frozen=True):
    """A team with its open invitations. me: who looks, who cannot remove itself by mistake. at: the page's address."""

    members: Sequence[Member]
    invitations: Sequence[Link]
    roles: Sequence[str]
    me: int
    at: str
    zone: str


async def team_page(tx: Tx, merchant_id: int | None, me: int, at: str) -> TeamPage:
    return TeamPage(
        members=await team.list_team(tx, merchant_id),
        invitations=await links.list_invitations(tx, merchant_id),
        roles=team.roles_for(merchant_id),
        me=me,
        at=at,
        zone=ZONE,
    )


class AuditFilter(msgspec.Struct, frozen=True):
    """subject: a whole one ("order:5") or a noun ("order"). Both days belong to the stretch."""

    actor: str | None = None
    subject: str | None = None
    first: date | None = None
    last: date | None = None


class Deed(msgspec.Struct, frozen=True):
    audit_id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    single_operator: bool

    @property
    def told(self) -> list[tuple[str, str]]:
        """The details that say something, in words: what has no value is left out, and the parts of lists are named."""
        return [(name.replace("_", " "), _told(value)) for name, value in self.detail.items() if value is not None]


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_told, value))
    if isinstance(value, dict):
        return " ".join(f"{name} {_told(part)}" for name, part in value.items() if part)
    return str(value)


class AuditPage(msgspec.Struct, frozen=True):
    """Who did what, narrowed to `wanted`."""

    wanted: AuditFilter
    zone: str


AUDIT = Roll(
    name="audit",
    first="-at",
    key=("audit_id",),
    columns=(
        Column("at", "audit.at", Kind.INSTANT, by="audit_id"),
        Column("actor", "audit.actor"),
        Column("action", "audit.action", by=""),
        Column("subject", "audit.subject"),
        Column("detail", "audit.detail", Kind.DETAIL, by=""),
        Column("single_operator", "audit.single", Kind.FLAG, by="", shown=Shown.IN_FILES),
    ),
    query="SELECT audit_id, at, actor, action, subject, detail, single_operator FROM core.audit",
    read=lambda row: Deed(*row),
)
"""Each way to sort has an index that ends with the id, and so has each filter but the days."""


def wanted_deeds(wanted: AuditFilter) -> tuple[list[str], dict[str, Any]]:
    """What is to be true of the deeds that are looked for, and what that binds."""
    where, bound = list[str](), dict[str, Any]()
    if wanted.actor:
        where.append("actor = :actor")
        bound["actor"] = wanted.actor
    if wanted.subject and ":" in wanted.subject:
        where.append("subject = :subject")
        bound["subject"] = wanted.subject
    elif wanted.subject:
        where.append("subject >= :subject AND subject < :behind")
        bound |= {"subject": f"{wanted.subject}:", "behind": f"{wanted.subject};"}
    if wanted.first:
        where.append("at >= :first")
        bound["first"] = day_begins(wanted.first, ZONE)
    if wanted.last:
        where.append("at < :beyond")
        bound["beyond"] = day_begins(wanted.last + timedelta(days=1), ZONE)
    return where, bound
