"""What is reserved for a promise: it is spent or given back in parts, as what was promised is earned or falls away."""

from collections.abc import Iterable, Mapping, Sequence

from incentives.budgets.reservations.store import hold_keys
from incentives.budgets.store import note_available
from marketplace.core.db import Tx


async def lapsed(tx: Tx, budget_ids: Iterable[int], keys: Sequence[str]) -> set[str]:
    """Which of these keys some budget holds nothing for any more; the others are held until the transaction ends."""
    states = await hold_keys(tx, budget_ids, keys) if keys else {}
    return {key for of in states.values() for key, state in of.items() if state != "reserved"}


async def spend_part(tx: Tx, key: str, under: str, minor: int, parts: Mapping[int, int]) -> None:
    """Spend a part of a promise, under a key of its own. parts: of the amount, by budget."""
    await _cut(tx, key, minor, parts, under)


async def give_back_part(tx: Tx, key: str, minor: int, parts: Mapping[int, int]) -> None:
    """Give a part of a promise back to its budgets; the rest stays reserved."""
    await _cut(tx, key, minor, parts, None)


async def _cut(tx: Tx, key: str, minor: int, parts: Mapping[int, int], under: str | None) -> None:
    """Make a reservation smaller. Shares of funders are rounded: no more is taken of a budget than it holds, and what
    is left is no more than the rest of the grant."""
    for budget_id, part in sorted(parts.items()):
        await tx.execute(
            """
            WITH was AS (
                SELECT period_from, n, least(amount_minor, greatest(:part, amount_minor - grant_minor + :minor)) AS part
                FROM incentives.budget_reservation
                WHERE budget_id = :budget AND key = :key AND state = 'reserved'
            ), kept AS (
                UPDATE incentives.budget_reservation r
                SET grant_minor = r.grant_minor - :minor, amount_minor = r.amount_minor - was.part
                FROM was WHERE r.budget_id = :budget AND r.key = :key
            ), spent AS (
                INSERT INTO incentives.budget_reservation
                    (budget_id, key, period_from, n, grant_minor, amount_minor, state, at)
                SELECT :budget, CAST(:under AS text), period_from, n, :minor, part, 'committed', :now
                FROM was WHERE CAST(:under AS text) IS NOT NULL
            )
            UPDATE incentives.budget_shard s
            SET reserved_minor = s.reserved_minor - was.part,
                spent_minor = s.spent_minor + CASE WHEN CAST(:under AS text) IS NULL THEN 0 ELSE was.part END
            FROM was WHERE s.budget_id = :budget AND s.period_from = was.period_from AND s.n = was.n
            """,
            {"budget": budget_id, "key": key, "minor": minor, "part": part, "under": under, "now": tx.now},
        )
        if under is None:
            await note_available(tx, budget_id)
