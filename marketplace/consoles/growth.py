"""The pages on which growth steers: goals, weekly reviews, alerts, what channels cost, and who wins merchants."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles import growth_queries
from marketplace.consoles.deeds import Refused, amount, carry_out, chosen, day_needed, done, number, text
from marketplace.consoles.growth_queries import AGENTS, COSTS, FIGURES
from marketplace.consoles.layout import Nothing, send
from marketplace.consoles.lists import given_day, given_number
from marketplace.consoles.ops_queries import Entity, get_entity
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.money import AMOUNT_MAX
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.core.rates import PPM
from marketplace.flows.acquisition.import_costs import BYTES_MAX, import_costs
from marketplace.flows.steering.hold_review import HoldReview, hold_review
from marketplace.flows.steering.set_goals import SetGoal, set_goal
from marketplace.flows.steering.watch_metrics import SetAlert, set_alert
from marketplace.metrics.definitions import DEFINITIONS, Unit, definition
from marketplace.metrics.periods import Grain
from marketplace.metrics.reviews_sql import ReviewDecision
from marketplace.metrics.watch import BoundSide, Compared
from marketplace.web.auth import ActorRequest
from marketplace.web.guards import GROWTH, needs
from supply.leads.channels.store import CostFilter

DECISIONS = (1, 2, 3)
"""How many decisions the form of a review has room for."""

_LINE_MAX, _WORDS_MAX = 200, 5_000
_COSTS = "/ops/costs"


async def _entity(tx: Tx) -> Entity:
    found = await get_entity(tx, None)
    if found is None:
        raise Invalid("there is no legal entity yet")
    return found


def _measure(typed: Mapping[str, str], name: str, unit: Unit, currency: str) -> int:
    """A figure as its unit is spoken of, money in major units and ratios in percent, in whole numbers of the unit."""
    if unit is Unit.MINOR:
        return amount(typed, name, currency, least=-AMOUNT_MAX)
    value = text(typed, name, least=1, most=20).removesuffix("%").replace(",", ".").strip()
    try:
        found = Decimal(value) * (PPM // 100 if unit is Unit.RATIO else 1)
    except InvalidOperation as fault:
        raise Invalid(f"{name}: must be a number", pointer=f"/{name}") from fault
    if not found.is_finite() or abs(found) > AMOUNT_MAX or found != int(found):
        raise Invalid(f"{name}: must be a whole number, of a share percent with four decimals", pointer=f"/{name}")
    return int(found)


@get("/goals")
async def goals(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """Goals with pace, forecast and owner, the newest periods first."""
    return await show_goals(request, db, before)


async def show_goals(
    request: ActorRequest, db: Database, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        if (entity := await get_entity(tx, None)) is None:
            return send(request, "empty.html", Nothing(), "goals")
        page = await growth_queries.goals_page(tx, entity, decode_cursor(before, tuple[date, int]))
    cursor = encode_cursor(page.older) if page.older else None
    grains = (Grain.WEEK, Grain.MONTH)
    return send(
        request, "ops/goals.html", page, "goals", refused=refused, cursor=cursor, figures=FIGURES, grains=grains
    )


@post("/goals", guards=[needs(GROWTH)])
async def make_goal(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Set what is to be reached: by the house, a team or a rep."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        entity = await _entity(tx)
        metric = definition(text(typed, "metric", least=1, most=50))
        kind, _, whose = text(typed, "of", most=40).partition(":")
        cmd = SetGoal(
            metric=metric.name, grain=chosen(typed, "grain", Grain), on=day_needed(typed, "on"),
            target=_measure(typed, "target", metric.unit, entity.currency),
            owner=text(typed, "owner", least=1, most=_LINE_MAX), reason=text(typed, "reason", least=1, most=_LINE_MAX),
            entity_id=entity.entity_id, currency=entity.currency,
            territory_id=number({"of": whose}, "of") if kind == "territory" else None,
            rep_id=number({"of": whose}, "of") if kind == "rep" else None,
        )  # fmt: skip
        if cmd.target < 1:
            raise Invalid("target: must be more than nothing", pointer="/target")
        await set_goal(tx, cmd)
        return done("/ops/goals", "goal_set")

    return await carry_out(request, db, work, again=lambda why: show_goals(request, db, refused=why))


@get("/reviews")
async def reviews(
    request: ActorRequest, db: NamedDependency[Database], before: FromQuery[str | None] = None
) -> Response[str]:
    """Weekly reviews with their decisions, owners, and what was learned."""
    return await show_reviews(request, db, before)


async def show_reviews(
    request: ActorRequest, db: Database, before: str | None = None, refused: Refused | None = None
) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await growth_queries.reviews_page(tx, decode_cursor(before, tuple[date, int]))
    cursor = encode_cursor(page.older) if page.older else None
    return send(
        request,
        "ops/reviews.html",
        page,
        "reviews",
        refused=refused,
        cursor=cursor,
        rows=DECISIONS,
        figures=DEFINITIONS,
    )


@post("/reviews", guards=[needs(GROWTH)])
async def make_review(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Keep what was said of a week."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        cmd = HoldReview(
            on=day_needed(typed, "on"), causes=text(typed, "causes", least=1, most=_WORDS_MAX),
            learned=text(typed, "learned", least=1, most=_WORDS_MAX),
            decisions=tuple(_decision(typed, row) for row in DECISIONS if typed.get(f"decision_{row}", "").strip()),
        )  # fmt: skip
        await hold_review(tx, cmd)
        return done("/ops/reviews", "review_held")

    return await carry_out(request, db, work, again=lambda why: show_reviews(request, db, refused=why))


def _decision(typed: Mapping[str, str], row: int) -> ReviewDecision:
    return ReviewDecision(
        decision=text(typed, f"decision_{row}", least=1, most=_LINE_MAX),
        owner=text(typed, f"owner_{row}", least=1, most=_LINE_MAX),
        due_on=day_needed(typed, f"due_on_{row}"),
        metric=text(typed, f"metric_{row}", most=50) or None,
    )


@get("/alerts")
async def alerts(
    request: ActorRequest, db: NamedDependency[Database], after: FromQuery[str | None] = None
) -> Response[str]:
    """The bounds that figures are held against, and which of them are passed."""
    return await show_alerts(request, db, after)


async def show_alerts(
    request: ActorRequest, db: Database, after: str | None = None, refused: Refused | None = None
) -> Response[str]:
    (behind,) = decode_cursor(after, tuple[int]) or (0,)
    async with db.read(STAFF) as tx:
        page = await growth_queries.alerts_page(tx, behind)
    cursor = encode_cursor((page.older,)) if page.older else None
    return send(
        request, "ops/alerts.html", page, "alerts", refused=refused, cursor=cursor, figures=DEFINITIONS,
        grains=list(Grain), sides=list(BoundSide), ways=list(Compared),
    )  # fmt: skip


@post("/alerts", guards=[needs(GROWTH)])
async def make_alert(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Hold a figure against bounds."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        entity = await _entity(tx)
        metric = definition(text(typed, "metric", least=1, most=50))
        compared = chosen(typed, "compared", Compared)
        measured = partial(
            _measure, typed, unit=Unit.RATIO if compared is Compared.CHANGE else metric.unit, currency=entity.currency
        )
        cmd = SetAlert(
            name=text(typed, "name", least=1, most=_LINE_MAX), metric=metric.name, grain=chosen(typed, "grain", Grain),
            compared=compared, side=chosen(typed, "side", BoundSide), bound=measured("bound"),
            clear_bound=measured("clear_bound"), owner=text(typed, "owner", least=1, most=_LINE_MAX),
            guards=text(typed, "guards", most=50) or None, entity_id=entity.entity_id, currency=entity.currency,
        )  # fmt: skip
        await set_alert(tx, cmd)
        return done("/ops/alerts", "alert_set")

    return await carry_out(request, db, work, again=lambda why: show_alerts(request, db, refused=why))


@get(["/costs", "/costs.csv"])
async def costs(
    request: ActorRequest,
    db: NamedDependency[Database],
    channel: FromQuery[str | None] = None,
    campaign: FromQuery[str | None] = None,
    seller: FromQuery[str | None] = None,
    from_on: FromQuery[str | None] = None,
    to_on: FromQuery[str | None] = None,
) -> Response[Any]:
    """What channels have cost, the newest days first."""
    said = {"channel": channel, "campaign": campaign, "seller": seller, "from_on": from_on, "to_on": to_on}
    return await show_costs(request, db, said)


async def show_costs(
    request: ActorRequest, db: Database, asked: Mapping[str, str | None] | None = None, refused: Refused | None = None
) -> Response[Any]:
    said = asked or {}
    wanted = CostFilter(
        channel_id=given_number(said.get("channel"), "channel"),
        campaign=said.get("campaign") or None,
        seller=said.get("seller") or None,
        from_on=given_day(said.get("from_on"), "from_on"),
        to_on=given_day(said.get("to_on"), "to_on"),
    )
    where, bound = growth_queries.wanted_costs(wanted)
    listing = COSTS.asked(request, _COSTS, said, where=where, **bound)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    async with db.read(STAFF) as tx:
        page, listing = await growth_queries.costs_page(tx, wanted), await listing.page(tx)
    return send(request, "ops/costs.html", page, "costs", refused=refused, listing=listing)


@post("/costs", guards=[needs(GROWTH)], request_max_body_size=BYTES_MAX + 2**16)
async def bring_costs(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Take in a file of costs: all of its entries, or none and every reason."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        del typed
        file = (await request.form()).get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise Invalid("file: choose one", pointer="/file")
        await import_costs(tx, await file.read(), file.filename[:_LINE_MAX])
        return done(_COSTS, "costs_stored")

    return await carry_out(request, db, work, again=lambda why: show_costs(request, db, refused=why))


@get(["/agents", "/agents.csv"])
async def agents(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Distributors against the own team, what each has earned, referrals, and visits in the field."""
    async with db.read(STAFF) as tx:
        if (entity := await get_entity(tx, None)) is None:
            return send(request, "empty.html", Nothing(), "agents")
        listing = AGENTS.asked(request, "/ops/agents", currency=entity.currency)
        if not listing.is_file:
            page, listing = await growth_queries.agents_page(tx, entity), await listing.page(tx)
    if listing.is_file:
        return await listing.as_file(request, db, STAFF)
    return send(request, "ops/agents.html", page, "agents", listing=listing)


PAGES = [goals, make_goal, reviews, make_review, alerts, make_alert, costs, bring_costs, agents]
