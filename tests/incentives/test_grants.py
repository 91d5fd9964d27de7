"""What is kept of beneficiaries: contributions count once, grants move one way, vouchers are used once."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from incentives.grants import store
from incentives.grants.model import Contribution, Grant, GrantState, Progress, Voucher
from incentives.grants.vouchers import store as vouchers
from incentives.promotions.model import Promotion
from incentives.rules.events import Used
from incentives.rules.parts import Role
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from tests.conftest import NOW
from tests.incentives.market import drafted, drafted_campaign, people

ROLES: list[Role] = ["merchant", "buyer"]
PARTY = 7
DAY = timedelta(days=1)


@pytest.fixture
async def promotion(db: Database) -> Promotion:
    await people(db)
    return await drafted(db, await drafted_campaign(db))


def grant(of: Promotion, grant_no: int = 1, **changes: Any) -> Grant:
    plain = Grant(
        party_id=PARTY,
        promotion_id=of.promotion_id,
        span="2018-09-04",
        grant_no=grant_no,
        grant_id=100 + grant_no,
        campaign_id=of.campaign_id,
        version_no=1,
        form="credit",
        currency="EUR",
        amount_minor=100,
        funders=("platform", "brand"),
        funder_minor=(67, 33),
        state=GrantState.PENDING,
        vests_at=NOW + DAY,
    )
    return msgspec.structs.replace(plain, **changes)


def contribution(of: Promotion, event_id: str, promised: int, settled: int = 0) -> Contribution:
    return Contribution(
        party_id=PARTY,
        promotion_id=of.promotion_id,
        event_id=event_id,
        span="2018-09-04",
        version_no=1,
        promised=promised,
        settled=settled,
        line_nos=(1, 2),
        at=NOW,
    )


@pytest.mark.parametrize("role", ROLES)
async def test_an_event_counts_once_and_is_replaced(db: Database, promotion: Promotion, role: Role) -> None:
    first, second = contribution(promotion, "o1", 500), contribution(promotion, "o2", 300)
    again = msgspec.structs.replace(first, settled=450, promised=450, span="another", version_no=1)
    for each in ([first, second], [first], [again]):
        await db.write(WORKER, "test", store.save_contributions, role, each)
    window = (PARTY, promotion.promotion_id, "2018-09-04")
    async with db.read(WORKER) as tx:
        inside = await store.contributions_in(tx, role, window)
        keys = [(PARTY, promotion.promotion_id, event) for event in ("o1", "o2", "o3")]
        known = await store.contributions_of(tx, role, keys)
    assert [(one.event_id, one.promised, one.settled) for one in inside] == [("o1", 450, 450), ("o2", 300, 0)]
    assert set(known) == set(keys[:2])
    assert known[keys[1]] == second


@pytest.mark.parametrize("role", ROLES)
async def test_progress_is_where_a_party_stands_now(db: Database, promotion: Promotion, role: Role) -> None:
    plain = Progress(party_id=PARTY, promotion_id=promotion.promotion_id, span="a", starts_at=NOW, ends_at=NOW + DAY)
    before = [plain, msgspec.structs.replace(plain, span="b", pending_minor=30)]
    await db.write(WORKER, "test", store.save_progress, role, before)
    later = msgspec.structs.replace(plain, promised=9, settled=8, reached=8, granted_minor=70, award_minor=80, grants=2)
    await db.write(WORKER, "test", store.save_progress, role, [later])
    async with db.read(WORKER) as tx:
        windows = [(PARTY, promotion.promotion_id, span) for span in ("a", "b", "c")]
        assert await store.progress_of(tx, role, windows) == {windows[0]: later, windows[1]: before[1]}
        whose = PARTY, promotion.promotion_id
        assert await store.used(tx, role, [*windows, (8, *windows[0][1:])]) == {whose: Used(grants=2, minor=100)}


@pytest.mark.parametrize("role", ROLES)
async def test_grants_are_numbered_and_move_one_way(db: Database, promotion: Promotion, role: Role) -> None:
    back = grant(promotion, 2, amount_minor=-40, funder_minor=(-27, -13), state=GrantState.AVAILABLE)
    await db.write(WORKER, "test", store.add_grants, role, [grant(promotion), back])
    with pytest.raises(Conflict, match="meanwhile"):
        await db.write(WORKER, "test", store.add_grants, role, [grant(promotion, grant_id=999)])

    async def to(then: GrantState, *ids: int) -> list[int]:
        moved = await db.write(WORKER, "test", store.move_grants, role, [(PARTY, each) for each in ids], then)
        return sorted(one.grant_id for one in moved)

    async def vested(by: timedelta) -> int:
        async with db.read(WORKER) as tx:
            found = await store.open_grants(
                tx, role, promotion.promotion_id, GrantState.PENDING, vested_by=NOW + by, limit=9
            )
        return len(found)

    assert (await vested(DAY / 2), await vested(DAY)) == (0, 1)
    assert await to(GrantState.PAID, 101, 102) == [102]
    assert await to(GrantState.AVAILABLE, 101, 102) == [101]
    assert await to(GrantState.AVAILABLE, 101) == []
    assert await to(GrantState.VOID, 101, 102) == [101]
    assert await to(GrantState.PAID, 101) == []
    async with db.read(WORKER) as tx:
        assert await store.granted_minor(tx, promotion.promotion_id) == {"paid": -40, "void": 100}


async def test_shares_that_do_not_come_to_the_amount_are_no_grant(promotion: Promotion) -> None:
    with pytest.raises(AssertionError):
        grant(promotion, funder_minor=(67, 34))
    with pytest.raises(AssertionError):
        grant(promotion, line_nos=(1,), line_minor=(99,))


async def test_parties_are_held_one_after_the_other(db: Database) -> None:
    """In the order of their ids, whatever order they are named in: nobody locks anybody out."""
    inside, most, runs = 0, 0, 0

    async def work(tx: Tx, ids: list[int]) -> None:
        nonlocal inside, most, runs
        await store.hold_parties(tx, "buyer", ids)
        inside, runs = inside + 1, runs + 1
        most = max(most, inside)
        await tx.scalar("SELECT 1")
        inside -= 1

    await asyncio.gather(*(db.write(WORKER, "test", work, [1, 2] if n % 2 else [2, 1]) for n in range(12)))
    assert (most, runs) == (1, 12)


def voucher(of: Promotion, number: int = 1) -> Voucher:
    return Voucher(
        party_id=PARTY,
        voucher_id=number,
        promotion_id=of.promotion_id,
        grant_id=number,
        code=f"SAVE-{number}",
        currency="EUR",
        amount_minor=1_000,
        minimum_minor=0,
        issued_at=NOW,
        expires_at=NOW + DAY,
    )


@pytest.mark.parametrize("role", ROLES)
async def test_a_voucher_is_used_once_and_comes_back_with_its_order(
    db: Database, promotion: Promotion, role: Role
) -> None:
    await db.write(WORKER, "test", vouchers.issue, role, [voucher(promotion), voucher(promotion, 2)])
    with pytest.raises(Conflict, match="is taken"):
        await db.write(WORKER, "test", vouchers.issue, role, [voucher(promotion)])
    async with db.read(WORKER) as tx:
        holder = await vouchers.holder_of(tx, "SAVE-2")
        assert holder
        assert (holder.role, holder.party_id, holder.voucher_id) == (role, PARTY, 2)
        assert await vouchers.holder_of(tx, "SAVE-9") is None
    raced = await asyncio.gather(
        *(db.write(WORKER, "test", vouchers.use, role, PARTY, 1, f"o{n}") for n in range(6)), return_exceptions=True
    )
    [won] = [one for one in raced if isinstance(one, Voucher)]
    assert all(isinstance(one, Conflict) for one in raced if one is not won)
    assert won.used_for
    assert not await db.write(WORKER, "test", vouchers.give_back, role, PARTY, 1, "another order")
    assert await db.write(WORKER, "test", vouchers.give_back, role, PARTY, 1, won.used_for)
    assert (await db.write(WORKER, "test", vouchers.use, role, PARTY, 1, "o9")).state == "used"
    async with db.read(WORKER) as tx:
        assert [one.voucher_id for one in await vouchers.expired(tx, role, NOW + DAY, 9)] == [2]
        assert len(await vouchers.vouchers_of(tx, role, PARTY, limit=9)) == 2
    assert await db.write(WORKER, "test", vouchers.end, role, PARTY, 2, "expired")
    assert not await db.write(WORKER, "test", vouchers.end, role, PARTY, 1, "void")
    with pytest.raises(Conflict):
        await db.write(WORKER, "test", vouchers.use, role, PARTY, 2, "o3")
