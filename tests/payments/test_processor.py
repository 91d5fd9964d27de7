"""From the command to the books through the simulator, a process of its own, whatever is lost, doubled or killed."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing.payments import store as payments
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.payments.apply_payment_events import apply_events
from marketplace.flows.payments.send_payment_commands import send_commands
from marketplace.processors.client import HttpProcessor
from tests.billing.market import check_books
from tests.payments.market import (
    MERCHANTS,
    A,
    B,
    Placed,
    add_merchants,
    balances,
    booked,
    cancel,
    commands,
    place,
    row,
    states,
)
from tests.payments.processes import NAME, Simulator, killed, serving, simulator, until, working

M1, M2, _ = MERCHANTS


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One simulator for the module's tests; their payments have ids of their own."""
    with simulator(tmp_path_factory.mktemp("simulator") / "state.sqlite") as one:
        yield one


@pytest.fixture
async def sim(shared: Simulator, db: Database, tmp_path: Path) -> AsyncIterator[Simulator]:
    """The simulator, sending its events to a server over this test's database with a market in it."""
    await db.write(WORKER, "test", add_merchants)
    async with serving(db, tmp_path) as callback:
        shared.control("settings", callback=callback, hold=False)
        yield shared
        shared.control("settings", callback="", hold=False)


async def send(db: Database, one: Simulator) -> int:
    async with one.processor() as processor:
        return await send_commands(db, {NAME: processor})


async def paid_for(db: Database, sim: Simulator, placed: Placed) -> None:
    """Send commands, and apply events that were passed over, as a worker does until the payment has ended."""

    async def ended() -> bool:
        await send(db, sim)
        await apply_events(db)
        found = await row(db, "SELECT state FROM billing.payment WHERE payment_id = :p", p=placed.payment_id)
        return found.state in {"captured", "failed", "voided"}

    await until(ended)


async def test_placed_authorised_captured_paid(db: Database, sim: Simulator) -> None:
    placed = await db.write(WORKER, "shop", place, [A, B])
    await paid_for(db, sim, placed)
    assert await states(db, placed) == {M1: "paid", M2: "paid"}
    assert await commands(db, placed) == [("authorise", 15001, "sent"), ("capture", 15001, "sent")]
    assert await booked(db, M1) == [("order_paid", {1020: 12000, 2005: -12000})]
    await check_books(db)


@pytest.mark.parametrize(
    ("token", "failure"),
    [
        ("tok_decline", "card declined"),
        ("tok_insufficient", "insufficient funds"),
        ("tok_capture_fails", "capture failed"),
    ],
)
async def test_what_the_bank_refuses_waits_to_be_paid_otherwise(
    db: Database, sim: Simulator, token: str, failure: str
) -> None:
    placed = await db.write(WORKER, "shop", place, [A, B], token)
    await paid_for(db, sim, placed)
    assert await states(db, placed) == {M1: "placed", M2: "placed"}
    found = await row(db, "SELECT state, failure FROM billing.payment")
    assert tuple(found) == ("failed", failure)
    assert await booked(db, M1) == []


async def test_a_cancelled_part_is_not_captured(db: Database, sim: Simulator) -> None:
    placed = await db.write(WORKER, "shop", place, [A, B])
    await db.write(WORKER, "shop", cancel, placed, M1)
    await paid_for(db, sim, placed)
    assert await states(db, placed) == {M1: "cancelled", M2: "paid"}
    assert await commands(db, placed) == [("authorise", 15001, "sent"), ("capture", 3001, "sent")]
    assert sim.events(placed.payment_id)[-1]["body"]["data"]["amount_minor"] == 3001


async def test_a_payment_that_the_processor_does_not_take_on_has_failed(db: Database, sim: Simulator) -> None:
    placed = await db.write(WORKER, "shop", place, [A], "tok_nonsense")
    assert await send(db, sim) == 1
    found = await row(db, "SELECT state, failure FROM billing.payment WHERE payment_id = :p", p=placed.payment_id)
    assert found.state == "failed"
    assert found.failure.startswith("the processor refuses: 422 method: 'tok_nonsense' is none of tok_ok, ")
    assert await states(db, placed) == {M1: "placed"}
    assert await commands(db, placed) == [("authorise", 12000, "sent")]


async def test_a_secret_that_the_processor_does_not_know_is_for_a_person(db: Database, sim: Simulator) -> None:
    placed = await db.write(WORKER, "shop", place, [A])
    async with httpx.AsyncClient(base_url=sim.http.base_url, headers={"Authorization": "Bearer whsec_other"}) as client:
        assert await send_commands(db, {NAME: HttpProcessor(client)}) == 1
    assert await commands(db, placed) == [("authorise", 12000, "parked")]
    found = await row(db, "SELECT state FROM billing.payment WHERE payment_id = :p", p=placed.payment_id)
    assert found.state == "created"


@pytest.mark.parametrize("after", [False, True])
async def test_an_answer_that_is_lost_is_asked_for_again_and_has_one_effect(
    db: Database, sim: Simulator, *, after: bool
) -> None:
    placed = await db.write(WORKER, "shop", place, [A])
    sim.control("outage", requests=1, after=after)
    assert await send(db, sim) == 1
    found = await row(db, "SELECT state, attempts, error FROM billing.payment_command")
    assert (found.state, found.attempts) == ("todo", 1)
    assert "503" in found.error
    await db.write(WORKER, "test", lease_is_over)
    await paid_for(db, sim, placed)
    assert sim.told(placed.payment_id) == ["payment.authorised", "payment.captured"]


async def lease_is_over(tx: Tx) -> None:
    """As if the pause before the next attempt had passed."""
    await tx.execute("UPDATE billing.payment_command SET not_before = NULL")
    await tx.execute("UPDATE billing.inbox_event SET not_before = NULL")


async def test_a_command_is_parked_after_so_many_attempts_and_can_be_retried(
    db: Database, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "COMMAND_ATTEMPTS_MAX", 2)
    placed = await db.write(WORKER, "shop", place, [A])
    sim.control("outage", requests=2)
    for _ in range(2):
        await send(db, sim)
        await db.write(WORKER, "test", lease_is_over)
    [(kind, _, state)] = await commands(db, placed)
    assert (kind, state) == ("authorise", "parked")
    assert await send(db, sim) == 0
    async with db.read(WORKER) as tx:
        [parked] = await payments.list_commands(tx, state="parked", limit=5)
    await db.write(WORKER, "ops", payments.retry_command, parked.command_id)
    await paid_for(db, sim, placed)
    assert await states(db, placed) == {M1: "paid"}


async def test_events_twice_late_and_backwards_say_the_same(db: Database, sim: Simulator) -> None:
    sim.control("settings", hold=True)
    placed = await db.write(WORKER, "shop", place, [A, B])
    await send(db, sim)
    [authorised] = [event["event_no"] for event in sim.events(placed.payment_id)]
    assert await sim.deliver(authorised, authorised) == [202, 202]
    assert await send(db, sim) == 1  # the capture
    numbers = [event["event_no"] for event in sim.events(placed.payment_id)]
    assert await sim.deliver(*reversed(numbers), *numbers) == [202] * 4
    await until(lambda: is_paid(db))
    assert await states(db, placed) == {M1: "paid", M2: "paid"}
    assert (await row(db, "SELECT count(*) AS n FROM billing.inbox_event")).n == 2
    assert len(await booked(db, M1)) == 1


async def is_paid(db: Database) -> bool:
    return bool((await row(db, "SELECT state FROM billing.payment")).state == "captured")


async def test_money_for_a_cancelled_order_is_paid_back(db: Database, sim: Simulator) -> None:
    sim.control("settings", hold=True)
    placed = await db.write(WORKER, "shop", place, [A, B])
    await send(db, sim)
    sim.control("settings", hold=False)
    await until(lambda: wants_capture(db))
    await db.write(WORKER, "shop", cancel, placed, M1)
    await paid_for(db, sim, placed)
    await send(db, sim)
    await until(lambda: nothing_waits(db, sim, placed))
    assert await booked(db, M1) == [
        ("payment_unwanted", {1020: 12000, 2400: -12000}),
        ("unwanted_returned", {1020: -12000, 2400: 12000}),
    ]
    assert await balances(db, M1) == {}
    assert await states(db, placed) == {M1: "cancelled", M2: "paid"}
    await check_books(db)


async def wants_capture(db: Database) -> bool:
    return bool((await row(db, "SELECT count(*) AS n FROM billing.payment_command WHERE kind = 'capture'")).n)


async def nothing_waits(db: Database, sim: Simulator, placed: Placed) -> bool:
    """Whether every event of the payment has come and is applied."""
    found = await row(db, "SELECT count(*) FILTER (WHERE state = 'applied') AS n FROM billing.inbox_event")
    return bool(found.n == len(sim.events(placed.payment_id)))


async def test_a_refund_that_fails_is_parked_and_stays_owed(db: Database, sim: Simulator) -> None:
    placed = await db.write(WORKER, "shop", place, [A, B], "tok_refund_fails")
    await send(db, sim)
    await until(lambda: wants_capture(db))
    await db.write(WORKER, "shop", cancel, placed, M1)
    await paid_for(db, sim, placed)
    await send(db, sim)

    async def is_parked() -> bool:
        await send(db, sim)
        found = await row(db, "SELECT count(*) AS n FROM billing.payment_command WHERE state = 'parked'")
        return bool(found.n)

    await until(is_parked)
    assert (await balances(db, M1))[2400, 0] == -12000
    found = await row(db, "SELECT command_id, error FROM billing.payment_command WHERE state = 'parked'")
    assert "account closed" in found.error
    await db.write(WORKER, "ops", payments.retry_command, found.command_id)
    await send(db, sim)
    assert sim.told(placed.payment_id)[2:] == ["refund.failed", "refund.failed"]


async def test_a_dispute_at_the_processor_is_one_here(db: Database, sim: Simulator) -> None:
    placed = await db.write(WORKER, "shop", place, [A])
    await paid_for(db, sim, placed)
    dispute = sim.control("disputes", reference=placed.reference)["dispute"]
    sim.control(f"disputes/{dispute}/close", won=True)

    async def is_won() -> bool:
        await apply_events(db)
        found = await row(db, "SELECT count(*) AS n FROM demand.dispute WHERE state = 'won'")
        return bool(found.n == 1)

    await until(is_won)
    await check_books(db)


async def test_a_worker_killed_between_sending_and_noting_loses_and_doubles_nothing(
    db: Database, sim: Simulator, tmp_path: Path
) -> None:
    placed = await db.write(WORKER, "shop", place, [A, B])
    for point in ("payment.claimed", "payment.sent"):
        with working(db, sim, tmp_path, MARKETPLACE_CRASH_AT=point) as worker:
            assert await killed(worker), (tmp_path / "worker.log").read_text()
        assert (await commands(db, placed))[0] == ("authorise", 15001, "todo")
        await db.write(WORKER, "test", lease_is_over)
    with working(db, sim, tmp_path):
        await until(lambda: is_paid(db))
    assert await states(db, placed) == {M1: "paid", M2: "paid"}
    assert sim.told(placed.payment_id) == ["payment.authorised", "payment.captured"]
    await check_books(db)


async def test_a_simulator_that_is_killed_knows_everything_when_it_is_back(db: Database, tmp_path: Path) -> None:
    await db.write(WORKER, "test", add_merchants)
    state = tmp_path / "own.sqlite"
    async with serving(db, tmp_path) as callback:
        with simulator(state) as first:
            first.control("settings", hold=True)
            placed = await db.write(WORKER, "shop", place, [A])
            await send(db, first)
            again: dict[str, Any] = {"reference": placed.reference, "amount_minor": 12000, "currency": "EUR"}
            again |= {"method": "tok_ok"}
            key = {"Idempotency-Key": str((await row(db, "SELECT command_id FROM billing.payment_command")).command_id)}
            answer = first.http.post("/v1/payments", json=again, headers=key)
            first.kill()
        with simulator(state) as second:
            assert second.http.post("/v1/payments", json=again, headers=key).content == answer.content
            second.control("settings", callback=callback, hold=False)
            await paid_for(db, second, placed)
            told = second.told(placed.payment_id)
    assert told == ["payment.authorised", "payment.captured"]
    assert await states(db, placed) == {M1: "paid"}
