"""The promotion builder: a form with what its terms would have cost, as it is filled in; and variants side by side."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from incentives.campaigns import store as campaigns
from incentives.campaigns.model import Campaign
from incentives.lifecycle import Move
from incentives.promotions import store
from incentives.promotions.model import Promotion, within
from incentives.rules.check import refuse
from incentives.rules.model import Terms
from incentives.rules.windows import schedule_span
from marketplace.consoles import incentives_queries as queries
from marketplace.consoles.deeds import Refused, carry_out, done
from marketplace.consoles.layout import PathId, send
from marketplace.consoles.promotion_fields import fresh, is_shown, reshaped, typed_of
from marketplace.consoles.promotion_form import SHAPES, TEMPLATES, by_field, field_of, fill
from marketplace.consoles.promotions import CHOICES, facts_of
from marketplace.consoles.trend import Chart, Column, bars, top
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from marketplace.flows.promotions import plan_incentives as flow
from marketplace.flows.promotions.plan_incentives import DraftPromotion, NewVersion
from marketplace.flows.promotions.preview_promotion import ORDERS_MAX, Preview, preview_terms
from marketplace.web.auth import ActorRequest
from marketplace.web.i18n import Speech, speech
from marketplace.web.templating import render

FRAGMENT = "x-fragment"
"""A request with this header gets the preview alone."""
TICKS = frozenset({"first_order", "advisory"})
"""Fields that are ticked."""
GLANCE_MAX = 500
"""Orders over which a page shows previews at once; the script, or somebody, then asks for one over more of them."""


class PromotionForm(msgspec.Struct, frozen=True):
    """A promotion that is written, new or as another version of one that is there.

    preview: what it would have cost; where there is none, unseen says why: it cannot be replayed, or is at fault ("").
    """

    campaign: Campaign
    promotion: Promotion | None
    typed: Mapping[str, str]
    faults: Mapping[str, str]
    preview: Preview | None = None
    unseen: str = ""

    @property
    def shape(self) -> str:
        given = self.typed.get("gives", "")
        return given if given in SHAPES else SHAPES[0]

    @property
    def action(self) -> str:
        """Where the form is sent to."""
        if self.promotion is None:
            return f"/ops/campaigns/{self.campaign.campaign_id}/promotions"
        return f"/ops/promotions/{self.promotion.promotion_id}/versions"


class Variant(msgspec.Struct, frozen=True):
    """A promotion beside others: what its newest version says and would have cost."""

    promotion: Promotion
    terms: Terms
    facts: Mapping[str, str]
    preview: Preview | None
    unseen: str


class ComparePage(msgspec.Struct, frozen=True):
    """fields: in which the variants differ, or at least one says something."""

    variants: Sequence[Variant]
    fields: Sequence[tuple[str, bool]]
    most_minor: int


def preview_chart(preview: Preview, currency: str, say: Speech) -> Chart:
    """What each recorded day would have burned."""
    columns = [Column(value=minor, words=f"{say.day(on)}: {say.money(minor, currency)}") for on, minor in preview.days]
    return Chart(bars(columns, say.text("preview.chart")), top(columns), preview.from_on, preview.to_on)


async def _seen(db: Database, terms: Terms, orders_max: int) -> tuple[Preview | None, str]:
    try:
        return await preview_terms(db, terms, orders_max=orders_max), ""
    except Invalid as fault:
        return None, fault.detail


def show_form(
    request: ActorRequest, form: PromotionForm, refused: Refused | None = None, *, alone: bool = False
) -> Response[str]:
    """The form with its preview, or the preview alone."""
    say = speech(request.user.locale)
    drawn = None if form.preview is None else preview_chart(form.preview, form.campaign.currency, say)
    templates = () if form.promotion else TEMPLATES
    more: dict[str, Any] = {"drawn": drawn, "shapes": SHAPES, "choices": CHOICES, "ticks": TICKS}
    more |= {"templates": templates}
    if alone:
        return Response(render("ops/promotion_preview.html", request.user.locale, form, **more), media_type="text/html")
    return send(request, "ops/promotion_form.html", form, "promotions", refused=refused, **more)


async def _campaign(db: Database, campaign_id: int) -> Campaign:
    async with db.read(STAFF) as tx:
        return await campaigns.get_campaign(tx, campaign_id)


async def _promotion(db: Database, promotion_id: int) -> tuple[Promotion, Campaign, Terms]:
    async with db.read(STAFF) as tx:
        found = await store.get_promotion(tx, promotion_id)
        campaign = await campaigns.get_campaign(tx, found.campaign_id)
        return found, campaign, (await store.get_version(tx, promotion_id)).terms


async def _filled(
    db: Database,
    campaign: Campaign,
    promotion: Promotion | None,
    typed: Mapping[str, str],
    orders_max: int = ORDERS_MAX,
) -> PromotionForm:
    """The form with what was typed, everything that is wrong with it, and what it would have cost.

    A name is not needed for that.
    """
    if typed.get("shape") in SHAPES:
        typed = reshaped(typed, typed["shape"])
    filled = fill(typed, campaign)
    terms = filled.terms or fill({**typed, "name": "?"}, campaign).terms
    if terms is None:
        return PromotionForm(campaign, promotion, typed, filled.faults)
    span = schedule_span(terms.schedule)
    outside = by_field(within(terms, span.starts, span.ends, campaign))
    preview, unseen = await _seen(db, terms, orders_max)
    return PromotionForm(campaign, promotion, typed, {**outside, **filled.faults}, preview, unseen)


async def _a_category(tx: Tx, _currency: str) -> dict[str, str]:
    return {"categories": await queries.most_listed_category(tx)}


async def _a_contract(tx: Tx, currency: str) -> dict[str, str]:
    contract = await queries.promotion_contract(tx, currency)
    return {"fund_payers": f"{contract} = 1"} if contract else {}


_HERE = {"category_push": _a_category, "co_funded": _a_contract}
"""Templates of which a part is known only here: which category, whose contract."""


@get("/campaigns/{campaign_id:int}/promotions/new")
async def new_promotion(
    request: ActorRequest,
    db: NamedDependency[Database],
    campaign_id: PathId,
    gives: FromQuery[str] = SHAPES[0],
    template: FromQuery[str] = "",
    like: FromQuery[int | None] = None,
) -> Response[str]:
    """A form with a usual beginning, after a template, or with what another promotion says."""
    campaign = await _campaign(db, campaign_id)
    typed = fresh(gives if gives in SHAPES else SHAPES[0], campaign, TEMPLATES.get(template))
    if template in _HERE:
        async with db.read(STAFF) as tx:
            typed |= await _HERE[template](tx, campaign.currency)
    if like is not None:
        other, _, terms = await _promotion(db, like)
        typed = {**typed_of(terms, other.on_pause), "name": ""}
    form = await _filled(db, campaign, None, typed, GLANCE_MAX)
    return show_form(request, msgspec.structs.replace(form, faults={}))


@post("/campaigns/{campaign_id:int}/promotions/preview", status_code=200)
async def preview_new(request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId) -> Response[str]:
    """What the terms would have cost; nothing is stored."""
    return await _preview(request, db, await _campaign(db, campaign_id), None)


@post("/promotions/{promotion_id:int}/versions/preview", status_code=200)
async def preview_version(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[str]:
    """What other terms would have cost; nothing is stored."""
    found, campaign, _ = await _promotion(db, promotion_id)
    return await _preview(request, db, campaign, found)


async def _preview(
    request: ActorRequest, db: Database, campaign: Campaign, promotion: Promotion | None
) -> Response[str]:
    sent = await request.form()
    typed = {name: value for name, value in sent.items() if isinstance(value, str)}
    form = await _filled(db, campaign, promotion, typed)
    if not typed.get("name"):  # it is not missing before the form is sent
        form = msgspec.structs.replace(form, faults={n: why for n, why in form.faults.items() if n != "name"})
    return show_form(request, form, alone=FRAGMENT in request.headers)


async def _again(
    request: ActorRequest, db: Database, campaign: Campaign, promotion: Promotion | None, refused: Refused
) -> Response[str]:
    form = await _filled(db, campaign, promotion, refused.typed)
    faults = {**{field_of(f"/{name}"): why for name, why in refused.fields.items() if "/" in name}, **form.faults}
    return show_form(request, msgspec.structs.replace(form, faults=faults), refused)


def _terms(typed: Mapping[str, str], campaign: Campaign) -> Terms:
    """Raises Invalid with everything that is wrong."""
    filled = fill(typed, campaign)
    refuse([(f"/{name}", why) for name, why in filled.faults.items()])
    assert filled.terms is not None
    return filled.terms


@post("/campaigns/{campaign_id:int}/promotions")
async def draft(request: ActorRequest, db: NamedDependency[Database], campaign_id: PathId) -> Response[Any]:
    """A new promotion, as a draft or submitted at once."""
    campaign = await _campaign(db, campaign_id)

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        on_pause: Any = "void" if typed.get("on_pause") == "void" else "honour"
        cmd = DraftPromotion(campaign_id=campaign_id, terms=_terms(typed, campaign), on_pause=on_pause)
        made = await flow.draft_promotion(tx, cmd)
        submit = typed.get("then") == "submit"
        if submit:
            await flow.move_promotion(tx, made.promotion_id, Move.SUBMIT)
        return done(f"/ops/promotions/{made.promotion_id}", "incentive_submit" if submit else "incentive_drafted")

    return await carry_out(request, db, work, again=partial(_again, request, db, campaign, None))


@get("/promotions/{promotion_id:int}/edit")
async def edit(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[str]:
    """The form with what the newest version says. Raises Conflict for one that the form cannot say in full."""
    found, campaign, terms = await _promotion(db, promotion_id)
    if not is_shown(terms, campaign):
        raise Conflict("terms: the form does not say all of them; use the API for another version")
    form = await _filled(db, campaign, found, typed_of(terms, found.on_pause), GLANCE_MAX)
    return show_form(request, form)


@post("/promotions/{promotion_id:int}/versions")
async def add_version(request: ActorRequest, db: NamedDependency[Database], promotion_id: PathId) -> Response[Any]:
    """Other terms: of a draft those to be reviewed, of what was approved a proposal for what comes."""
    found, campaign, _ = await _promotion(db, promotion_id)

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        await flow.add_version(tx, NewVersion(promotion_id=promotion_id, terms=_terms(typed, campaign)))
        return done(f"/ops/promotions/{promotion_id}", "incentive_edited")

    return await carry_out(request, db, work, again=partial(_again, request, db, campaign, found))


@get("/promotions/compare")
async def compare(
    request: ActorRequest,
    db: NamedDependency[Database],
    of: Annotated[list[int] | None, QueryParameter(name="of")] = None,
) -> Response[str]:
    """Some promotions side by side: where their terms differ, and what each would have cost on the same weeks, to
    the same figures as its preview."""
    variants = []
    wanted = list(dict.fromkeys((of or [])[: queries.COMPARED_MAX]))
    for promotion_id in wanted:
        found, _, terms = await _promotion(db, promotion_id)
        preview, unseen = await _seen(db, terms, ORDERS_MAX)
        variants.append(Variant(found, terms, dict(facts_of(terms)), preview, unseen))
    names = dict.fromkeys(name for each in variants for name in each.facts)
    fields = [(name, len({each.facts.get(name, "") for each in variants}) > 1) for name in names]
    most = max((each.preview.cost_minor for each in variants if each.preview), default=0)
    return send(
        request, "ops/promotion_compare.html", ComparePage(variants, fields, most), "promotions", choices=CHOICES
    )


PAGES = [
    compare,
    new_promotion,
    preview_new,
    preview_version,
    draft,
    edit,
    add_version,
]
