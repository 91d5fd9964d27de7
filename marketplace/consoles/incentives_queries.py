"""What the pages of campaigns and promotions show: lists, how a promotion stands, what they burn, who did what."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec

from incentives import store as incentives
from incentives.budgets import store as budgets
from incentives.budgets.model import Budget, Control, Owner, Scope
from incentives.budgets.store import Standing
from incentives.campaigns import store as campaigns
from incentives.campaigns.model import Campaign
from incentives.changes import store as changes
from incentives.changes.model import Change
from incentives.experiments.findings import Findings
from incentives.experiments.store import Precedent, Review, find_review, precedents
from incentives.lifecycle import State
from incentives.promotions import store as promotions
from incentives.promotions.model import Promotion, Version
from incentives.simulation import store as simulations
from incentives.simulation.report import Warned
from incentives.simulation.store import Stored, Summary
from incentives.store import Step
from marketplace.consoles.burn import Burn, burn
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.flows.promotions.pass_gate import warnings_of
from marketplace.flows.promotions.review_promotion import look_back
from marketplace.flows.proofs.check_again import last_of_review

LISTED_MAX = 50
STEPS_MAX = 30
COMPARED_MAX = 4


class Spent(msgspec.Struct, frozen=True):
    """What is used of the budget for all of a thing; nothing for what has no such budget."""

    used_minor: int
    limit_minor: int

    @property
    def ppm(self) -> int:
        return min(1_000_000, self.used_minor * 1_000_000 // self.limit_minor) if self.limit_minor else 0


class CampaignRow(msgspec.Struct, frozen=True, kw_only=True):
    """limit_minor: what it may use in all, None where nothing is said of that; used_minor: what it has used of it."""

    campaign_id: int
    name: str
    state: str
    starts: str
    ends: str | None
    metric: str | None
    currency: str
    budget_minor: int | None
    used_minor: int | None
    limit_minor: int | None
    used_ppm: int | None

    @property
    def spent(self) -> Spent | None:
        return None if self.limit_minor is None else Spent(self.used_minor or 0, self.limit_minor)


class PromotionRow(msgspec.Struct, frozen=True, kw_only=True):
    """As of campaigns."""

    promotion_id: int
    name: str
    campaign_id: int
    campaign: str
    state: str
    currency: str
    used_minor: int | None
    limit_minor: int | None
    used_ppm: int | None

    @property
    def spent(self) -> Spent | None:
        return None if self.limit_minor is None else Spent(self.used_minor or 0, self.limit_minor)


class InStatePage(msgspec.Struct, frozen=True):
    """A list narrowed to the state that was asked for."""

    wanted: State | None


def _spent(owner: Owner, of: str) -> str:
    return f"""
LEFT JOIN LATERAL (
    SELECT e.limit_minor, sum(s.reserved_minor + s.spent_minor)::bigint AS used_minor,
           (sum(s.reserved_minor + s.spent_minor) * 1000000 / nullif(e.limit_minor, 0))::bigint AS used_ppm
    FROM incentives.budget b
    JOIN incentives.budget_period e ON e.budget_id = b.budget_id
    JOIN incentives.budget_shard s ON s.budget_id = e.budget_id AND s.period_from = e.period_from
    WHERE b.owner = '{owner}' AND b.owner_id = {of} AND b.scope = '{Scope.TOTAL}' AND b.control = '{Control.ABSOLUTE}'
    GROUP BY b.budget_id, e.period_from, e.limit_minor ORDER BY b.budget_id DESC, e.period_from LIMIT 1
) AS used ON true"""


_BURN = (
    Column("currency", "col.currency", by="", shown=Shown.IN_FILES),
    Column("used_minor", "burn.spent", Kind.MONEY, by="", shown=Shown.IN_FILES),
    Column("limit_minor", "promo_field.budget", Kind.MONEY, by="", shown=Shown.IN_FILES),
    Column("used_ppm", "burn.title", Kind.NUMBER, shown=Shown.ON_PAGES, empty=True),
)
CAMPAIGNS = Roll(
    name="campaigns",
    first="-starts",
    key=("campaign_id",),
    columns=(
        Column("name", "promo_field.name"),
        Column("state", "col.state"),
        Column("starts", "incentive.time"),
        Column("ends", "promo_field.ends", by="", shown=Shown.IN_FILES),
        Column("metric", "incentive.target", empty=True),
        *_BURN,
    ),
    query=f"""
SELECT c.campaign_id, c.name, c.state, c.schedule ->> 'starts' AS starts, c.schedule ->> 'ends' AS ends,
       c.plan -> 'target' ->> 'metric' AS metric, c.currency, CAST(c.plan ->> 'budget_minor' AS bigint) AS budget_minor,
       used.used_minor, used.limit_minor, used.used_ppm
FROM incentives.campaign c {_spent(Owner.CAMPAIGN, "c.campaign_id")}
WHERE CAST(:state AS text) IS NULL OR c.state = :state
""",
    read=lambda row: CampaignRow(**row._mapping),
)
PROMOTIONS = Roll(
    name="promotions",
    first="-promotion_id",
    key=("promotion_id",),
    columns=(
        Column("promotion_id", "promotions.number", Kind.NUMBER, shown=Shown.IN_FILES),
        Column("name", "promo_field.name"),
        Column("campaign", "incentive.campaign"),
        Column("state", "col.state"),
        *_BURN,
        Column("compare", "promotions.compare", by="", shown=Shown.ON_PAGES),
    ),
    query=f"""
SELECT p.promotion_id, p.name, p.campaign_id, c.name AS campaign, p.state, p.currency, used.used_minor,
       used.limit_minor, used.used_ppm
FROM incentives.promotion p JOIN incentives.campaign c ON c.campaign_id = p.campaign_id
{_spent(Owner.PROMOTION, "p.promotion_id")}
WHERE CAST(:state AS text) IS NULL OR p.state = :state
""",
    read=lambda row: PromotionRow(**row._mapping),
)


class CampaignPage(msgspec.Struct, frozen=True):
    """A campaign with its promotions, its burn, and what was done to it, the newest first."""

    campaign: Campaign
    promotions: Sequence[Promotion]
    spent: Mapping[int, Spent]
    burn: Burn
    budgets: Sequence[tuple[Budget, Standing | None]]
    changes: Sequence[Change]
    steps: Sequence[Step]


class PromotionPage(msgspec.Struct, frozen=True):
    """A promotion with its newest version and what waits for a second person.

    simulated: the newest simulation of that version that has come to a result; warnings: what whoever approves must
    say something to. asked: all simulations, the newest first. precedents: reviews of promotions like it.
    """

    promotion: Promotion
    campaign: Campaign
    version: Version
    versions: Sequence[Version]
    burn: Burn
    budgets: Sequence[tuple[Budget, Standing | None]]
    changes: Sequence[Change]
    steps: Sequence[Step]
    asked: Sequence[Summary]
    simulated: Stored | None
    warnings: Sequence[Warned]
    precedents: Sequence[Precedent]

    @property
    def is_proposed(self) -> bool:
        """Whether the newest version waits for somebody to decide on it."""
        return self.version.state.value == "proposed"


class ReviewPage(msgspec.Struct, frozen=True):
    """findings: as they stood at `as_of`, None for now, or as they were frozen with the review."""

    promotion: Promotion
    campaign: Campaign
    findings: Findings
    as_of: datetime | None
    review: Review | None
    zone: str


async def review_page(tx: Tx, promotion_id: int) -> ReviewPage:
    """What a promotion has changed by now. Raises NotFound."""
    found = await promotions.get_promotion(tx, promotion_id)
    written = await find_review(tx, promotion_id)
    kept = await last_of_review(tx, promotion_id)
    standing = kept.answer or await look_back(tx, promotion_id) if written is None else written.findings
    return ReviewPage(
        promotion=found,
        campaign=await campaigns.get_campaign(tx, found.campaign_id),
        findings=standing,
        as_of=kept.checked_at if written is None else None,
        review=written,
        zone=(await promotions.get_version(tx, promotion_id)).terms.schedule.zone,
    )


async def campaign_page(tx: Tx, campaign_id: int) -> CampaignPage:
    """One campaign. Raises NotFound."""
    found = await campaigns.get_campaign(tx, campaign_id)
    below = await promotions.list_promotions(tx, campaign_id=campaign_id, limit=LISTED_MAX)
    ids = [each.promotion_id for each in below]
    return CampaignPage(
        campaign=found,
        promotions=below,
        spent=await spent_of(tx, Owner.PROMOTION, ids),
        burn=await _burn(tx, Owner.CAMPAIGN, campaign_id, ids, found.schedule.zone, found.ends_at),
        budgets=await _budgets(tx, Owner.CAMPAIGN, campaign_id),
        changes=await _changes(tx, Owner.CAMPAIGN, campaign_id),
        steps=await incentives.history(tx, "campaign", campaign_id, limit=STEPS_MAX, before=None),
    )


async def promotion_page(tx: Tx, promotion_id: int) -> PromotionPage:
    """One promotion. Raises NotFound."""
    found = await promotions.get_promotion(tx, promotion_id)
    version = await promotions.get_version(tx, promotion_id)
    simulated = await simulations.newest_done(tx, promotion_id, version.version_no)
    zone = version.terms.schedule.zone
    return PromotionPage(
        promotion=found,
        campaign=await campaigns.get_campaign(tx, found.campaign_id),
        version=version,
        versions=await promotions.list_versions(tx, promotion_id, limit=LISTED_MAX, before=None),
        burn=await _burn(tx, Owner.PROMOTION, promotion_id, [promotion_id], zone, found.ends_at),
        budgets=await _budgets(tx, Owner.PROMOTION, promotion_id),
        changes=await _changes(tx, Owner.PROMOTION, promotion_id),
        steps=await incentives.history(tx, "promotion", promotion_id, limit=STEPS_MAX, before=None),
        asked=await simulations.list_simulations(tx, promotion_id, limit=5, before=None),
        simulated=simulated,
        warnings=warnings_of(version.terms, simulated),
        precedents=await precedents(tx, promotion_id),
    )


async def spent_of(tx: Tx, owner: Owner, ids: Sequence[int]) -> dict[int, Spent]:
    """What each has used of the budget for all of it."""
    of = {
        each.budget_id: each.owner_id
        for each in await budgets.budgets_of(tx, owner, ids)
        if each.scope is Scope.TOTAL and each.control is Control.ABSOLUTE
    }
    stood = await budgets.standings(tx, of)
    return {of[one.budget_id]: Spent(one.reserved_minor + one.spent_minor, one.limit_minor) for one in stood}


async def burn_of(tx: Tx, owner: Owner, owner_id: int) -> tuple[State, Burn]:
    """How a campaign or a promotion stands and burns. Raises NotFound."""
    found: Campaign | Promotion
    if owner is Owner.CAMPAIGN:
        found = campaign = await campaigns.get_campaign(tx, owner_id)
        below = await promotions.list_promotions(tx, campaign_id=owner_id, limit=LISTED_MAX)
        ids = [each.promotion_id for each in below]
    else:
        found, ids = await promotions.get_promotion(tx, owner_id), [owner_id]
        campaign = await campaigns.get_campaign(tx, found.campaign_id)
    return found.state, await _burn(tx, owner, owner_id, ids, campaign.schedule.zone, found.ends_at)


async def _burn(
    tx: Tx, owner: Owner, owner_id: int, promotion_ids: Sequence[int], zone: str, ends_at: datetime | None
) -> Burn:
    rows = await tx.rows(_GRANTED, promotions=list(promotion_ids), zone=zone)
    granted: dict[date, int] = {row.on_day: row.minor for row in rows}
    spent = (await spent_of(tx, owner, [owner_id])).get(owner_id)
    return burn(
        granted,
        sum(granted.values()) if spent is None else spent.used_minor,
        None if spent is None else spent.limit_minor,
        local_date(tx.now, zone),
        None if ends_at is None else local_date(ends_at, zone),
    )


async def _budgets(tx: Tx, owner: Owner, owner_id: int) -> list[tuple[Budget, Standing | None]]:
    """Each budget with where it stands in its newest period."""
    of = await budgets.budgets_of(tx, owner, [owner_id])
    stood: dict[int, Standing] = {}
    for one in await budgets.standings(tx, [each.budget_id for each in of]):
        stood.setdefault(one.budget_id, one)
    return [(each, stood.get(each.budget_id)) for each in of]


async def _changes(tx: Tx, owner: Owner, owner_id: int) -> Sequence[Change]:
    return await changes.list_changes(tx, owner=owner, owner_id=owner_id, limit=LISTED_MAX, before=None)


_GRANTED = """
SELECT CAST(g.at AT TIME ZONE :zone AS date) AS on_day, sum(g.amount_minor)::bigint AS minor
FROM (
    SELECT at, amount_minor FROM incentives.merchant_grant WHERE promotion_id = ANY(:promotions) AND state <> 'void'
    UNION ALL
    SELECT at, amount_minor FROM incentives.buyer_grant WHERE promotion_id = ANY(:promotions) AND state <> 'void'
) AS g GROUP BY 1 ORDER BY 1
"""


async def most_listed_category(tx: Tx) -> str:
    """The category that most listings are of, "" where none has one."""
    found: str | None = await tx.scalar(
        """
        SELECT category FROM supply.offer WHERE state = 'listed' AND category IS NOT NULL
        GROUP BY category ORDER BY count(*) DESC, category LIMIT 1
        """
    )
    return found or ""


async def promotion_contract(tx: Tx, currency: str) -> str | None:
    """The newest contract by which a payer bears costs of promotions."""
    found: str | None = await tx.scalar(
        """
        SELECT name FROM billing.payer_contract WHERE pays = 'promotion' AND currency = :currency
        ORDER BY contract_id DESC LIMIT 1
        """,
        currency=currency,
    )
    return found
