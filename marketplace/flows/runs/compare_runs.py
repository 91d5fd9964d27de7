"""What moved from the period before to that of a run: outliers first."""

from collections.abc import Sequence

import msgspec

from billing.runs import store
from billing.runs.comparison.model import Moved, MovedKey
from billing.runs.comparison.store import list_moved
from billing.runs.model import Run, RunState
from marketplace.core.db import Tx


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what moved, and between which runs: a period's first run and those of what it parked."""

    now: list[Run]
    before: list[Run]
    moved: Sequence[Moved]


async def compare_run(
    tx: Tx,
    run_id: int,
    *,
    currency: str | None = None,
    merchant_id: int | None = None,
    limit: int,
    after: MovedKey | None = None,
) -> Compared:
    """Compare the statements of a run's period with those of the period before it. Raises NotFound.

    Nothing stands before the first run: every merchant is new. What is parked is not compared.
    """
    run = await store.get_run(tx, run_id)
    now = await store.runs_of_period(tx, run) or [run]
    before = [one for one in await store.runs_before(tx, run) if one.state is RunState.FINALISED]
    moved = await list_moved(
        tx,
        [one.run_id for one in now],
        [one.run_id for one in before],
        currency=currency,
        merchant_id=merchant_id,
        limit=limit,
        after=after,
    )
    return Compared(now=now, before=before, moved=moved)
