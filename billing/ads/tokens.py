"""What a sponsored position carries so that a click on it can be believed: a signed ticket. Pure.

The ticket names campaign, placement, price and position; the shop sends it back with every impression and click. It is
MessagePack behind a key's number, signed with HMAC-SHA256 cut to 128 bits (RFC 2104, section 5), in URL-safe base64.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

LIFETIME = timedelta(hours=24)
"""How long after an answer what it showed may be clicked."""
_MAC_BYTES = 16
_LENGTH_MAX = 200


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What was shown and what it costs, in thousandths of a minor unit for an impression and for a click."""

    key_id: int
    merchant_id: int
    campaign_id: int
    placement_id: int
    position: int
    impression_milli: int
    click_milli: int
    issued_s: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Ticket)


def sign(ticket: Ticket, key: bytes) -> str:
    """The ticket as text that fits into an address."""
    body = _encoder.encode(ticket)
    return base64.urlsafe_b64encode(body + _mac(body, key)).decode().rstrip("=")


def read(token: str, keys: Mapping[int, bytes]) -> Ticket:
    """The ticket in a token that one of the keys has signed. Raises ValueError saying what is wrong with it."""
    try:
        if len(token) > _LENGTH_MAX:
            raise ValueError("too long")
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        ticket = _decoder.decode(raw[:-_MAC_BYTES])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as fault:
        raise ValueError("token: is none of ours") from fault
    key = keys.get(ticket.key_id)
    if key is None or not hmac.compare_digest(_mac(raw[:-_MAC_BYTES], key), raw[-_MAC_BYTES:]):
        raise ValueError("token: is not signed by us")
    return ticket


def check_time(ticket: Ticket, at: datetime) -> None:
    """Raise ValueError unless something at that instant can be about what the ticket shows."""
    age = at.timestamp() - ticket.issued_s
    if not -1 <= age <= LIFETIME.total_seconds():  # the ticket's second may have begun before the event's
        raise ValueError("at: is before the token was given, or more than a day after it")


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_MAC_BYTES]
