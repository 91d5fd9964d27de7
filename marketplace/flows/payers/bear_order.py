"""What third-party payers bear of an order: looked up for a quote, reserved, committed when it is paid, or released.

Locks: a contract's lease, and its centre where the lease is short, in the order of contract ids, before any stock.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from billing.ledger.chart import Account
from billing.ledger.model import Leg
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import NO_LIMIT, Granted, Offer, Priced, period_from, waterfall
from billing.payers.shares import store as shares
from billing.payers.shares.store import PayerShare
from billing.payers.store import Version
from billing.payers.terms import PayerTerms
from demand.carts.model import PayerPart, Quote, share_with_payers
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """One merchant's order as it would be placed: what its eligibility depends on, and its lines."""

    merchant_id: int
    merchant_ref: str
    entity_id: int
    zone: str
    lines: tuple[Priced, ...]


async def bear(tx: Tx, currency: str, at: datetime, sales: Sequence[Sale]) -> dict[int, list[Granted]]:
    """What payers would bear of each merchant's order, now; reserves nothing. Empty where no contract is for any.

    What caps still give is shared by the orders in the order in which they come.
    """
    versions = await _versions(tx, currency, at)
    if not versions:
        return {}
    rooms = await _rooms(tx, versions)
    borne: dict[int, list[Granted]] = {}
    for sale in sales:
        on = local_date(at, sale.zone)
        offers = []
        for version in versions:
            if not version.terms.is_for(sale.merchant_ref, sale.entity_id, currency, on):
                continue
            key = CapKey(version.payer_id, version.contract_id, period_from(version.terms.cap_period, on))
            if key not in rooms:
                rooms[key] = await caps.limit_of(tx, key, version.terms.cap_period)
            offers.append(_offer(version, rooms[key]))
        granted = waterfall(sale.lines, offers)
        for one in granted:
            key = _cap_of(one, sale, at)
            rooms[key] -= one.amount_minor
        if granted:
            borne[sale.merchant_id] = granted
    return borne


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """What of a merchant decides who pays a part of its orders, and which promotions it takes part in."""

    merchant_ref: str
    entity_id: int
    zone: str
    region: str
    since: datetime


async def bear_quote(
    tx: Tx, quote: Quote, merchants: Mapping[int, Merchant], at: datetime
) -> tuple[Quote, list["Borne"]]:
    """A quote with what third parties pay of it now, and the same by order."""
    sales = [
        Sale(
            merchant_id=order.merchant_id,
            merchant_ref=merchants[order.merchant_id].merchant_ref,
            entity_id=merchants[order.merchant_id].entity_id,
            zone=merchants[order.merchant_id].zone,
            lines=tuple(
                Priced(number, line.category, line.goods_minor - line.discount_minor, line.freight_minor)
                for number, line in enumerate(
                    (line for line in quote.lines if line.merchant_id == order.merchant_id), start=1
                )
            ),
        )
        for order in quote.orders
        if order.merchant_id in merchants
    ]
    borne = await bear(tx, quote.currency, at, sales)
    if not borne:
        return quote, []
    parts = {
        merchant_id: [
            PayerPart(
                contract_id=one.offer.contract_id,
                payer=one.offer.terms.payer,
                contract=one.offer.terms.name,
                amount_minor=one.amount_minor,
                note=one.note,
            )
            for one in granted
        ]
        for merchant_id, granted in borne.items()
    }
    by_order = [Borne(sale=sale, granted=borne[sale.merchant_id]) for sale in sales if sale.merchant_id in borne]
    return share_with_payers(quote, parts), by_order


class Borne(msgspec.Struct, frozen=True, kw_only=True):
    """What payers bear of one merchant's order, by the quote."""

    sale: Sale
    granted: Sequence[Granted]


def _offer(version: Version, room_minor: int) -> Offer:
    return Offer(
        contract_id=version.contract_id,
        version_id=version.version_id,
        payer_id=version.payer_id,
        room_minor=room_minor,
        terms=version.terms,
    )


def _cap_of(granted: Granted, sale: Sale, at: datetime) -> CapKey:
    offer = granted.offer
    on = local_date(at, sale.zone)
    return CapKey(offer.payer_id, offer.contract_id, period_from(offer.terms.cap_period, on))


async def _versions(tx: Tx, currency: str, at: datetime) -> list[Version]:
    """Versions that pay a part of orders about now: the day is the market's, so a day more on both sides."""
    rows = await tx.rows(
        """
        SELECT v.contract_id, v.version_id, v.payer_id, v.terms
        FROM billing.payer_version v JOIN billing.payer_contract c ON c.contract_id = v.contract_id
        WHERE c.pays = 'order' AND c.currency = :currency AND v.valid_from <= :latest
          AND (v.valid_until IS NULL OR v.valid_until > :earliest)
        """,
        currency=currency,
        latest=at.date() + timedelta(days=1),
        earliest=at.date() - timedelta(days=1),
    )
    return [Version(**{**row._mapping, "terms": msgspec.convert(row.terms, PayerTerms)}) for row in rows]


async def _rooms(tx: Tx, versions: Iterable[Version]) -> dict[CapKey, int]:
    """What the caps have left where anybody has taken from them, as of a moment ago."""
    contracts: dict[int, set[int]] = {}
    for version in versions:
        contracts.setdefault(version.payer_id, set()).add(version.contract_id)
    rooms = {}
    for payer_id, contract_ids in contracts.items():
        for cap in await caps.list_caps(tx, payer_id, contract_ids):
            limit = NO_LIMIT if cap.limit_minor is None else cap.limit_minor
            rooms[CapKey(payer_id, cap.contract_id, cap.period_from)] = limit - cap.used_minor
    return rooms


async def reserve_shares(tx: Tx, borne: Sequence[Borne], order_ids: Mapping[int, int], order_ref: str) -> None:
    """Take what payers bear of these orders from their caps, and record it. order_ids: by merchant.

    Raises Conflict when a cap does not give it any more: somebody else was faster.
    """
    wanted: dict[CapKey, list[PayerShare]] = {}
    for order in borne:
        for granted in order.granted:
            if granted.amount_minor:
                key = _cap_of(granted, order.sale, tx.now)
                share = _share(tx, order.sale, granted, key, order_ids[order.sale.merchant_id], order_ref)
                wanted.setdefault(key, []).append(share)
    terms = {one.offer.contract_id: one.offer.terms for order in borne for one in order.granted}
    new: list[PayerShare] = []
    for key in sorted(wanted, key=lambda key: (key.contract_id, key.period_from)):
        of_key, shard = wanted[key], wanted[key][0].shard
        named = terms[key.contract_id]
        if not await caps.reserve(tx, key, named.cap_period, shard, sum(share.amount_minor for share in of_key)):
            raise Conflict(f"the cap of {named.payer} ({named.name}) has just been used up; quote the cart again")
        new += [msgspec.structs.replace(share, shard=shard) for share in of_key]
    await shares.add_shares(tx, new)


def _share(tx: Tx, sale: Sale, granted: Granted, key: CapKey, order_id: int, order_ref: str) -> PayerShare:
    lines = [(line.line_no, minor) for line, minor in zip(sale.lines, granted.line_minor, strict=True) if minor]
    return PayerShare(
        merchant_id=sale.merchant_id,
        source=shares.ORDER,
        source_id=order_id,
        contract_id=key.contract_id,
        version_id=granted.offer.version_id,
        payer_id=key.payer_id,
        entity_id=sale.entity_id,
        source_ref=order_ref,
        currency=granted.offer.terms.currency,
        state="reserved",
        period_from=key.period_from,
        shard=caps.shard_of(order_id),
        line_nos=[line_no for line_no, _ in lines],
        line_minor=[minor for _, minor in lines],
        line_back_minor=[0] * len(lines),
        amount_minor=granted.amount_minor,
        reserved_at=tx.now,
    )


async def commit_shares(tx: Tx, merchant_id: int, order_id: int) -> tuple[Leg, ...]:
    """The order is paid: what was reserved is owed by the payers. Returns the legs on their receivables (D)."""
    reserved = await shares.shares_of(tx, merchant_id, shares.ORDER, order_id, state="reserved")
    for share in reserved:
        await shares.store_share(tx, msgspec.structs.replace(share, state="committed"))
    return tuple(Leg(int(Account.PAYER_RECEIVABLE), share.amount_minor, share.contract_id) for share in reserved)


async def release_shares(tx: Tx, merchant_id: int, order_id: int) -> None:
    """The order came to nothing before it was paid: what it had taken of caps is free again. Again: nothing."""
    for share in await shares.release_unpaid(tx, merchant_id, order_id):
        await caps.give_back(tx, share.cap, share.shard, share.amount_minor)


def with_others(legs: Sequence[Leg], others: Sequence[Leg]) -> tuple[Leg, ...]:
    """B, D: an order's payment with what others than the buyer bear of it; the merchant's pending balance holds all."""
    borne = sum(leg.amount_minor for leg in others)
    paid = [leg for leg in legs if leg.account != Account.PENDING]
    pending = -sum(leg.amount_minor for leg in paid) - borne
    return (*paid, *others, Leg(int(Account.PENDING), pending, 0))


async def refuse_shared(tx: Tx, merchant_id: int, order_id: int, deed: str) -> None:
    """Raise Conflict for an order that a payer bears a part of: that was granted for what was ordered."""
    rows: Sequence[Any] = await shares.shares_of(tx, merchant_id, shares.ORDER, order_id)
    if any(share.state != "released" for share in rows):
        raise Conflict(f"a third party pays a part of order {order_id}, for what was ordered: it cannot be {deed}")
