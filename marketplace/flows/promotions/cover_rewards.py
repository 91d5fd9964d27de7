"""What third-party payers bear of rewards and rebates: taken from caps, owed at once, claimed once it has vested.

A payer's share is of one grant, and in the same books: a merchant's, or of a buyer's grant the house's. What is taken
back of a window comes off the shares of its newest grants first.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

import msgspec

from billing.payers.rules import split_back
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from incentives.budgets.model import Ask, Decision, Slot, decide
from incentives.grants.model import Grant
from incentives.rules.index import Plan
from incentives.rules.model import Terms
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, reserve_costs
from marketplace.flows.payers.fund_promotions import Contracts, cap_draws, cap_rooms
from marketplace.flows.payers.unwind_shares import move_share
from marketplace.flows.promotions.grant_rewards_sql import Merchant

Part = tuple[int, int]
"""A contract, and what it bears."""


def parts_of(contracts: Contracts, grant: Grant) -> list[Part]:
    """What payers bear of a grant, by contract."""
    borne = zip(grant.funders, grant.funder_minor, strict=True)
    return sorted((contracts[name].contract_id, minor) for name, minor in borne if name in contracts)


class Caps(msgspec.Struct, frozen=True):
    """What the caps of payers have left on a merchant's day, which nobody else takes from meanwhile."""

    contracts: Contracts
    rooms: dict[Slot, int]
    on: date

    def decide(self, asks: Iterable[Ask], terms: Mapping[str, Terms]) -> dict[str, Decision]:
        """What they give of grants, by key: everything where no payer bears a part. terms: by key."""
        return {one.key: one for one in decide(self.capped(asks, terms), dict(self.rooms))}

    def capped(self, asks: Iterable[Ask], terms: Mapping[str, Terms]) -> list[Ask]:
        """What they are asked for grants. terms: by key."""
        return [msgspec.structs.replace(a, draws=cap_draws(self.contracts, terms[a.key], self.on)) for a in asks]


async def hold_caps(tx: Tx, contracts: Contracts, merchant: Merchant, days: Collection[date] = ()) -> Caps:
    """In the order of the contracts; again: what they have by now. days: on which more was taken that may come back."""
    on = local_date(tx.now, merchant.zone)
    return Caps(contracts, await cap_rooms(tx, contracts, {on, *days}, hold=True), on)


async def cover_grants(
    tx: Tx, contracts: Contracts, new: Sequence[tuple[int, Grant, Plan]], merchant: Merchant
) -> None:
    """Take from the caps, which are held and have it, what payers bear of new grants, each of these books."""
    today = local_date(tx.now, merchant.zone)
    cmds = [
        CoverCost(
            contract_id=contract_id,
            merchant_id=books_id,
            entity_id=merchant.entity_id,
            source=shares.PROMOTION,
            source_id=grant.grant_id,
            source_ref=plan.terms.name,
            amount_minor=minor,
            on=today,
        )
        for books_id, grant, plan in new
        for contract_id, minor in parts_of(contracts, grant)
    ]
    vests = {grant.grant_id: grant.vests_at or tx.now for _, grant, _ in new}
    for share in await reserve_costs(tx, cmds):
        on = max(today, local_date(vests[share.source_id], merchant.zone))
        await commit_cost(tx, share.merchant_id, share.source, share.source_id, share.contract_id, on=on)


async def uncover_grants(
    tx: Tx, contracts: Contracts, backs: Iterable[tuple[int, Sequence[Grant], Sequence[Grant]]]
) -> None:
    """The payers need not bear any more what is taken back: by window its books, what was granted, the clawbacks."""
    found = []
    for books_id, granted, new in backs:
        left: dict[tuple[int, int], int] = {}
        for back in new:
            for contract_id, minor in parts_of(contracts, back):
                for share, part in await _newest_first(tx, (books_id, contract_id), granted, -minor, left):
                    found.append((share.cap, share.shard, share, back.grant_id, part))
    for _, _, share, back_id, part in sorted(found, key=_in_order):
        present = await shares.get_share(tx, share.merchant_id, share.source, share.source_id, share.contract_id)
        assert present is not None
        _, to_bearer = split_back(present.standing, part)
        await shares.add_back(tx, present, back_id, {1: part}, to_bearer)
        await move_share(tx, present, {1: part}, to_bearer)


def _in_order(found: tuple[object, int, PayerShare, int, int]) -> tuple[object, ...]:
    """That in which caps are given back to: of contract, period and lease."""
    _, shard, share, back_id, _ = found
    return share.contract_id, share.period_from, shard, share.source_id, back_id


async def _newest_first(
    tx: Tx, of: tuple[int, int], granted: Sequence[Grant], minor: int, left: dict[tuple[int, int], int]
) -> list[tuple[PayerShare, int]]:
    """From which shares of a window an amount comes back. of: their books and the contract; left: of those looked at
    before."""
    books_id, contract_id = of
    parts = []
    for grant in sorted(granted, key=lambda each: -each.grant_no):
        if not minor or grant.amount_minor < 0:
            continue
        key = grant.grant_id, contract_id
        share = await shares.get_share(tx, books_id, shares.PROMOTION, grant.grant_id, contract_id)
        if share is None:
            continue
        room = left.setdefault(key, share.amount_minor - share.back_minor)
        part = min(room, minor)
        if part:
            left[key] -= part
            minor -= part
            parts.append((share, part))
    assert not minor, "a payer's shares are what the window's grants say"
    return parts
