"""Merchants' rewards: what settled or was refunded since is measured, and each window brought to what it entitles to.

A pass looks at each merchant's books from where it looked last, a page in one commit: what an order contributes is
replaced, never added, and the next grant is the target less what was granted. So it may be killed, repeated and run
twice at once. Grants are earned at once (5000 to 2050) and become payable when they vest (2050 to 2000).
"""

from collections.abc import Collection, Mapping, Sequence
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
from incentives.rules.parts import Role
from marketplace.core.db import Database, Tx
from marketplace.core.each import FIRST, OneByOne, each, in_bunches
from marketplace.flows.promotions import grant_rewards_sql as sql
from marketplace.flows.promotions import use_rewards_sql as used_sql
from marketplace.flows.promotions.earlier_orders_sql import with_earlier
from marketplace.flows.promotions.grant_rewards_sql import Settled
from marketplace.flows.promotions.judge_orders import BuyersDesk, Desk, Plans, Versions
from marketplace.flows.promotions.reach_targets import reach_targets
from marketplace.flows.promotions.self_trades import with_self_trades
from marketplace.flows.promotions.use_rewards import use_rewards
from marketplace.flows.promotions.weigh_windows import Side, Touched

PAGE = 200
LINES_PER_COMMIT = 500
COUNTING = (State.SCHEDULED, State.LIVE, State.PAUSED, State.EXHAUSTED, State.ENDED, State.CLOSING)
"""Promotions whose events count: a scheduled one may have begun before the clock has said so."""


async def grant_rewards(db: Database, actor: str) -> int:
    """Bring all rewards to what settled orders entitle to; returns how many commits that took."""
    plans = Plans()
    done = 0
    take = partial(_take_pages, plans)
    while passed := await in_bunches(db, actor, "rewards were not granted", _behind, _bunches, take):
        done += passed
    done += await each(db, actor, "rewards that were owed were not granted", _owed, partial(_take_owed, plans))
    done += await each(db, actor, "vouchers did not expire", partial(_expiring, db), partial(_expire, plans))
    return done + await each(db, actor, "rewards were not made void", _unvested, partial(_make_void, plans))


async def _behind(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await sql.merchants_behind(tx, last.merchant_id if last else FIRST, PAGE)


def _bunches(rows: Sequence[Any]) -> list[list[Any]]:
    """Merchants together, of whose books no more entries wait than are looked at in one commit; others alone."""
    bunches: list[list[Any]] = []
    room = 0
    for row in rows:
        if row.entries > room or not bunches:
            bunches.append([])
            room = LINES_PER_COMMIT
        bunches[-1].append(row)
        room -= row.entries
    return bunches


async def _owed(tx: Tx, last: Any | None) -> Sequence[Any]:
    return await sql.merchants_in(tx, await sql.granting_again(tx), last.merchant_id if last else FIRST, PAGE)


async def _unvested(tx: Tx, last: Any | None) -> Sequence[Any]:
    promotion_ids = await sql.voiding(tx)
    return await sql.merchants_in(tx, promotion_ids, last.merchant_id if last else FIRST, PAGE, unvested=True)


async def _expiring(db: Database, tx: Tx, last: Any | None) -> Sequence[Any]:
    return await used_sql.merchants_expiring(tx, db.clock.now(), last.merchant_id if last else FIRST, PAGE)


async def desk_of(tx: Tx, plans: Plans, merchant_id: int) -> Desk:
    """Hold a merchant's books and what it has under promotions, and keep these from being moved."""
    [desk] = await _desks_of(tx, plans, [merchant_id])
    return desk


async def _desks_of(tx: Tx, plans: Plans, merchant_ids: Sequence[int]) -> list[Desk]:
    """The same of several merchants, in the order of their ids."""
    for merchant_id in merchant_ids:
        await ledger.lock_books(tx, merchant_id)
    await grants.hold_parties(tx, "merchant", merchant_ids)
    versions = Versions(await promotions.approved_versions(tx, COUNTING))
    joined = await joins.joined_at(tx, "merchant", merchant_ids, versions.campaigns)
    desks = [Desk(each, plans, versions, joined) for each in await sql.get_merchants(tx, merchant_ids)]
    holdout = await get_holdout(tx)
    ended = {row.promotion_id for row in versions.rows if row.state == State.ENDED}
    granting = await promotions.hold_granting(tx, versions.campaigns) | ended
    for desk in desks:
        desk.holdout, desk.granting = holdout, granting
    return desks


async def _take_pages(plans: Plans, tx: Tx, rows: Sequence[Any]) -> bool:
    """The next page of the books of each of these merchants; one by one where others than they have a part in it."""
    desks = await _desks_of(tx, plans, [row.merchant_id for row in rows])
    first = desks[0]  # what it says of promotions, all say
    if len(desks) > 1 and await first.concerns_others(tx):
        raise OneByOne
    pages = await _pages(tx, desks) if first.campaigns else {}
    orders = {desk: page.orders for desk, page in pages.items()}
    buyers = await _buyers_of(tx, first, orders.get(first, ()))
    if buyers is not None:
        orders[buyers] = orders[first]
    await reach_targets(tx, await _contributions(tx, orders))
    await use_rewards(tx, {desk: page.orders for desk, page in pages.items()})
    await sql.advance(tx, {desk.merchant.merchant_id: pages[desk].upto_no if pages else None for desk in desks})
    return True


async def _pages(tx: Tx, desks: Sequence[Desk]) -> dict[Desk, sql.Page]:
    first = desks[0]  # what it says of promotions, all say
    merchant_ids = [desk.merchant.merchant_id for desk in desks]
    pages = await sql.next_pages(tx, merchant_ids, LINES_PER_COMMIT, promised=await first.promises(tx))
    if await first.counts_orders(tx):
        for merchant_id, page in pages.items():
            orders = await with_earlier(tx, merchant_id, page.orders)
            pages[merchant_id] = msgspec.structs.replace(page, orders=orders)
    marked = await with_self_trades(tx, {merchant_id: page.orders for merchant_id, page in pages.items()})
    return {
        desk: msgspec.structs.replace(pages[number], orders=marked[number])
        for desk, number in zip(desks, merchant_ids, strict=True)
    }


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


async def _contributions(tx: Tx, orders: Mapping[Desk, Sequence[Settled]]) -> list[Side]:
    """Store what the orders contribute now, each under the version that it first counted under; by desk and window."""
    known = await _known(tx, orders)
    changed: dict[Role, list[Contribution]] = {}
    exposed: list[Exposure] = []
    sides: list[Side] = []
    for desk, of in orders.items():
        touched: dict[Window, Touched] = {}
        promised = await desk.promises(tx)
        for order in of:
            before = known.get((desk.role, desk.party_of(order), order.event_id), [])
            now = await _again(tx, desk, order, before, touched)
            seen = {was.promotion_id for was in before}
            for on, at in order.happened(promised=promised):
                for verdict in await desk.judged(tx, order.event(desk.merchant, on), at):
                    exposed += await desk.exposed(tx, verdict, order.buyer_id, at)
                    if verdict.promotion_id not in seen:
                        now += await _counted_first(tx, desk, order, verdict, at, touched)
            changed.setdefault(desk.role, []).extend(now)
        sides.append((desk, touched))
    for role, found in changed.items():
        await grants.save_contributions(tx, role, found)
    await expose(tx, exposed)
    return sides


async def _known(tx: Tx, orders: Mapping[Desk, Sequence[Settled]]) -> dict[tuple[Role, int, str], list[Contribution]]:
    """What the orders have contributed so far, by role, party and event."""
    events: dict[Role, list[tuple[int, str]]] = {}
    campaigns: Collection[int] = ()
    for desk, of in orders.items():
        events.setdefault(desk.role, []).extend((desk.party_of(order), order.event_id) for order in of)
        campaigns = desk.campaigns
    known: dict[tuple[Role, int, str], list[Contribution]] = {}
    for role, named in events.items():
        for one in await grants.contributions_by(tx, role, named):
            if one.promotion_id in campaigns:
                known.setdefault((role, one.party_id, one.event_id), []).append(one)
    return known


async def _again(
    tx: Tx, desk: Desk, order: Settled, before: Sequence[Contribution], touched: dict[Window, Touched]
) -> list[Contribution]:
    """What an order that has counted before contributes now."""
    changed = []
    for was in before:
        plan = await desk.plans.get(tx, was.promotion_id, was.version_no)
        if order.settled_at is None and _too_late(desk, plan, was, order):
            continue
        now = _counted(plan, was, order)
        _touch(touched, Touched(starts=was.at, ends=None, award_minor=None, at=order.changed_at), was, now)
        changed.append(now)
    return changed


async def _counted_first(
    tx: Tx, desk: Desk, order: Settled, verdict: Verdict, at: datetime, touched: dict[Window, Touched]
) -> list[Contribution]:
    """What an order contributes to the windows that a verdict names."""
    changed = []
    for effect in verdict.effects:
        plan = await desk.plans.get(tx, verdict.promotion_id, verdict.version)
        now = _counted(plan, _first(effect, verdict, order, at), order)
        last = order.settled_at or at
        window = Touched(starts=effect.starts, ends=effect.ends, award_minor=effect.amount_minor, at=last)
        _touch(touched, window, None, now)
        changed.append(now)
    return changed


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
