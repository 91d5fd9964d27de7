"""What was first said of a week or month, kept beside what it says today."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from marketplace.core.db import Tx
from marketplace.metrics.inputs_sql import Of
from marketplace.metrics.periods import Span
from marketplace.metrics.tables import first_report


async def first_reports(tx: Tx, of: Of, span: Span) -> Mapping[tuple[str, int], Any]:
    """What was reported of a period when it was over, by figure and version of its definition."""
    rows = await tx.rows(
        """
        SELECT metric, version_no, value, reported_at FROM metrics.first_report
        WHERE entity_id = :entity AND currency = :currency AND from_on = :from_on AND to_on = :to_on
        """,
        entity=of.entity_id,
        currency=of.currency,
        from_on=span.from_on,
        to_on=span.to_on,
    )
    return {(row.metric, row.version_no): row for row in rows}


async def is_reported(tx: Tx, of: Of, span: Span) -> bool:
    """Whether a period has been reported on already."""
    return bool(await first_reports(tx, of, span))


async def keep_reports(tx: Tx, of: Of, span: Span, values: Sequence[tuple[str, int, int | None]]) -> None:
    """Keep figures (name, version, value) of a period as they are reported first; what is kept already stays."""
    common = {"entity_id": of.entity_id, "currency": of.currency, "from_on": span.from_on, "to_on": span.to_on}
    rows = [
        {"metric": name, "version_no": version, "value": value, "reported_at": tx.now, **common}
        for name, version, value in values
    ]
    await tx.execute(insert(first_report).on_conflict_do_nothing(), rows)


async def scopes(tx: Tx) -> Sequence[Any]:
    """Entities and the currencies that they have sold or booked in, with the zone: (entity_id, currency, zone)."""
    return await tx.rows(
        """
        SELECT e.entity_id, c.currency, e.zone FROM billing.entity e
        JOIN (SELECT entity_id, currency FROM metrics.market_day UNION SELECT entity_id, currency FROM billing.book_day)
          AS c ON c.entity_id = e.entity_id
        ORDER BY e.entity_id, c.currency
        """
    )
