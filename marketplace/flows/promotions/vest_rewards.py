"""Book merchants' rewards: earned at once, payable when they vest, taken back from where they stand."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from billing import postings
from billing.ledger import store as ledger
from billing.ledger.model import Leg, NewEntry
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState
from incentives.grants.rewards import moves_minor
from marketplace.core.clock import local_date
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.payers.fund_promotions import Contracts
from marketplace.flows.promotions import grant_rewards_sql as sql
from marketplace.flows.promotions.cover_rewards import parts_of

_PAGE = 200
_PER_COMMIT = 500


async def vest_rewards(db: Database, actor: str) -> int:
    """Make payable what has vested by now; returns how many commits that took."""
    vested = 0
    while done := await each(db, actor, "rewards did not vest", partial(_vesting, db), _vest):
        vested += done
    return vested


async def _vesting(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    return await sql.merchants_vesting(tx, db.clock.now(), last.merchant_id if last else FIRST, _PAGE)


async def _vest(tx: Tx, row: Any) -> bool:
    await ledger.lock_books(tx, row.merchant_id)
    await grants.hold_parties(tx, "merchant", [row.merchant_id])
    due = [(row.merchant_id, each.grant_id) for each in await sql.vested_of(tx, row.merchant_id, _PER_COMMIT)]
    await grants.move_grants(tx, "merchant", due, GrantState.AVAILABLE)
    vested = await grants.move_grants(tx, "merchant", due, GrantState.PAID)
    merchant = await sql.get_merchant(tx, row.merchant_id)
    legs = [(grant, postings.incentive_vested(moves_minor(grant), grant.promotion_id)) for grant in vested]
    await ledger.post(tx, [reward_entry(tx, grant, "incentive_vested", of, merchant.zone) for grant, of in legs if of])
    return bool(vested)


async def post_grants(tx: Tx, new: Sequence[tuple[Grant, str]], contracts: Contracts) -> None:
    """Book new grants of merchants whose books are held, each with its merchant's zone. What a merchant bears of its
    own reward moves nothing."""
    entries = []
    for grant, zone in new:
        minor = moves_minor(grant)
        borne = postings.incentive_borne(minor, grant.promotion_id, parts_of(contracts, grant))
        if grant.state is GrantState.PAID:
            kind, legs = "incentive_clawed_back", (*postings.incentive_clawed_back(-minor), *borne)
        else:
            kind = "incentive_earned" if minor > 0 else "incentive_unearned"
            legs = (*borne, *postings.incentive_earned(minor, grant.promotion_id))
        if legs:
            entries.append(reward_entry(tx, grant, kind, legs, zone))
    await ledger.post(tx, entries)


def reward_entry(tx: Tx, grant: Grant, kind: str, legs: tuple[Leg, ...], zone: str) -> NewEntry:
    """An entry about a grant, in its merchant's books."""
    return NewEntry(
        merchant_id=grant.party_id,
        kind=kind,
        source_id=grant.grant_id,
        currency=grant.currency,
        occurred_at=tx.now,
        effective_on=local_date(tx.now, zone),
        legs=legs,
    )
