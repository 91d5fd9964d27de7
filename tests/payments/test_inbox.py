"""The door that processors' events come in by: only signed ones, each once, and what cannot be applied is not lost."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from billing.payments.facts import PaymentState
from billing.payments.inbox import store as inbox
from marketplace.core.clock import FixedClock
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.signatures import new_secret, signed_headers
from marketplace.flows.payments.apply_payment_events import apply_events
from tests.http.conftest import api_key, make_client, running
from tests.http.market import send
from tests.payments.market import BUYER, MERCHANTS, A, Placed, add_merchants, cancel, place, row, states
from tests.payments.processes import NAME, SECRET
from tests.payments.test_permutations import pauses_are_over, payment_event

M1 = MERCHANTS[0]
PATH = f"/api/v1/payment-events/{NAME}"


class Shop:
    """The application with a processor's secret, an anonymous program, and one of ops."""

    def __init__(self, db: Database, nobody: httpx.AsyncClient, ops: httpx.AsyncClient) -> None:
        self.db, self.nobody, self.ops = db, nobody, ops

    async def deliver(self, body: bytes, *, event: str = "evt_1", key: str = SECRET, **headers: str) -> httpx.Response:
        signed = signed_headers(event, self.db.clock.now(), body, [key])
        return await self.nobody.post(PATH, content=body, headers=signed | headers)

    async def counts(self) -> dict[str, int]:
        async with self.db.read(WORKER) as tx:
            rows = await tx.rows("SELECT state, count(*) AS n FROM billing.inbox_event GROUP BY state")
        return {row.state: row.n for row in rows}


@pytest.fixture
async def shop(db: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    await db.write(WORKER, "test", add_merchants)
    async with running(db, tmp_path, processor=NAME, processor_secret=SECRET) as app:
        key = await api_key(db, "olga", ["growth"])
        async with make_client(app) as nobody, make_client(app, Authorization=f"Bearer {key}") as ops:
            yield Shop(db, nobody, ops)


async def test_an_event_is_stored_once_answered_the_same_and_applied(shop: Shop) -> None:
    placed = await shop.db.write(WORKER, "shop", place, [A])
    body = payment_event(placed, PaymentState.CAPTURED, 12000, 0)
    first, second = await shop.deliver(body), await shop.deliver(body)
    assert (first.status_code, first.content) == (second.status_code, second.content) == (202, b'{"event_ref":"evt_1"}')
    assert await states(shop.db, placed) == {M1: "paid"}
    assert await shop.counts() == {"applied": 1}
    stored = (await shop.ops.get("/api/v1/payment-events")).json()["items"]
    assert stored[0]["body"].encode() == body


async def test_who_is_not_the_processor_is_not_let_in(shop: Shop, clock: FixedClock) -> None:
    placed = await shop.db.write(WORKER, "shop", place, [A])
    body = payment_event(placed, PaymentState.CAPTURED, 12000, 0)
    now = clock.now()
    good = signed_headers("evt_1", now, body, [SECRET])
    refused = {
        "no headers at all": await shop.nobody.post(PATH, content=body),
        "another secret": await shop.deliver(body, key=new_secret()),
        "another body": await shop.nobody.post(PATH, content=body.replace(b"12000", b"11999"), headers=good),
        "another id": await shop.nobody.post(PATH, content=body, headers=good | {"webhook-id": "evt_2"}),
        "no version we know": await shop.deliver(body, **{"webhook-signature": "v2,abc"}),
        "half a signature": await shop.deliver(body, **{"webhook-signature": good["webhook-signature"][:20]}),
        "from the future": await shop.nobody.post(
            PATH, content=body, headers=signed_headers("evt_1", now + timedelta(minutes=6), body, [SECRET])
        ),
        "a timestamp that is none": await shop.deliver(body, **{"webhook-timestamp": "today"}),
    }
    clock.move_to(now + timedelta(minutes=6))
    refused["replayed too late"] = await shop.nobody.post(PATH, content=body, headers=good)
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 401)
    elsewhere = await shop.nobody.post("/api/v1/payment-events/other", content=body, headers=good)
    assert elsewhere.status_code == 404
    assert await shop.counts() == {}
    assert await states(shop.db, placed) == {M1: "placed"}


async def test_a_body_too_large_or_no_text_is_refused(shop: Shop) -> None:
    assert (await shop.deliver(b'"' + b"x" * 2**16 + b'"')).status_code == 413
    for body in (b"", b"\xff\xfe", b"{\0}"):
        assert (await shop.deliver(body)).status_code == 422, body
    assert await shop.counts() == {}


async def test_without_a_secret_nobody_is_let_in(db: Database, tmp_path: Path) -> None:
    async with running(db, tmp_path, processor=NAME) as app, make_client(app) as client:
        headers = signed_headers("evt_1", db.clock.now(), b"{}", [SECRET])
        assert (await client.post(PATH, content=b"{}", headers=headers)).status_code == 404


async def test_what_is_not_known_yet_waits_and_is_parked_where_people_see_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "ATTEMPTS_MAX", 2)
    unknown = Placed(buyer_id=BUYER, payment_id=77, orders={}, amount_minor=12000)
    assert (await shop.deliver(payment_event(unknown, PaymentState.CAPTURED, 12000, 0))).status_code == 202
    assert await shop.counts() == {"waiting": 1}
    assert await apply_events(shop.db) == 0  # it waits for its pause to be over
    await shop.db.write(WORKER, "test", pauses_are_over)
    assert await apply_events(shop.db) == 1
    [parked] = (await shop.ops.get("/api/v1/payment-events", params={"state": "parked"})).json()["items"]
    assert parked["error"] == f"NotFound: buyer {BUYER} has no payment 77"
    path = f"/payment-events/{parked['inbox_id']}/retry"
    assert (await send(shop.ops, path)).json()["state"] == "waiting"
    await shop.db.write(WORKER, "shop", late_placement, unknown)
    assert await apply_events(shop.db) == 1
    assert (await row(shop.db, "SELECT state FROM billing.payment")).state == "captured"
    assert (await send(shop.ops, path)).status_code == 409
    assert (await send(shop.ops, "/payment-events/1/retry")).status_code == 404


async def late_placement(tx: Tx, unknown: Placed) -> None:
    """The payment that the event spoke of is there after all."""
    placed = await place(tx, [A])
    for table in ("payment", "payment_part"):
        await tx.execute(
            f"UPDATE billing.{table} SET payment_id = :wanted WHERE payment_id = :made",
            {"wanted": unknown.payment_id, "made": placed.payment_id},
        )


NEW_KIND = b'{"type":"payout.paid","occurred_at":"2018-09-03T12:00:00Z","data":{}}'


@pytest.mark.parametrize("body", [b"[]", b"not json", b'{"type":"payment.captured"}', NEW_KIND])
async def test_what_nobody_understands_is_kept_too(shop: Shop, body: bytes) -> None:
    assert (await shop.deliver(body)).status_code == 202
    [stored] = (await shop.ops.get("/api/v1/payment-events")).json()["items"]
    assert (stored["state"], stored["body"]) == ("waiting", body.decode())
    assert stored["error"].startswith("Invalid: ")


async def test_payments_are_shown_with_parts_and_commands(shop: Shop) -> None:
    placed = await shop.db.write(WORKER, "shop", place, [A])
    other = await shop.db.write(WORKER, "shop", place, [A])
    await shop.db.write(WORKER, "shop", cancel, other, M1)
    shown = (await shop.ops.get(f"/api/v1/payments/{placed.payment_id}")).json()
    assert (shown["payment"]["state"], shown["payment"]["amount_minor"]) == ("created", 12000)
    assert [(part["merchant_id"], part["state"]) for part in shown["parts"]] == [(M1, "open")]
    assert [command["kind"] for command in shown["commands"]] == ["authorise"]
    assert (await shop.ops.get("/api/v1/payments/1")).status_code == 404

    async def listed(**params: Any) -> list[int]:
        return [one["payment_id"] for one in (await shop.ops.get("/api/v1/payments", params=params)).json()["items"]]

    assert await listed() == sorted([placed.payment_id, other.payment_id], reverse=True)
    assert await listed(state="voided") == [other.payment_id]
    assert await listed(purchase_id=shown["payment"]["purchase_id"]) == [placed.payment_id]
    pending = (await shop.ops.get("/api/v1/payment-commands", params={"state": "todo"})).json()["items"]
    assert sorted(one["kind"] for one in pending) == ["authorise", "authorise", "void"]
    assert (await send(shop.ops, f"/payment-commands/{pending[0]['command_id']}/retry")).status_code == 409
