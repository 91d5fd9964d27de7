"""Every statement on booked slots and on the calendar, whose key keeps a slot from being sold twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, DateTime, bindparam, insert, text

from billing.ads.model import Booking, BookingState
from billing.ads.tables import ad_booking
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound

_BOOKING = ", ".join(Booking.__struct_fields__)
_slots = bindparam("slots", type_=ARRAY(DateTime(timezone=True)))
_bookings = bindparam("bookings", type_=ARRAY(BigInteger))


class SlotTaken(Conflict):
    """Some of the time is sold; `booking_id` has the first of it, which begins at `slot_at`."""

    code = "slot-taken"
    title = "A slot cannot be sold twice"


class TakenSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A slot of the calendar that is sold."""

    slot_at: datetime
    booking_id: int


# In the order of time, so that two bookings that want the same slots never wait for each other in a circle.
_TAKE = text("""
INSERT INTO billing.ad_slot (placement_id, slot_at, merchant_id, booking_id)
SELECT :placement, s.slot_at, :merchant, s.booking_id FROM unnest(:slots, :bookings) AS s (slot_at, booking_id)
ORDER BY s.slot_at
ON CONFLICT (placement_id, slot_at) DO NOTHING
""").bindparams(_slots, _bookings)
_FIRST_OTHER = text("""
SELECT slot_at, booking_id FROM billing.ad_slot
WHERE placement_id = :placement AND slot_at = ANY(:slots) AND booking_id <> ALL(:bookings) ORDER BY slot_at LIMIT 1
""").bindparams(_slots, _bookings)


async def take_slots(tx: Tx, wanted: Sequence[tuple[datetime, Booking]]) -> None:
    """Put slots of one placement and merchant into the calendar, each for its booking.

    Raises SlotTaken, naming the booking that has some of the time already.
    """
    first = wanted[0][1]
    bound = {"placement": first.placement_id, "slots": [slot_at for slot_at, _ in wanted]}
    bound |= {"bookings": [booking.booking_id for _, booking in wanted]}
    taken = (await tx.execute(_TAKE, {**bound, "merchant": first.merchant_id})).rowcount
    if taken < len(wanted):
        other = await tx.row(_FIRST_OTHER, **bound)
        assert other is not None
        raise SlotTaken(
            f"from_at: the slot of {other.slot_at:%Y-%m-%d %H:%M} UTC is sold, by booking {other.booking_id}",
            booking_id=other.booking_id,
            slot_at=other.slot_at.isoformat(),
        )


async def free_slots(tx: Tx, booking: Booking) -> None:
    """Take a booking out of the calendar."""
    await tx.execute(
        "DELETE FROM billing.ad_slot WHERE placement_id = :placement AND booking_id = :booking",
        {"placement": booking.placement_id, "booking": booking.booking_id},
    )


async def taken_slots(tx: Tx, placement_id: int, first: datetime, end: datetime) -> list[TakenSlot]:
    """What is sold of a placement's time from `first` to before `end`."""
    rows = await tx.rows(
        """
        SELECT slot_at, booking_id FROM billing.ad_slot
        WHERE placement_id = :placement AND slot_at >= :first AND slot_at < :end ORDER BY slot_at
        """,
        placement=placement_id,
        first=first,
        end=end,
    )
    return [TakenSlot(**row._mapping) for row in rows]


async def insert_bookings(tx: Tx, new: Sequence[Booking]) -> None:
    await tx.execute(insert(ad_booking), [{**msgspec.structs.asdict(one), "state": one.state.value} for one in new])


async def lock_booking(tx: Tx, merchant_id: int, booking_id: int) -> Booking:
    """A booking, held until the transaction ends. Raises NotFound."""
    row = await tx.row(
        f"SELECT {_BOOKING} FROM billing.ad_booking WHERE merchant_id = :merchant AND booking_id = :booking FOR UPDATE",
        merchant=merchant_id,
        booking=booking_id,
    )
    if row is None:
        raise NotFound(f"merchant {merchant_id} has no booking {booking_id}")
    return _booking(row)


async def end_booking(tx: Tx, held: Booking, state: BookingState) -> Booking:
    """Take a held booking to its end."""
    await tx.execute(
        "UPDATE billing.ad_booking SET state = :state WHERE merchant_id = :merchant AND booking_id = :booking",
        {"state": state.value, "merchant": held.merchant_id, "booking": held.booking_id},
    )
    return msgspec.structs.replace(held, state=state)


async def list_bookings(tx: Tx, merchant_id: int, campaign_id: int, *, limit: int, before: int | None) -> list[Booking]:
    """Bookings of a campaign, the newest first, below the booking `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_BOOKING} FROM billing.ad_booking WHERE merchant_id = :merchant AND campaign_id = :campaign
          AND booking_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY booking_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        campaign=campaign_id,
        before=before,
        limit=limit,
    )
    return [_booking(row) for row in rows]


async def open_bookings(tx: Tx, merchant_id: int, campaign_id: int) -> list[Booking]:
    """What a campaign has booked and not begun."""
    rows = await tx.rows(
        f"""
        SELECT {_BOOKING} FROM billing.ad_booking
        WHERE merchant_id = :merchant AND campaign_id = :campaign AND state = 'booked' ORDER BY booking_id
        """,
        merchant=merchant_id,
        campaign=campaign_id,
    )
    return [_booking(row) for row in rows]


async def beginning(tx: Tx, now: datetime, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """merchant_id and booking_id of what is booked and has begun, by key, those behind `after`, at most `limit`."""
    return await tx.rows(
        """
        SELECT merchant_id, booking_id FROM billing.ad_booking
        WHERE state = 'booked' AND from_at <= :now AND (merchant_id, booking_id) > (:merchant, :booking)
        ORDER BY merchant_id, booking_id LIMIT :limit
        """,
        now=now,
        merchant=after[0],
        booking=after[1],
        limit=limit,
    )


def _booking(row: Any) -> Booking:
    return msgspec.convert(dict(row._mapping), Booking)
