"""Every statement on plans, subscriptions, their usage and the tasks that follow from it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from marketplace.core import outbox
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from marketplace.core.ids import time_ordered_id
from marketplace.core.rows import edit_row
from supply.products.model import Means
from supply.products.subscriptions.lifecycle import By, Move, check_move
from supply.products.subscriptions.model import (
    Interval,
    Per,
    Plan,
    Refunds,
    Subscription,
    SubscriptionState,
    SubscriptionStep,
)
from supply.products.subscriptions.tables import plan, subscription, subscription_step, task, tool_usage

_PLAN = [plan.c[field] for field in Plan.__struct_fields__]
_COLUMNS = [subscription.c[field] for field in Subscription.__struct_fields__]
_STEP = [subscription_step.c[field] for field in SubscriptionStep.__struct_fields__]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something for a person of the house to take up with a merchant. owner: a login; outcome: what came of it."""

    merchant_id: int
    task_id: int
    kind: str
    subscription_id: int
    title: str
    owner: str
    due_on: date
    state: str
    outcome: str
    done_by: str | None
    done_at: datetime | None
    raised_at: datetime
    version: int


class ToolUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How often a tool was used on a day."""

    used_on: date
    uses: int


_TASK = [task.c[field] for field in Task.__struct_fields__]


async def add_plan(tx: Tx, new: Plan) -> Plan:
    """Store a version of a plan and withdraw the one before it. Raises Conflict when somebody was faster."""
    await tx.execute(update(plan).where(plan.c.code == new.code, plan.c.offered).values(offered=False))
    try:
        await tx.execute(insert(plan), msgspec.structs.asdict(new))
    except IntegrityError as fault:
        raise Conflict(f"plan {new.code}: another version {new.version_no} was made at the same moment") from fault
    return new


async def newest_version(tx: Tx, code: str) -> int:
    """The number of a plan's newest version, 0 when there is none."""
    number: int = await tx.scalar(select(func.coalesce(func.max(plan.c.version_no), 0)).where(plan.c.code == code))
    return number


async def get_plan(tx: Tx, plan_id: int) -> Plan:
    """Raises NotFound."""
    row = await tx.row(select(*_PLAN).where(plan.c.plan_id == plan_id))
    if row is None:
        raise NotFound(f"there is no plan {plan_id}")
    return _plan(row)


async def withdraw_plan(tx: Tx, plan_id: int) -> Plan:
    """Offer a plan to nobody any more. Raises NotFound."""
    await tx.execute(update(plan).where(plan.c.plan_id == plan_id).values(offered=False))
    return await get_plan(tx, plan_id)


async def list_plans(tx: Tx, *, limit: int, before: int | None = None, offered: bool = False) -> list[Plan]:
    """At most `limit` plans, the newest first, those behind the id `before`; only what is offered if asked so."""
    query = select(*_PLAN)
    if before is not None:
        query = query.where(plan.c.plan_id < before)
    if offered:
        query = query.where(plan.c.offered)
    return [_plan(row) for row in await tx.rows(query.order_by(plan.c.plan_id.desc()).limit(limit))]


async def insert_subscription(tx: Tx, new: Subscription, move: str, detail: str) -> Subscription:
    await tx.execute(insert(subscription), msgspec.structs.asdict(new))
    await _tell(tx, new, move, detail)
    return new


async def get_subscription(tx: Tx, merchant_id: int, subscription_id: int, *, lock: bool = False) -> Subscription:
    """A subscription, held until the transaction ends when `lock` says so. Raises NotFound."""
    query = select(*_COLUMNS).where(
        subscription.c.merchant_id == merchant_id, subscription.c.subscription_id == subscription_id
    )
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no subscription {subscription_id}")
    return _subscription(row)


async def list_subscriptions(
    tx: Tx, *, merchant_id: int | None, limit: int, before: tuple[int, int] | None = None
) -> list[Subscription]:
    """At most `limit` subscriptions of one merchant or of all, the newest first, behind (subscription, merchant)."""
    query = select(*_COLUMNS)
    if merchant_id is not None:
        query = query.where(subscription.c.merchant_id == merchant_id)
    if before is not None:
        query = query.where(tuple_(subscription.c.subscription_id, subscription.c.merchant_id) < before)
    query = query.order_by(subscription.c.subscription_id.desc(), subscription.c.merchant_id.desc()).limit(limit)
    return [_subscription(row) for row in await tx.rows(query)]


async def states_of_code(tx: Tx, merchant_id: int, code: str) -> list[SubscriptionState]:
    """The states of all subscriptions that a merchant has had to any version of a plan."""
    query = select(subscription.c.state).join(plan, plan.c.plan_id == subscription.c.plan_id)
    rows = await tx.rows(query.where(subscription.c.merchant_id == merchant_id, plan.c.code == code))
    return [SubscriptionState(row.state) for row in rows]


async def acting(tx: Tx, upto: date, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """Subscriptions with which the clock has something to do by a day, by merchant and id, those behind `after`."""
    query = select(subscription.c.merchant_id, subscription.c.subscription_id).where(
        subscription.c.acts_on <= upto,
        tuple_(subscription.c.merchant_id, subscription.c.subscription_id) > after,
    )
    return await tx.rows(query.order_by(subscription.c.merchant_id, subscription.c.subscription_id).limit(limit))


async def move_subscription(
    tx: Tx, held: Subscription, move: Move, by: By, detail: str = "", **values: Any
) -> Subscription:
    """Take a locked subscription where the table of moves lets it go; nothing else changes its state.

    Raises Forbidden, Conflict.
    """
    state = check_move(held.state, move, by)
    return await _set(tx, held, move, detail, state=state, **values)


async def agree_means(tx: Tx, held: Subscription, pays_by: Means) -> Subscription:
    """The merchant says how it pays; what is charged from now on is paid so."""
    return await _set(tx, held, "agree", pays_by.value, pays_by=pays_by)


async def note_follow_up(tx: Tx, held: Subscription, acts_on: date) -> Subscription:
    """A person takes a trial up; the clock comes again on `acts_on`."""
    return await _set(tx, held, "follow_up", "", followed_up=True, acts_on=acts_on)


async def _set(tx: Tx, held: Subscription, move: str, detail: str, **values: Any) -> Subscription:
    changed = await edit_row(tx, subscription, held, **values)
    await _tell(tx, changed, move, detail)
    return changed


async def _tell(tx: Tx, now: Subscription, move: str, detail: str) -> None:
    step = SubscriptionStep(
        merchant_id=now.merchant_id,
        subscription_id=now.subscription_id,
        step_no=now.version,
        move=str(move),
        state=now.state,
        detail=detail,
        at=tx.now,
        actor=tx.actor,
    )
    await tx.execute(insert(subscription_step), msgspec.structs.asdict(step))
    await outbox.emit(tx, "supply.subscription_moved.v1", {"move": step.move, **msgspec.structs.asdict(now)},
                      merchant_id=now.merchant_id)  # fmt: skip


async def list_steps(
    tx: Tx, merchant_id: int, subscription_id: int, *, limit: int, before: int | None
) -> list[SubscriptionStep]:
    """At most `limit` moves of a subscription, the newest first, those before the step `before`."""
    query = select(*_STEP).where(
        subscription_step.c.merchant_id == merchant_id, subscription_step.c.subscription_id == subscription_id
    )
    if before is not None:
        query = query.where(subscription_step.c.step_no < before)
    rows = await tx.rows(query.order_by(subscription_step.c.step_no.desc()).limit(limit))
    return [SubscriptionStep(**{**row._mapping, "state": SubscriptionState(row.state)}) for row in rows]


async def note_usage(tx: Tx, merchant_id: int, subscription_id: int, used_on: date, uses: int) -> ToolUsage:
    """What the tool says of a day; said again, the newest word counts."""
    row = {"merchant_id": merchant_id, "subscription_id": subscription_id, "used_on": used_on, "uses": uses}
    statement = upsert(tool_usage).values(row)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["merchant_id", "subscription_id", "used_on"], set_={"uses": statement.excluded.uses}
        )
    )
    return ToolUsage(used_on=used_on, uses=uses)


async def usage_since(tx: Tx, merchant_id: int, subscription_id: int, since: date) -> int:
    """How often a tool was used on that day and after it."""
    query = select(func.coalesce(func.sum(tool_usage.c.uses), 0)).where(
        tool_usage.c.merchant_id == merchant_id,
        tool_usage.c.subscription_id == subscription_id,
        tool_usage.c.used_on >= since,
    )
    return int(await tx.scalar(query))


async def raise_task(tx: Tx, about: Subscription, kind: str, title: str, owner: str, due_on: date) -> Task:
    """Ask a person to do something about a subscription; each kind is raised once."""
    row: dict[str, Any] = {"merchant_id": about.merchant_id, "task_id": time_ordered_id(tx.now), "kind": kind}
    row |= {"subscription_id": about.subscription_id, "title": title, "owner": owner, "due_on": due_on}
    await tx.execute(insert(task), {**row, "state": "open", "raised_at": tx.now})
    raised = await get_task(tx, about.merchant_id, row["task_id"])
    await outbox.emit(tx, "supply.task_raised.v1", raised)
    return raised


async def get_task(tx: Tx, merchant_id: int, task_id: int, *, lock: bool = False) -> Task:
    """Raises NotFound."""
    query = select(*_TASK).where(task.c.merchant_id == merchant_id, task.c.task_id == task_id)
    row = await tx.row(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no task {task_id}")
    return Task(**row._mapping)


async def list_tasks(
    tx: Tx, *, limit: int, state: str | None, owner: str | None, after: tuple[date, int] | None = None
) -> list[Task]:
    """At most `limit` tasks, what is due first first, those behind (due_on, task_id)."""
    query = select(*_TASK)
    if state is not None:
        query = query.where(task.c.state == state)
    if owner is not None:
        query = query.where(task.c.owner == owner)
    if after is not None:
        query = query.where(tuple_(task.c.due_on, task.c.task_id) > after)
    return [Task(**row._mapping) for row in await tx.rows(query.order_by(task.c.due_on, task.c.task_id).limit(limit))]


async def edit_task(tx: Tx, held: Task, **values: Any) -> Task:
    """Give a locked task to somebody else, put it off, or mark it done."""
    return await edit_row(tx, task, held, **values)


def _plan(row: Any) -> Plan:
    kinds = {"per": Per(row.per), "every": Interval(row.every), "refunds": Refunds(row.refunds)}
    return Plan(**{**row._mapping, **kinds})


def _subscription(row: Any) -> Subscription:
    kinds = {"state": SubscriptionState(row.state), "pays_by": Means(row.pays_by) if row.pays_by else None}
    return Subscription(**{**row._mapping, **kinds})
