"""What has to be done: what the house waits for from a merchant, and what the house has to take up with merchants."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from marketplace.consoles.academy_queries import Taken, taken_courses
from marketplace.consoles.books_queries import Merchant, get_merchant
from marketplace.consoles.lists import Column, Kind, Roll, Shown
from marketplace.consoles.products_queries import Deal, deals
from marketplace.core.db import Tx
from marketplace.flows.acquisition.onboard_merchant import read_checklist
from supply.model import MerchantState
from supply.onboarding.rules import Checklist, Item
from supply.products.hardware import store as hardware
from supply.products.hardware.model import HardwareState, WorkOrder, WorkState
from supply.products.services import store as services
from supply.products.services.model import Agreement, AgreementState

LISTED_MAX = 50


class MerchantTasks(msgspec.Struct, frozen=True):
    """What a merchant has to show before it sells, what waits for its decision, and who comes when."""

    merchant: Merchant
    checklist: Checklist
    to_accept: int
    to_ship: int
    deals: Sequence[Deal]
    agreements: Sequence[Agreement]
    visits: Sequence[WorkOrder]
    courses: Sequence[Taken]

    @property
    def missing(self) -> Sequence[Item]:
        """Points that keep the merchant from selling; who sells already is asked for none."""
        asked = self.merchant.state == MerchantState.ONBOARDING
        return [item for item in self.checklist.items if asked and item.missing]

    @property
    def nothing(self) -> bool:
        """Whether nothing waits for the merchant."""
        to_take = any(each.to_take for each in self.courses)
        return not (self.missing or self.to_accept or self.to_ship or self.deals or self.agreements or to_take)


class TasksPage(msgspec.Struct, frozen=True):
    """Which tasks of the house are wanted."""

    state: str | None
    owner: str | None
    today: date


TASKS = Roll(
    name="tasks",
    first="due_on",
    key=("merchant_id", "task_id"),
    columns=(
        Column("due_on", "ops_tasks.due", Kind.DAY),
        Column("title", "col.what"),
        Column("merchant", "col.merchant"),
        Column("owner", "ops_tasks.owner"),
        Column("state", "col.state"),
        Column("outcome", "ops_tasks.outcome", by="", shown=Shown.IN_FILES),
        Column("do", "products.do", by="", shown=Shown.ON_PAGES),
    ),
    query="""
SELECT t.merchant_id, t.task_id, t.title, t.owner, t.due_on, t.state, t.outcome, t.done_by, t.version,
       m.name AS merchant
FROM supply.task t JOIN supply.merchant m ON m.merchant_id = t.merchant_id
WHERE (CAST(:state AS text) IS NULL OR t.state = :state) AND (CAST(:owner AS text) IS NULL OR t.owner = :owner)
""",
)


class ServicePage(msgspec.Struct, frozen=True):
    """Work at merchants' and services for them, the newest first. older: the key of the next page of work."""

    work: Sequence[WorkOrder]
    agreements: Sequence[Agreement]
    names: Mapping[int, str]
    older: tuple[int, int] | None


async def merchant_tasks(tx: Tx, merchant_id: int, person: str) -> MerchantTasks:
    """As this person sees them. Raises NotFound."""
    waiting = await tx.row(_WAITING, merchant=merchant_id)
    assert waiting is not None
    proposed = await services.list_agreements(tx, merchant_id=merchant_id, limit=LISTED_MAX)
    work = await hardware.list_work(tx, merchant_id=merchant_id, limit=LISTED_MAX)
    return MerchantTasks(
        merchant=await get_merchant(tx, merchant_id),
        checklist=await read_checklist(tx, merchant_id),
        to_accept=waiting.to_accept,
        to_ship=waiting.to_ship,
        deals=[one for one in await deals(tx, merchant_id) if one.order.state is HardwareState.QUOTED],
        agreements=[one for one in proposed if one.state is AgreementState.PROPOSED],
        visits=[one for one in work if one.state in {WorkState.PLANNED, WorkState.APPOINTED}],
        courses=await taken_courses(tx, merchant_id, person),
    )


async def service_page(tx: Tx, before: tuple[int, int] | None) -> ServicePage:
    """One page of work, those behind (work_order_id, merchant_id), and the newest agreements."""
    rows = await hardware.list_work(tx, merchant_id=None, limit=LISTED_MAX + 1, before=before)
    work = rows[:LISTED_MAX]
    agreements = await services.list_agreements(tx, merchant_id=None, limit=LISTED_MAX)
    return ServicePage(
        work=work,
        agreements=agreements,
        names=await _names(tx, [*(one.merchant_id for one in work), *(one.merchant_id for one in agreements)]),
        older=(work[-1].work_order_id, work[-1].merchant_id) if len(rows) > LISTED_MAX else None,
    )


async def _names(tx: Tx, merchant_ids: Sequence[int]) -> dict[int, str]:
    rows = await tx.rows(
        "SELECT merchant_id, name FROM supply.merchant WHERE merchant_id = ANY(:merchants)",
        merchants=sorted(set(merchant_ids)),
    )
    return {row.merchant_id: row.name for row in rows}


_WAITING = """
SELECT count(*) FILTER (WHERE state = 'paid') AS to_accept, count(*) FILTER (WHERE state = 'accepted') AS to_ship
FROM demand.merchant_order WHERE merchant_id = :merchant AND state IN ('paid', 'accepted')
"""
