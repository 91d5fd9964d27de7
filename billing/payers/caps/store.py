"""Every statement on caps: the limit holds to the last cent under any number of spenders at once.

A spender takes from the lease of its shard in one statement. Where that is short it holds the centre, which gives what
is free, and takes back what other leases have left over once nothing is; what is used never exceeds what was granted,
nor that the limit. Whoever reserves of several contracts does so in the order of their ids, each once.
"""

from collections.abc import Iterable
from datetime import date

import msgspec

from billing.payers.rules import NO_LIMIT, period_end
from billing.payers.terms import CapPeriod
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict

SHARDS = 8
_PART = 64  # of the limit: what a lease is given beyond what it is short of

_KEY = "payer_id = :payer AND contract_id = :contract AND period_from = :period"


class CapKey(msgspec.Struct, frozen=True):
    """A contract's cap in one period."""

    payer_id: int
    contract_id: int
    period_from: date

    @property
    def bound(self) -> dict[str, object]:
        return {"payer": self.payer_id, "contract": self.contract_id, "period": self.period_from}


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cap stands. limit_minor: None without a limit. used_minor: reserved and committed together."""

    contract_id: int
    period_from: date
    limit_minor: int | None
    used_minor: int


def shard_of(source_id: int) -> int:
    """Which lease something takes from: ids of one moment spread over all."""
    return source_id % SHARDS


async def reserve(tx: Tx, key: CapKey, cap_period: CapPeriod, shard: int, amount_minor: int) -> bool:
    """Take an amount from a cap, all of it or nothing; returns whether it was there."""
    if amount_minor == 0:
        return True
    if await _take(tx, key, shard, amount_minor):
        return True
    limit = await _hold_centre(tx, key, cap_period)
    slack = await _slack(tx, key, shard)
    free = limit - await _granted(tx, key)
    if slack + free < amount_minor:
        await _hold_leases(tx, key)
        await tx.execute(
            f"UPDATE billing.payer_lease SET granted_minor = used_minor WHERE {_KEY} AND granted_minor > used_minor",
            key.bound,
        )
        slack, free = 0, limit - await _granted(tx, key)
    enough = free + slack >= amount_minor
    more = min(free, amount_minor - slack + limit // (SHARDS * _PART)) if enough else 0
    if more > 0:
        await tx.execute(
            f"UPDATE billing.payer_lease SET granted_minor = granted_minor + :more WHERE {_KEY} AND shard = :shard",
            {**key.bound, "more": more, "shard": shard},
        )
    await _note_leased(tx, key)
    return enough and await _take(tx, key, shard, amount_minor)


async def hold(tx: Tx, key: CapKey, cap_period: CapPeriod) -> int:
    """Let nobody else take from a cap, or give back to it, until this transaction ends; returns what it still gives."""
    limit = await _hold_centre(tx, key, cap_period)
    return limit - await _hold_leases(tx, key)


async def _hold_leases(tx: Tx, key: CapKey) -> int:
    """Hold all leases, in their order; returns what is used of them."""
    rows = await tx.rows(
        f"SELECT used_minor FROM billing.payer_lease WHERE {_KEY} ORDER BY shard FOR UPDATE", **key.bound
    )
    return sum(row.used_minor for row in rows)


async def _take(tx: Tx, key: CapKey, shard: int, amount_minor: int) -> bool:
    taken = await tx.execute(
        f"""
        UPDATE billing.payer_lease SET used_minor = used_minor + :amount
        WHERE {_KEY} AND shard = :shard AND granted_minor - used_minor >= :amount
        """,
        {**key.bound, "shard": shard, "amount": amount_minor},
    )
    return taken.rowcount == 1


async def _hold_centre(tx: Tx, key: CapKey, cap_period: CapPeriod) -> int:
    """Lock the centre, which is made by whoever comes first in a period; returns the limit."""
    held = f"SELECT limit_minor FROM billing.payer_cap WHERE {_KEY} FOR UPDATE"
    limit: int | None = await tx.scalar(held, **key.bound)
    if limit is None:
        # An edit of the contract that is under way commits before the limit is read, or sees the centre.
        await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('billing.payer_contract'))")
        await make_centre(tx, key, await limit_of(tx, key, cap_period))
        limit = await tx.scalar(held, **key.bound)
    assert limit is not None
    return limit


async def hold_known(tx: Tx, key: CapKey) -> None:
    """As `hold`, where the cap has been taken from: who moves several of its leases does so first."""
    await tx.execute(f"SELECT limit_minor FROM billing.payer_cap WHERE {_KEY} FOR UPDATE", key.bound)


async def make_centre(tx: Tx, key: CapKey, limit_minor: int) -> None:
    """The rows of a cap that nobody has taken from yet; those that exist stay."""
    await tx.execute(
        """
        INSERT INTO billing.payer_cap (payer_id, contract_id, period_from, limit_minor, leased_minor)
        VALUES (:payer, :contract, :period, :limit, 0) ON CONFLICT DO NOTHING
        """,
        {**key.bound, "limit": limit_minor},
    )
    await tx.execute(
        """
        INSERT INTO billing.payer_lease (payer_id, contract_id, period_from, shard, granted_minor, used_minor)
        VALUES (:payer, :contract, :period, :shard, 0, 0) ON CONFLICT DO NOTHING
        """,
        [{**key.bound, "shard": shard} for shard in range(SHARDS)],
    )


async def limit_of(tx: Tx, key: CapKey, cap_period: CapPeriod) -> int:
    """The limit of a period: that of the newest version that begins before it ends."""
    limit: int | None = await tx.scalar(
        """
        SELECT CAST(terms ->> 'cap_minor' AS bigint) FROM billing.payer_version
        WHERE contract_id = :contract AND valid_from < :ends ORDER BY valid_from DESC LIMIT 1
        """,
        contract=key.contract_id,
        ends=period_end(cap_period, key.period_from),
    )
    return NO_LIMIT if limit is None else limit


async def room_of(tx: Tx, key: CapKey, cap_period: CapPeriod) -> int:
    """What a cap still gives in its period."""
    used = await tx.scalar(f"SELECT sum(used_minor)::bigint FROM billing.payer_lease WHERE {_KEY}", **key.bound)
    return await limit_of(tx, key, cap_period) - int(used or 0)


async def _slack(tx: Tx, key: CapKey, shard: int) -> int:
    slack: int = await tx.scalar(
        f"SELECT granted_minor - used_minor FROM billing.payer_lease WHERE {_KEY} AND shard = :shard FOR UPDATE",
        **key.bound,
        shard=shard,
    )
    return slack


async def _granted(tx: Tx, key: CapKey) -> int:
    granted: int = await tx.scalar(
        f"SELECT sum(granted_minor)::bigint FROM billing.payer_lease WHERE {_KEY}", **key.bound
    )
    return granted


async def _note_leased(tx: Tx, key: CapKey) -> None:
    await tx.execute(
        f"UPDATE billing.payer_cap SET leased_minor = :leased WHERE {_KEY}",
        {**key.bound, "leased": await _granted(tx, key)},
    )


async def give_back(tx: Tx, key: CapKey, shard: int, amount_minor: int) -> None:
    """Return an amount to the lease it was taken from; negative takes it again, beyond the limit if need be.

    Beyond it only a refund that is cancelled can go, whose part has gone to somebody else meanwhile.
    """
    if amount_minor < 0:
        await _take_again(tx, key, shard, -amount_minor)
        return
    await tx.execute(
        f"UPDATE billing.payer_lease SET used_minor = used_minor - :amount WHERE {_KEY} AND shard = :shard",
        {**key.bound, "shard": shard, "amount": amount_minor},
    )


async def _take_again(tx: Tx, key: CapKey, shard: int, amount_minor: int) -> None:
    if not await reserve(tx, key, "whole", shard, amount_minor):
        raise Conflict("amount: the payer's cap, to which this had gone back, has been used up since")


async def change_limit(tx: Tx, key: CapKey, limit_minor: int, name: str) -> None:
    """Give a period's cap another limit. Raises Conflict when more than that is reserved or committed already."""
    held = await tx.scalar(f"SELECT limit_minor FROM billing.payer_cap WHERE {_KEY} FOR UPDATE", **key.bound)
    if held is None or held == limit_minor:
        return
    await tx.execute(f"UPDATE billing.payer_lease SET granted_minor = used_minor WHERE {_KEY}", key.bound)
    used = await _granted(tx, key)
    if used > limit_minor:
        raise Conflict(
            f"payer contract {name!r}: cap_minor: {limit_minor} is below {used}, which is committed already",
            pointer="/cap_minor",
        )
    await tx.execute(
        f"UPDATE billing.payer_cap SET limit_minor = :limit, leased_minor = :used WHERE {_KEY}",
        {**key.bound, "limit": limit_minor, "used": used},
    )


async def periods_from(tx: Tx, payer_id: int, contract_id: int, first: date) -> list[CapKey]:
    """The periods of a contract's cap that anybody has taken from, from one on."""
    rows = await tx.rows(
        """
        SELECT period_from FROM billing.payer_cap
        WHERE payer_id = :payer AND contract_id = :contract AND period_from >= :first ORDER BY period_from
        """,
        payer=payer_id,
        contract=contract_id,
        first=first,
    )
    return [CapKey(payer_id, contract_id, row.period_from) for row in rows]


async def list_caps(tx: Tx, payer_id: int, contract_ids: Iterable[int] | None = None) -> list[Cap]:
    """Where a payer's caps stand, by contract and period; without locks, so it is what was true a moment ago."""
    rows = await tx.rows(
        """
        SELECT c.contract_id, c.period_from, c.limit_minor, coalesce(sum(l.used_minor), 0)::bigint AS used_minor
        FROM billing.payer_cap c
        JOIN billing.payer_lease l ON l.payer_id = c.payer_id AND l.contract_id = c.contract_id
         AND l.period_from = c.period_from
        WHERE c.payer_id = :payer
          AND (CAST(:contracts AS bigint[]) IS NULL OR c.contract_id = ANY(CAST(:contracts AS bigint[])))
        GROUP BY c.contract_id, c.period_from, c.limit_minor ORDER BY c.contract_id, c.period_from
        """,
        payer=payer_id,
        contracts=None if contract_ids is None else list(contract_ids),
    )
    return [
        Cap(
            contract_id=row.contract_id,
            period_from=row.period_from,
            limit_minor=None if row.limit_minor == NO_LIMIT else row.limit_minor,
            used_minor=row.used_minor,
        )
        for row in rows
    ]
