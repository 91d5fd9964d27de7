"""The pages of channels: the tree, what each has cost and brought, and the leads behind every figure of that."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, cast, get_args
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from marketplace.consoles import economics_queries as queries
from marketplace.consoles.deeds import Refused, carry_out, done, number, text
from marketplace.consoles.economics_queries import EconomicsPage
from marketplace.consoles.layout import Nothing, PathId, send
from marketplace.consoles.lists import Sort, given, given_day, given_number, sort_of
from marketplace.consoles.ops_queries import Entity, get_entity
from marketplace.core.clock import local_date
from marketplace.core.db import STAFF, Database, Tx
from marketplace.core.errors import Invalid, NotFound
from marketplace.core.paging import decode_cursor, encode_cursor
from marketplace.core.rates import PPM
from marketplace.flows.acquisition.weigh_channels import By, ChannelEconomics, WeighChannels
from marketplace.metrics.periods import check_day
from marketplace.web.auth import ActorRequest
from marketplace.web.etag import check_version
from marketplace.web.files import Amount, csv_file
from marketplace.web.guards import GROWTH, needs
from marketplace.web.i18n import Speech, speech
from supply.leads.attribution import AttributionModel
from supply.leads.channels import store
from supply.leads.model import Model

_DAYS = 90
"""How many days are weighed where none are asked for."""
_NAME_MAX, _KEY_MAX = 200, 40
BYS = get_args(By)
_HORIZON_MAX = 120
_Figure = Callable[[ChannelEconomics], int | str | None]
SORTS: Mapping[str, _Figure] = {
    "name": lambda each: each.channel,
    "spent": lambda each: each.spent_minor,
    "leads": lambda each: each.stages[0].reached,
    "activated": lambda each: each.activated_ppm,
    "paid": lambda each: each.cac_paid_minor,
    "loaded": lambda each: each.cac_loaded_minor,
    "marginal": lambda each: each.marginal_cac_minor,
    "payback": lambda each: each.payback_months,
    "ltv": lambda each: each.ltv_minor,
    "ratio": lambda each: each.ltv_to_cac_ppm,
}
"""What economics can be sorted by; what is not defined comes last, whichever way."""


class Order(msgspec.Struct, frozen=True):
    """How the table is sorted, and the addresses of the same one. It is weighed as a whole, not read by pages."""

    wanted: Mapping[str, Any]
    sort: Sort

    @property
    def file(self) -> str:
        """Where the table is a CSV file."""
        return f"/ops/economics.csv?{urlencode({**self.wanted, 'sort': self.sort.said})}"

    def by(self, key: str) -> str:
        """The address sorted by this column: the largest first, and by the one that is sorted by already turned."""
        falling = not self.sort.falling if key == self.sort.key else True
        return f"?{urlencode({**self.wanted, 'sort': Sort(key, falling).said})}"

    def turned(self, key: str) -> str:
        """The value of `aria-sort` of this column's heading."""
        if key != self.sort.key:
            return "none"
        return "descending" if self.sort.falling else "ascending"


@get("/channels")
async def channels(request: ActorRequest, db: NamedDependency[Database]) -> Response[str]:
    """The tree of channels."""
    return await show_channels(request, db)


async def show_channels(request: ActorRequest, db: Database, refused: Refused | None = None) -> Response[str]:
    async with db.read(STAFF) as tx:
        page = await queries.channels_page(tx)
    return send(request, "ops/channels.html", page, "channels", refused=refused)


@post("/channels", guards=[needs(GROWTH)])
async def make_channel(request: ActorRequest, db: NamedDependency[Database]) -> Response[Any]:
    """Add a channel below another."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        parent = await store.get_channel(tx, number(typed, "parent", least=1))
        key, name = text(typed, "key", least=1, most=_KEY_MAX), text(typed, "name", least=1, most=_NAME_MAX)
        made = await store.add_channel(tx, parent, _checked_key(key), name)
        return done(f"/ops/channels/{made.channel_id}", "channel_made")

    return await carry_out(request, db, work, again=lambda why: show_channels(request, db, why))


def _checked_key(key: str) -> str:
    """What is added to a code. Raises Invalid."""
    if not (key.isascii() and key.replace("_", "a").isalnum() and key[0].isalpha() and key == key.lower()):
        raise Invalid("key: must be small letters, digits and _, a letter first", pointer="/key")
    return key


@get("/channels/{channel_id:int}")
async def channel(
    request: ActorRequest,
    db: NamedDependency[Database],
    channel_id: PathId,
    from_on: FromQuery[str | None] = None,
    to_on: FromQuery[str | None] = None,
) -> Response[str]:
    """A channel with all below it: what it has cost and brought."""
    return await show_channel(request, db, channel_id, {"from_on": from_on, "to_on": to_on})


async def show_channel(
    request: ActorRequest,
    db: Database,
    channel_id: int,
    said: Mapping[str, str | None],
    refused: Refused | None = None,
) -> Response[str]:
    async with db.read(STAFF) as tx:
        if (entity := await get_entity(tx, None)) is None:
            return send(request, "empty.html", Nothing(), "channels")
        page = await queries.channel_page(tx, entity, channel_id, _asked(tx, entity, said))
    return send(request, "ops/channel.html", page, "channels", refused=refused, last_on=_last(page.asked))


@post("/channels/{channel_id:int}", guards=[needs(GROWTH)])
async def edit_channel(request: ActorRequest, db: NamedDependency[Database], channel_id: PathId) -> Response[Any]:
    """Rename a channel, or take it out of use."""

    async def work(tx: Tx, typed: Mapping[str, str]) -> str:
        held = await store.get_channel(tx, channel_id, lock=True)
        check_version(number(typed, "version"), held.version)
        name, active = text(typed, "name", least=1, most=_NAME_MAX), typed.get("active") == "yes"
        await store.edit_channel(tx, channel_id, name=name, active=active)
        return done(f"/ops/channels/{channel_id}", "channel_changed")

    return await carry_out(request, db, work, again=lambda why: show_channel(request, db, channel_id, {}, why))


def _asked(tx: Tx, entity: Entity, said: Mapping[str, str | None]) -> WeighChannels:
    """What an address asks to weigh; without days, the leads of the last ones. Raises Invalid."""
    days = {name: given_day(said.get(name), name) for name in ("from_on", "to_on")}
    for name, on in days.items():
        if on is not None:
            check_day(on, name)
    to_on: date = days["to_on"] or local_date(tx.now, entity.zone) + timedelta(days=1)
    by = said.get("by") or "channel"
    if by not in BYS:
        raise Invalid(f"by: must be one of {', '.join(BYS)}", pointer="/by")
    asked = WeighChannels(
        from_on=days["from_on"] or to_on - timedelta(days=_DAYS), to_on=to_on, currency=entity.currency,
        by=cast(By, by), model=given(said.get("model"), Model, "model") or Model.PLATFORM,
        attribution=given(said.get("attribution"), AttributionModel, "attribution") or AttributionModel.LAST,
        horizon=given_number(said.get("horizon"), "horizon", least=1, most=_HORIZON_MAX) or 12,
    )  # fmt: skip
    if asked.to_on <= asked.from_on:
        raise Invalid("to_on: must lie after from_on", pointer="/to_on")
    return asked


def _last(asked: WeighChannels) -> date:
    return asked.to_on - timedelta(days=1)


@get(["/economics", "/economics.csv"])
async def economics(
    request: ActorRequest,
    db: NamedDependency[Database],
    by: FromQuery[str | None] = None,
    from_on: FromQuery[str | None] = None,
    to_on: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    attribution: FromQuery[str | None] = None,
    horizon: FromQuery[str | None] = None,
    sort: FromQuery[str | None] = None,
) -> Response[str]:
    """What leads have cost and brought, by channel, campaign, rep, distributor or segment; the same as a file."""
    said = {"by": by, "from_on": from_on, "to_on": to_on, "model": model, "attribution": attribution}
    ordered, is_file = sort_of(sort, SORTS, "-spent"), request.url.path.endswith(".csv")
    page = await _weighed(db, {**said, "horizon": horizon})
    if page is None:
        if is_file:
            raise NotFound("there is no legal entity yet")
        return send(request, "empty.html", Nothing(), "economics")
    if is_file:
        return _as_file(page, ordered, speech(request.user.locale))
    order = Order({**_wanted(page.asked), "horizon": page.asked.horizon}, ordered)
    return send(
        request, "ops/economics.html", page, "economics", order=order, rows=_sorted(page, ordered), bys=BYS,
        models=list(Model), ways=list(AttributionModel), last_on=_last(page.asked), wanted=_wanted(page.asked),
    )  # fmt: skip


async def _weighed(db: Database, said: Mapping[str, str | None]) -> EconomicsPage | None:
    """None: there is no entity yet. Raises Invalid."""
    async with db.read(STAFF) as tx:
        entity = await get_entity(tx, None)
        return await queries.economics_page(tx, entity, _asked(tx, entity, said)) if entity else None


def _wanted(asked: WeighChannels) -> dict[str, Any]:
    """How an address asks for the same leads."""
    days = {"from_on": asked.from_on, "to_on": asked.to_on}
    return {"by": asked.by, **days, "model": asked.model.value, "attribution": asked.attribution.value}


def _sorted(page: EconomicsPage, by: Sort) -> list[ChannelEconomics]:
    figure = SORTS[by.key]
    known = [each for each in page.found.channels if figure(each) is not None]
    known.sort(key=lambda each: cast(Any, figure(each)), reverse=by.falling)
    return known + [each for each in page.found.channels if figure(each) is None]


def _as_file(page: EconomicsPage, ordered: Sort, say: Speech) -> Response[str]:
    columns = (
        "spent",
        "paid",
        "leads",
        "activated",
        "cac_paid",
        "cac_loaded",
        "cac_marginal",
        "payback",
        "ltv",
        "ratio",
    )
    header = [say.label("economics_by", page.asked.by), say.text("col.currency")]
    return csv_file(
        "economics",
        [*header, *(say.label("economics", name) for name in columns)],
        (_line(each, page.entity.currency) for each in _sorted(page, ordered)),
    )


def _line(each: ChannelEconomics, currency: str) -> list[object]:
    def money(minor: int | None) -> Amount | None:
        return None if minor is None else Amount.of(minor, currency)

    def parts(ppm: int | None) -> Amount | None:
        return None if ppm is None else Amount(f"{ppm / PPM:.6f}")

    return [
        *(each.channel, currency, money(each.spent_minor), money(each.paid_minor), each.stages[0].reached),
        *(parts(each.activated_ppm), money(each.cac_paid_minor), money(each.cac_loaded_minor)),
        *(money(each.marginal_cac_minor), each.payback_months, money(each.ltv_minor), parts(each.ltv_to_cac_ppm)),
    ]


@get("/economics/leads")
async def behind(
    request: ActorRequest,
    db: NamedDependency[Database],
    by: FromQuery[str | None] = None,
    key: FromQuery[str | None] = None,
    from_on: FromQuery[str | None] = None,
    to_on: FromQuery[str | None] = None,
    model: FromQuery[str | None] = None,
    attribution: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[str]:
    """The leads that a figure of economics is made of; without a key, all of them."""
    said = {"by": by, "from_on": from_on, "to_on": to_on, "model": model, "attribution": attribution}
    place = decode_cursor(before, tuple[date, int])
    async with db.read(STAFF) as tx:
        if (entity := await get_entity(tx, None)) is None:
            return send(request, "empty.html", Nothing(), "economics")
        page = await queries.behind_page(tx, entity, _asked(tx, entity, said), key, place)
    wanted = _wanted(page.asked)
    asked = wanted if key is None else {**wanted, "key": key}  # the empty key is one, too: of no rep, say
    return send(
        request, "ops/economics_leads.html", page, "economics", last_on=_last(page.asked), wanted=wanted,
        query=f"{urlencode(asked)}&", cursor=encode_cursor(page.older) if page.older else None,
    )  # fmt: skip


PAGES = [channels, make_channel, channel, edit_channel, economics, behind]
