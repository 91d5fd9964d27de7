"""The Olist marketing funnel: leads with their origins, and the deals that were won of them.

The same files again change nothing; longer ones add what is new. Sellers that are not here, or not yet, are won all the
same: whoever imports their orders later brings the funnel again, and they are found.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import insert

from marketplace.core import audit
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.flows.acquisition.note_stages import note_milestones
from marketplace.flows.imports.load_orders_model import Rejections
from marketplace.flows.imports.read_csv import Faults, Row, Table, header_faults, instant, read_rows, reference, text
from supply.funnels import store as funnels
from supply.leads.channels import store as channels
from supply.leads.model import LeadState, Model, TouchKind
from supply.leads.tables import lead, lead_event, touch

SOURCE = "olist"
ZONE = "America/Sao_Paulo"
_ROWS_PER_INSERT = 1_000

LEADS = Table(
    "olist_marketing_qualified_leads_dataset.csv",
    ("mql_id", "first_contact_date", "landing_page_id", "origin"),
)
DEALS = Table(
    "olist_closed_deals_dataset.csv",
    ("mql_id", "seller_id", "won_date", "business_segment"),
    (
        "sdr_id",
        "sr_id",
        "lead_type",
        "lead_behaviour_profile",
        "has_company",
        "has_gtin",
        "average_stock",
        "business_type",
        "declared_product_catalog_size",
        "declared_monthly_revenue",
    ),
)

ORIGINS = {
    "organic search": "online.search",
    "paid search": "online.ads.search",
    "social": "online.content.social",
    "email": "online.content.email",
    "direct traffic": "online.direct",
    "referral": "online.referral",
    "display": "online.ads.display",
    "other publicities": "online.ads.other",
    "other": "unattributed.other",
    "unknown": "unattributed.unknown",
    "": "unattributed.blank",
}
"""The channel of each origin of the source."""


class LeadRow(msgspec.Struct, frozen=True):
    line: int
    ref: str
    first_contact_at: datetime
    landing_page: str
    origin: str


class DealRow(msgspec.Struct, frozen=True):
    line: int
    ref: str
    seller_ref: str
    won_at: datetime
    segment: str


class FunnelLoaded(msgspec.Struct, frozen=True, kw_only=True):
    """What the files hold, and of it what was new. merchants: won deals whose seller is here; unknown: the others."""

    leads: int
    won: int
    new_leads: int
    new_won: int
    merchants: int
    unknown_merchants: int
    rejected: int = 0


async def import_funnel(db: Database, actor: str, folder: Path) -> FunnelLoaded:
    """Import the two files of a folder in one commit, then note what the merchants have reached since.

    Raises Invalid with every bad row (file, line, reason). Then nothing is stored.
    """
    leads, deals = _read(folder)
    loaded = await db.write(WORKER, actor, _load, leads, deals)
    await db.analyze("supply.lead", "supply.touch", "supply.stage_event", "supply.stage_entry")
    await note_milestones(db, actor)
    return loaded


def _read(folder: Path) -> tuple[list[LeadRow], list[DealRow]]:
    rejections = Rejections()
    for table in (LEADS, DEALS):
        if not (folder / table.file).is_file():
            raise Invalid(f"{folder / table.file}: there is no such file")
        for fault in header_faults(folder / table.file, table):
            rejections.add(table.file, 1, fault)
    rejections.raise_if_any(SOURCE)
    zone = ZoneInfo(ZONE)
    leads = list(_leads(read_rows(folder, LEADS, rejections=rejections), zone))
    deals = list(_deals(read_rows(folder, DEALS, rejections=rejections), zone))
    _check_together(leads, deals, rejections)
    rejections.raise_if_any(SOURCE)
    return leads, deals


def _leads(rows: Iterator[Row], zone: ZoneInfo) -> Iterator[LeadRow]:
    for line, (ref, first_contact, landing_page, origin), faults in rows:
        if origin not in ORIGINS:
            faults.add("origin", f"{origin!r} is none of {', '.join(filter(None, ORIGINS))}")
        at = _day(first_contact, "first_contact_date", zone, faults)
        yield LeadRow(
            line, reference(ref, "mql_id", faults), at, text(landing_page, "landing_page_id", faults), origin
        )  # fmt: skip


def _day(cell: str, column: str, zone: ZoneInfo, faults: Faults) -> datetime:
    """The first instant of a local day."""
    known = Faults()
    at = instant(f"{cell} 00:00:00", column, zone, known)
    if known.found:
        faults.add(column, f"{cell!r} is no day of the form 2018-01-31")
    return at


def _deals(rows: Iterator[Row], zone: ZoneInfo) -> Iterator[DealRow]:
    for line, (ref, seller, won, segment), faults in rows:
        yield DealRow(
            line,
            reference(ref, "mql_id", faults),
            reference(seller, "seller_id", faults),
            instant(won, "won_date", zone, faults),
            text(segment, "business_segment", faults),
        )


def _check_together(leads: Sequence[LeadRow], deals: Sequence[DealRow], rejections: Rejections) -> None:
    """Reject what stands there twice, and deals of leads that there are not."""
    known: dict[str, int] = {}
    for row in leads:
        if row.ref and known.setdefault(row.ref, row.line) != row.line:
            rejections.add(LEADS.file, row.line, f"mql_id: {row.ref!r} stands on line {known[row.ref]} already")
    won: dict[str, int] = {}
    for deal in deals:
        if deal.ref and deal.ref not in known:
            rejections.add(DEALS.file, deal.line, f"mql_id: {deal.ref!r} is not in {LEADS.file}")
        for column, ref in (("mql_id", deal.ref), ("seller_id", deal.seller_ref)):
            if ref and won.setdefault(f"{column} {ref}", deal.line) != deal.line:
                first = won[f"{column} {ref}"]
                rejections.add(DEALS.file, deal.line, f"{column}: {ref!r} stands on line {first} already")


async def _load(tx: Tx, leads: Sequence[LeadRow], deals: Sequence[DealRow]) -> FunnelLoaded:
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('marketplace.import_funnel'))")  # one at a time
    stored = {row.source_ref: row for row in await tx.rows(_STORED, source=SOURCE)}
    new = [row for row in leads if row.ref not in stored]
    ids = {row.ref: time_ordered_id(tx.now) for row in new}
    await _add_leads(tx, new, ids)
    open_refs = ids.keys() | {ref for ref, row in stored.items() if row.merchant_ref is None}
    won = [deal for deal in deals if deal.ref in open_refs]
    subjects = {**{ref: row.lead_id for ref, row in stored.items()}, **ids}
    await _win(tx, won, subjects)
    linked = (await tx.execute(LINK_MERCHANTS)).rowcount
    await funnels.roll(tx, sorted({*ids.values(), *(subjects[deal.ref] for deal in won)}))
    here = await tx.scalar(
        "SELECT count(*) FROM supply.lead WHERE source = :source AND merchant_id IS NOT NULL", source=SOURCE
    )
    if new or won or linked:
        await audit.record(tx, "funnel imported", f"source:{SOURCE}", leads=len(new), won=len(won), linked=linked)
    return FunnelLoaded(
        leads=len(leads),
        won=len(deals),
        new_leads=len(new),
        new_won=len(won),
        merchants=here,
        unknown_merchants=len(deals) - here,
    )


_STORED = """
    SELECT l.source_ref, alive.lead_id, alive.merchant_ref FROM supply.lead l
    JOIN supply.lead alive ON alive.lead_id = coalesce(l.merged_into, l.lead_id) WHERE l.source = :source
"""
LINK_MERCHANTS = """
    UPDATE supply.lead l SET merchant_id = m.merchant_id FROM supply.merchant_ref m
    WHERE l.merchant_id IS NULL AND l.merchant_ref = m.merchant_ref
"""
"""Find the merchants that leads were won as, once they are here."""


async def _add_leads(tx: Tx, new: Sequence[LeadRow], ids: dict[str, int]) -> None:
    """Leads as they came in: each with its first event, its first touch and its first stage."""
    by_code = {channel.code: channel.channel_id for channel in await channels.list_channels(tx)}
    funnel = await funnels.newest_funnel(tx, Model.PLATFORM)
    made = {"made_by": tx.actor, "made_at": tx.now, "version": 1, "zone": ZONE, "model": Model.PLATFORM}
    rows: dict[Any, list[dict[str, Any]]] = {lead: [], lead_event: [], touch: []}
    for row in new:
        lead_id, channel_id = ids[row.ref], by_code[ORIGINS[row.origin]]
        rows[lead].append(
            {
                "lead_id": lead_id, "funnel_version": funnel.version_no, "source": SOURCE, "source_ref": row.ref,
                "company": f"Lead {row.ref[:8]}", "channel_id": channel_id, "campaign": row.landing_page,
                "state": LeadState.NEW, "first_contact_at": row.first_contact_at, **made,
            }
        )  # fmt: skip
        rows[lead_event].append(
            {"lead_id": lead_id, "event_no": 1, "move": "add", "state": LeadState.NEW, "at": tx.now, "actor": tx.actor}
        )
        rows[touch].append(
            {
                "touch_id": time_ordered_id(tx.now), "lead_id": lead_id, "channel_id": channel_id,
                "campaign": row.landing_page, "kind": TouchKind.FORM, "at": row.first_contact_at,
                "recorded_at": tx.now, "actor": tx.actor,
            }
        )  # fmt: skip
    for table, records in rows.items():
        for first in range(0, len(records), _ROWS_PER_INSERT):
            await tx.execute(insert(table), records[first : first + _ROWS_PER_INSERT])
    first_stage = funnel.stages[0].key
    await funnels.add_events(
        tx,
        [
            {"lead_id": ids[row.ref], "stage": first_stage, "at": row.first_contact_at, "cause": "import"}
            for row in new
        ],
    )  # fmt: skip


_WIN = """
    UPDATE supply.lead SET state = 'signed', ended_at = :at, merchant_ref = :seller, segment = :segment,
           version = version + 1
    WHERE lead_id = :lead
"""
_NOTE_WON = """
    INSERT INTO supply.lead_event (lead_id, event_no, move, state, owner_id, at, actor)
    SELECT lead_id, version, 'sign', state, owner_id, :now, :actor FROM supply.lead WHERE lead_id = :lead
"""


async def _win(tx: Tx, won: Sequence[DealRow], subjects: dict[str, int]) -> None:
    """The deals: a lead is signed at the instant that the source says."""
    if not won:
        return
    rows = [
        {"lead": subjects[deal.ref], "at": deal.won_at, "seller": deal.seller_ref, "segment": deal.segment}
        for deal in won
    ]
    await tx.execute(_WIN, rows)
    await tx.execute(_NOTE_WON, [{"lead": row["lead"], "now": tx.now, "actor": tx.actor} for row in rows])
    stage = (await funnels.newest_funnel(tx, Model.PLATFORM)).won
    events = [{"lead_id": row["lead"], "stage": stage, "at": row["at"], "cause": "import"} for row in rows]
    await funnels.add_events(tx, events)
