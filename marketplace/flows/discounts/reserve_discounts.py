"""Reserve what promotions take off an order in the statement that places it: one shard of each of their budgets.

Where a shard has too little the order is placed again from the beginning, and then all shards of the budget are asked,
before anything else is held: so nothing is refused that could have been given (`incentives.budgets.reservations`).
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import count
from typing import Any

import asyncpg
import msgspec

from incentives.budgets.model import Ask, Slot
from incentives.budgets.reservations import store as reservations
from incentives.discounts.model import Discount
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.core.ids import time_ordered_id
from marketplace.flows.discounts.quote_discounts import Shopper, Taken, rooms_of, shopper_of
from marketplace.flows.discounts.read_live import Live, read_live
from marketplace.flows.payers.bear_order import Merchant
from marketplace.flows.payers.fund_promotions import with_caps

_turns = count(os.getpid())
"""Which shard the next order takes from. Orders that are placed at once take from different ones: none waits for
another, which would not only take time, but have the whole statement prepared once more for what it then finds."""
_short: set[Slot] = set()
"""Budgets of which this process has lately found one shard short. It decides what is tried first, never who gets it."""


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """What the discounts of an order that is being placed depend on."""

    live: Live
    shopper: Shopper


async def checkout_of(tx: Tx, buyer_id: int, row: Mapping[str, Any], words: Sequence[str]) -> Checkout | None:
    """The live discounts and the buyer that `row` was read with; None where nothing takes anything off.

    A buyer who is placing another order is asked to wait: the transaction starts again.
    """
    if row["epoch"] is None:
        return None
    live = await read_live(tx, row["epoch"])
    if not live.plans:
        return None
    if not row["alone"]:
        raise asyncpg.SerializationError("another order of this buyer is just being placed")
    return Checkout(live=live, shopper=shopper_of(buyer_id, row, tx.now, words))


async def reserve_exactly(
    tx: Tx,
    checkout: Checkout,
    taken: Sequence[Taken],
    asks: Sequence[Ask],
    merchants: Mapping[int, Merchant],
    *,
    citus: bool,
) -> tuple[bool, dict[Slot, int] | None]:
    """Ask all shards of the budgets, where one was found short: whether that was done, and if they give too little,
    what they have left, the payers' caps among them, of which this order's part is taken already."""
    slots = {draw.slot for ask in asks for draw in ask.draws}
    if not asks or (not citus and _short.isdisjoint(slots)):
        return False, None
    decisions = await reservations.reserve(tx, asks)
    if all(one.granted_minor == ask.amount_minor for one, ask in zip(decisions, asks, strict=True)):
        _short.difference_update(slots)  # what is left lies evenly over the shards again
        return True, None
    rooms = await rooms_of(tx, checkout.live, merchants, tx.now)
    for one, ask, of in zip(decisions, asks, taken, strict=True):
        on = local_date(tx.now, merchants[of.merchant_id].zone)
        for draw in with_caps(checkout.live.contracts, of.plan.terms, ask, on).draws:
            minor = ask.amount_minor if draw.budget.budget_id < 0 else one.granted_minor
            rooms[draw.slot] += ask.part_of(draw, minor)
    return True, rooms


def asks_of(tx: Tx, checkout: Checkout, taken: Sequence[Taken], order_ids: Mapping[int, int]) -> list[Ask]:
    return [one.ask(checkout.live, checkout.shopper, order_ids[one.merchant_id], tx.now) for one in taken]


class Discounted(msgspec.Struct, frozen=True, kw_only=True):
    """What promotions take off one cart that is placed. asks: of their budgets, those that are not answered yet."""

    checkout: Checkout
    taken: Sequence[Taken]
    discounts: Sequence[Discount]
    asks: Sequence[Ask]

    @property
    def may_be_short(self) -> bool:
        """Whether all shards of its budgets are to be asked: `reserve_exactly`."""
        return not _short.isdisjoint(draw.slot for ask in self.asks for draw in ask.draws)


def discount_values(carts: Sequence[Discounted]) -> dict[str, Any]:
    """The parameters of the writes, by name; all carts were read in one epoch."""
    minor: dict[tuple[Slot, int], int] = defaultdict(int)
    draws: list[tuple[int, str, date, int, int, int]] = []
    for each, turn in zip(carts, _turns, strict=False):  # turns never end
        for ask in each.asks:
            for draw in ask.draws:
                part, n = ask.part_of(draw, ask.amount_minor), turn % draw.budget.shards
                minor[draw.slot, n] += part
                draws.append((draw.budget.budget_id, ask.key, draw.period_from, n, ask.amount_minor, part))
    shards = sorted(minor)
    budgets, keys, periods, ns, grants, parts = _columns(draws, 6)
    taken = [one for each in carts for one in each.taken]
    discounts = [of for each in carts for of in each.discounts]
    return {
        "epoch": carts[0].checkout.live.epoch,
        "window_buyers": [each.checkout.shopper.buyer_id for each in carts],
        "windows": [each.checkout.shopper.windows for each in carts],
        "codes": [one.code for one in taken if one.code is not None],
        "code_orders": [of.order_id for of, one in zip(discounts, taken, strict=True) if one.code is not None],
        "budget_ids": [budget_id for (budget_id, _), _ in shards],
        "budget_periods": [period_from for (_, period_from), _ in shards],
        "budget_shards": [n for _, n in shards],
        "budget_minor": [minor[shard] for shard in shards],
        "draw_budgets": budgets,
        "draw_keys": keys,
        "draw_periods": periods,
        "draw_shards": ns,
        "draw_grants": grants,
        "draw_minor": parts,
        "discounts": msgspec.json.encode([msgspec.structs.asdict(of) for of in discounts]).decode(),
        "taken_buyers": [of.buyer_id for of in discounts],
        "taken_promotions": [of.promotion_id for of in discounts],
        "taken_orders": [of.order_id for of in discounts],
        "taken_measures": [one.measure for one in taken],
        "taken_minor": [of.amount_minor for of in discounts],
    }


def _columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    """The same by column, of which there are so many."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]


def discounts_of(tx: Tx, checkout: Checkout, taken: Sequence[Taken], order_ids: Mapping[int, int]) -> list[Discount]:
    """What promotions take off the orders, as it is stored."""
    contracts = {name: each.contract_id for name, each in checkout.live.contracts.items()}
    return [_discount(tx, checkout.shopper, one, order_ids[one.merchant_id], contracts) for one in taken]


def _discount(tx: Tx, shopper: Shopper, one: Taken, order_id: int, contracts: Mapping[str, int]) -> Discount:
    return Discount(
        merchant_id=one.merchant_id,
        order_id=order_id,
        grant_id=time_ordered_id(tx.now),
        buyer_id=shopper.buyer_id,
        promotion_id=one.promotion_id,
        campaign_id=one.campaign_id,
        version_no=one.plan.version,
        name=one.plan.terms.name,
        currency=one.plan.terms.currency,
        amount_minor=one.amount_minor,
        funders=one.funders,
        contracts=tuple(contracts.get(name, 0) for name in one.funders),
        funder_minor=one.funder_minor,
        funder_back_minor=(0,) * len(one.funders),
        line_nos=one.line_nos,
        line_minor=one.line_minor,
        own_minor=tuple(one.own_minor),
        borne_back_minor=(0,) * len(one.line_nos),
        own_back_minor=(0,) * len(one.line_nos),
    )


def check_discounts_written(counts: Mapping[str, int], values: Mapping[str, Any]) -> None:
    """Raise to start again where promotions or the buyer's discounts have changed, or a budget's shard was short."""
    if not counts["epoch"] or counts["windows"] < len(values["windows"]):
        raise asyncpg.SerializationError("what promotions give has changed meanwhile")
    if counts["codes"] < len(values["codes"]):
        raise Conflict("codes: somebody else has just used one of them; quote the cart again", pointer="/codes")
    if counts["budgets"] < len(values["budget_ids"]):
        _short.update(zip(values["budget_ids"], values["budget_periods"], strict=True))
        raise asyncpg.SerializationError("a part of a budget was short")
