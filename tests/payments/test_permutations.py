"""Events of a history in any order, any of them twice: the same rows in the end as in the order of what happened."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.payments.facts import PaymentState
from billing.payments.sharing import Claim, share_capture
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.flows.payments.apply_payment_events import apply_events, receive_event
from marketplace.processors.wire import Event, PaymentData, RefundData
from tests.billing.market import check_books
from tests.builders import PROCESSOR
from tests.conftest import NOW, fresh_database
from tests.payments.market import MERCHANTS, A, Part, Placed, add_credit, add_merchants, cancel, place

M1, M2, M3 = MERCHANTS
PARTS = [
    A,
    Part(merchant_id=M2, card_minor=3001, credit_minor=500),
    Part(merchant_id=M3, card_minor=0, credit_minor=70),
]

COMPARED = {
    "payment": "state, captured_minor, captured_at, authorised_at, failure, processor_ref FROM billing.payment",
    "part": "merchant_id, state, captured_minor FROM billing.payment_part ORDER BY 1",
    "order": "merchant_id, state, version FROM demand.merchant_order ORDER BY 1",
    "entry": "merchant_id, kind, accounts, amounts, occurred_at FROM billing.entry ORDER BY 1, kind",
    "credit": "balance_minor, reserved_minor FROM billing.credit_account",
    "movement": "kind, amount_minor FROM billing.credit_movement ORDER BY 1",
    # A capture is asked for when an authorisation is news, which it is not once the money is there.
    "command": "kind, amount_minor, state FROM billing.payment_command WHERE kind <> 'capture' ORDER BY kind, 2",
    "inbox": "event_ref, state FROM billing.inbox_event ORDER BY 1",
}


def payment_event(placed: Placed, state: PaymentState, minor: int, hour: int, failure: str | None = None) -> bytes:
    data = PaymentData(payment="pay_1", reference=placed.reference, amount_minor=minor, currency="EUR", failure=failure)
    return event(f"payment.{state}", data, hour)


def event(kind: str, data: Any, hour: int) -> bytes:
    happened = Event(type=kind, occurred_at=NOW + timedelta(hours=hour), data=msgspec.to_builtins(data))
    return msgspec.json.encode(happened)


async def history(tx: Tx, name: str) -> list[bytes]:
    """A purchase with its fate, and all that its processor has to say about it."""
    await add_merchants(tx)
    await add_credit(tx, 570)
    placed = await place(tx, PARTS)
    authorised = payment_event(placed, PaymentState.AUTHORISED, 15001, 1)
    if name == "paid":
        return [authorised, payment_event(placed, PaymentState.CAPTURED, 15001, 2)]
    if name == "capture failed":
        return [authorised, payment_event(placed, PaymentState.FAILED, 15001, 2, "capture failed")]
    await cancel(tx, placed, M1)
    if name == "voided":
        for merchant_id in (M2, M3):
            await cancel(tx, placed, merchant_id)
        return [authorised, payment_event(placed, PaymentState.VOIDED, 15001, 2)]
    reference = f"{M1}-{placed.payment_id}"
    back = RefundData(reference=reference, payment_reference=placed.reference, amount_minor=12000, currency="EUR")
    captured = payment_event(placed, PaymentState.CAPTURED, 15001, 2)
    return [authorised, captured, event("refund.succeeded", back, 3)]


async def outcome(db: Database, name: str, order: Sequence[int]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows after the history's events came in this order; a number beyond them stands for the same fact again."""
    events = await db.write(WORKER, "shop", history, name)
    for position, number in enumerate(order):
        fact = number % len(events)
        again = f"-again-{position}" if number >= len(events) else ""
        await db.write(WORKER, "processor", receive_event, PROCESSOR, f"evt-{fact}{again}", events[fact])
        await apply_events(db)
    await db.write(WORKER, "test", pauses_are_over)
    await apply_events(db)
    async with db.read(WORKER) as tx:
        rows = {what: [tuple(row) for row in await tx.rows(f"SELECT {query}")] for what, query in COMPARED.items()}
    assert {state for _, state in rows["inbox"]} == {"applied"}
    rows["inbox"] = []
    return rows


async def pauses_are_over(tx: Tx) -> None:
    await tx.execute("UPDATE billing.inbox_event SET not_before = NULL")


@pytest.mark.parametrize("name", ["paid", "capture failed", "voided", "paid back"])
async def test_any_order_any_number_of_times(maintenance_url: str, name: str) -> None:
    length = 3 if name == "paid back" else 2
    orders: list[tuple[int, ...]] = []

    @settings(max_examples=4, database=None)
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        repeats = data.draw(st.lists(st.integers(0, 2 * length - 1), max_size=3))
        orders.append(tuple(data.draw(st.permutations([*range(length), *repeats]))))

    collect()
    in_order = tuple(range(length))
    results = {}
    for order in dict.fromkeys([in_order, in_order[::-1], *orders]):
        async with fresh_database(maintenance_url, FixedClock(NOW)) as db:
            results[order] = await outcome(db, name, order)
            await check_books(db)
    for order, result in results.items():
        assert result == results[in_order], order


CLAIMS = st.lists(
    st.builds(Claim, amount_minor=st.integers(0, 10**6), waiting=st.booleans(), asked=st.booleans()), max_size=6
)


@given(claims=CLAIMS, share=st.integers(0, 1000))
def test_a_capture_is_divided_without_losing_a_cent(claims: list[Claim], share: int) -> None:
    total = sum(claim.amount_minor for claim in claims)
    captured = total * share // 1000
    shares = share_capture(captured, claims)
    assert sum(one.captured_minor for one in shares) == captured
    for claim, one in zip(claims, shares, strict=True):
        assert 0 <= one.captured_minor <= claim.amount_minor
        assert not one.paid or (claim.waiting and one.captured_minor == claim.amount_minor)
    if captured == total:
        assert [one.paid for one in shares] == [claim.waiting for claim in claims]
    with pytest.raises(Invalid):
        share_capture(total + 1, claims)


def test_what_is_left_came_for_what_was_asked() -> None:
    released = [Claim(amount_minor=10, waiting=False, asked=asked) for asked in (False, True, False)]
    assert [one.captured_minor for one in share_capture(13, released)] == [3, 10, 0]
