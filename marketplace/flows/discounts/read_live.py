"""The promotions that take something off orders now, compiled and kept until one of them is moved or edited."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime

import msgspec

from incentives.budgets import store as budgets
from incentives.budgets.model import Budget
from incentives.discounts.model import is_discount, payers_of
from incentives.promotions import store as promotions
from incentives.promotions.model import as_it_ends
from incentives.rules.index import Index, Plan, plan_of
from incentives.rules.model import Terms
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.flows.payers.fund_promotions import Contract, contracts_of

_KEPT = 8
"""Epochs of which a process remembers the promotions: one, and what other databases of a test have."""


class LiveVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a live promotion. effective_from: when it is in force; ends_at: the promotion's end."""

    plan: Plan
    campaign_id: int
    effective_from: datetime
    ends_at: datetime | None


class Live:
    """The discounts of one epoch: nothing of them changes in it but time."""

    def __init__(
        self,
        epoch: int,
        versions: Sequence[LiveVersion],
        kept: dict[int, list[Budget]],
        contracts: dict[str, Contract],
    ) -> None:
        self.epoch, self.budgets, self.contracts = epoch, kept, contracts
        self.campaigns = {each.plan.promotion_id: each.campaign_id for each in versions}
        self.plans = {(each.plan.promotion_id, each.plan.version): each.plan for each in versions}
        self.joined: dict[Role, set[int]] = {"merchant": set(), "buyer": set()}
        for (promotion_id, _), plan in self.plans.items():
            for role in plan.joins:
                self.joined[role].add(promotion_id)
        self._versions = versions
        instants = {each.effective_from for each in versions} | {each.ends_at for each in versions if each.ends_at}
        self._changes = sorted(instants)
        self._indexes: dict[int, Index] = {}

    def index(self, at: datetime) -> Index:
        """Of the versions in force at an instant: of each promotion the newest by then, before all the first."""
        since = bisect_right(self._changes, at)
        if since not in self._indexes:
            chosen: dict[int, Plan] = {}
            for each in self._versions:
                if each.ends_at is not None and at >= each.ends_at:
                    continue
                if each.plan.promotion_id not in chosen or each.effective_from <= at:
                    chosen[each.plan.promotion_id] = each.plan
            self._indexes[since] = Index(chosen.values())
        return self._indexes[since]


_live: dict[int, Live] = {}


async def read_live(tx: Tx, epoch: int) -> Live:
    """What is live in an epoch: read once in a process.

    Read later than the epoch itself it may be of a newer one. Nobody is given anything by that: a quote changes
    nothing, and an order is placed only in the epoch that it was priced in.
    """
    if epoch not in _live:
        rows = await promotions.live_versions(tx)
        terms = {
            (row.promotion_id, row.version_no): as_it_ends(msgspec.convert(row.terms, Terms), row.ends_at)
            for row in rows
        }
        found = [
            LiveVersion(
                plan=plan_of(row.promotion_id, row.version_no, terms[row.promotion_id, row.version_no]),
                campaign_id=row.campaign_id,
                effective_from=row.effective_from,
                ends_at=row.ends_at,
            )
            for row in rows
            if is_discount(terms[row.promotion_id, row.version_no])
        ]
        contracts = await contracts_of(tx, [each.plan.terms for each in found])
        found = [each for each in found if all(name in contracts for name in payers_of(each.plan.terms))]
        kept = await budgets.budgets_under(tx, {each.plan.promotion_id: each.campaign_id for each in found})
        while len(_live) >= _KEPT:
            del _live[next(iter(_live))]
        _live[epoch] = Live(epoch, found, kept, contracts)
    return _live[epoch]
