"""Name what does not match: open, turn and close breaks by what is open after a matching pass."""

from billing.bank_files import store as bank_files
from billing.bank_files.model import Gap
from billing.breaks import store
from billing.breaks.store import Gapped
from billing.matching import store as matching
from marketplace.core import outbox
from marketplace.core.db import WORKER, Database, Tx

GAPS_MAX = 1_000
TOPIC = "billing.breaks_changed.v1"


async def find_breaks(db: Database, actor: str) -> tuple[int, int]:
    """Returns how many breaks were opened and how many closed."""
    return await db.write(WORKER, actor, _find)


async def _find(tx: Tx) -> tuple[int, int]:
    await tx.plan_in_bulk(brings_rows=True)
    await matching.lock_pass(tx)
    gaps = [_gapped(gap) for gap in await bank_files.list_gaps(tx, limit=GAPS_MAX)]
    opened, closed = await store.find(tx, gaps)
    if opened or closed:
        await outbox.emit(tx, TOPIC, {"opened": opened, "closed": closed})
    return opened, closed


def _gapped(gap: Gap) -> Gapped:
    return Gapped(
        account=gap.account,
        subject=f"gap:{gap.account}:{gap.file_id}:{gap.statement_no}",
        currency=gap.currency or "",
        minor=gap.opening_minor - gap.closing_minor,
        detail=f"{gap.what} between {gap.after_number} and {gap.before_number}"[:200],
        day=gap.before_day or gap.after_day,
    )
