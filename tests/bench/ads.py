"""How fast clicks are taken in by eight writers while they are rated, and that nobody is charged beyond a limit."""

import asyncio
import os
import time
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
from sqlalchemy import insert

from billing.ads import store
from billing.ads.events import LINES_MAX, read_lines
from billing.ads.tables import ad_account, ad_budget, ad_campaign, ad_placement
from billing.ads.tokens import Ticket, sign
from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.ads.rate_ads import rate_due
from marketplace.flows.ads.take_ad_events import take_events
from tests.bench.scratch import ACTOR, Stopwatch, ask_owner, at_least, at_most, main, note, scratch_database
from tests.bench.serving import cpu_s, postmaster_of, served, storefront_key
from tests.builders import add_market

PLACEMENT, HOURS = 1, 6
PRICE = 10
PREPAID = 76_000
DAILY = 19_500
"""Of each merchant, and of each campaign: less than the 80,000 and 20,000 that are clicked, so both are reached."""


async def measure(
    events: int, merchants: int, campaigns: int, batch: int, writers: int, processes: int, raters: int
) -> dict[str, Any]:
    """Clicks spread over six hours and all campaigns, in batches of NDJSON that are read, believed and stored.

    processes: of a server that takes them over HTTP from `writers` clients; 0: this process is reader and writer.
    """
    if not 0 < batch <= LINES_MAX:
        raise SystemExit(f"--batch: 1 to {LINES_MAX}")
    async with scratch_database() as db:
        now = db.clock.now()
        await db.write(WORKER, ACTOR, _market, merchants, campaigns)
        key = await db.write(WORKER, ACTOR, storefront_key)
        async with db.read(WORKER) as tx:
            keys = await store.read_keys(tx)
        bodies = _bodies(events, merchants, campaigns, batch, keys[1], now)
        note(f"{events} clicks of {merchants * campaigns} campaigns in {len(bodies)} batches are ready")
        stop = asyncio.Event()
        with served(db, processes) if processes else nullcontext(("", 0)) as (base, server):
            at_work = {"database": postmaster_of(str(await ask_owner(db, "SHOW data_directory"))), "server": server}
            at_work = {name: pid for name, pid in at_work.items() if pid}
            before = _cpu_s(at_work)
            watch = Stopwatch()
            rating = [asyncio.create_task(_rate(db, stop, now)) for _ in range(raters)]
            parts = [bodies[n::writers] for n in range(writers)]
            await asyncio.gather(*(_send(base, key, part) if base else _write(db, part, keys) for part in parts))
            taken_s = watch.seconds
            stop.set()
            passes = sum(await asyncio.gather(*rating))
            await rate_due(db, ACTOR, now)
            whole_s = watch.seconds
            note(f"taken in {taken_s} s, rated after {whole_s} s")
            cpu = {name: round(used - before[name], 2) for name, used in _cpu_s(at_work).items()}
        counted = await ask_owner(db, "SELECT sum(clicks) FROM billing.ad_bucket")
        billed = await ask_owner(db, "SELECT sum(billed_minor) FROM billing.ad_bucket")
        unbilled = await ask_owner(db, "SELECT sum(unbilled_minor) FROM billing.ad_bucket")
        left = await ask_owner(db, "SELECT sum(paid_minor) FROM billing.ad_account")
        over = await ask_owner(db, _OVER_BUDGET)
        entries = await ask_owner(db, "SELECT count(*) FROM billing.entry WHERE kind = 'ad_spent'")
    if counted != events or left + billed != merchants * PREPAID:
        raise SystemExit(f"{counted} clicks were counted, {billed} billed, {left} left: that does not add up")
    return {
        "clicks": events,
        "campaigns": merchants * campaigns,
        "batch": batch,
        "writers": writers,
        "processes": processes,
        "raters": raters,
        "taken": {"seconds": taken_s, "clicks_per_second": round(events / taken_s)},
        "taken_and_rated": {"seconds": whole_s, "clicks_per_second": round(events / whole_s)},
        "cpu_seconds": cpu,
        "rating_passes_meanwhile": passes,
        "billed_minor": int(billed),
        "unbilled_minor": int(unbilled),
        "entries": entries,
        "bars": {
            "clicks_per_second_taken_and_rated": at_least(events / whole_s, 20_000),
            "clicks_per_second_by_cpu": at_least(events * (os.cpu_count() or 1) / sum(cpu.values()), 20_000),
            "campaign_days_over_budget": at_most(over, 0),
        },
    }


def _cpu_s(at_work: dict[str, int]) -> dict[str, float]:
    """What has been computed so far, by whom; this process makes the load and rates, or does it all."""
    return {name: cpu_s(pid) for name, pid in at_work.items()} | {"this": time.process_time()}


async def _send(base: str, key: str, bodies: list[bytes]) -> None:
    """One of the shop's clients: batch after batch over a connection of its own."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as client:
        for body in bodies:
            answer = await client.post("/api/v1/ads/events", content=body)
            if not answer.is_success:
                raise SystemExit(f"a batch was answered with {answer.status_code}: {answer.text[:400]}")


_OVER_BUDGET = f"""
SELECT count(*) FROM (SELECT campaign_id, on_day FROM billing.ad_bucket GROUP BY 1, 2
                      HAVING sum(billed_minor) > {DAILY}) AS day
"""


async def _market(tx: Tx, merchants: int, campaigns: int) -> None:
    """Campaigns that are active, with prepaid balances that nobody booked: this is not about top-ups."""
    ids = list(range(1, merchants + 1))
    await add_market(tx, ids)
    await store.add_first_key(tx)
    place = {"placement_id": PLACEMENT, "name": "search", "pricing": "click", "currency": "EUR", "positions": 3}
    place |= {"reserve_minor": 1, "slot_minutes": 0, "slot_price_minor": 0, "open": True}
    await tx.execute(insert(ad_placement), place)
    await tx.execute(insert(ad_account), [{"merchant_id": m, "currency": "EUR", "paid_minor": PREPAID} for m in ids])
    plain = {"placement_id": PLACEMENT, "pricing": "click", "currency": "EUR", "bid_minor": PRICE, "zone": "UTC"}
    plain |= {"name": "lamps", "product_id": 1, "pacing": "even", "starts_at": tx.now, "state": "active"}
    keys = [{"merchant_id": m, "campaign_id": m * 1_000 + c} for m in ids for c in range(campaigns)]
    await tx.execute(insert(ad_campaign), [{**key, **plain} for key in keys])
    first = tx.now.date() - timedelta(days=2)
    await tx.execute(insert(ad_budget), [{**key, "from_on": first, "daily_minor": DAILY} for key in keys])


def _bodies(events: int, merchants: int, campaigns: int, batch: int, key: bytes, now: datetime) -> list[bytes]:
    start = now - timedelta(hours=HOURS)
    tokens = [
        sign(Ticket(1, m, m * 1_000 + c, PLACEMENT, 1, 0, PRICE * 1_000, int(start.timestamp())), key)
        for m in range(1, merchants + 1)
        for c in range(campaigns)
    ]
    encoder = msgspec.json.Encoder()
    step = timedelta(hours=HOURS) / events
    lines = [
        encoder.encode(
            {
                "id": f"{number * 2_654_435_761 % 2**32:08x}-{number:08x}",  # as scattered as random ids
                "kind": "click",
                "token": tokens[number * 7_919 % len(tokens)],
                "viewer": f"viewer {number * 104_729 % 500_009}",
                "at": start + number * step,
            }
        )
        for number in range(events)
    ]
    return [b"\n".join(lines[at : at + batch]) for at in range(0, events, batch)]


async def _write(db: Database, bodies: list[bytes], keys: dict[int, bytes]) -> None:
    for body in bodies:
        await db.write(WORKER, ACTOR, take_events, read_lines(body, keys, db.clock.now()))


async def _rate(db: Database, stop: asyncio.Event, upto: datetime) -> int:
    """Rate again and again, with pauses of two seconds; returns how often."""
    passes = 0
    while not stop.is_set():
        await rate_due(db, ACTOR, upto)
        passes += 1
        try:
            await asyncio.wait_for(stop.wait(), 2)
        except TimeoutError:
            continue
    return passes


if __name__ == "__main__":
    main(measure, events=400_000, merchants=50, campaigns=4, batch=4_000, writers=8, processes=0, raters=1)
