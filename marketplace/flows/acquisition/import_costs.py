"""What channels have cost, from a CSV file: all of its entries, or none and every reason.

Columns: ref,channel,campaign,day,kind,currency,amount and, if wanted, seller: the login of a rep, or the name of a
distributor, that it was spent on. ref is the entry's own id, under which it is booked once;
amount is in major units with a point, below zero it corrects.
"""

import csv
import io
from datetime import date

import msgspec

from marketplace.core import audit
from marketplace.core.db import Tx
from marketplace.core.errors import AppError, Invalid
from marketplace.core.ids import time_ordered_id
from marketplace.core.money import check_currency, minor_from_text
from marketplace.flows.imports.load_orders_model import Rejections
from marketplace.flows.imports.read_csv import Faults, reference, text
from supply.leads.channels import store
from supply.leads.model import ChannelCost, CostKind

SELLER = "seller"
COLUMNS = ("ref", "channel", "campaign", "day", "kind", "currency", "amount")
BYTES_MAX = 20_000_000


class CostsLoaded(msgspec.Struct, frozen=True, kw_only=True):
    """entries: in the file; stored: of them, new."""

    entries: int
    stored: int


async def import_costs(tx: Tx, content: bytes, file: str = "costs") -> CostsLoaded:
    """Store the entries that are new. Raises Invalid with every bad row (file, line, reason)."""
    rejections = Rejections()
    codes = {channel.code: channel.channel_id for channel in await store.list_channels(tx) if channel.active}
    sellers = await sellers_of(tx)
    entries: dict[str, ChannelCost] = {}
    lines: dict[str, int] = {}
    for line, cells in _rows(content, file, rejections):
        faults = Faults()
        entry = _entry(tx, cells, codes, sellers, faults)
        if entry.cost_ref and lines.setdefault(entry.cost_ref, line) != line:
            faults.add("ref", f"{entry.cost_ref!r} stands on line {lines[entry.cost_ref]} already")
        if faults.found:
            rejections.add(file, line, "; ".join(faults.found))
        entries.setdefault(entry.cost_ref, entry)
    known = await store.costs_of_refs(tx, list(entries))
    for ref, stored in known.items():
        if msgspec.structs.replace(entries[ref], cost_id=stored.cost_id) != stored:
            rejections.add(file, lines[ref], f"ref: {ref!r} is booked already, with other values")
    rejections.raise_if_any(file)
    new = await store.add_costs(tx, [entry for ref, entry in entries.items() if ref not in known])
    if new:
        await audit.record(tx, "channel costs imported", f"file:{file}", entries=len(new))
    return CostsLoaded(entries=len(entries), stored=len(new))


async def sellers_of(tx: Tx) -> set[str]:
    """The logins of reps and the names of distributors."""
    known = "SELECT login FROM supply.rep UNION SELECT name FROM supply.agent WHERE kind = 'distributor'"
    return {row[0] for row in await tx.rows(known)}


def _rows(content: bytes, file: str, rejections: Rejections) -> list[tuple[int, list[str]]]:
    if len(content) > BYTES_MAX:
        raise Invalid(f"{file}: is larger than {BYTES_MAX:,} bytes")
    try:
        body = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(body, newline=""), strict=True)
        header = next(reader, [])
        rows = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise Invalid(f"{file}: is no CSV file in UTF-8: {fault}") from fault
    if tuple(header) not in {COLUMNS, (*COLUMNS, SELLER)}:
        raise Invalid(f"{file}: the header must be {','.join(COLUMNS)}")
    for line, cells in rows:
        if len(cells) != len(header):
            rejections.add(file, line, f"{len(cells)} columns where the header names {len(header)}")
    return [(line, cells) for line, cells in rows if len(cells) == len(header)]


def _entry(tx: Tx, cells: list[str], codes: dict[str, int], sellers: set[str], faults: Faults) -> ChannelCost:
    ref, channel, campaign, day, kind, currency, amount = cells[: len(COLUMNS)]
    seller = "".join(cells[len(COLUMNS) :])
    if seller and seller not in sellers:
        faults.add(SELLER, f"{seller!r} is neither a rep's login nor a distributor's name")
    if channel not in codes:
        faults.add("channel", f"{channel!r} is no channel in use")
    if kind not in set(CostKind):
        faults.add("kind", f"{kind!r} is none of {', '.join(CostKind)}")
    if not campaign.isprintable():
        faults.add("campaign", "holds what no screen shows")
    return ChannelCost(
        cost_id=time_ordered_id(tx.now),
        cost_ref=reference(ref, "ref", faults),
        channel_id=codes.get(channel, 0),
        campaign=text(campaign, "campaign", faults),
        spent_on=_day(day, faults),
        kind=CostKind(kind) if kind in set(CostKind) else CostKind.MEDIA,
        currency=currency,
        amount_minor=_amount(amount, currency, faults),
        seller=seller,
    )


def _day(cell: str, faults: Faults) -> date:
    try:
        day = date.fromisoformat(cell) if len(cell) == 10 else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year < 2200:
        faults.add("day", f"{cell!r} is no day of the form 2018-01-31")
        return date(2000, 1, 1)
    return day


def _amount(cell: str, currency: str, faults: Faults) -> int:
    try:
        return minor_from_text(cell, check_currency(currency))
    except AppError as refusal:
        faults.add("currency", refusal.detail.removeprefix("currency: "))
    except ValueError as fault:
        faults.add("amount", str(fault))
    return 0
