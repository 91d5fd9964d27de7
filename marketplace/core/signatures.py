"""Signed messages between servers, in the form of Standard Webhooks (github.com/standard-webhooks, specification 1.0).

The signature is HMAC-SHA256 over `id.timestamp.body` with the secret's bytes, in base64 behind "v1,". A receiver checks
it in constant time and refuses timestamps that are far from its own clock, so that a message cannot be replayed later.
Pure.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from marketplace.core.errors import AppError

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = timedelta(minutes=5)
_SECRET_PREFIX = "whsec_"  # noqa: S105  # how a secret begins, not one
_SECRET_BYTES = 32
_ID_LENGTH_MAX = 255
_SIGNATURES_MAX = 16


class BadSignature(AppError):
    """Says which header is at fault, never what the right signature would be."""

    code = "bad-signature"
    status = 401
    title = "The message is not signed as agreed"


def new_secret() -> str:
    """A signing secret of 256 random bits: "whsec_" and base64."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def is_secret(key: str) -> bool:
    """Whether a text can be a signing secret: not empty, and base64 behind an optional "whsec_"."""
    try:
        return bool(_key_bytes(key))
    except ValueError:
        return False


def signed_headers(message_id: str, at: datetime, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The three headers of a message; with several secrets, as during a rotation, one signature for each."""
    timestamp = str(int(at.timestamp()))
    signatures = (f"v1,{_signature(key, message_id, timestamp, body)}" for key in keys)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: " ".join(signatures)}


def verify(headers: Mapping[str, str], body: bytes, keys: Iterable[str], now: datetime) -> str:
    """The id of a message that one of these secrets has signed just now. Raises BadSignature.

    headers: by lower-case name, or a mapping that does not mind the case.
    """
    message_id, timestamp = headers.get(ID_HEADER, ""), headers.get(TIMESTAMP_HEADER, "")
    if not 0 < len(message_id) <= _ID_LENGTH_MAX or not (message_id.isascii() and message_id.isprintable()):
        raise BadSignature(f"{ID_HEADER}: must be 1 to {_ID_LENGTH_MAX} printable characters")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise BadSignature(f"{TIMESTAMP_HEADER}: must be seconds since 1970")
    if abs(int(timestamp) - now.timestamp()) > TOLERANCE.total_seconds():
        raise BadSignature(f"{TIMESTAMP_HEADER}: is more than {TOLERANCE.seconds} seconds from now")
    given = [
        value
        for version, _, value in (
            each.partition(",") for each in headers.get(SIGNATURE_HEADER, "").split()[:_SIGNATURES_MAX]
        )
        if version == "v1"
    ]
    expected = [_signature(key, message_id, timestamp, body) for key in keys]
    if not any(hmac.compare_digest(one.encode(), other.encode()) for one in given for other in expected):
        raise BadSignature(f"{SIGNATURE_HEADER}: no signature fits")
    return message_id


def _signature(key: str, message_id: str, timestamp: str, body: bytes) -> str:
    signed = f"{message_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.new(_key_bytes(key), signed, hashlib.sha256).digest()).decode()


def _key_bytes(key: str) -> bytes:
    try:
        return base64.b64decode(key.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error as fault:
        raise ValueError("a signing secret is whsec_ and base64") from fault
