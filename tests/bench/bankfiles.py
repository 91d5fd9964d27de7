"""How fast files of banks and processors are taken in, format by format, and in how much memory."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from billing.bank_files.model import Line
from marketplace.core.pgembed import start_embedded
from tests.bank_files import writers
from tests.bank_files.writers import DAY
from tests.bench.olist import command
from tests.bench.scratch import at_least, at_most, main

CURRENCY = "EUR"
FORMATS: dict[str, tuple[str, Callable[[Sequence[Line]], bytes]]] = {
    "camt": ("NTRF", lambda lines: writers.camt(lines, 0, CURRENCY)),
    "mt940": ("NTRF", lambda lines: writers.mt940(lines, 0, CURRENCY)),
    "bai2": ("142", lambda lines: writers.bai2(lines, 0, CURRENCY)),
    "stripe": ("charge", lambda lines: writers.stripe(lines, CURRENCY)),
    "adyen": ("Settled", lambda lines: writers.adyen(lines, CURRENCY)),
    "paypal": ("T0006", lambda lines: writers.paypal(lines, CURRENCY)),
    "alipay": ("在线支付", writers.alipay),
    "wechat": ("SUCCESS", writers.wechat),
}


async def measure(lines: int) -> dict[str, Any]:
    """Every format with `lines` lines and with a tenth of them, each import a process of its own."""
    base = Path(tempfile.mkdtemp(prefix="marketplace-bench-"))
    server = start_embedded(base / "home")
    try:
        formats = {name: await _format(base, name, lines) for name in FORMATS}
    finally:
        server.cleanup()
        shutil.rmtree(base)
    bars = {
        "slowest_lines_per_second": at_least(min(one["lines_per_second"] for one in formats.values()), 2_000),
        "most_memory_mib": at_most(max(one["peak_memory_mib"] for one in formats.values()), 200),
        "memory_growth": at_most(max(one["memory_growth"] for one in formats.values()), 1.3),
    }
    return {"lines": lines, "formats": formats, "bars": bars}


async def _format(base: Path, name: str, lines: int) -> dict[str, Any]:
    """What the larger file takes, and takes more than the smaller one: so the start of the program does not count."""
    few, many = [await _import(base, name, number) for number in (lines // 10, lines)]
    return {
        "seconds": many["seconds"],
        "lines_per_second": round((lines - lines // 10) / (many["seconds"] - few["seconds"])),
        "peak_memory_mib": many["peak_memory_kib"] // 1024,
        "memory_growth": round(many["peak_memory_kib"] / few["peak_memory_kib"], 2),
    }


async def _import(base: Path, name: str, lines: int) -> dict[str, Any]:
    path = base / f"{name}-{lines}"
    type_code, write = FORMATS[name]
    path.write_bytes(write([_line(f"{name}{lines}", number, type_code) for number in range(lines)]))
    done = await command(base / "home", "import", "bank", str(path))
    found = done["answer"]
    if (found["state"], found["new_lines"]) != ("read", lines):
        raise SystemExit(f"{name}: {found}")
    return done


def _line(name: str, number: int, type_code: str) -> Line:
    gross = 100 + number * 7919 % 50_000
    return Line(
        position=number,
        day=DAY + timedelta(days=number % 28),
        value_day=DAY + timedelta(days=number % 28),
        amount_minor=gross,
        currency=CURRENCY,
        gross_minor=gross,
        fee_minor=0,
        bank_ref=f"B{number:08d}",
        end_to_end=f"E{number:08d}",
        party="A buyer",
        party_account="DE89370400440532013000",
        text=f"order {name} {number}",
        type_code=type_code,
    )


if __name__ == "__main__":
    main(measure, lines=100_000)
