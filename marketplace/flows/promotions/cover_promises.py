"""What payers bear of what is promised: held of their caps until it is earned or falls away.

A promise's parts are frozen with it. What is earned of it is divided as they stand and takes them over, in the period
of the cap that they were taken from: so what was shown to a merchant is always there.
"""

from collections.abc import Collection, Sequence
from datetime import date

import msgspec

from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from incentives.budgets.model import Ask
from incentives.grants.model import Grant
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import allocate
from marketplace.flows.payers.cover_cost import CoverCost, commit_cost, reserve_costs
from marketplace.flows.promotions.grant_rewards_sql import Merchant


class Promised:
    """Payers' shares of a merchant's promises, by the promises' keys; names: of their contracts, as funders."""

    def __init__(self, merchant: Merchant) -> None:
        self.merchant = merchant
        self.names: dict[int, str] = {}
        self._of: dict[str, list[PayerShare]] = {}

    @property
    def days(self) -> set[date]:
        """On which they were taken from caps."""
        return {local_date(share.reserved_at, self.merchant.zone) for of in self._of.values() for share in of}

    async def add(self, tx: Tx, found: Sequence[PayerShare]) -> None:
        for share in found:
            self.names[share.contract_id] = (await payers.get_version(tx, share.version_id)).terms.name
            self._of.setdefault(share.source_ref, []).append(share)

    async def reserve(self, tx: Tx, asks: Sequence[Ask]) -> None:
        """Take from the caps, which are held and have it, what payers bear of new promises. asks: with their caps, of
        what was given."""
        today = local_date(tx.now, self.merchant.zone)
        cmds = [
            CoverCost(
                contract_id=-draw.budget.budget_id,
                merchant_id=self.merchant.merchant_id,
                entity_id=self.merchant.entity_id,
                source=shares.PROMOTION,
                source_id=time_ordered_id(tx.now),
                source_ref=ask.key,
                amount_minor=part,
                on=today,
            )
            for ask in asks
            for draw in ask.draws
            if (part := ask.part_of(draw, ask.amount_minor))
        ]
        await self.add(tx, await reserve_costs(tx, cmds))

    def parts(self, key: str, has_minor: int, minor: int) -> dict[str, int]:
        """How much of an amount of a promise of so much is each payer's."""
        of = self._of.get(key, [])
        return {self.names[share.contract_id]: part for share, part in _divided(of, has_minor, minor) if part}

    async def give_back(self, tx: Tx, key: str, has_minor: int, minor: int) -> None:
        """So much of a promise falls away: the caps, which are held, have it again."""
        of = self._of.pop(key, [])
        for share, part in _divided(of, has_minor, minor):
            if await self._take(tx, share, part):
                await caps.give_back(tx, share.cap, share.shard, part)

    async def hand_over(self, tx: Tx, key: str, has_minor: int, grant: Grant, name: str) -> None:
        """What was earned of a promise is owed by its payers from the day on which it vests."""
        of = self._of.pop(key, [])
        on = max(local_date(at, self.merchant.zone) for at in (tx.now, grant.vests_at or tx.now))
        for share, part in _divided(of, has_minor, grant.amount_minor):
            if not await self._take(tx, share, part):
                continue
            earned = msgspec.structs.replace(share, source_id=grant.grant_id, source_ref=name, reserved_at=tx.now)
            await shares.add_shares(tx, [_of_amount(earned, part)])
            await commit_cost(tx, share.merchant_id, share.source, grant.grant_id, share.contract_id, on=on)

    async def _take(self, tx: Tx, share: PayerShare, minor: int) -> bool:
        """Take a part out of a promise's share; whether there was any."""
        left = _of_amount(share, share.amount_minor - minor)
        if left.amount_minor:
            self._of.setdefault(share.source_ref, []).append(left)
        if minor:
            await shares.shrink(tx, left)
        return minor > 0


def _divided(of: Sequence[PayerShare], has_minor: int, minor: int) -> list[tuple[PayerShare, int]]:
    """What of an amount falls on each share of a promise of so much: never more than the share has."""
    if not of:
        return []
    held = [share.amount_minor for share in of]
    return list(zip(of, allocate(minor, [*held, has_minor - sum(held)]), strict=False))


def _of_amount(share: PayerShare, minor: int) -> PayerShare:
    return msgspec.structs.replace(share, amount_minor=minor, line_minor=[minor])


async def promised_of(tx: Tx, merchant: Merchant, keys: Collection[str]) -> Promised:
    """What payers hold for the promises under these keys."""
    promised = Promised(merchant)
    if keys:
        await promised.add(tx, await shares.reserved_under(tx, merchant.merchant_id, keys))
    return promised
