"""How many one-page invoices a second are written as PDF, and what one costs of a processor."""

import os
import resource
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from billing.documents.model import (
    Category,
    Document,
    Kind,
    Line,
    Party,
    State,
    Subject,
    Tax,
    Written,
    number,
    series_of,
)
from marketplace.flows.documents.export_documents import write_file
from marketplace.flows.documents.render_document import render_document
from tests.bench.scratch import Stopwatch, at_least, at_most, main, note

PROCESSORS = 2
_DAY = date(2018, 5, 1)


def invoice(place: int) -> Written:
    """A commission invoice of three lines and two rates, different for each merchant."""
    lines = tuple(
        Line(category=category, description="", quantity=place + 1, vat_ppm=rate, net_minor=net)
        for category, rate, net in (
            (Category.COMMISSION, 200_000, 123_400 + place),
            (Category.COMMISSION, 55_000, 9_800),
            (Category.FEES, 0, 186),
        )
    )
    taxes = tuple(
        Tax(vat_ppm=line.vat_ppm, net_minor=line.net_minor, vat_minor=line.net_minor * line.vat_ppm // 1_000_000)
        for line in lines
    )
    merchant_id = place + 1
    document = Document(
        merchant_id=merchant_id,
        document_id=merchant_id,
        run_id=1,
        entity_id=1,
        kind=Kind.INVOICE,
        subject=Subject.PERIOD,
        source_id=0,
        number=number(series_of(1, Kind.INVOICE, merchant_id), place + 1),
        currency="EUR",
        from_on=_DAY,
        to_on=date(2018, 6, 1),
        issued_on=date(2018, 6, 2),
        due_on=None,
        net_minor=sum(line.net_minor for line in lines),
        vat_minor=sum(tax.vat_minor for tax in taxes),
        seller=Party(name="Marketplace SAS", address="12 rue de la Paix\n75002 Paris", country="FR", tax_id="FR1"),
        buyer=Party(name=f"Merchant {place}", address=f"{place} High Street\nAnytown", country="IE", tax_id="IE2"),
        corrects_id=None,
        reverses_id=None,
        replaces_id=None,
        state=State.ISSUED,
        void_reason=None,
        void_asked_by=None,
        voided_by=None,
        voided_at=None,
        issued_by="bench",
        issued_at=datetime(2018, 6, 2, tzinfo=UTC),
    )
    return Written(document=document, lines=lines, taxes=taxes, numbers={})


async def measure(documents: int) -> dict[str, Any]:
    """As `documents export` does it: a thread for each of two processors, files written."""
    with tempfile.TemporaryDirectory(prefix="marketplace-bench-") as folder:

        def write(place: int) -> int:
            written = invoice(place)
            content = render_document(written, "en", None)
            write_file(Path(folder) / f"{written.number}.pdf", content)
            return len(content)

        with ThreadPoolExecutor(PROCESSORS) as pool:
            list(pool.map(write, range(2 * PROCESSORS)))  # fonts and words are read once
            watch, before = Stopwatch(), _cpu_ms()
            sizes = list(pool.map(write, range(documents)))
            seconds, cpu_ms = watch.seconds, (_cpu_ms() - before) / documents
    note(f"{documents} invoices in {seconds} s")
    return {
        "documents": documents,
        "threads": PROCESSORS,
        "seconds": seconds,
        "per_second": round(documents / seconds, 1),
        "cpu_ms_each": round(cpu_ms, 1),
        "bytes_each": sum(sizes) // documents,
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "load_before_1min": round(os.getloadavg()[0], 1),
        "bars": {
            "per_second": at_least(documents / seconds, 60),
            "per_second_by_cpu": at_least(PROCESSORS * 1000 / cpu_ms, 60),
            "peak_mb": at_most(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 500),
        },
    }


def _cpu_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return 1000 * (used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main(measure, documents=1_000)
