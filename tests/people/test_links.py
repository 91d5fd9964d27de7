"""Links that let in once: invitations and resets, their mails, and two who open one at the same time."""

import asyncio
import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from marketplace.core import users
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.people import links
from marketplace.core.people.attempts import TooManyAttempts
from marketplace.core.people.links import Invite, LinkOver
from marketplace.core.people.senders import Message, to_folder
from marketplace.core.sessions import SignedIn, find_session
from marketplace.flows.people.send_mails import send_mails
from tests.people.test_second_factor import FROM, PASSWORD

BASE = "https://market.test"
INVITE = Invite(email="  New@Shop.test ", name="New", roles=["merchant_manager"], merchant_id=5)


@pytest.fixture
async def owner(db: Database) -> users.User:
    return await db.write(
        WORKER, "test", users.create_user, "owner", "Owner", ["merchant_owner"],
        merchant_id=5, password=PASSWORD, email="owner@shop.test",
    )  # fmt: skip


def accept(db: Database, token: str, name: str = "New Person") -> asyncio.Task[users.User]:
    async def run() -> users.User:
        async def join(tx: Tx) -> users.User:
            return await links.accept_invitation(tx, token, name=name, password=PASSWORD, locale="pt")

        return await db.write(WORKER, "invitation", join)

    return asyncio.create_task(run())


def written(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.glob("*.eml"))]


async def posted(db: Database, folder: Path) -> list[tuple[str, str, str]]:
    """Send what waits; recipient, subject and text of all mails so far."""
    await send_mails(db, "worker", to_folder(folder, "market@market.test"), BASE)
    letters = [message_from_bytes(each, policy=default) for each in written(folder)]
    return [(one["To"], one["Subject"], " ".join(one.get_content().split())) for one in letters]


def token_in(text: str) -> str:
    found = re.search(r"token=([\w-]+)", text)
    assert found is not None, text
    return found[1]


async def test_an_invitation_makes_one_user_whoever_opens_it(db: Database, owner: users.User, tmp_path: Path) -> None:
    made = await db.write(WORKER, "owner", links.invite, INVITE)
    [(to, subject, text)] = await posted(db, tmp_path)
    assert (to, subject) == ("new@shop.test", "You are invited to Marketplace Operations")
    assert f"{BASE}/join?token=" in text
    assert token_in(text) != made.token
    tasks = [accept(db, token) for token in (made.token, token_in(text), made.token, token_in(text))]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["LinkOver", "LinkOver", "LinkOver", "User"]
    [user] = [result for result in results if isinstance(result, users.User)]
    assert (user.login, user.merchant_id, user.roles, user.locale) == ("new@shop.test", 5, ["merchant_manager"], "pt")
    assert isinstance(await users.sign_in(db, "new@shop.test", PASSWORD, **FROM), SignedIn)


async def test_only_hashes_of_tokens_are_stored(db: Database, owner: users.User, tmp_path: Path) -> None:
    made = await db.write(WORKER, "owner", links.invite, INVITE)
    [(_, _, text)] = await posted(db, tmp_path)
    async with db.read(WORKER) as tx:
        for table in ("access_link", "link_token", "mail", "audit", "outbox"):
            stored = await tx.scalar(f"SELECT coalesce(string_agg(t::text, ''), '') FROM core.{table} t")
            assert made.token not in stored
            assert token_in(text) not in stored


async def test_a_link_ends_when_withdrawn_replaced_or_late(db: Database, owner: users.User) -> None:
    first = await db.write(WORKER, "owner", links.invite, INVITE)
    second = await db.write(WORKER, "owner", links.invite, INVITE)
    with pytest.raises(LinkOver):
        await accept(db, first.token)
    with pytest.raises(NotFound):  # another merchant's owner
        await db.write(WORKER, "other", links.withdraw_invitation, 6, second.link_id)
    await db.write(WORKER, "owner", links.withdraw_invitation, 5, second.link_id)
    with pytest.raises(LinkOver):
        await accept(db, second.token)
    third = await db.write(WORKER, "owner", links.invite, INVITE)
    assert isinstance(db.clock, FixedClock)
    db.clock.move_to(db.clock.now() + links.INVITATION_MAX)
    with pytest.raises(LinkOver):
        await accept(db, third.token)


async def test_a_refused_password_leaves_the_link(db: Database, owner: users.User) -> None:
    made = await db.write(WORKER, "owner", links.invite, INVITE)

    async def weak(tx: Tx) -> users.User:
        return await links.accept_invitation(tx, made.token, name="New", password="short", locale="en")

    with pytest.raises(Invalid, match="password"):
        await db.write(WORKER, "invitation", weak)
    await accept(db, made.token)


async def test_a_login_that_is_taken_is_said_to_the_invited_alone(db: Database, owner: users.User) -> None:
    await db.write(WORKER, "test", users.create_user, "new@shop.test", "Taken", ["merchant_owner"], merchant_id=9)
    made = await db.write(WORKER, "owner", links.invite, INVITE)
    with pytest.raises(Conflict):
        await accept(db, made.token)


async def test_a_reset_gives_a_new_password_once_and_ends_all_sessions(
    db: Database, owner: users.User, tmp_path: Path
) -> None:
    opened = await users.sign_in(db, "owner", PASSWORD, **FROM)
    assert isinstance(opened, SignedIn)
    await links.ask_for_reset(db, "Owner@Shop.test", address="192.0.2.7")
    await links.ask_for_reset(db, "owner", address="192.0.2.7")
    mails = await posted(db, tmp_path)
    tokens = [token_in(text) for _, _, text in mails]
    reset = [db.write(WORKER, "reset", links.reset_password, token, "a fresh long password") for token in tokens * 2]
    results = await asyncio.gather(*reset, return_exceptions=True)
    assert sorted(map(repr, results)).count("'owner'") == 1
    assert {type(result) for result in results} == {str, LinkOver}
    assert await find_session(db, opened.token) is None
    with pytest.raises(users.WrongCredentials):
        await users.sign_in(db, "owner", PASSWORD, **FROM)
    assert isinstance(await users.sign_in(db, "owner", "a fresh long password", **FROM), SignedIn)
    assert (await posted(db, tmp_path))[-1][1] == "Your password was changed"


async def test_nobody_is_told_whether_there_is_such_a_login(db: Database, owner: users.User, tmp_path: Path) -> None:
    await links.ask_for_reset(db, "nobody", address="192.0.2.7")
    assert await posted(db, tmp_path) == []
    for _ in range(links.RESETS_PER_LOGIN_MAX - 1):
        await links.ask_for_reset(db, "nobody", address="192.0.2.7")
    with pytest.raises(TooManyAttempts):
        await links.ask_for_reset(db, "NOBODY", address="192.0.2.8")


async def test_a_mail_is_sent_again_until_it_is_taken(db: Database, owner: users.User, tmp_path: Path) -> None:
    await links.ask_for_reset(db, "owner", address="192.0.2.7")
    taken: list[Message] = []

    async def refuse(message: Message) -> None:
        taken.append(message)
        raise ConnectionRefusedError("no mail today")

    assert await send_mails(db, "worker", refuse, BASE) == 0
    assert await send_mails(db, "worker", refuse, BASE) == 0
    assert len(taken) == 1
    assert isinstance(db.clock, FixedClock)
    db.clock.move_to(db.clock.now() + timedelta(minutes=5))
    [(_, _, text)] = await posted(db, tmp_path)
    for token in (token_in(taken[0].text), token_in(text)):  # the first may have arrived all the same
        async with db.read(WORKER) as tx:
            assert (await links.find_link(tx, "reset", token)).email == "owner@shop.test"
    assert len(await posted(db, tmp_path)) == 1
