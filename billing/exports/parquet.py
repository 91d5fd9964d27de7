"""The journal as a Parquet file, a row per leg, amounts in minor units. Needs the extra `parquet`.

Nothing else imports this module; `marketplace.flows.books.export_journal` does when it is asked to.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from billing.exports.model import JournalEntry

_INSTANT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("entity_id", pa.int32()), ("merchant_id", pa.int64()), ("merchant_ref", pa.string()),
        ("entry_no", pa.int64()), ("leg_no", pa.int16()), ("effective_on", pa.date32()), ("occurred_at", _INSTANT),
        ("kind", pa.string()), ("source_id", pa.int64()), ("currency", pa.string()), ("account", pa.int32()),
        ("dimension", pa.int64()), ("amount_minor", pa.int64()), ("prior_period", pa.bool_()),
        ("posted_at", _INSTANT), ("posted_by", pa.string()),
    ]
)  # fmt: skip
ROWS = 50_000
"""Rows of a group: written when there are so many."""


def write_parquet(file: Path) -> tuple[Callable[[Sequence[JournalEntry]], None], Callable[[], None]]:
    """How entries are added to a new file, and how it is completed."""
    writer = pq.ParquetWriter(file, SCHEMA, compression="zstd")
    waiting: list[tuple[object, ...]] = []

    def add(entries: Sequence[JournalEntry]) -> None:
        for e in entries:
            waiting.extend(
                (e.entity_id, e.merchant_id, e.merchant_ref, e.entry_no, leg_no, e.effective_on, e.occurred_at, e.kind,
                 e.source_id, e.currency, account, dimension, amount, e.prior_period, e.posted_at, e.posted_by)
                for leg_no, (account, dimension, amount) in enumerate(e.legs(), start=1)
            )  # fmt: skip
        if len(waiting) >= ROWS:
            flush()

    def flush() -> None:
        columns = list(zip(*waiting, strict=True)) or [()] * len(SCHEMA)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        waiting.clear()

    def finish() -> None:
        flush()
        writer.close()

    return add, finish
