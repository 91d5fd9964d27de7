"""Impressions and clicks as the shop sends them: one JSON object a line (NDJSON). Pure.

A batch is taken whole or not at all: the refusal names the first lines that cannot be, by their numbers.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from billing.ads import tokens
from billing.ads.model import EventKind
from billing.ads.tokens import Ticket
from marketplace.core.errors import Invalid

LINES_MAX = 10_000
LATE_MAX = timedelta(hours=72)
"""How late an event may come in; nothing older is believed."""
EARLY_MAX = timedelta(minutes=5)
"""How far the shop's clock may be ahead of ours."""
_NAMED_MAX = 20


class BadLines(Invalid):
    """Lines of a batch that cannot be taken; none of the batch was. `lines` says which and why, the first twenty."""

    code = "bad-lines"
    title = "Some lines of the batch cannot be taken"


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One event. id: the shop's own, by which a repeated event is known; viewer: the same for the same person's device.

    user_id: the platform's user who looked, where one was signed in. bot: the shop takes the viewer for a program.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[!-~]*$")]
    kind: EventKind
    token: Annotated[str, msgspec.Meta(max_length=200)]
    viewer: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    at: datetime
    buyer_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    user_id: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    bot: bool = False


class Event(msgspec.Struct, frozen=True):
    """An event that can be believed: its line, and what its token says."""

    line: Line
    ticket: Ticket

    @property
    def viewer(self) -> int:
        """The viewer as 64 bits of a hash: enough to tell one from another within an hour, and no name is kept."""
        return int.from_bytes(hashlib.blake2b(self.line.viewer.encode(), digest_size=8).digest(), signed=True)

    @property
    def price_milli(self) -> int:
        return self.ticket.click_milli if self.line.kind is EventKind.CLICK else self.ticket.impression_milli


_decoder = msgspec.json.Decoder(Line)


def read_lines(body: bytes, keys: Mapping[int, bytes], now: datetime) -> list[Event]:
    """The events of a batch, in the order given; empty lines are passed over. Raises BadLines, and Invalid for none."""
    events: list[Event] = []
    wrong: list[dict[str, object]] = []
    tickets: dict[str, Ticket] = {}
    earliest, latest = now - LATE_MAX, now + EARLY_MAX
    for number, raw in enumerate(body.split(b"\n"), start=1):
        if not raw.strip():
            continue
        if len(events) + len(wrong) == LINES_MAX:
            raise Invalid(f"line {number}: a batch has at most {LINES_MAX} events")
        try:
            line = _decoder.decode(raw)
            events.append(Event(line, _ticket(line, tickets, keys, earliest, latest)))
        except (ValueError, RecursionError) as fault:  # what msgspec raises is a ValueError, too
            wrong.append({"line": number, "detail": str(fault)})
    if wrong:
        named = "; ".join(f"line {one['line']}: {one['detail']}" for one in wrong[:_NAMED_MAX])
        more = f"; and {len(wrong) - _NAMED_MAX} more" if len(wrong) > _NAMED_MAX else ""
        raise BadLines(f"{named}{more}; nothing of this batch was taken", lines=wrong[:_NAMED_MAX])
    if not events:
        raise Invalid("body: there is no event in it")
    return events


def _ticket(
    line: Line, known: dict[str, Ticket], keys: Mapping[int, bytes], earliest: datetime, latest: datetime
) -> Ticket:
    ticket = known.get(line.token)
    if ticket is None:
        ticket = known[line.token] = tokens.read(line.token, keys)
    if line.at.tzinfo is None:
        raise ValueError("at: needs an offset, such as Z")
    if not earliest <= line.at <= latest:
        raise ValueError(f"at: is more than {LATE_MAX.days} days ago, or not yet")
    tokens.check_time(ticket, line.at)
    return ticket


def campaigns_of(events: Sequence[Event]) -> list[tuple[int, int]]:
    """The campaigns that a batch is about, as (merchant_id, campaign_id), in order."""
    return sorted({(event.ticket.merchant_id, event.ticket.campaign_id) for event in events})
