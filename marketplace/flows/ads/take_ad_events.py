"""Take in a batch of impressions and clicks: each event once, whatever comes twice, late or out of order.

The batch is one commit. An event is known by its id among its merchant's; a token names the merchant, so an event that
is sent again meets itself. Hours are counted up with the events, so rating never reads an event twice.
"""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from billing.ads import ingest_sql
from billing.ads.events import Event, campaigns_of
from billing.ads.model import EventKind
from billing.ads.pacing import hour_of
from billing.ads.rules import Verdict, at_sight
from marketplace.core.db import Tx

_QUARTER_S = 900


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: new events, how many of them are not valid at first sight, and those known before."""

    taken: int
    invalid: int
    known: int


class _Hour:
    """What a batch adds to an hour of a campaign."""

    __slots__ = ("clicks", "gross", "impressions", "invalid", "invalid_clicks", "invalid_impressions", "on_day")

    def __init__(self, on_day: date) -> None:
        self.on_day = on_day
        self.impressions = self.invalid_impressions = self.clicks = self.invalid_clicks = 0
        self.gross = self.invalid = 0

    def add(self, kind: EventKind, price_milli: int, *, valid: bool) -> None:
        self.gross += price_milli
        self.invalid += 0 if valid else price_milli
        if kind is EventKind.CLICK:
            self.clicks += 1
            self.invalid_clicks += not valid
        else:
            self.impressions += 1
            self.invalid_impressions += not valid


class _Clock:
    """Local hours of instants, each quarter of an hour looked up once: no zone's offset changes within one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[datetime, date]] = {}

    def hour_of(self, at: datetime, zone: str) -> tuple[datetime, date]:
        key = (zone, int(at.timestamp()) // _QUARTER_S)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = hour_of(at, zone)
        return found


async def take_events(tx: Tx, events: Sequence[Event]) -> Taken:
    """Store what is new of a batch and count it up."""
    named = campaigns_of(events)
    found = await tx.raw.fetch(ingest_sql.CAMPAIGNS, [key[0] for key in named], [key[1] for key in named])
    zones: dict[tuple[int, int], str] = {(row[0], row[1]): row[2] for row in found}
    owners = await _owners(tx, events)
    clock = _Clock()
    rows: dict[tuple[int, str], tuple[Event, datetime, date, Verdict]] = {}
    for event in events:
        ticket, line = event.ticket, event.line
        hour, on_day = clock.hour_of(line.at, zones[ticket.merchant_id, ticket.campaign_id])
        own = line.user_id is not None and owners.get(line.user_id) == ticket.merchant_id
        verdict = at_sight(bot=line.bot, own=own)
        rows.setdefault((ticket.merchant_id, line.id), (event, hour, on_day, verdict))
    keys = sorted(rows)
    fresh = await tx.raw.fetch(ingest_sql.EVENTS, *_event_columns(keys, rows), tx.now)
    hours: dict[tuple[int, int, datetime], _Hour] = {}
    invalid = 0
    for merchant_id, event_id in fresh:
        event, hour, on_day, verdict = rows[merchant_id, event_id]
        invalid += verdict is not Verdict.VALID
        key = (merchant_id, event.ticket.campaign_id, hour)
        bucket = hours.get(key)
        if bucket is None:
            bucket = hours[key] = _Hour(on_day)
        bucket.add(event.line.kind, event.price_milli, valid=verdict is Verdict.VALID)
    if hours:
        await tx.raw.execute(ingest_sql.HOURS, *_hour_columns(hours))
    return Taken(taken=len(fresh), invalid=invalid, known=len(events) - len(fresh))


async def _owners(tx: Tx, events: Sequence[Event]) -> dict[int, int]:
    """Which of the users who looked belong to a merchant, and to which."""
    users = {event.line.user_id for event in events if event.line.user_id is not None}
    if not users:
        return {}
    return {row[0]: row[1] for row in await tx.raw.fetch(ingest_sql.OWN_USERS, sorted(users))}


def _event_columns(
    keys: Sequence[tuple[int, str]], rows: dict[tuple[int, str], tuple[Event, datetime, date, Verdict]]
) -> list[list[object]]:
    table = []
    for key in keys:
        event, hour, _, verdict = rows[key]
        line, ticket = event.line, event.ticket
        table.append(
            (
                *key, ticket.campaign_id, line.kind.value, line.at, hour, event.viewer, line.buyer_id,
                event.price_milli, ticket.position, verdict.value,
            )
        )  # fmt: skip
    return [list(column) for column in zip(*table, strict=True)]


def _hour_columns(hours: dict[tuple[int, int, datetime], _Hour]) -> list[list[object]]:
    table = [
        (*key, h.on_day, h.impressions, h.invalid_impressions, h.clicks, h.invalid_clicks, h.gross, h.invalid)
        for key, h in sorted(hours.items())
    ]
    return [list(column) for column in zip(*table, strict=True)]
