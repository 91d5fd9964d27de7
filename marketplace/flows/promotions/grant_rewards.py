"""Merchants' rewards: what settled or was refunded since is measured, and each window brought to what it entitles to.

A pass looks at each merchant's books from where it looked last, a page in one commit: what an order contributes is
replaced, never added, and the next grant is the target less what was granted. So it may be killed, repeated and run
twice at once. Grants are earned at once (5000 to 2050) and become payable when they vest (2050 to 2000).
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from billing.ledger import store as ledger
from incentives.experiments.store import Exposure, expose, get_holdout
from incentives.grants import store as grants
from incentives.grants.model import Contribution
from incentives.grants.store import Window
from incentives.grants.vouchers import store as vouchers
from incentives.lifecycle import State
from incentives.promotions import store as promotions
from incentives.promotions.joins import store as joins
from incentives.rules import target as rules
from incentives.rules.evaluate import Effect, Verdict
from incentives.rules.index import Plan
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, each
from marketplace.flows.promotions import grant_rewards_sql as sql
from marketplace.flows.promotions import use_rewards_sql as used_sql
from marketplace.flows.promotions.grant_rewards_sql import Settled
from marketplace.flows.promotions.judge_orders import BuyersDesk, Desk, Plans
from marketplace.flows.promotions.reach_targets import reach_targets
from marketplace.flows.promotions.self_trades import with_self_trades
from marketplace.flows.promotions.use_rewards import use_rewards
from marketplace.flows.promotions.weigh_windows import Touched

PAGE = 200
LINES_PER_COMMIT = 500
COUNTING = (State.SCHEDULED, State.LIVE, State.PAUSED, State.EXHAUSTED, State.ENDED, State.CLOSING)
"""Promotions whose events count: a scheduled one may have begun before the clock has said so."""


async def grant_rewards(db: Database, actor: str) -> int:
    """Bring all rewards to what settled orders entitle to; returns how many commits that took."""
    plans = Plans()
    done = 0
    while passed := await each(db, actor, "rewards were not granted", _behind, partial(_take_page, plans)):
        done += passed
    done += await each(db, actor, "rewards that were owed were not granted", _owed, partial(_take_owed, plans))
    done += await each(db, actor, "vouchers did not expire", partial(_expiring, db), partial(_expire, plans))
    return done + await each(db, actor, "rewards were not made void", _unvested, partial(_make_void, plans))


async def _behind(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await sql.merchants_behind(tx, last.merchant_id if last else FIRST, PAGE)


async def _owed(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await sql.merchants_in(tx, await sql.granting_again(tx), last.merchant_id if last else FIRST, PAGE)


async def _unvested(tx: Tx, last: Any | None) -> Sequence[Any]:
    promotion_ids = await sql.voiding(tx)
    return await sql.merchants_in(tx, promotion_ids, last.merchant_id if last else FIRST, PAGE, unvested=True)


async def _expiring(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    return await used_sql.merchants_expiring(tx, db.clock.now(), last.merchant_id if last else FIRST, PAGE)


async def desk_of(tx: Tx, plans: Plans, merchant_id: int) -> Desk:
    """Hold a merchant's books and what it has under promotions, and keep these from being moved."""
    await ledger.lock_books(tx, merchant_id)
    await grants.hold_parties(tx, "merchant", [merchant_id])
    merchant = await sql.get_merchant(tx, merchant_id)
    versions = await promotions.approved_versions(tx, COUNTING)
    joined = await joins.joined_at(tx, "merchant", [merchant_id], {row.promotion_id for row in versions})
    desk = Desk(merchant, plans, versions, joined)
    ended = {row.promotion_id for row in versions if row.state == State.ENDED}
    desk.holdout = await get_holdout(tx)
    desk.granting = await promotions.hold_granting(tx, desk.campaigns) | ended
    return desk


async def _take_page(plans: Plans, tx: Tx, row: Any) -> bool:
    """The next page of a merchant's books."""
    desk = await desk_of(tx, plans, row.merchant_id)
    if desk.campaigns:
        page = await sql.next_page(tx, row.merchant_id, LINES_PER_COMMIT, promised=await desk.promises(tx))
        if await desk.counts_orders(tx):
            page = msgspec.structs.replace(page, orders=await sql.with_earlier(tx, row.merchant_id, page.orders))
        page = msgspec.structs.replace(page, orders=await with_self_trades(tx, row.merchant_id, page.orders))
    else:
        page = sql.Page(orders=[], upto_no=None)
    buyers = await _buyers_of(tx, desk, page.orders)
    sides = [desk] if buyers is None else [desk, buyers]
    await reach_targets(tx, [(side, await _contributions(tx, side, page.orders)) for side in sides])
    await use_rewards(tx, desk, page.orders)
    await sql.advance(tx, row.merchant_id, page.upto_no)
    return True


async def _buyers_of(tx: Tx, desk: Desk, orders: Sequence[Settled]) -> BuyersDesk | None:
    """The buyers of the orders, who get something by them in the house's books, which are held from now on: after the
    merchant's, before any cap or budget. None where nobody does."""
    buyers = desk.for_buyers()
    if not orders or not await buyers.concerns_anybody(tx):
        return None
    buyer_ids = [order.buyer_id for order in orders]
    await _hold_buyers(tx, desk, buyer_ids)
    await buyers.note_joined(tx, buyer_ids)
    return buyers


async def _hold_buyers(tx: Tx, desk: Desk, buyer_ids: Sequence[int]) -> None:
    await ledger.lock_books(tx, desk.merchant.house_merchant_id)
    await grants.hold_parties(tx, "buyer", buyer_ids)


async def _take_owed(plans: Plans, tx: Tx, row: Any) -> bool:
    """Grant what was earned while nothing could be granted, to the merchant and to the buyers of its orders."""
    desk = await desk_of(tx, plans, row.merchant_id)
    return await _reach_again(tx, desk, sorted(desk.granting), void=False)


async def _make_void(plans: Plans, tx: Tx, row: Any) -> bool:
    """Take back what is promised under paused promotions and has not vested, and never give it again."""
    desk = await desk_of(tx, plans, row.merchant_id)
    return await _reach_again(tx, desk, await sql.voiding(tx), void=True)


async def _expire(plans: Plans, tx: Tx, row: Any) -> bool:
    """Take back the vouchers that nobody has used in time, and never give them again: breakage, to whoever bore it."""
    desk = await desk_of(tx, plans, row.merchant_id)
    buyers = desk.for_buyers()
    over = {
        side: await used_sql.expired_of(tx, side.role, row.merchant_id, LINES_PER_COMMIT) for side in (desk, buyers)
    }
    if over[buyers]:
        await _hold_buyers(tx, desk, [one.party_id for one in over[buyers]])
    ending = {
        side: sorted({(one.party_id, one.promotion_id, one.span) for one in found if not one.replaced})
        for side, found in over.items()
    }
    await reach_targets(tx, [(side, await _untouched(tx, side, of, void=True)) for side, of in ending.items()])
    for side, found in over.items():
        for one in found:
            await vouchers.end(tx, side.role, one.party_id, one.voucher_id, "void" if one.replaced else "expired")
    return any(over.values())


async def _untouched(tx: Tx, desk: Desk, windows: Sequence[Window], *, void: bool) -> dict[Window, Touched]:
    """Windows in which nothing has happened."""
    return {
        window: Touched(starts=one.starts_at, ends=one.ends_at, award_minor=one.award_minor, at=tx.now, void=void)
        for window, one in (await grants.progress_of(tx, desk.role, windows)).items()
    }


async def _reach_again(tx: Tx, desk: Desk, promotion_ids: Sequence[int], *, void: bool) -> bool:
    """Decide windows in which nothing has happened, the merchant's and its buyers'; whether anything was granted or
    taken back."""
    found = []
    for side in (desk, desk.for_buyers()):
        windows = await sql.windows_in(
            tx, side.role, desk.merchant.merchant_id, promotion_ids, LINES_PER_COMMIT, unvested=void
        )
        if windows and side.role == "buyer":
            await _hold_buyers(tx, desk, [party_id for party_id, _, _ in windows])
        found.append((side, windows))
    return await reach_targets(tx, [(side, await _untouched(tx, side, windows, void=void)) for side, windows in found])


async def _contributions(tx: Tx, desk: Desk, orders: Sequence[Settled]) -> dict[Window, Touched]:
    """Store what the orders contribute now, each under the version that it first counted under; by window."""
    touched: dict[Window, Touched] = {}
    known: dict[str, list[Contribution]] = {}
    for party_id in sorted({desk.party_of(order) for order in orders}):
        events = [order.event_id for order in orders if desk.party_of(order) == party_id]
        for one in await grants.contributions_by(tx, desk.role, party_id, events):
            if one.promotion_id in desk.campaigns:
                known.setdefault(one.event_id, []).append(one)
    changed: list[Contribution] = []
    exposed: list[Exposure] = []
    promised = await desk.promises(tx)
    for order in orders:
        before = known.get(order.event_id, [])
        for was in before:
            plan = await desk.plans.get(tx, was.promotion_id, was.version_no)
            if order.settled_at is None and _too_late(desk, plan, was, order):
                continue
            now = _counted(plan, was, order)
            progress = Touched(starts=was.at, ends=None, award_minor=None, at=order.changed_at)
            _touch(touched, progress, was, now)
            changed.append(now)
        seen = {was.promotion_id for was in before}
        for on, at in order.happened(promised=promised):
            for verdict in await desk.judged(tx, order.event(desk.merchant, on), at):
                exposed += await desk.exposed(tx, verdict, order.buyer_id, at)
                for effect in verdict.effects if verdict.promotion_id not in seen else ():
                    plan = await desk.plans.get(tx, verdict.promotion_id, verdict.version)
                    now = _counted(plan, _first(effect, verdict, order, at), order)
                    last = order.settled_at or at
                    window = Touched(starts=effect.starts, ends=effect.ends, award_minor=effect.amount_minor, at=last)
                    _touch(touched, window, None, now)
                    changed.append(now)
    await grants.save_contributions(tx, desk.role, changed)
    await expose(tx, exposed)
    return touched


def _touch(touched: dict[Window, Touched], new: Touched, was: Contribution | None, now: Contribution) -> None:
    found = touched.setdefault((now.party_id, now.promotion_id, now.span), new)
    found.changes.append((was, now))
    found.at = max(found.at, new.at)
    if was is None:
        found.starts, found.ends, found.award_minor = new.starts, new.ends, new.award_minor


def _too_late(desk: Desk, plan: Plan, was: Contribution, order: Settled) -> bool:
    if order.sold_at is None:
        return False
    since = int((order.changed_at - order.sold_at).total_seconds())
    return rules.is_final(since, desk.side(plan, was.of_buyer).side.reward)


def _first(effect: Effect, verdict: Verdict, order: Settled, at: datetime) -> Contribution:
    return Contribution(
        party_id=effect.party_id,
        promotion_id=verdict.promotion_id,
        event_id=order.event_id,
        span=effect.window,
        version_no=verdict.version,
        promised=0,
        settled=0,
        of_buyer=order.buyer_id,
        line_nos=effect.lines,
        at=at,
    )


def _counted(plan: Plan, was: Contribution, order: Settled) -> Contribution:
    """A contribution as the lines that qualified stand now."""
    lines = [line for line in order.left if line.line_no in was.line_nos]
    now = rules.contribution(plan.terms.measure.of, lines, order.standing, was.of_buyer)
    return msgspec.structs.replace(was, promised=now.promised, settled=now.settled)
