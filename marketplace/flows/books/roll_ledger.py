"""Roll the journal up in steps of about a second, each its own commit."""

from collections.abc import Iterable, Iterator

from billing.ledger import roll
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database
from marketplace.core.together import together

ENTRIES_PER_STEP = 50_000
CONNECTIONS = 2


async def roll_ledger(db: Database, actor: str) -> int:
    """Bring the roll-up level with the heads as they stand now; returns how many entries were rolled up."""
    async with db.read(WORKER) as tx:
        behind = await roll.merchants_behind(tx)
    steps = batches(behind, ENTRIES_PER_STEP)

    async def share() -> None:
        for merchants in steps:
            await db.write(WORKER, actor, roll.roll_forward, merchants)
            crash_point("roll.committed")

    await together(*(share() for _ in range(CONNECTIONS)))
    return sum(entries for _, entries in behind)


def batches(weighted: Iterable[tuple[int, int]], limit: int) -> Iterator[list[int]]:
    """Merchant ids in their order, cut so that the weights of a batch sum to about `limit`, one merchant at least."""
    batch: list[int] = []
    weight = 0
    for merchant_id, size in weighted:
        if batch and weight + size > limit:
            yield batch
            batch, weight = [], 0
        batch.append(merchant_id)
        weight += size
    if batch:
        yield batch
