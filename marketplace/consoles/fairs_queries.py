"""What the pages of fairs show: the list, one fair with what it cost and brought, who was met, what is to follow."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from marketplace.consoles.ops_queries import Entity
from marketplace.core.clock import local_date
from marketplace.core.db import Tx
from marketplace.core.paging import cut
from marketplace.flows.acquisition.attend_fairs import FairReport, weigh_fair
from marketplace.flows.acquisition.show_field import FairShown, show_fairs
from supply.leads.channels import store as channels
from supply.leads.events import store
from supply.leads.events.model import Attendee, Fair, LeadTask
from supply.leads.model import Channel

LISTED_MAX = 50


class FairsPage(msgspec.Struct, frozen=True):
    """Fairs, the latest first. channels: those that one may stand on."""

    fairs: Sequence[FairShown]
    channels: Sequence[Channel]
    older: tuple[date, int] | None


class FairPage(msgspec.Struct, frozen=True):
    """A fair with its report, and one page of who is registered or was met. people: logins of reps by id."""

    entity: Entity
    report: FairReport
    attendees: Sequence[Attendee]
    people: Mapping[int, str]
    today: date
    older: int | None


class MetPage(msgspec.Struct, frozen=True):
    """A fair as a person who sells sees it: whom it has met."""

    fair: Fair
    attendees: Sequence[Attendee]
    older: int | None


class TasksPage(msgspec.Struct, frozen=True):
    """What is to be done about leads, what is due first first. companies: by lead."""

    today: date
    tasks: Sequence[LeadTask]
    companies: Mapping[int, str]
    older: tuple[date, int] | None


async def fairs_page(tx: Tx, before: tuple[date, int] | None) -> FairsPage:
    """One page of fairs."""
    rows = await show_fairs(tx, limit=LISTED_MAX + 1, before=before)
    shown, older = cut(rows, LISTED_MAX, lambda each: (each.fair.starts_on, each.fair.fair_id))
    return FairsPage(shown, [each for each in await channels.list_channels(tx) if each.active], older)


async def fair_page(tx: Tx, entity: Entity, fair_id: int, after: int, limit: int = LISTED_MAX) -> FairPage:
    """Raises NotFound."""
    report = await weigh_fair(tx, fair_id, entity.currency)
    rows = await store.list_attendees(tx, fair_id, limit=limit + 1, after=after)
    shown, older = cut(rows, limit, lambda each: (each.attendee_id,))
    scanned = sorted({each.scanned_by for each in shown if each.scanned_by is not None})
    reps = await tx.rows("SELECT user_id, login FROM supply.rep WHERE user_id = ANY(:users)", users=scanned)
    return FairPage(
        entity=entity, report=report, attendees=shown, people={row.user_id: row.login for row in reps},
        today=local_date(tx.now, report.fair.zone), older=older[0] if older else None,
    )  # fmt: skip


async def met_page(tx: Tx, fair_id: int, after: int) -> MetPage:
    """Raises NotFound."""
    fair = await store.get_fair(tx, fair_id)
    rows = await store.list_attendees(tx, fair_id, limit=LISTED_MAX + 1, after=after)
    shown, older = cut(rows, LISTED_MAX, lambda each: (each.attendee_id,))
    return MetPage(fair, shown, older[0] if older else None)


async def tasks_page(tx: Tx, after: tuple[date, int] | None) -> TasksPage:
    """One page of the open tasks that the reader may see."""
    rows = await store.list_tasks(tx, limit=LISTED_MAX + 1, after=after)
    shown, older = cut(rows, LISTED_MAX, lambda task: (task.due_on, task.task_id))
    leads = await tx.rows(
        "SELECT lead_id, company FROM supply.lead WHERE lead_id = ANY(:leads)", leads=[task.lead_id for task in shown]
    )
    return TasksPage(local_date(tx.now, "UTC"), shown, {row.lead_id: row.company for row in leads}, older)
