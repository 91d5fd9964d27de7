"""Every statement on what is reserved of budgets: a limit holds to the last cent under any number of grants at once.

A grant takes from one shard of each of its budgets in one statement. Where that is short, all shards are held and what
is left decides, so that nothing is refused that could have been given. Locks are taken in the order of budget, period
and shard, after those of payers' caps; so whoever reserves does so once in a transaction, for all its grants together,
and who gives back besides holds them before (`hold`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from incentives.budgets.model import Ask, Budget, Decision, Slot, Verdict, decide, given, shard_of, spread
from incentives.budgets.store import make_period, note_available
from marketplace.core.db import Tx

_SLOT = "budget_id = :budget AND period_from = :period"
_AVAILABLE = "allocated_minor - reserved_minor - spent_minor"

# $1 budget, $2 period, $3 shard, $4 total, $5 keys, $6 grants, $7 their parts, $8 state, $9 now, $10 expiry. One shard
# is held, before anything is written; an amount is taken only for keys that are new. The second of two shards that seem
# to have enough is never tried: waiting for it while the first is held could lock out whoever holds all in their order.
_TAKE = f"""
WITH picked AS (
    SELECT n FROM incentives.budget_shard
    WHERE budget_id = $1 AND period_from = $2 AND {_AVAILABLE} >= $4
      AND n = (SELECT max(n) FROM incentives.budget_shard
               WHERE budget_id = $1 AND period_from = $2 AND n IN (0, $3) AND {_AVAILABLE} >= $4)
    FOR UPDATE
), made AS (
    INSERT INTO incentives.budget_reservation
        (budget_id, key, period_from, n, grant_minor, amount_minor, state, at, expires_at)
    SELECT $1, asked.key, $2, picked.n, asked.whole, asked.part, $8, $9, $10
    FROM picked, unnest($5::text[], $6::bigint[], $7::bigint[]) AS asked (key, whole, part)
    ON CONFLICT DO NOTHING RETURNING n, amount_minor
), total AS (SELECT n, sum(amount_minor)::bigint AS minor, count(*)::int AS keys FROM made GROUP BY n)
UPDATE incentives.budget_shard s
SET reserved_minor = s.reserved_minor + CASE WHEN $8 = 'reserved' THEN total.minor ELSE 0 END,
    spent_minor = s.spent_minor + CASE WHEN $8 = 'committed' THEN total.minor ELSE 0 END
FROM total WHERE s.budget_id = $1 AND s.period_from = $2 AND s.n = total.n RETURNING total.keys
"""


async def reserve(
    tx: Tx, asks: Sequence[Ask], *, expires_at: datetime | None = None, spend: bool = False
) -> list[Decision]:
    """Set the money of grants aside until `expires_at`, or spend it at once; one answer for each ask, in their order.

    A key that was answered before gets that answer again, but for one that had to wait or has expired: it is asked
    anew. A grant without a budget is given.
    """
    assert len({ask.key for ask in asks}) == len(asks)
    counted = [ask for ask in asks if ask.draws]
    if not counted:
        return [given(ask) for ask in asks]
    state = "committed" if spend else "reserved"
    await tx.raw.execute("SAVEPOINT reserving")
    if await _take_each(tx, counted, state, expires_at):
        return [given(ask) for ask in asks]
    await tx.raw.execute("ROLLBACK TO SAVEPOINT reserving")
    decided = await _decide_holding_all(tx, counted, state, expires_at)
    return [decided[ask.key] if ask.draws else given(ask) for ask in asks]


def _by_slot(asks: Iterable[Ask]) -> dict[Slot, list[tuple[Ask, int]]]:
    """What is drawn on each budget, with each ask's part, in the order of their ids."""
    drawn: dict[Slot, list[tuple[Ask, int]]] = defaultdict(list)
    for ask in sorted(asks, key=lambda ask: ask.key):
        for draw in ask.draws:
            drawn[draw.slot].append((ask, ask.part_of(draw, ask.amount_minor)))
    return dict(sorted(drawn.items()))


async def _take_each(tx: Tx, asks: Sequence[Ask], state: str, expires_at: datetime | None) -> bool:
    """Take everything from one shard of each budget; returns False as soon as one is short or a key is not new."""
    shards = {draw.slot: draw.budget.shards for ask in asks for draw in ask.draws}
    for slot, drawn in _by_slot(asks).items():
        n = shard_of(drawn[0][0].key, shards[slot])
        keys, wholes = [ask.key for ask, _ in drawn], [ask.amount_minor for ask, _ in drawn]
        parts = [part for _, part in drawn]
        taken = await tx.raw.fetchval(
            _TAKE, slot[0], slot[1], n, sum(parts), keys, wholes, parts, state, tx.now, expires_at
        )
        if taken != len(drawn):
            return False
    return True


async def _decide_holding_all(
    tx: Tx, asks: Sequence[Ask], state: str, expires_at: datetime | None
) -> dict[str, Decision]:
    """Decide with all shards of all budgets held, in the order of budget, period and shard; the answers by key."""
    budgets = {draw.slot: draw.budget for ask in asks for draw in ask.draws}
    held = {slot: await _hold(tx, budgets[slot], slot[1]) for slot in sorted(budgets)}
    answered: dict[str, Decision] = {}
    for budget_id in sorted({slot[0] for slot in held}):
        answered |= await _answered(tx, budget_id, [ask.key for ask in asks])
    new = [ask for ask in asks if ask.key not in answered]
    rooms = {slot: sum(shards.values()) for slot, shards in held.items()}
    decided = {one.key: one for one in decide(new, rooms)}
    given_asks = [msgspec.structs.replace(ask, amount_minor=decided[ask.key].granted_minor) for ask in new]
    largest = max((ask.amount_minor for ask in given_asks), default=0)
    for slot, drawn in _by_slot(given_asks).items():
        taken = sum(held[slot].values()) - rooms[slot]
        if taken:
            await _put(tx, slot, held[slot], taken, spread(max(rooms[slot], 0), len(held[slot]), largest), state)
        await _store(tx, slot, [(ask, part) for ask, part in drawn if ask.amount_minor], state, expires_at)
    waiting = [ask for ask in new if decided[ask.key].verdict is Verdict.QUEUED]
    for slot, drawn in _by_slot(waiting).items():
        await _store(tx, slot, drawn, "queued", None)
    short = {one.short_id for one in decided.values()}
    await _note_exhausted(tx, [slot for slot in held if slot[0] in short])
    return answered | decided


async def _hold(tx: Tx, of: Budget, period_from: date) -> dict[int, int]:
    """Hold all shards of a budget, which are made by whoever comes first on a day; what each has left."""
    query = f"SELECT n, {_AVAILABLE} AS room FROM incentives.budget_shard WHERE {_SLOT} ORDER BY n FOR UPDATE"
    bound = {"budget": of.budget_id, "period": period_from}
    rows = await tx.rows(query, **bound)
    if not rows:
        await make_period(tx, of, period_from)
        rows = await tx.rows(query, **bound)
    return {row.n: row.room for row in rows}


async def _answered(tx: Tx, budget_id: int, keys: list[str]) -> dict[str, Decision]:
    """What was answered before: a reservation that stands, or one that was given back for good."""
    rows = await tx.rows(
        """
        SELECT key, state, grant_minor FROM incentives.budget_reservation
        WHERE budget_id = :budget AND key = ANY(:keys) AND state NOT IN ('queued', 'expired')
        """,
        budget=budget_id,
        keys=keys,
    )
    return {
        row.key: Decision(
            key=row.key,
            verdict=Verdict.REJECTED if row.state == "released" else Verdict.RESERVED,
            granted_minor=0 if row.state == "released" else row.grant_minor,
            again=True,
        )
        for row in rows
    }


async def _put(tx: Tx, slot: Slot, held: dict[int, int], taken: int, rooms: list[int], state: str) -> None:
    """Take an amount from the first shard and lay out anew what is left; what an advisory budget lacks is noted."""
    over = taken + sum(rooms) - sum(held.values())
    await tx.execute(
        f"""
        UPDATE incentives.budget_shard s
        SET allocated_minor = s.reserved_minor + s.spent_minor + laid.reserved + laid.spent + laid.room,
            reserved_minor = s.reserved_minor + laid.reserved, spent_minor = s.spent_minor + laid.spent
        FROM unnest(CAST(:ns AS int[]), CAST(:rooms AS bigint[]), CAST(:reserved AS bigint[]), CAST(:spent AS bigint[]))
             AS laid (n, room, reserved, spent)
        WHERE {_SLOT} AND s.n = laid.n
        """,
        {
            "budget": slot[0],
            "period": slot[1],
            "ns": sorted(held),
            "rooms": rooms,
            "reserved": [taken if state == "reserved" and n == 0 else 0 for n in sorted(held)],
            "spent": [taken if state == "committed" and n == 0 else 0 for n in sorted(held)],
        },
    )
    if over:
        await tx.execute(
            f"UPDATE incentives.budget_period SET over_minor = over_minor + :over WHERE {_SLOT}",
            {"budget": slot[0], "period": slot[1], "over": over},
        )


async def _store(tx: Tx, slot: Slot, drawn: Sequence[tuple[Ask, int]], state: str, expires_at: datetime | None) -> None:
    """Reservations from the first shard, in the place of those that waited or have expired."""
    if not drawn:
        return
    await tx.execute(
        """
        INSERT INTO incentives.budget_reservation
            (budget_id, key, period_from, n, grant_minor, amount_minor, state, at, expires_at)
        SELECT :budget, asked.key, :period, 0, asked.whole, asked.part, :state, :now, :expires
        FROM unnest(CAST(:keys AS text[]), CAST(:wholes AS bigint[]), CAST(:parts AS bigint[]))
             AS asked (key, whole, part)
        ON CONFLICT (budget_id, key) DO UPDATE
        SET period_from = excluded.period_from, n = 0, grant_minor = excluded.grant_minor, state = excluded.state,
            amount_minor = excluded.amount_minor, expires_at = excluded.expires_at
        """,
        {
            "budget": slot[0],
            "period": slot[1],
            "state": state,
            "now": tx.now,
            "expires": expires_at,
            "keys": [ask.key for ask, _ in drawn],
            "wholes": [ask.amount_minor for ask, _ in drawn],
            "parts": [part for _, part in drawn],
        },
    )


async def _note_exhausted(tx: Tx, slots: Iterable[Slot]) -> None:
    for budget_id, period_from in slots:
        await tx.execute(
            f"UPDATE incentives.budget_period SET exhausted_at = :now WHERE {_SLOT} AND exhausted_at IS NULL",
            {"budget": budget_id, "period": period_from, "now": tx.now},
        )


async def commit(tx: Tx, budget_ids: Iterable[int], keys: Sequence[str]) -> list[str]:
    """Spend what was reserved under these keys; returns those whose reservation has lapsed, which must be made anew.

    A key is spent of all its budgets or of none. One that is committed already stays so.
    """
    held = await hold_keys(tx, budget_ids, keys)
    seen = {key for states in held.values() for key in states}
    lapsed = {
        key for states in held.values() for key, state in states.items() if state not in {"reserved", "committed"}
    } | (set(keys) - seen)
    for budget_id in held:
        await _move(tx, budget_id, [key for key in keys if key not in lapsed], "committed")
    return [key for key in keys if key in lapsed]


async def release(tx: Tx, budget_ids: Iterable[int], keys: Sequence[str]) -> int:
    """Give back what is reserved under these keys, or waits; what was committed stays. Returns how many there were."""
    held = await hold_keys(tx, budget_ids, keys)
    return max([await _move(tx, budget_id, keys, "released") for budget_id in held], default=0)


async def expire(tx: Tx, budget_id: int, limit: int) -> int:
    """Give back what was not committed in time, at most so many reservations of a budget; returns how many."""
    rows = await tx.rows(
        """
        SELECT key FROM incentives.budget_reservation
        WHERE budget_id = :budget AND state = 'reserved' AND expires_at <= :now ORDER BY expires_at, key LIMIT :limit
        """,
        budget=budget_id,
        now=tx.now,
        limit=limit,
    )
    keys = [row.key for row in rows]
    await hold_keys(tx, [budget_id], keys)
    return await _move(tx, budget_id, keys, "expired")


async def expiring(tx: Tx, now: datetime, after: int, limit: int) -> Sequence[Any]:
    """Budgets of which something has not been committed in time, by id, those behind `after`."""
    return await tx.rows(
        """
        SELECT DISTINCT budget_id FROM incentives.budget_reservation
        WHERE state = 'reserved' AND expires_at <= :now AND budget_id > :after ORDER BY budget_id LIMIT :limit
        """,
        now=now,
        after=after,
        limit=limit,
    )


async def hold_keys(tx: Tx, budget_ids: Iterable[int], keys: Sequence[str]) -> dict[int, dict[str, str]]:
    """Hold reservations, and where they are of several shards those in their order; the states by budget and key."""
    ordered = sorted(set(budget_ids))
    states = {}
    for budget_id in ordered:
        rows = await tx.rows(
            """
            SELECT key, state, period_from, n FROM incentives.budget_reservation
            WHERE budget_id = :budget AND key = ANY(:keys) ORDER BY key FOR UPDATE
            """,
            budget=budget_id,
            keys=list(keys),
        )
        shards = sorted({(row.period_from, row.n) for row in rows})
        if len(shards) > 1 or (shards and len(ordered) > 1):
            await _hold_shards(tx, budget_id, shards)
        states[budget_id] = {row.key: row.state for row in rows}
    return states


async def _hold_shards(tx: Tx, budget_id: int, shards: Sequence[tuple[date, int]]) -> None:
    await tx.execute(
        """
        SELECT n FROM incentives.budget_shard
        WHERE budget_id = :budget
          AND (period_from, n) IN (SELECT * FROM unnest(CAST(:periods AS date[]), CAST(:ns AS int[])))
        ORDER BY period_from, n FOR UPDATE
        """,
        {"budget": budget_id, "periods": [period for period, _ in shards], "ns": [n for _, n in shards]},
    )


async def _move(tx: Tx, budget_id: int, keys: Sequence[str], then: str) -> int:
    """Take reservations on, and what they hold of their shards with them; returns how many there were."""
    moved: int = await tx.scalar(
        """
        WITH moved AS (
            UPDATE incentives.budget_reservation r SET state = :state
            FROM (SELECT key, state FROM incentives.budget_reservation
                  WHERE budget_id = :budget AND key = ANY(:keys)) AS was
            WHERE r.budget_id = :budget AND r.key = was.key
              AND (r.state = 'reserved' OR (r.state = 'queued' AND :state = 'released'))
            RETURNING r.period_from, r.n, CASE WHEN was.state = 'reserved' THEN r.amount_minor ELSE 0 END AS minor
        ), total AS (
            SELECT period_from, n, sum(minor)::bigint AS minor FROM moved GROUP BY period_from, n
        ), shards AS (
            UPDATE incentives.budget_shard s
            SET reserved_minor = s.reserved_minor - total.minor,
                spent_minor = s.spent_minor + CASE WHEN :state = 'committed' THEN total.minor ELSE 0 END
            FROM total WHERE s.budget_id = :budget AND s.period_from = total.period_from AND s.n = total.n
        )
        SELECT count(*) FROM moved
        """,
        budget=budget_id,
        keys=list(keys),
        state=then,
    )
    if moved and then != "committed":
        await note_available(tx, budget_id)
    return moved


async def hold(tx: Tx, budget_ids: Iterable[int]) -> None:
    """Hold all shards of budgets, for what gives back to some of them and then takes from others."""
    for budget_id in sorted(set(budget_ids)):  # one after the other: on a cluster each is on a node of its own
        await tx.execute(
            "SELECT n FROM incentives.budget_shard WHERE budget_id = :budget ORDER BY period_from, n FOR UPDATE",
            {"budget": budget_id},
        )


async def recycle(tx: Tx, backs: Mapping[tuple[int, str], int], *, to_funder: bool = False) -> None:
    """Take back parts of committed grants: `backs` says how much, by budget and key.

    It can be given again; with to_funder the limit sinks with it, because whoever gave it wants it back. More than was
    committed cannot be taken back.
    """
    if len(backs) > 1:
        for budget_id in sorted({budget_id for budget_id, _ in backs}):
            await hold_keys(tx, [budget_id], [key for each, key in backs if each == budget_id])
    for (budget_id, key), minor in sorted(backs.items()):
        period_from = await tx.scalar(
            """
            WITH back AS (
                UPDATE incentives.budget_reservation SET recycled_minor = recycled_minor + :minor
                WHERE budget_id = :budget AND key = :key AND state = 'committed'
                RETURNING period_from, n
            )
            UPDATE incentives.budget_shard s
            SET spent_minor = s.spent_minor - :minor, allocated_minor = s.allocated_minor - :sinks
            FROM back WHERE s.budget_id = :budget AND s.period_from = back.period_from AND s.n = back.n
            RETURNING s.period_from
            """,
            budget=budget_id,
            key=key,
            minor=minor,
            sinks=minor if to_funder else 0,
        )
        if not to_funder:
            await note_available(tx, budget_id)
        elif period_from is not None:
            await tx.execute(
                """
                UPDATE incentives.budget_period SET limit_minor = limit_minor - :minor
                WHERE budget_id = :budget AND period_from = :period
                """,
                {"budget": budget_id, "minor": minor, "period": period_from},
            )


async def queued(tx: Tx, budget_id: int, limit: int) -> list[str]:
    """Keys that wait for a budget to be topped up, whoever came first first; asking for them again takes them on."""
    rows = await tx.rows(
        """
        SELECT key FROM incentives.budget_reservation
        WHERE budget_id = :budget AND state = 'queued' ORDER BY at, key LIMIT :limit
        """,
        budget=budget_id,
        limit=limit,
    )
    return [row.key for row in rows]


async def committed(tx: Tx, budget_ids: Iterable[int], keys: Sequence[str]) -> dict[tuple[int, str], int]:
    """What is committed under these keys and was not taken back, by budget and key, where that is anything."""
    rows = await tx.rows(
        """
        SELECT budget_id, key, amount_minor - recycled_minor AS minor FROM incentives.budget_reservation
        WHERE budget_id = ANY(:budgets) AND key = ANY(:keys) AND state = 'committed' AND amount_minor > recycled_minor
        """,
        budgets=sorted(budget_ids),
        keys=list(keys),
    )
    return {(row.budget_id, row.key): row.minor for row in rows}
