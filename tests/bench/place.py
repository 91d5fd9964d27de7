"""How many orders are placed over HTTP, against pgbench's TPC-B on the same server: needs `wrk` on the path.

The whole way is measured: sign-in by API key, limits, idempotency, price check, stock, answer; no stock is short and no
promotion applies. Carts are what buyers buy: of 1,000 orders of the Olist data 968 hold one listing, 28 two, 3 three,
and 12 are of two merchants. Beside them larger ones: two listings each, of two merchants in every third.
"""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import make_url

from demand.carts.model import CartLine, Listing, price
from marketplace.core.db import WORKER, Database
from marketplace.core.pgembed import TOOLS
from tests.bench.scratch import as_maintenance, as_owner, ask_owner, at_least, at_most, main, note, scratch_database
from tests.bench.serving import cpu_s, postmaster_of, served, storefront_key

RATIO_BAR = 0.2
P99_BAR_MS = 50.0
CONNECTIONS = 16
MERCHANTS, LISTINGS_PER_MERCHANT, BUYERS = 1_000, 20, 10_000
_PRICE, _FREIGHT = 1_999, 300
_LUA = Path(__file__).with_suffix(".lua")

_MARKET = (
    "INSERT INTO billing.entity VALUES (1, 'Bench', 'EUR', 'Europe/Paris', -1, NULL)",
    "INSERT INTO billing.processor VALUES (1, 'simulator')",
    f"""INSERT INTO supply.merchant (merchant_id, merchant_ref, name, entity_id, created_at)
        SELECT m, 'm' || m, 'M', 1, now() FROM generate_series(1, {MERCHANTS}) AS m""",
    f"""INSERT INTO supply.offer (merchant_id, product_id, currency, price_minor, freight_minor, title, updated_at,
           counted)
        SELECT m, p, 'EUR', {_PRICE}, {_FREIGHT}, 'Something', now(), true
        FROM generate_series(1, {MERCHANTS}) AS m, generate_series(1, {LISTINGS_PER_MERCHANT}) AS p""",
    """INSERT INTO supply.stock (merchant_id, product_id, on_hand)
        SELECT merchant_id, product_id, 1000000 FROM supply.offer""",
    """INSERT INTO billing.contract (contract_id, name, currency, valid_from, negotiated, base, rate_ppm, fixed_minor,
           vat_ppm, applied_at, applied_by) VALUES (1, 'plan', 'EUR', '2000-01-01', false, 'goods', 100000, 0, 200000,
           now(), 'bench')""",
    f"""INSERT INTO demand.buyer (buyer_id, buyer_ref, created_at)
        SELECT b, 'b' || b, now() FROM generate_series(1, {BUYERS}) AS b""",
    "ANALYZE",
)


Held = tuple[tuple[int, int, int], ...]
"""The lines of a cart: merchant, product, quantity."""


def as_sold(cart: int) -> Held:
    """Spread by multiplying with primes."""
    draw, merchant, product = cart * 617 % 1_000, cart * 7919 % MERCHANTS, cart * 31 % LISTINGS_PER_MERCHANT
    listings = 1 + (draw >= 968) + (draw >= 996) + (draw >= 999)
    another = 1 if 968 <= draw < 980 else 0
    return tuple(
        ((merchant + another * n) % MERCHANTS + 1, (product + n) % LISTINGS_PER_MERCHANT + 1, 1)
        for n in range(listings)
    )


def larger(cart: int) -> Held:
    """Two listings, of neighbours in every third."""
    merchant, product = cart * 7919 % MERCHANTS, cart * 31 % (LISTINGS_PER_MERCHANT - 1) + 1
    return (merchant + 1, product, 1), ((merchant + (cart % 3 == 0)) % MERCHANTS + 1, product + 1, 2)


CARTS = {"as_sold": as_sold, "larger": larger}


async def measure(seconds: int, rounds: int, scale: int, carts: int, processes: int) -> dict[str, Any]:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on the path; it is the load that this measurement is made with")
    async with scratch_database() as db:
        await as_maintenance(db, "CREATE DATABASE tpcb TEMPLATE template0")
        address = make_url(db.url)
        tpcb = Tpcb(str(address.query["host"]), scale)
        await as_owner(db, *_MARKET)
        with tempfile.TemporaryDirectory(prefix="carts-") as folder:
            files = {name: Path(folder) / name for name in CARTS}
            for number, (name, held) in enumerate(CARTS.items()):
                await _fill_carts(db, range(number * carts + 1, (number + 1) * carts + 1), held, files[name])
            await as_owner(db, "VACUUM ANALYZE demand.cart", "VACUUM ANALYZE demand.cart_line")
            key = await db.write(WORKER, "bench", storefront_key)
            postmaster = postmaster_of(await ask_owner(db, "SHOW data_directory"))
            with served(db, processes) as (base, server):
                loads = {name: Load(base, key, file, [server, postmaster]) for name, file in files.items()}
                for load in loads.values():
                    load.run(3)  # warms caches, pools and statements
                await as_owner(db, "ANALYZE")  # plans made for empty tables scan them
                compared: list[float] = []
                placed: dict[str, list[dict[str, Any]]] = {name: [] for name in loads}
                for number in range(rounds):
                    compared.append(tpcb.run(seconds))
                    note(f"round {number + 1}: TPC-B {compared[-1]:.0f}/s")
                    for name, load in loads.items():
                        placed[name].append(load.run(seconds))
                        note(f"round {number + 1}: {name} {placed[name][-1]}")
                rate = statistics.median(each["per_s"] for each in placed["as_sold"])
                half = loads["as_sold"].run(seconds, per_s=rate / 2)
                note(f"half the load: {half}")
            await _check(db, list(loads.values()))
    ratios = {
        name: statistics.median(one["per_s"] / other for one, other in zip(runs, compared, strict=True))
        for name, runs in placed.items()
    }
    return {
        "placed_per_s": {name: [round(each["per_s"]) for each in runs] for name, runs in placed.items()},
        "tpcb_per_s": [round(each) for each in compared],
        "p99_ms_at_full_load": round(statistics.median(each["p99_ms"] for each in placed["as_sold"]), 1),
        "half_load_per_s": round(half["per_s"]),
        "cpu_ms_of_server_and_database": {name: [each["cpu_ms"] for each in runs] for name, runs in placed.items()},
        "processes": processes,
        "beside_the_bar": {"larger carts over TPC-B": round(ratios["larger"], 3)},
        "bars": {
            "placements over TPC-B": at_least(ratios["as_sold"], RATIO_BAR),
            "p99 at half the load, ms": at_most(half["p99_ms"], P99_BAR_MS),
        },
    }


class Tpcb:
    """pgbench's own transaction over prepared statements, on a database of the same server."""

    def __init__(self, host: str, scale: int) -> None:
        self._to = ["-h", host, "-U", "postgres", "tpcb"]
        subprocess.run(
            [str(TOOLS / "pgbench"), "-i", "-q", "-s", str(scale), *self._to], check=True, capture_output=True
        )

    def run(self, seconds: int) -> float:
        """Transactions per second."""
        options = ["-M", "prepared", "-c", str(CONNECTIONS), "-j", "2", "-T", str(seconds)]
        command = [str(TOOLS / "pgbench"), *options, *self._to]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.search(r"^tps = ([\d.]+) \(without", said, re.MULTILINE)
        if found is None:
            raise SystemExit(f"pgbench said no tps: {said}")
        return float(found[1])


class Load:
    """wrk, placing cart after cart; never the same twice."""

    def __init__(self, base: str, key: str, carts: Path, computing: Sequence[int]) -> None:
        self._base, self._key, self._carts, self._computing = base, key, carts, computing
        self.sent = 0
        self.latency_ms = 0.0

    def run(self, seconds: int, *, per_s: float | None = None) -> dict[str, Any]:
        """Placed per second, latencies, and what each of the programs has computed for one; per_s: at about that rate,
        each connection pausing between its requests."""
        env = {**os.environ, "CARTS": str(self._carts), "KEY": self._key, "FIRST": str(self.sent + 1)}
        if per_s is not None:
            env["DELAY_MS"] = str(max(1, round(1000 * CONNECTIONS / per_s - self.latency_ms / 3)))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_LUA), self._base]
        before = [cpu_s(pid) for pid in self._computing]
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
        computed = [cpu_s(pid) - least for pid, least in zip(self._computing, before, strict=True)]
        _, _, result = said.partition("RESULT ")
        found = msgspec.json.decode(result.strip() or "{}")
        if found.get("refused") or found.get("errors") or not found.get("requests"):
            raise SystemExit(f"not every request was answered with an order: {said}")
        self.sent += found["requests"] + CONNECTIONS  # those under way at the end may have been placed, too
        self.latency_ms = found["p50_us"] / 1000
        return {
            "per_s": found["requests"] / found["duration_us"] * 1_000_000,
            "p50_ms": self.latency_ms,
            "p99_ms": found["p99_us"] / 1000,
            "cpu_ms": [round(1000 * each / found["requests"], 3) for each in computed],
        }


async def _fill_carts(db: Database, carts: range, held: Callable[[int], Held], file: Path) -> None:
    """Open carts, and the file that names each with its quote."""
    quotes: dict[Held, str] = {}
    with file.open("w") as named:
        for first in range(carts.start, carts.stop, 10_000):
            some = carts[first - carts.start :][:10_000]
            rows = [(cart % BUYERS + 1, cart, held(cart)) for cart in some]
            await open_carts(db, rows)
            for buyer, cart, lines in rows:
                if lines not in quotes:
                    quotes[lines] = _quote(lines)
                named.write(f"{buyer} {cart} {quotes[lines]}\n")


async def open_carts(db: Database, rows: Sequence[tuple[int, int, Held]]) -> None:
    """Open carts: of a buyer, under an id, with lines."""
    now = datetime.now(UTC)
    opened = [(buyer, cart, "EUR", now, now) for buyer, cart, _ in rows]
    lines = [(buyer, cart, *line) for buyer, cart, held in rows for line in held]
    async with db.engine.connect() as connection:  # as the owner: who is under row policies copies nothing in
        raw: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
        for table, columns, records in (
            ("cart", ("buyer_id", "cart_id", "currency", "created_at", "updated_at"), opened),
            ("cart_line", ("buyer_id", "cart_id", "merchant_id", "product_id", "quantity"), lines),
        ):
            await raw.copy_records_to_table(table, schema_name="demand", columns=columns, records=records)


def _quote(held: Held) -> str:
    lines = [CartLine(merchant_id=m, product_id=p, quantity=q) for m, p, q in held]
    offers = [
        Listing(
            merchant_id=m,
            product_id=p,
            currency="EUR",
            price_minor=_PRICE,
            freight_minor=_FREIGHT,
            sold=True,
            entity_id=1,
        )
        for m, p, _ in held
    ]
    return price("EUR", lines, offers).quote


async def _check(db: Database, loads: Sequence[Load]) -> None:
    """What was placed is what is stored: as many purchases, and every reserved unit one of an order."""
    sent = sum(load.sent for load in loads)
    purchases = await ask_owner(db, "SELECT count(*) FROM demand.purchase")
    reserved = await ask_owner(db, "SELECT sum(reserved) FROM supply.stock")
    ordered = await ask_owner(db, "SELECT sum(quantity) FROM demand.order_line")
    if not sent - 8 * CONNECTIONS * len(loads) <= purchases <= sent or reserved != ordered:
        raise SystemExit(f"{sent} requests, {purchases} purchases, {reserved} units reserved of {ordered} ordered")


if __name__ == "__main__":
    main(measure, seconds=15, rounds=3, scale=50, carts=100_000, processes=1)
