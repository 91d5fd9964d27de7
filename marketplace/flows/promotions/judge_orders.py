"""Settled orders under the promotions that reward merchants: which count, and under which version."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from incentives.discounts.model import payers_of
from incentives.experiments.model import HELD_OUT, TREATED
from incentives.experiments.store import Exposure
from incentives.grants.rewards import COUNTED, asked, is_rebate, is_reward, not_payable
from incentives.promotions import store as promotions
from incentives.promotions.joins import store as joins
from incentives.promotions.model import as_it_ends
from incentives.rules.arms import arm_of
from incentives.rules.evaluate import Verdict, evaluate
from incentives.rules.events import Event, Facts, Holdout, Who
from incentives.rules.index import Index, Plan, PlanSide, plan_of
from incentives.rules.model import OrderPlaced, Terms
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.flows.promotions.grant_rewards_sql import Merchant, Settled


class Plans:
    """The versions that a pass has compiled, with the ends that its promotions had then."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, int], Plan] = {}
        self._indexes: dict[tuple[Role, tuple[tuple[int, int], ...]], Index] = {}

    async def get(self, tx: Tx, promotion_id: int, version_no: int) -> Plan:
        key = promotion_id, version_no
        if key not in self._plans:
            version = await promotions.get_version(tx, promotion_id, version_no)
            ends_at = (await promotions.get_promotion(tx, promotion_id)).ends_at
            self._plans[key] = plan_of(promotion_id, version_no, as_it_ends(version.terms, ends_at))
        return self._plans[key]

    async def index(self, tx: Tx, desk: "Desk", keys: tuple[tuple[int, int], ...]) -> Index:
        """Those of the versions that are decided at such a desk."""
        if (desk.role, keys) not in self._indexes:
            found = [await self.get(tx, *key) for key in keys]
            rewards = [plan for plan in found if desk.is_for(plan.terms) and not not_payable(plan.terms)]
            self._indexes[desk.role, keys] = Index(rewards)
        return self._indexes[desk.role, keys]


class Versions:
    """The approved versions of promotions, as they stand while nobody may move them; rows: of `approved_versions`."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows
        self.campaigns = {row.promotion_id: row.campaign_id for row in rows}
        instants = {row.effective_from for row in rows} | {row.ends_at for row in rows if row.ends_at is not None}
        self._changes = sorted(instants)
        self._in_force: dict[int, tuple[tuple[int, int], ...]] = {}
        approved = Counter(row.promotion_id for row in rows)
        self._only = {row.promotion_id: row.version_no for row in rows if approved[row.promotion_id] == 1}

    def in_force(self, at: datetime) -> tuple[tuple[int, int], ...]:
        """Of each promotion the newest version that was in force by then, before all of them the first."""
        since = bisect_right(self._changes, at)
        if since not in self._in_force:
            chosen: dict[int, int] = {}
            for row in self.rows:
                if row.ends_at is not None and at >= row.ends_at:
                    continue
                if row.promotion_id not in chosen or row.effective_from <= at:
                    chosen[row.promotion_id] = row.version_no
            self._in_force[since] = tuple(chosen.items())
        return self._in_force[since]

    def only(self, promotion_id: int) -> int | None:
        """The version of a promotion of which no other was ever approved."""
        return self._only.get(promotion_id)


class Desk:
    """What a merchant's page is decided with: its promotions, as they stand while nobody may move them."""

    role: Role = "merchant"

    def __init__(self, merchant: Merchant, plans: Plans, versions: Versions, joined: dict[Who, datetime]) -> None:
        self.merchant, self.plans, self.versions, self._joined = merchant, plans, versions, joined
        self.campaigns = versions.campaigns
        self.granting: set[int] = set()
        self.holdout: Holdout | None = None
        self._reached: set[tuple[int, str]] = set()

    async def judged(self, tx: Tx, event: Event, at: datetime) -> list[Verdict]:
        """The verdicts on an event under the versions that were in force."""
        index = await self.plans.index(tx, self, self.versions.in_force(at))
        facts = Facts(joined_at=self._joined, holdout=self.holdout)
        return [self._own(verdict) for verdict in evaluate(index, event, facts, at)]

    def _own(self, verdict: Verdict) -> Verdict:
        """What of a verdict is decided here: another desk has the other beneficiary's."""
        if all(effect.role == self.role for effect in verdict.effects):
            return verdict
        return msgspec.structs.replace(verdict, effects=tuple(e for e in verdict.effects if e.role == self.role))

    async def exposed(self, tx: Tx, verdict: Verdict, buyer_id: int | None, at: datetime) -> list[Exposure]:
        """Whom an experiment has reached by an event, or held out of it, if nobody of them was before on this desk."""
        if not (verdict.effects or verdict.outcome == "held_out"):
            return []
        experiment = (await self.plans.get(tx, verdict.promotion_id, verdict.version)).terms.experiment
        if experiment is None and self.role != "merchant":
            return []
        unit = str(self._units(buyer_id)["merchant" if experiment is None else experiment.unit])
        if (verdict.promotion_id, unit) in self._reached:
            return []
        self._reached.add((verdict.promotion_id, unit))
        return [
            Exposure(
                merchant_id=self.merchant.merchant_id,
                promotion_id=verdict.promotion_id,
                unit=unit,
                arm=HELD_OUT if verdict.outcome == "held_out" else verdict.arm or TREATED,
                version_no=verdict.version,
                at=at,
            )
        ]

    def _units(self, buyer_id: int | None) -> dict[str, int | str | None]:
        """What is drawn, by the kinds of units of experiments."""
        return {"merchant": self.merchant.merchant_id, "buyer": buyer_id, "region": self.merchant.region}

    def for_buyers(self) -> "BuyersDesk":
        """The same promotions, as they stand, for the buyers of the orders."""
        desk = BuyersDesk(self.merchant, self.plans, self.versions, self._joined)
        desk.granting, desk.holdout = self.granting, self.holdout
        return desk

    async def promises(self, tx: Tx) -> bool:
        """Whether anything is promised to the merchant for orders that have not settled."""
        return any(isinstance(terms.trigger, OrderPlaced) and self.is_for(terms) for terms in await self._terms(tx))

    async def counts_orders(self, tx: Tx) -> bool:
        """Whether any of the promotions asks for the orders that there were before."""
        return any(not COUNTED.isdisjoint(asked(terms)) for terms in await self._terms(tx))

    async def note_joined(self, tx: Tx, buyer_ids: Sequence[int]) -> None:
        """Find out which of these buyers have joined promotions that ask for it."""
        plans = [await self.plans.get(tx, row.promotion_id, row.version_no) for row in self.versions.rows]
        asking = {plan.promotion_id for plan in plans if "buyer" in plan.joins}
        if asking:
            self._joined = self._joined | await joins.joined_at(tx, "buyer", buyer_ids, asking)

    async def concerns_anybody(self, tx: Tx) -> bool:
        """Whether any of the promotions is decided here."""
        return any(self.is_for(terms) for terms in await self._terms(tx))

    async def concerns_others(self, tx: Tx) -> bool:
        """Whether anybody but merchants has a part in any of the promotions: payers bear some of it, buyers get some,
        or budgets hold what is only promised."""
        return any(
            is_rebate(terms) or (is_reward(terms) and (payers_of(terms) or isinstance(terms.trigger, OrderPlaced)))
            for terms in await self._terms(tx)
        )

    async def _terms(self, tx: Tx) -> list[Terms]:
        return [(await self.plans.get(tx, row.promotion_id, row.version_no)).terms for row in self.versions.rows]

    def is_for(self, terms: Terms) -> bool:
        """Whether a promotion is one of those that are decided here."""
        return is_reward(terms)

    def party_of(self, order: Settled) -> int:
        """Whom an order counts for."""
        return self.merchant.merchant_id

    @property
    def books_id(self) -> int:
        """In whose books its grants are."""
        return self.merchant.merchant_id

    def side(self, plan: Plan, buyer_id: int | None) -> PlanSide:
        """Its party's side of a plan, in the arm that the experiment has drawn for it."""
        experiment, arm = plan.terms.experiment, None
        if experiment is not None:
            arm = arm_of(experiment, str(self._units(buyer_id)[experiment.unit]))
        sides = next(iter(plan.sides.values())) if arm is None else plan.sides[arm.name]
        return next(side for side in sides if side.side.role == self.role)


class BuyersDesk(Desk):
    """The same for what the buyers of a merchant's orders get."""

    role: Role = "buyer"

    def is_for(self, terms: Terms) -> bool:
        return is_rebate(terms)

    def party_of(self, order: Settled) -> int:
        return order.buyer_id

    @property
    def books_id(self) -> int:
        return self.merchant.house_merchant_id
