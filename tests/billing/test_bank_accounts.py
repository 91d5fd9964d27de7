"""Where merchants are paid to: numbers that are checked, and changes that two people and three days stand before."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bank_accounts import store
from billing.bank_accounts.model import (
    COOL_DOWN,
    MOVES,
    AccountState,
    BankAccount,
    Scheme,
    check_move,
    checked_iban,
    checked_number,
    masked,
)
from billing.bank_accounts.store import ProposeAccount
from marketplace.core import policies
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Conflict, Forbidden, Invalid, NotFound
from marketplace.flows.payouts.pay_merchants import activate_bank_accounts
from tests.billing.accounts import CLERK, IBAN, OTHER_IBAN, OWNER, activated, cooling, propose, verify
from tests.builders import add_market

S = AccountState


@pytest.fixture
async def market(db: Database) -> Database:
    await db.write(WORKER, "test", add_market, [1, 2])
    return db


async def states(db: Database, merchant_id: int = 1) -> list[str]:
    """Of every account of a merchant, the oldest first."""
    async with db.read(WORKER) as tx:
        found = await store.list_accounts(tx, merchant_id, limit=50)
    return [account.state.value for account in reversed(found)]


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [IBAN, "FR1420041010050500013M02606", "nl91 abna 0417 1643 00", "NO9386011117947", "BR1800360305000010009795493C1"],
)
def test_an_iban_is_read_without_its_spaces(number: str) -> None:
    assert checked_iban(number) == number.replace(" ", "").upper()


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("DE89370400440532013001", "check digits"),
        ("DE8937040044053201300", "22 characters, not 21"),
        ("DE01370400440532013000", "check digits"),
        ("D189370400440532013000", "a country"),
        ("", "a country"),
        ("DE89-3704 0044 0532 0130 00 €", "a country"),
    ],
)
def test_what_is_no_iban_is_refused_with_the_reason(number: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        checked_iban(number)


@given(st.text("0123456789", min_size=18, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_a_digit_written_wrong_is_found(account: str, place: int, off: int) -> None:
    check = 98 - int(account + "131400") % 97  # D = 13, E = 14
    iban = f"DE{check:02d}{account}"
    assert checked_iban(iban) == iban
    wrong = account[:place] + str((int(account[place]) + off) % 10) + account[place + 1 :]
    with pytest.raises(Invalid, match="check digits"):
        checked_iban(f"DE{check:02d}{wrong}")


def test_other_numbers_are_plain_text_of_some_length() -> None:
    assert checked_number(Scheme.OTHER, "  0001 23-456  ") == "0001 23-456"
    for number in ("1234", "1" * 35, "12345\u00e9", ""):
        with pytest.raises(Invalid, match="5 to 34 plain characters"):
            checked_number(Scheme.OTHER, number)
    assert masked("DE89370400440532013000") == "…3000"


# --- the life of a change -------------------------------------------------------------------------------------------


def test_what_is_over_stays_over() -> None:
    assert {state for state in S if not MOVES[state]} == {S.REJECTED, S.REPLACED, S.CANCELLED}
    for now in S:
        for then in S:
            if then in MOVES[now]:
                check_move(now, then)
            else:
                with pytest.raises(Conflict, match=f"is {now}; it cannot become {then}"):
                    check_move(now, then)


async def test_a_change_is_verified_approved_and_cools_down_while_the_old_account_stays(
    market: Database, clock: FixedClock
) -> None:
    old = await activated(market, clock)
    new = await cooling(market, number=OTHER_IBAN)
    assert new.active_from == clock.now() + COOL_DOWN
    assert await states(market) == ["active", "cooling"]
    clock.move_to(clock.now() + COOL_DOWN - timedelta(seconds=1))
    assert await activate_bank_accounts(market, "worker") == 0
    clock.move_to(clock.now() + timedelta(seconds=1))
    assert await asyncio.gather(*(activate_bank_accounts(market, "worker") for _ in range(4))) in (
        [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1],
    )  # fmt: skip
    assert await states(market) == ["replaced", "active"]
    async with market.read(WORKER) as tx:
        events = await tx.rows(
            "SELECT payload ->> 'state' AS state FROM core.outbox WHERE topic = 'billing.bank_account_changed.v1'"
            " AND merchant_id = 1 AND payload ->> 'account_id' = :account ORDER BY event_id",
            account=str(new.account_id),
        )
    assert [event.state for event in events] == ["proposed", "verified", "cooling", "active"]
    assert old.account_id != new.account_id


async def test_there_is_one_change_at_a_time(market: Database) -> None:
    first = await propose(market)
    with pytest.raises(Conflict, match="another bank account in EUR is on its way"):
        await propose(market, number=OTHER_IBAN)
    await propose(market, merchant_id=2)
    await market.write(WORKER, OWNER, store.cancel, 1, first.account_id, "a typing error")
    await propose(market, number=OTHER_IBAN)
    assert await states(market) == ["cancelled", "proposed"]


async def test_three_wrong_codes_reject_the_account_however_many_transfers(market: Database) -> None:
    account = await propose(market)
    key = (1, account.account_id)
    with pytest.raises(Conflict, match="no transfer"):
        await market.write(WORKER, OWNER, store.verify_by_code, *key, "0000000000")
    for tries in (1, 2):
        order = await market.write(WORKER, CLERK, store.order_transfer, *key, lambda _: 42)
        assert (order.code, order.number) == ("0000000042", IBAN.replace(" ", ""))
        wrong = await market.write(WORKER, OWNER, store.verify_by_code, *key, "0000000041")
        assert (wrong.state, wrong.tries) == (S.PROPOSED, tries)
    third = await market.write(WORKER, OWNER, store.verify_by_code, *key, "0000000043")
    assert (third.state, third.reason) == (S.REJECTED, "3 wrong codes")
    with pytest.raises(Conflict, match="is rejected"):
        await market.write(WORKER, OWNER, store.verify_by_code, *key, "0000000042")


async def test_only_the_newest_code_counts_and_lots_differ(market: Database) -> None:
    account = await propose(market)
    key = (1, account.account_id)
    codes = [(await market.write(WORKER, CLERK, store.order_transfer, *key)).code for _ in range(2)]
    assert codes[0] != codes[1]
    assert {len(code) for code in codes} == {10}
    assert (await market.write(WORKER, OWNER, store.verify_by_code, *key, codes[0])).tries == 1
    verified = await market.write(WORKER, OWNER, store.verify_by_code, *key, codes[1])
    assert (verified.state, verified.method, verified.verified_by) == (S.VERIFIED, "micro_transfer", OWNER)


async def test_guesses_at_once_are_all_counted(market: Database) -> None:
    account = await propose(market)
    key = (1, account.account_id)
    await market.write(WORKER, CLERK, store.order_transfer, *key, lambda _: 42)
    guesses = [market.write(WORKER, OWNER, store.verify_by_code, *key, f"{n:010d}") for n in range(8)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert len([a for a in answers if isinstance(a, BankAccount)]) == 3
    assert await states(market) == ["rejected"]


async def test_nobody_approves_what_is_its_own(market: Database) -> None:
    await market.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    account = await verify(market, await propose(market))
    with pytest.raises(Forbidden, match="made by owner"):
        await market.write(WORKER, OWNER, store.approve, 1, account.account_id)
    other = await propose(market, merchant_id=2)
    with pytest.raises(Forbidden, match="made by owner"):
        await market.write(WORKER, OWNER, store.verify_by_document, 2, other.account_id, "seen")
    await market.write(WORKER, CLERK, store.verify_by_document, 2, other.account_id, "bank letter of May")
    with pytest.raises(Forbidden, match="made by clerk"):
        await market.write(WORKER, CLERK, store.approve, 2, other.account_id)
    await market.write(WORKER, "admin", policies.switch, "single_operator", on=True)
    await market.write(WORKER, CLERK, store.approve, 2, other.account_id)
    async with market.read(WORKER) as tx:
        marked = await tx.scalar(
            "SELECT count(*) FROM core.audit WHERE single_operator AND action LIKE 'bank account%'"
        )
    assert marked == 1


async def test_a_change_can_be_given_up_until_it_is_active_and_an_active_account_be_shut(
    market: Database, clock: FixedClock
) -> None:
    change = await cooling(market)
    with pytest.raises(Invalid, match="say why"):
        await market.write(WORKER, OWNER, store.cancel, 1, change.account_id, "  ")
    await market.write(WORKER, OWNER, store.cancel, 1, change.account_id, "that was not me")
    clock.move_to(clock.now() + COOL_DOWN)
    assert await activate_bank_accounts(market, "worker") == 0
    live = await activated(market, clock)
    with pytest.raises(Conflict, match="is active; it cannot become cancelled"):
        await market.write(WORKER, OWNER, store.cancel, 1, live.account_id, "too late")
    await market.write(WORKER, CLERK, store.reject, 1, live.account_id, "the holder is another")
    assert await states(market) == ["cancelled", "rejected"]
    with pytest.raises(NotFound):
        await market.write(WORKER, CLERK, store.reject, 2, live.account_id, "another merchant's")


async def test_the_whole_number_and_the_code_are_nowhere_but_in_the_account(market: Database) -> None:
    account = await cooling(market)
    async with market.read(WORKER) as tx:
        told: list[Any] = [row.payload for row in await tx.rows("SELECT payload FROM core.outbox")]
        told += [row.detail for row in await tx.rows("SELECT detail FROM core.audit")]
        stored = await tx.scalar("SELECT number FROM billing.bank_account")
    said = msgspec.json.encode([told, account]).decode()
    assert stored == IBAN.replace(" ", "")
    assert account.masked == "…3000"
    assert "…3000" in said
    assert stored not in said
    assert "9999999999" not in said
    assert "argon2" not in said


async def test_a_proposal_is_refused_for_what_is_no_number(market: Database) -> None:
    cmd = ProposeAccount(merchant_id=1, currency="EUR", holder="Shop", scheme=Scheme.IBAN, number="DE00")
    with pytest.raises(Invalid, match="number"):
        await market.write(WORKER, OWNER, store.propose, cmd)
    assert await states(market) == []
