"""Teams: somebody always leads, nobody reaches another's, and who is removed is out at once."""

import asyncio
from functools import partial

import pytest

from marketplace.core import sessions, users
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.people import links, team
from marketplace.core.people.links import Invite, LinkOver
from marketplace.core.sessions import SignedIn, find_api_key, find_session
from tests.people.test_second_factor import FROM, PASSWORD


async def make(db: Database, login: str, role: str, merchant_id: int | None) -> users.User:
    return await db.write(
        WORKER, "test", users.create_user, login, login.title(), [role], merchant_id=merchant_id, password=PASSWORD
    )


async def test_a_removed_member_is_out_at_once_and_may_return(db: Database) -> None:
    await make(db, "owner", "merchant_owner", 5)
    cashier = await make(db, "cashier", "merchant_cashier", 5)
    opened = await users.sign_in(db, "cashier", PASSWORD, **FROM)
    assert isinstance(opened, SignedIn)
    key = await db.write(WORKER, "cashier", sessions.create_api_key, cashier.user_id, "till")
    await db.write(WORKER, "owner", team.remove_member, 5, cashier.user_id)
    assert await find_session(db, opened.token) is None
    assert await find_api_key(db, key.key) is None
    await db.write(WORKER, "owner", team.return_member, 5, cashier.user_id)
    assert isinstance(await users.sign_in(db, "cashier", PASSWORD, **FROM), SignedIn)


@pytest.mark.parametrize(
    ("merchant_id", "role", "lesser"), [(5, "merchant_owner", "merchant_cashier"), (None, "admin", "growth")]
)
async def test_two_leaders_who_remove_each_other_do_not_both_succeed(
    db: Database, merchant_id: int | None, role: str, lesser: str
) -> None:
    await db.write(WORKER, "test", partial(users.set_active, login="operator", active=False))
    anna, ben = await make(db, "anna", role, merchant_id), await make(db, "ben", role, merchant_id)
    results = await asyncio.gather(
        db.write(WORKER, "anna", team.remove_member, merchant_id, ben.user_id),
        db.write(WORKER, "ben", team.change_roles, merchant_id, anna.user_id, [lesser]),
        return_exceptions=True,
    )
    assert {type(result) for result in results} == {type(None), Conflict}
    async with db.read(WORKER) as tx:
        leaders = [m for m in await team.list_team(tx, merchant_id) if m.active and role in m.roles]
    assert len(leaders) == 1


async def test_a_team_reaches_its_own_members_only(db: Database) -> None:
    await make(db, "owner", "merchant_owner", 5)
    theirs = await make(db, "other", "merchant_owner", 6)
    staff = await make(db, "boss", "admin", None)
    for whose, user in ((5, theirs), (5, staff), (None, theirs)):
        for work in (team.remove_member, team.return_member):
            with pytest.raises(NotFound):
                await db.write(WORKER, "owner", work, whose, user.user_id)
        with pytest.raises(NotFound):
            await db.write(WORKER, "owner", team.change_roles, whose, user.user_id, ["merchant_cashier"])
    async with db.read(WORKER) as tx:
        assert [member.login for member in await team.list_team(tx, 5)] == ["owner"]
        assert [member.login for member in await team.list_team(tx, None)] == ["boss", "operator"]


async def test_nobody_becomes_more_than_the_team_has(db: Database) -> None:
    owner = await make(db, "owner", "merchant_owner", 5)
    with pytest.raises(Invalid):
        await db.write(WORKER, "owner", team.change_roles, 5, owner.user_id, ["admin"])
    with pytest.raises(Invalid):
        await db.write(WORKER, "owner", links.invite, Invite(email="a@b.test", name="", roles=["admin"], merchant_id=5))


async def test_invitations_of_who_was_removed_end(db: Database) -> None:
    await make(db, "owner", "merchant_owner", 5)
    second = await make(db, "second", "merchant_owner", 5)
    made = await db.write(
        WORKER, "second", links.invite, Invite(email="a@b.test", name="A", roles=["merchant_owner"], merchant_id=5)
    )
    await db.write(WORKER, "owner", team.remove_member, 5, second.user_id)
    with pytest.raises(LinkOver):
        async with db.read(WORKER) as tx:
            await links.find_link(tx, "invitation", made.token)
