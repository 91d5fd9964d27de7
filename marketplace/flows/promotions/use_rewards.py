"""Rewards that later orders use up: vouchers for a next order, and reductions of fees. In the merchant's books.

Both wait as pending grants (2050). A voucher is paid (2050 to 2000) with the first order that settles after it vested
and before it expires and is large enough, once; a reduction with the commission of every such order, as far as it goes.
What an order has used is a pair of grants in the window that it was earned in: so much less is pending, so much more is
paid, under the order's id. It stays as it is, unless commission is given back: what is more than that waits again.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from billing import postings
from billing.ledger import store as ledger
from incentives.grants import store as grants
from incentives.grants.model import Grant, GrantState, Voucher
from incentives.grants.rewards import FEE, VOUCHER, moves_minor
from incentives.grants.store import Window
from incentives.grants.vouchers import store as vouchers
from incentives.rules.awards import NextOrderVoucher
from incentives.rules.events import Line
from incentives.rules.funders import bearing
from incentives.rules.index import Plan
from incentives.rules.parts import Role
from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.flows.promotions import use_rewards_sql as sql
from marketplace.flows.promotions.grant_rewards_sql import Settled
from marketplace.flows.promotions.judge_orders import Desk
from marketplace.flows.promotions.vest_rewards import reward_entry

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 12  # 60 random bits: not to be guessed


async def issue_vouchers(tx: Tx, role: Role, new: Sequence[tuple[Desk, Grant, Plan]]) -> None:
    """The vouchers of grants that are some: valid from when they vest."""
    made = []
    for desk, grant, plan in new:
        whose = grant.party_id if role == "buyer" else None
        form = desk.side(plan, whose).side.reward.form if grant.form == VOUCHER else None
        if isinstance(form, NextOrderVoucher) and grant.vests_at is not None and grant.amount_minor > 0:
            made.append(
                Voucher(
                    party_id=grant.party_id,
                    voucher_id=time_ordered_id(tx.now),
                    promotion_id=grant.promotion_id,
                    grant_id=grant.grant_id,
                    code="".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)),
                    currency=grant.currency,
                    amount_minor=grant.amount_minor,
                    minimum_minor=form.minimum_minor,
                    issued_at=grant.vests_at,
                    expires_at=grant.vests_at + timedelta(days=form.valid_days),
                )
            )
    if made:
        await vouchers.issue(tx, role, made)


async def use_rewards(tx: Tx, orders: Mapping[Desk, Sequence[Settled]]) -> None:
    """What orders of merchants use up, in the order in which they settled; their books and grants are held."""
    using = await sql.using(tx, [desk.merchant.merchant_id for desk, of in orders.items() if of])
    for desk, of in orders.items():
        if desk.merchant.merchant_id in using:
            await _use(tx, desk, of)


async def _use(tx: Tx, desk: Desk, orders: Sequence[Settled]) -> None:
    commission = await sql.commissions(tx, desk.merchant.merchant_id, [order.order_id for order in orders])
    for order in sorted(orders, key=lambda each: each.changed_at):
        charged = commission.get(order.order_id, 0)
        await _give_back(tx, desk, order, charged)
        if order.settled_at is not None:
            await _use_voucher(tx, desk, order, order.settled_at)
            await _reduce_fee(tx, desk, order, order.settled_at, charged)


async def _use_voucher(tx: Tx, desk: Desk, order: Settled, at: datetime) -> None:
    amount = _amount(order.ordered)
    for found in await sql.open_vouchers(tx, desk.merchant.merchant_id, order.currency, at, amount):
        window: Window = (found.merchant_id, found.promotion_id, found.span)
        if found.span == order.event_id:
            continue
        left = await _pending(tx, window, found.issued_at)
        if left <= 0:  # what it was earned with was refunded
            await vouchers.end(tx, "merchant", found.merchant_id, found.voucher_id, "void")
            continue
        await vouchers.use(tx, "merchant", found.merchant_id, found.voucher_id, order.event_id, at=at)
        await _move(tx, desk, window, order, min(left, found.amount_minor))
        return


async def _reduce_fee(tx: Tx, desk: Desk, order: Settled, at: datetime, charged_minor: int) -> None:
    for row in await sql.open_reductions(tx, desk.merchant.merchant_id, order.currency, at):
        part = min(row.left_minor, charged_minor)
        if row.span != order.event_id and part > 0:
            await _move(tx, desk, (row.merchant_id, row.promotion_id, row.span), order, part)
            charged_minor -= part


async def _give_back(tx: Tx, desk: Desk, order: Settled, charged_minor: int) -> None:
    """What an order has used and does not any more: all of a voucher once nothing is left of the order, of reductions
    what is more than its commission now. What a clawback has taken of it is not taken again."""
    for row in await sql.used_by(tx, desk.merchant.merchant_id, order.event_id):
        window: Window = (row.merchant_id, row.promotion_id, row.span)
        if row.form == FEE:
            kept = min(row.minor, max(0, charged_minor))
            charged_minor -= kept
        else:
            kept = row.minor if _amount(order.left) else 0
            if not kept:
                await sql.unuse_vouchers(tx, row.merchant_id, order.event_id)
        if back := min(row.minor - kept, await _paid(tx, window)):
            await _move(tx, desk, window, order, -back)


async def _pending(tx: Tx, window: Window, vested_at: datetime) -> int:
    """What waits of a window since then."""
    granted = await grants.grants_in(tx, "merchant", window)
    return sum(one.amount_minor for one in granted if _waits(one) and one.vests_at == vested_at)


async def _paid(tx: Tx, window: Window) -> int:
    """What a window has paid beyond what was taken back of it."""
    granted = await grants.grants_in(tx, "merchant", window)
    return max(0, sum(one.amount_minor for one in granted if one.state is GrantState.PAID))


def _waits(grant: Grant) -> bool:
    return grant.state is GrantState.PENDING


async def _move(tx: Tx, desk: Desk, window: Window, order: Settled, minor: int) -> None:
    """Pay so much of what waits in a window with an order, what vested first first; below zero: have it wait again."""
    granted = await grants.grants_in(tx, "merchant", window)
    first = next(one for one in granted if one.reservation_key is not None)
    terms = (await desk.plans.get(tx, window[1], first.version_no)).terms
    waiting = [one for one in granted if _waits(one)]
    new: list[Grant] = []
    for vests_at, part in _parts(waiting, minor) if minor > 0 else [(first.vests_at, minor)]:
        held = [*waiting, *(one for one in new if _waits(one))]
        funders, shares = bearing(terms.funding, [(one.funders, one.funder_minor) for one in held]).divide(-part)
        for amount, sign, state in ((-part, 1, GrantState.PENDING), (part, -1, GrantState.PAID)):
            new.append(
                msgspec.structs.replace(
                    first,
                    grant_no=granted[-1].grant_no + len(new) + 1,
                    grant_id=time_ordered_id(tx.now),
                    event_id=order.event_id,
                    amount_minor=amount,
                    funders=funders,
                    funder_minor=tuple(sign * share for share in shares),
                    line_nos=(),
                    line_minor=(),
                    state=state,
                    reservation_key=None,
                    vests_at=vests_at if state is GrantState.PENDING else None,
                )
            )
    await grants.add_grants(tx, "merchant", new)
    await grants.add_granted(tx, "merchant", [(window, 0)], grants=len(new))
    paid = [(one, postings.incentive_vested(moves_minor(one), one.promotion_id)) for one in new if not _waits(one)]
    zone = desk.merchant.zone
    await ledger.post(tx, [reward_entry(tx, one, "incentive_vested", legs, zone) for one, legs in paid if legs])


def _parts(waiting: Sequence[Grant], minor: int) -> Iterator[tuple[datetime | None, int]]:
    """How an amount falls on what waits, by when it vested."""
    left: dict[datetime, int] = defaultdict(int)
    for one in waiting:
        if one.vests_at is not None:
            left[one.vests_at] += one.amount_minor
    for vests_at in sorted(left):
        part = min(minor, left[vests_at])
        if part > 0:
            yield vests_at, part
            minor -= part


def _amount(lines: Sequence[Line]) -> int:
    return sum(line.amount_minor for line in lines)
