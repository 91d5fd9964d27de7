"""Every document of a run as a PDF file. Typesetting lets other threads run, so there is one for each processor."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from billing.documents import store
from billing.documents.model import Written
from billing.runs import store as runs
from marketplace.core.db import STAFF, Database
from marketplace.core.errors import Invalid
from marketplace.flows.documents.render_document import render_document

PER_BATCH = 500


async def export_documents(db: Database, run_id: int, folder: Path, language: str, fonts: Path | None) -> int:
    """Write a run's documents, void ones not among them, each named by its number; returns how many.

    Raises NotFound for a run that is none, GlyphsMissing when no font has a character of one, Invalid for a folder that
    cannot be written to.
    """
    async with db.read(STAFF) as tx:
        await runs.get_run(tx, run_id)
    count, after = 0, (-(2**63), 0)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while True:
            async with db.read(STAFF) as tx:
                batch = await store.written_of_run(tx, run_id, limit=PER_BATCH, after=after)
            if not batch:
                return count
            await asyncio.to_thread(_write_all, pool, batch, folder, language, fonts)
            count += len(batch)
            after = (batch[-1].document.merchant_id, batch[-1].document.document_id)


def _write_all(
    pool: ThreadPoolExecutor, batch: Sequence[Written], folder: Path, language: str, fonts: Path | None
) -> None:
    def write(written: Written) -> None:
        write_file(folder / f"{written.number}.pdf", render_document(written, language, fonts))

    for _ in pool.map(write, batch):
        pass


def write_file(path: Path, content: bytes) -> None:
    """Write a file, and the folder that it is in. Raises Invalid where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as fault:
        raise Invalid(f"{path}: {fault.strerror}") from fault
