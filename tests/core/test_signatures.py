"""Signed messages: the specification's own example, and everything a forger might try."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.core.signatures import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    TOLERANCE,
    BadSignature,
    new_secret,
    signed_headers,
    verify,
)

# The example that the libraries of Standard Webhooks are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def good(**changed: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    return signed_headers(MESSAGE_ID, AT, BODY, [SECRET]) | named


def test_the_specifications_example_is_signed_as_it_says() -> None:
    assert signed_headers(MESSAGE_ID, AT, BODY, [SECRET]) == {
        ID_HEADER: MESSAGE_ID,
        TIMESTAMP_HEADER: "1614265330",
        SIGNATURE_HEADER: SIGNATURE,
    }
    assert verify(good(), BODY, [SECRET], AT) == MESSAGE_ID


@given(st.binary(max_size=200), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=40))
def test_it_is_the_hmac_that_the_specification_describes(body: bytes, message_id: str) -> None:
    secret = new_secret()
    headers = signed_headers(message_id, AT, body, [secret])
    content = f"{message_id}.1614265330.".encode() + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256)
    assert headers[SIGNATURE_HEADER] == f"v1,{base64.b64encode(digest).decode()}"
    assert verify(headers, body, [secret], AT) == message_id


@pytest.mark.parametrize("drift", [timedelta(0), TOLERANCE, -TOLERANCE])
def test_clocks_may_differ_a_little(drift: timedelta) -> None:
    assert verify(good(), BODY, [SECRET], AT + drift) == MESSAGE_ID


@pytest.mark.parametrize("drift", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_a_message_cannot_be_replayed_later_or_made_in_advance(drift: timedelta) -> None:
    with pytest.raises(BadSignature, match=TIMESTAMP_HEADER):
        verify(good(), BODY, [SECRET], AT + drift)


def test_during_a_rotation_either_secret_is_enough() -> None:
    old, new = new_secret(), new_secret()
    both = signed_headers(MESSAGE_ID, AT, BODY, [new, old])
    assert len(both[SIGNATURE_HEADER].split()) == 2
    for known in ([old], [new], [old, new]):
        assert verify(both, BODY, known, AT) == MESSAGE_ID
    with pytest.raises(BadSignature):
        verify(signed_headers(MESSAGE_ID, AT, BODY, [new]), BODY, [old], AT)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (good(), BODY + b" "),
        (good(), b""),
        (good(webhook_id="msg_other"), BODY),
        (good(webhook_timestamp="1614265331"), BODY),
        (good(webhook_id=""), BODY),
        (good(webhook_id="x" * 256), BODY),
        (good(webhook_id="a\nb"), BODY),
        (good(webhook_timestamp=""), BODY),
        (good(webhook_timestamp="-1614265330"), BODY),
        (good(webhook_timestamp="1614265330.0"), BODY),
        (good(webhook_timestamp="9" * 12), BODY),
        (good(webhook_timestamp="9" * 13), BODY),
        (good(webhook_timestamp="１６１４２６５３３０"), BODY),
        (good(webhook_signature=""), BODY),
        (good(webhook_signature=SIGNATURE.replace("v1,", "v2,")), BODY),
        (good(webhook_signature=SIGNATURE.removeprefix("v1,")), BODY),
        (good(webhook_signature=SIGNATURE.lower()), BODY),
        (good(webhook_signature=" ".join(["v1,AAAA"] * 20 + [SIGNATURE])), BODY),
        (good(webhook_signature="v1,é"), BODY),
        ({}, BODY),
    ],
)
def test_what_has_been_tampered_with_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadSignature) as refused:
        verify(headers, body, [SECRET], AT)
    assert SIGNATURE not in str(refused.value)


def test_no_secret_fits_nothing() -> None:
    with pytest.raises(BadSignature):
        verify(good(), BODY, [], AT)


def test_a_secret_is_new_each_time_and_must_be_one() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(base64.b64decode(new_secret().removeprefix("whsec_"))) == 32
    with pytest.raises(ValueError, match="base64"):
        signed_headers(MESSAGE_ID, AT, BODY, ["whsec_not base64!"])
