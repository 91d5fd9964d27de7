"""The Olist import's duration, and the peak memory of import, settlement and run when orders grow tenfold.

Every command is a process of its own, as a person would start it, in a home of its own. MARKETPLACE_DATA names the
folder that holds `olist`; without it the import is not timed on real data and its bar is left out.
"""

import asyncio
import csv
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from marketplace.core.pgembed import start_embedded
from marketplace.flows.imports.import_olist import (
    CATEGORIES,
    CUSTOMERS,
    ITEMS,
    ORDERS,
    PAYMENTS,
    PRODUCTS,
    SELLERS,
)
from marketplace.flows.imports.read_csv import Table
from tests.bench.scratch import Stopwatch, at_most, main, note

MERCHANTS, PRODUCTS_EACH, CATEGORY_COUNT = 300, 10, 20
_START = datetime(2018, 5, 1)  # noqa: DTZ001  # the files hold the market's local times
_CONTRACTS = """
[[contract]]
name = "tiers"
currency = "BRL"
valid_from = 2018-01-01
tiers = [{ from_minor = 0, rate_ppm = 150000 }, { from_minor = 1000000, rate_ppm = 120000 }]
vat_ppm = 50000
[[contract]]
name = "bounded"
currency = "BRL"
valid_from = 2018-01-01
categories = ["category_1", "category_2", "category_3"]
rate_ppm = 120000
fixed_minor = 50
min_minor = 100
max_minor = 5000
"""


async def measure(orders: int) -> dict[str, Any]:
    base = Path(tempfile.mkdtemp(prefix="marketplace-bench-"))
    try:
        answer: dict[str, Any] = {"bars": {}}
        if data := os.environ.get("MARKETPLACE_DATA"):
            imported = await command(base / "olist", "import", "olist", f"{data}/olist")
            answer["olist"] = imported
            answer["bars"]["olist_import_seconds"] = at_most(imported["seconds"], 10.0)
        small = await _job(base, orders)
        large = await _job(base, 10 * orders)
        answer["orders"] = {"small": orders, "large": 10 * orders}
        answer["small"], answer["large"] = small, large
        for step, before in small.items():
            growth = large[step]["peak_memory_kib"] / before["peak_memory_kib"]
            answer["bars"][f"memory_growth_of_{step}"] = at_most(growth, 1.15)
        return answer
    finally:
        shutil.rmtree(base)


async def _job(base: Path, orders: int) -> dict[str, Any]:
    """The whole job over a synthetic folder with that many orders, command by command."""
    folder, home = base / f"folder-{orders}", base / f"home-{orders}"
    folder.mkdir()
    write_folder(folder, orders)
    contracts = folder / "contracts.toml"
    contracts.write_text(_CONTRACTS)
    server = start_embedded(home)  # stays up between the commands, so that none of them waits for it
    try:
        return {
            "import": await command(home, "import", "olist", str(folder)),
            "apply": await command(home, "apply", str(contracts)),
            "settle": await command(home, "settle", "--through", "2018-05-31"),
            "run": await command(home, "billing", "run", "--period", "2018-05", "--finalise"),
        }
    finally:
        server.cleanup()


async def command(home: Path, *arguments: str) -> dict[str, Any]:
    """Run a command; its duration, and its peak memory in KiB as the kernel counted it."""
    watch = Stopwatch()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.measured",
        *arguments,
        "--json",
        env={**os.environ, "MARKETPLACE_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, errors = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{arguments}: {answer.decode()} {errors.decode()}")
    peak = int(errors.decode().rsplit("peak_memory_kib=", 1)[1])
    note(f"{' '.join(arguments[:2])}: {watch.seconds} s, {peak} KiB")
    return {"seconds": watch.seconds, "peak_memory_kib": peak, "answer": msgspec.json.decode(answer)}


def write_folder(folder: Path, orders: int) -> None:
    """The seven files with that many delivered orders of May 2018; merchants and products stay as many."""
    choice = random.Random(1)
    products = [f"product-{n:06d}" for n in range(MERCHANTS * PRODUCTS_EACH)]
    category = [f"category_{n}" for n in range(CATEGORY_COUNT)]
    _write(folder, CATEGORIES, ([name, name.replace("_", " ")] for name in category))
    _write(folder, PRODUCTS, ([name, category[n % CATEGORY_COUNT]] for n, name in enumerate(products)))
    _write(folder, SELLERS, ([f"seller-{n:06d}", "city", "ST"] for n in range(MERCHANTS)))
    _write(folder, CUSTOMERS, ([f"customer-{n:08d}", f"person-{n:08d}", "city", "ST"] for n in range(orders)))
    _write(folder, ORDERS, (_order(n, orders) for n in range(orders)))
    prices = [choice.randrange(500, 20_000) for _ in range(1000)]
    _write(folder, ITEMS, (row for n in range(orders) for row in _items(n, products, prices)))
    _write(folder, PAYMENTS, ([f"order-{n:08d}", "1", "card", "1", _text(_paid(n, prices))] for n in range(orders)))


def _order(n: int, orders: int) -> list[str]:
    bought = _START + timedelta(seconds=n * 20 * 86_400 // orders)
    delivered = bought + timedelta(days=5)
    return [f"order-{n:08d}", f"customer-{n:08d}", "delivered", str(bought), str(delivered), str(delivered)]


def _items(n: int, products: list[str], prices: list[int]) -> Iterator[list[str]]:
    seller = n * 7919 % MERCHANTS
    for line in range(1, _lines(n) + 1):
        product = products[seller * PRODUCTS_EACH + (n + line) % PRODUCTS_EACH]
        price = _text(prices[(n + line) % len(prices)])
        yield [f"order-{n:08d}", str(line), product, f"seller-{seller:06d}", price, "15.00"]


def _lines(n: int) -> int:
    return 2 if n % 9 == 0 else 1


def _paid(n: int, prices: list[int]) -> int:
    return sum(prices[(n + line) % len(prices)] + 1_500 for line in range(1, _lines(n) + 1))


def _text(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


def _write(folder: Path, table: Table, rows: Iterator[list[str]]) -> None:
    with (folder / table.file).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*table.columns, *table.others])
        writer.writerows([*row, *[""] * len(table.others)] for row in rows)


if __name__ == "__main__":
    main(measure, orders=10_000)
