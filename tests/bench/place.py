"""How many orders are placed over HTTP, against pgbench's TPC-B on the same server: needs `wrk` on the path.

The whole way is measured: sign-in by API key, limits, idempotency, price check, stock, answer. Each cart holds two
listings, of one merchant or, every third, of two; no stock is short and no promotion applies.
"""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import make_url

from demand.carts.model import CartLine, Listing, price
from marketplace.core.db import WORKER, Database
from marketplace.core.pgembed import TOOLS
from tests.bench.scratch import as_maintenance, as_owner, ask_owner, at_least, at_most, main, note, scratch_database
from tests.bench.serving import served, storefront_key

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


async def measure(seconds: int, rounds: int, scale: int, carts: int, processes: int) -> dict[str, Any]:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on the path; it is the load that this measurement is made with")
    async with scratch_database() as db:
        await as_maintenance(db, "CREATE DATABASE tpcb TEMPLATE template0")
        address = make_url(db.url)
        tpcb = Tpcb(str(address.query["host"]), scale)
        await as_owner(db, *_MARKET)
        file = Path(tempfile.mkstemp(prefix="carts-")[1])
        try:
            await _fill_carts(db, carts, file)
            key = await db.write(WORKER, "bench", storefront_key)
            with served(db, processes) as (base, _):
                load = Load(base, key, file)
                load.run(3)  # warms caches, pools and statements
                await as_owner(db, "ANALYZE")  # plans made for empty tables scan them
                placed, compared = [], []
                for number in range(rounds):
                    compared.append(tpcb.run(seconds))
                    placed.append(load.run(seconds))
                    note(f"round {number + 1}: TPC-B {compared[-1]:.0f}/s, placed {placed[-1]}")
                rate = statistics.median(each["per_s"] for each in placed)
                half = load.run(seconds, per_s=rate / 2)
                note(f"half the load: {half}")
            await _check(db, load)
        finally:
            file.unlink()  # noqa: ASYNC240  # nothing else runs here
    ratio = statistics.median(one["per_s"] / other for one, other in zip(placed, compared, strict=True))
    return {
        "placed_per_s": [round(each["per_s"]) for each in placed],
        "tpcb_per_s": [round(each) for each in compared],
        "p99_ms_at_full_load": round(statistics.median(each["p99_ms"] for each in placed), 1),
        "half_load_per_s": round(half["per_s"]),
        "processes": processes,
        "bars": {
            "placements over TPC-B": at_least(ratio, RATIO_BAR),
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

    def __init__(self, base: str, key: str, carts: Path) -> None:
        self._base, self._key, self._carts = base, key, carts
        self.sent = 0
        self.latency_ms = 0.0

    def run(self, seconds: int, *, per_s: float | None = None) -> dict[str, Any]:
        """Placed per second and latencies; per_s: at about that rate, each connection pausing between its requests."""
        env = {**os.environ, "CARTS": str(self._carts), "KEY": self._key, "FIRST": str(self.sent + 1)}
        if per_s is not None:
            env["DELAY_MS"] = str(max(1, round(1000 * CONNECTIONS / per_s - self.latency_ms / 3)))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(_LUA), self._base]
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
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
        }


# Two listings in each cart: of one merchant, or of two neighbours in every third. Spread by multiplying with primes.
_CARTS = (
    """INSERT INTO demand.cart (buyer_id, cart_id, currency, created_at, updated_at)
       SELECT c % {buyers} + 1, c, 'EUR', now(), now() FROM generate_series(1, {carts}) AS c""",
    """INSERT INTO demand.cart_line (buyer_id, cart_id, merchant_id, product_id, quantity)
       SELECT c % {buyers} + 1, c, (c * 7919 + CASE WHEN c % 3 = 0 THEN second ELSE 0 END) % {merchants} + 1,
              c * 31 % {products} + 1 + second, 1 + second
       FROM generate_series(1, {carts}) AS c, generate_series(0, 1) AS second""",
    "VACUUM ANALYZE demand.cart",
    "VACUUM ANALYZE demand.cart_line",
)


async def _fill_carts(db: Database, carts: int, file: Path) -> None:
    """Open carts, and the file that names each with its quote."""
    sizes = {"buyers": BUYERS, "carts": carts, "merchants": MERCHANTS, "products": LISTINGS_PER_MERCHANT - 1}
    await as_owner(db, *(statement.format(**sizes) for statement in _CARTS))
    quotes: dict[tuple[tuple[int, int, int], ...], str] = {}
    with file.open("w") as named:
        for cart in range(1, carts + 1):
            product = cart * 31 % (LISTINGS_PER_MERCHANT - 1) + 1
            merchants = cart * 7919 % MERCHANTS + 1, (cart * 7919 + (cart % 3 == 0)) % MERCHANTS + 1
            held = (merchants[0], product, 1), (merchants[1], product + 1, 2)
            if held not in quotes:
                quotes[held] = _quote(held)
            named.write(f"{cart % BUYERS + 1} {cart} {quotes[held]}\n")


def _quote(held: tuple[tuple[int, int, int], ...]) -> str:
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


async def _check(db: Database, load: Load) -> None:
    """What was placed is what is stored: as many purchases, and every reserved unit one of an order."""
    purchases = await ask_owner(db, "SELECT count(*) FROM demand.purchase")
    reserved = await ask_owner(db, "SELECT sum(reserved) FROM supply.stock")
    ordered = await ask_owner(db, "SELECT sum(quantity) FROM demand.order_line")
    if not load.sent - 16 * 8 <= purchases <= load.sent or reserved != ordered:
        raise SystemExit(f"{load.sent} requests, {purchases} purchases, {reserved} units reserved of {ordered} ordered")


if __name__ == "__main__":
    main(measure, seconds=15, rounds=3, scale=50, carts=150_000, processes=1)
