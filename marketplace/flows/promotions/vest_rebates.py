"""Book buyers' rebates, in the house's books: earned at once (5000 to 2050), the buyer's credit when they vest (2410).
What payers bear is owed by them (1110), what the merchant of the order bears comes out of its payable balance (2000).

What is taken back after that comes out of what is free of the buyer's credit, and no further: a buyer owes nothing.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from billing import postings
from billing.credit import store as credit
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState
from incentives.grants.rewards import moves_minor
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.payers.fund_promotions import Contracts
from marketplace.flows.promotions.cover_rewards import parts_of
from marketplace.flows.promotions.grant_rewards_sql import Merchant

_PAGE = 200


async def vest_rebates(db: Database, actor: str) -> int:
    """Give buyers as credit what has vested by now; returns how many commits that took."""
    vested = 0
    while done := await each(db, actor, "rebates did not vest", partial(_vesting, db), _vest):
        vested += done
    return vested


_EARNED = "e.kind IN ('rebate_earned', 'rebate_unearned') AND e.source_id = g.grant_id"
_RIPE = "g.state = 'pending' AND g.state IN ('pending', 'available') AND g.form = 'credit' AND g.vests_at <= :now"


async def _vesting(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    """Buyers of whose rebates some vest by now, with the house in whose books they were earned."""
    return await tx.rows(
        f"""
        SELECT g.buyer_id, min(e.merchant_id) AS house_id FROM incentives.buyer_grant g
        CROSS JOIN billing.entity n
        JOIN billing.entry e ON e.merchant_id = n.house_merchant_id AND {_EARNED}
        WHERE {_RIPE} AND g.buyer_id > :after GROUP BY g.buyer_id ORDER BY g.buyer_id LIMIT :limit
        """,
        now=db.clock.now(),
        after=last.buyer_id if last else FIRST,
        limit=_PAGE,
    )


async def _vest(tx: Tx, row: Any) -> bool:
    await ledger.lock_books(tx, row.house_id)
    await grants.hold_parties(tx, "buyer", [row.buyer_id])
    due = await tx.rows(
        f"""
        SELECT g.grant_id FROM incentives.buyer_grant g
        JOIN billing.entry e ON e.merchant_id = :house AND {_EARNED}
        WHERE g.buyer_id = :buyer AND {_RIPE}
        """,
        house=row.house_id,
        buyer=row.buyer_id,
        now=tx.now,
    )
    zone = await tx.scalar("SELECT zone FROM billing.entity WHERE house_merchant_id = :house", house=row.house_id)
    vested = await vest_grants(tx, row.buyer_id, [one.grant_id for one in due], row.house_id, zone)
    for grant in vested:
        await _move_credit(tx, grant, "rebate")
    return bool(vested)


async def vest_grants(tx: Tx, buyer_id: int, grant_ids: Sequence[int], house_id: int, zone: str) -> list[Grant]:
    """Make rebates the buyer's credit, which is to move with them; its grants and the house's books are held."""
    named = [(buyer_id, grant_id) for grant_id in grant_ids]
    await grants.move_grants(tx, "buyer", named, GrantState.AVAILABLE)
    vested = sorted(await grants.move_grants(tx, "buyer", named, GrantState.PAID), key=lambda grant: grant.grant_id)
    entries = []
    for grant in vested:
        legs = postings.rebate_vested(grant.amount_minor, grant.promotion_id, grant.party_id)
        entries.append(_entry(tx, grant, "rebate_vested", legs, house_id, zone))
    await ledger.post(tx, entries)
    return vested


async def post_rebates(tx: Tx, new: Sequence[Grant], merchant: Merchant, contracts: Contracts) -> None:
    """Book new rebates, or what is taken back of them, in the house's books, and what the merchant of the order bears
    in its own; both are held."""
    entries = []
    for grant in new:
        minor, own = grant.amount_minor, grant.amount_minor - moves_minor(grant)
        payers = parts_of(contracts, grant)
        borne = postings.incentive_borne(minor, grant.promotion_id, payers, merchant_minor=own, grant_id=grant.grant_id)
        if grant.state is GrantState.PAID:
            kind, legs = "rebate_clawed_back", (*postings.rebate_clawed_back(-minor, grant.party_id), *borne)
            await _move_credit(tx, grant, "rebate taken back")
        else:
            kind = "rebate_earned" if minor > 0 else "rebate_unearned"
            legs = (*borne, *postings.incentive_earned(minor, grant.promotion_id))
        entries.append(_entry(tx, grant, kind, legs, merchant.house_merchant_id, merchant.zone))
        if own:
            shared = postings.rebate_shared(own, grant.grant_id)
            entries.append(_entry(tx, grant, "rebate_shared", shared, merchant.merchant_id, merchant.zone))
    await ledger.post(tx, entries)


async def _move_credit(tx: Tx, grant: Grant, reason: str) -> None:
    buyer_id, source_id = grant.party_id, grant.grant_id
    await credit.move(tx, buyer_id, grant.currency, "rebate", grant.amount_minor, source_id=source_id, reason=reason)


async def free_credit(tx: Tx, buyer_id: int, currency: str) -> int:
    """What of a buyer's credit is neither spent nor set aside."""
    free = [
        account.balance_minor - account.reserved_minor
        for account in await credit.accounts(tx, buyer_id)
        if account.currency == currency
    ]
    return max(0, sum(free))


def _entry(tx: Tx, grant: Grant, kind: str, legs: tuple[Leg, ...], books_id: int, zone: str) -> NewEntry:
    return NewEntry(
        merchant_id=books_id,
        kind=kind,
        source_id=grant.grant_id,
        currency=grant.currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, zone),
        legs=legs,
    )
