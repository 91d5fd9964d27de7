"""Sell ads by people: an opportunity, its quote approved by a second person, and the merchant's order.

What is ordered is delivered by campaigns of its own (`run_ad_lines`). It is billed afterwards (`deliver_ad_orders`) and
never touches what the merchant has prepaid.
"""

from datetime import date, datetime
from typing import Any

import msgspec

from billing.ads.accounts.store import vat_ppm
from billing.ads.calendar import slots_between
from billing.ads.campaigns import store as campaigns
from billing.ads.lifecycle import AdParty
from billing.ads.model import Pricing
from billing.ads.orders import store
from billing.ads.orders.lifecycle import NEED_REASON, OrderMove, OrderState
from billing.ads.orders.model import AdOrder, LineState, OrderLine, list_price
from billing.charges.model import PaysBy
from billing.charges.store import Books
from marketplace.core import audit, policies
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, Invalid, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import AMOUNT_MAX
from marketplace.flows.ads.plan_campaign import check_listing
from marketplace.flows.ads.run_ad_lines import start_line, stop_lines
from marketplace.flows.products.charge_products import hold
from supply.model import MerchantState
from supply.store import get_merchant

LINES_MAX = 50


class WantedLine(msgspec.Struct, frozen=True, kw_only=True):
    """quantity clicks, impressions or slots; unit_price_minor for one click, a thousand impressions, one slot."""

    placement_id: int
    product_id: int
    categories: tuple[str, ...]
    words: tuple[str, ...]
    from_at: datetime
    to_at: datetime
    quantity: int
    unit_price_minor: int


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could be sold to a merchant. owner: who of the house sells it, by login."""

    merchant_id: int
    name: str
    owner: str
    currency: str
    expected_minor: int | None
    expected_on: date | None
    valid_until: date | None
    due_days: int
    lines: tuple[WantedLine, ...]


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """The opportunity as it is to be; None leaves a field as it is."""

    name: str | None = None
    owner: str | None = None
    expected_minor: int | None = None
    expected_on: date | None = None
    valid_until: date | None = None
    due_days: int | None = None
    lines: tuple[WantedLine, ...] | None = None


class AcceptOrder(msgspec.Struct, frozen=True, kw_only=True):
    """version: of the quote that was read. evidence: how the merchant agreed, where somebody else says so."""

    merchant_id: int
    order_id: int
    version: int
    pays_by: PaysBy
    evidence: str


async def open_order(tx: Tx, cmd: OpenOrder) -> AdOrder:
    """A new opportunity. Raises NotFound for an unknown merchant or placement, Invalid for what cannot be sold."""
    await get_merchant(tx, cmd.merchant_id)
    books = await hold(tx, cmd.merchant_id)
    given = {name: getattr(cmd, name) for name in cmd.__struct_fields__ if name != "lines"}
    new = AdOrder(
        **given,
        order_id=time_ordered_id(tx.now),
        zone=books.zone,
        state=OrderState.OPPORTUNITY,
        quoted_at=None,
        edited_by=tx.actor,
        submitted_by=None,
        pays_by=None,
        evidence="",
        reason="",
        version=1,
        made_by=tx.actor,
        made_at=tx.now,
    )
    await store.insert_order(tx, new)
    await store.replace_lines(tx, new, await _planned(tx, new, cmd.lines))
    return new


async def edit_order(tx: Tx, held: AdOrder, cmd: OrderChange) -> AdOrder:
    """Change a held opportunity. Raises Conflict once it is submitted; what was quoted has to be revised first."""
    if held.state is not OrderState.OPPORTUNITY:
        raise Conflict(f"state: the ad order is {held.state}; only an opportunity is changed", state=held.state.value)
    given = {name: value for name, value in msgspec.structs.asdict(cmd).items() if value is not None}
    given.pop("lines", None)
    if cmd.lines is not None:
        await store.replace_lines(tx, held, await _planned(tx, held, cmd.lines))
    await audit.record(tx, "ad order edited", subject(held), **given)
    return await store.set_order(tx, held, **given, edited_by=tx.actor)


async def _planned(tx: Tx, order: AdOrder, wanted: tuple[WantedLine, ...]) -> list[OrderLine]:
    lines = [await plan_line(tx, order, number, each, None) for number, each in enumerate(wanted, start=1)]
    if sum(line.total_minor for line in lines) * 2 > AMOUNT_MAX:
        raise Invalid("lines: they come to more than one order may", pointer="/lines")
    return lines


async def plan_line(
    tx: Tx, order: AdOrder, line_no: int, wanted: WantedLine, makes_good_line_no: int | None
) -> OrderLine:
    """A planned line. Raises Invalid for one that cannot be sold, naming where it stands."""
    at = f"/lines/{line_no - 1}" if makes_good_line_no is None else ""
    placement = await campaigns.get_placement(tx, wanted.placement_id)
    price = list_price(placement)
    if placement.currency != order.currency or not placement.open or price == 0:
        raise Invalid(
            f"placement_id: {placement.name} is not sold in {order.currency}, is closed or has no list price",
            pointer=f"{at}/placement_id",
        )
    await check_listing(tx, order.merchant_id, wanted.product_id)
    if not tx.now < wanted.from_at < wanted.to_at:
        raise Invalid("from_at: the window must be to come, and end after it begins", pointer=f"{at}/from_at")
    if placement.pricing is Pricing.SLOT:
        count = len(slots_between(wanted.from_at, wanted.to_at, placement.slot_minutes))
        if count != wanted.quantity:
            raise Invalid(f"quantity: the window has {count} slots", pointer=f"{at}/quantity")
    elif not wanted.categories and not wanted.words:
        raise Invalid("categories: name a category or a word to be shown for", pointer=f"{at}/categories")
    line = OrderLine(
        **{**msgspec.structs.asdict(wanted), "words": tuple(sorted({word.lower() for word in wanted.words}))},
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        line_no=line_no,
        pricing=placement.pricing,
        list_price_minor=price,
        makes_good_line_no=makes_good_line_no,
        state=LineState.PLANNED,
        shown=False,
        made_by=tx.actor,
        decided_by=None,
        campaign_id=None,
        stopped_at=None,
        billed_through=None,
        bill_at=None,
        charged_units=0,
        charged_minor=0,
    )
    if line.total_minor == 0 or line.total_minor * 2 > AMOUNT_MAX:
        raise Invalid(f"quantity: {line.total_minor} is not an amount that can be sold for", pointer=f"{at}/quantity")
    return line


async def move_order(tx: Tx, merchant_id: int, order_id: int, move: OrderMove, reason: str) -> AdOrder:
    """What the house's people do with an order: submit, approve, reject, revise, lose, cancel.

    Raises NotFound, Conflict where the state does not allow it, Forbidden for an approval by who submitted it and for
    moves that are the clock's or the merchant's, Invalid without a reason where one is needed.
    """
    books = await hold(tx, merchant_id)
    held = await store.get_order(tx, merchant_id, order_id, lock=True)
    if move in {OrderMove.ACCEPT, OrderMove.MAKE_GOOD}:
        raise Invalid(f"move: {move} has a request of its own", pointer="/move")
    if move in NEED_REASON and not reason:
        raise Invalid("reason: say why", pointer="/reason")
    values: dict[str, Any] = {}
    single = False
    if move is OrderMove.SUBMIT:
        values = {"submitted_by": tx.actor}
        await _check_quote(tx, books, held)
    if move is OrderMove.APPROVE:
        values = {"quoted_at": tx.now}
        for maker in (held.submitted_by or "", held.edited_by):
            single = await policies.check_second_person(tx, maker, f"ad order {order_id}") or single
        await _check_quote(tx, books, held)
    if move is OrderMove.REVISE:
        values = {"quoted_at": None}
    new = await store.move_order(tx, held, move, AdParty.PLATFORM, reason=reason, **values)
    if move in {OrderMove.APPROVE, OrderMove.REVISE}:
        await store.show_lines(tx, new, shown=new.quoted_at is not None)
    if move is OrderMove.CANCEL:
        await stop_lines(tx, books, new)
    detail: dict[str, Any] = {"reason": reason}
    if move is OrderMove.APPROVE:
        detail["lines"] = msgspec.to_builtins(await store.lines_of(tx, merchant_id, order_id))
    await audit.record(tx, f"ad order: {move}", subject(new), single_operator=single, **detail)
    return new


async def _check_quote(tx: Tx, books: Books, held: AdOrder) -> None:
    """Raise Invalid unless the order can be quoted: it has lines to come, a day until when, and a VAT rate."""
    lines = await store.lines_of(tx, held.merchant_id, held.order_id)
    if not lines:
        raise Invalid("lines: there are none to be quoted", pointer="/lines")
    if held.valid_until is None or held.valid_until < books.today:
        raise Invalid("valid_until: a quote holds until a day to come", pointer="/valid_until")
    await vat_ppm(tx, books.entity_id, held.currency, books.today)
    for line in lines:
        check_to_come(tx, line)


def check_to_come(tx: Tx, line: OrderLine) -> None:
    """Raise Conflict for a line that was to begin by now."""
    if line.from_at <= tx.now:
        raise Conflict(f"line {line.line_no} was to begin on {line.from_at:%Y-%m-%d %H:%M} UTC: it has to be revised")


async def accept_order(tx: Tx, cmd: AcceptOrder, party: AdParty) -> AdOrder:
    """Order what was quoted: every line gets its campaign, and its slots at once.

    Raises NotFound; Conflict for another version than is quoted, a quote that has expired, a line that was to begin by
    now, a merchant that is not live; SlotTaken naming the booking that has a slot; Invalid without evidence.
    """
    books = await hold(tx, cmd.merchant_id)
    held = await store.get_order(tx, cmd.merchant_id, cmd.order_id, lock=True)
    if party is AdParty.MERCHANT and held.quoted_at is None:
        raise NotFound(f"merchant {cmd.merchant_id} has no ad order {cmd.order_id}")
    values = {"pays_by": cmd.pays_by, "evidence": cmd.evidence}
    accepted = await store.move_order(tx, held, OrderMove.ACCEPT, party, **values)
    if cmd.version != held.version:
        raise Conflict(f"version: {held.version} is what is quoted now", version=held.version)
    if held.valid_until is None or held.valid_until < books.today:
        raise Conflict(f"valid_until: the quote held until {held.valid_until}")
    if party is AdParty.PLATFORM and not cmd.evidence:
        raise Invalid("evidence: say how the merchant agreed", pointer="/evidence")
    await check_live(tx, cmd.merchant_id)
    for line in await store.lines_of(tx, cmd.merchant_id, cmd.order_id):
        check_to_come(tx, line)
        await start_line(tx, accepted, line)
    await audit.record(tx, "ad order accepted", subject(accepted), party=party.value, evidence=cmd.evidence)
    return accepted


async def check_live(tx: Tx, merchant_id: int) -> None:
    """Raise Conflict unless the merchant is live."""
    merchant = await get_merchant(tx, merchant_id)
    if merchant.state is not MerchantState.LIVE:
        raise Conflict(f"state: the merchant is {merchant.state}, only a live one advertises")


def subject(order: AdOrder) -> str:
    """What the audit calls an order."""
    return f"ad_order:{order.merchant_id}/{order.order_id}"
