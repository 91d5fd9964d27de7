"""Batches of events: known by their ids, late and out of order, and refused whole when a line is wrong."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.ads.events import EARLY_MAX, LATE_MAX, LINES_MAX, BadLines, read_lines
from billing.ads.model import MILLI, Pricing
from billing.ads.rules import ViewerClick, judge_hour
from billing.ads.tokens import read, sign
from marketplace.core import users
from marketplace.core.db import WORKER, Database
from marketplace.core.errors import Invalid, NotFound
from marketplace.flows.ads.credit_clicks import credit_clicks
from tests.ads.market import (
    HOUR,
    MERCHANT,
    NOON,
    account_of,
    add_ad_market,
    add_search,
    charges_of,
    clicks,
    hours_of,
    keys_of,
    lamps,
    line,
    ndjson,
    prepared,
    prepay,
    rate,
    run_campaign,
    send,
    ticket,
)
from tests.billing.market import check_books
from tests.conftest import fresh_database

KEY = b"a key of the tests"
KEYS = {1: KEY}


class _Campaign(msgspec.Struct):
    merchant_id: int = 1
    campaign_id: int = 2
    placement_id: int = 3


TICKET = ticket(_Campaign(), at=NOON - HOUR)  # type: ignore[arg-type]  # the three fields that a token is made of
TOKEN = sign(TICKET, KEY)


def test_a_token_says_what_was_signed_and_nothing_else() -> None:
    assert read(TOKEN, KEYS) == TICKET
    with pytest.raises(ValueError, match="not signed by us"):
        read(sign(TICKET, b"another key"), KEYS)
    cheaper = sign(msgspec.structs.replace(TICKET, click_milli=MILLI), b"guessed")
    for forged in (cheaper, TOKEN[:-2], "", "x" * 300, "é", TOKEN[:10] + "AA" + TOKEN[12:]):
        with pytest.raises(ValueError, match="token"):
            read(forged, KEYS)
    with pytest.raises(ValueError, match="not signed by us"):
        read(TOKEN, {2: KEY})


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCxyz019-_"))
def test_no_other_letter_anywhere_in_a_token_is_believed(place: int, letter: str) -> None:
    other = TOKEN[:place] + letter + TOKEN[place + 1 :]
    try:
        assert read(other, KEYS) == TICKET  # the last letter carries bits that mean nothing
    except ValueError:
        assert other != TOKEN


BAD: list[tuple[dict[str, Any] | bytes, str]] = [
    (b"{not json", "JSON is malformed"),
    (line(TOKEN, "", NOON), "Expected `str` of length >= 1"),
    (line(TOKEN, "a b", NOON), "matching regex"),
    (line(TOKEN, "x", NOON, kind="tap"), "Invalid enum value"),
    (line(TOKEN, "x", NOON, surprise=1), "unknown field"),
    (line(TOKEN, "x", NOON, bot="yes"), "Expected `bool`"),
    (line("forged", "x", NOON), "token: is none of ours"),
    (line(TOKEN, "x", NOON - LATE_MAX - HOUR), "days ago"),
    (line(TOKEN, "x", NOON + EARLY_MAX + HOUR), "not yet"),
    (line(TOKEN, "x", NOON - 3 * HOUR), "before the token"),
    ({**line(TOKEN, "x", NOON), "at": "2018-09-03T12:00:00"}, "offset"),
]


@pytest.mark.parametrize(("bad", "said"), BAD)
def test_a_bad_line_is_named_by_its_number(bad: dict[str, Any] | bytes, said: str) -> None:
    body = ndjson([line(TOKEN, "ok", NOON)]) + b"\n\n" + (bad if isinstance(bad, bytes) else ndjson([bad]))
    with pytest.raises(BadLines, match=rf"line 3: .*{said}") as refused:
        read_lines(body, KEYS, NOON)
    assert [one["line"] for one in refused.value.extra["lines"]] == [3]


def test_a_batch_has_something_in_it_and_not_too_much() -> None:
    with pytest.raises(Invalid, match="no event"):
        read_lines(b"\n \n", KEYS, NOON)
    many = ndjson([line(TOKEN, str(n), NOON) for n in range(LINES_MAX + 1)])
    with pytest.raises(Invalid, match=f"line {LINES_MAX + 1}: "):
        read_lines(many, KEYS, NOON)


async def test_an_event_counts_once_however_often_it_comes(db: Database) -> None:
    campaign = await prepared(db)
    first = await clicks(db, campaign, 10)
    again = await clicks(db, campaign, 12)
    assert (first.taken, first.known, again.taken, again.known) == (10, 0, 2, 10)
    token = sign(ticket(campaign), (await keys_of(db))[1])
    twice = await send(db, [line(token, "twin", NOON - HOUR), line(token, "twin", NOON - HOUR)])
    assert (twice.taken, twice.known) == (1, 1)
    await rate(db)
    assert await hours_of(db, campaign) == [(12, 0, 120, 0), (1, 0, 10, 0)]
    await check_books(db)


async def test_what_a_batch_in_any_order_and_any_cut_comes_to(db: Database) -> None:
    """Backwards and in pieces, rated after each, the same as at once."""
    campaign = await prepared(db)
    token = sign(ticket(campaign, at=NOON - 4 * HOUR), (await keys_of(db))[1])
    lines = [line(token, f"e{n}", NOON - 4 * HOUR + timedelta(minutes=9 * n)) for n in range(20)]
    for piece in (lines[15:], lines[:3], lines[9:15], lines[3:9]):
        await send(db, piece[::-1])
        await rate(db)
    assert sum(charge.amount_minor for charge in await charges_of(db)) == 200
    assert sum(hour[2] for hour in await hours_of(db, campaign)) == 200
    await check_books(db)


async def test_programs_and_the_merchants_own_people_cost_nothing(db: Database) -> None:
    campaign = await prepared(db)
    own = await db.write(WORKER, "test", users.create_user, "o", "O", ["merchant_owner"], merchant_id=MERCHANT)
    other = await db.write(WORKER, "test", users.create_user, "p", "P", ["merchant_owner"], merchant_id=2)
    token = sign(ticket(campaign), (await keys_of(db))[1])
    at = NOON - HOUR
    taken = await send(
        db,
        [
            line(token, "bot", at, bot=True),
            line(token, "own", at, user_id=own.user_id),
            line(token, "rival", at, user_id=other.user_id),
            line(token, "plain", at),
        ],
    )
    assert (taken.taken, taken.invalid) == (4, 2)
    await rate(db)
    assert await hours_of(db, campaign) == [(4, 2, 20, 0)]
    await check_books(db)


async def test_thousands_of_impressions_are_rounded_down_by_the_hour(db: Database) -> None:
    """5.00 for a thousand: 399 are 1.995, of which 1.99 is charged; the 400th makes it 2.00."""

    async def make(tx: Any) -> Any:
        await add_ad_market(tx)
        await prepay(tx, MERCHANT, 10_000)
        return await run_campaign(tx, lamps(MERCHANT, await add_search(tx, Pricing.THOUSAND)))

    campaign = await db.write(WORKER, "test", make)
    token = sign(ticket(campaign, click_minor=0, thousand_minor=500), (await keys_of(db))[1])
    seen = [line(token, f"i{n}", NOON - HOUR, kind="impression", viewer="one") for n in range(400)]
    await send(db, [*seen[:399], line(token, "c", NOON - HOUR)])
    await rate(db)
    assert await hours_of(db, campaign) == [(1, 0, 199, 0)]
    await send(db, seen[399:])
    await rate(db)
    assert await hours_of(db, campaign) == [(1, 0, 200, 0)]
    await check_books(db)


async def test_reported_clicks_are_credited_with_their_hour(db: Database) -> None:
    campaign = await prepared(db, prepaid=150)
    await clicks(db, campaign, 20)
    await rate(db)
    assert await hours_of(db, campaign) == [(20, 0, 150, 50)]
    done = await db.write(WORKER, "olga", credit_clicks, MERCHANT, ["e0", "e1", "e2"], "a farm")
    assert (done.events, done.hours) == (3, 1)
    assert await hours_of(db, campaign) == [(20, 3, 150, 20)]  # what was beyond the balance goes first
    await db.write(WORKER, "olga", credit_clicks, MERCHANT, ["e2", "e3", "e4", "e5", "e6"], "a farm")
    assert await hours_of(db, campaign) == [(20, 7, 130, 0)]
    use, credit = await charges_of(db)
    assert (credit.amount_minor, credit.credits_charge_id) == (-20, use.charge_id)
    assert (await account_of(db)).paid_minor == 20
    with pytest.raises(NotFound, match="'nothing'"):
        await db.write(WORKER, "olga", credit_clicks, MERCHANT, ["e7", "nothing"], "?")
    await check_books(db)


@settings(max_examples=12)
@given(
    seen=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 2)), min_size=1, max_size=30),
    cut=st.integers(0, 30),
)
async def test_the_database_judges_as_the_rules_do(maintenance_url: str, seen: list[tuple[int, int]], cut: int) -> None:
    async with fresh_database(maintenance_url) as db:
        campaign = await prepared(db)
        token = sign(ticket(campaign, at=NOON - 2 * HOUR), (await keys_of(db))[1])
        start = NOON - 2 * HOUR
        lines = [
            line(token, f"e{n}", start + timedelta(seconds=5 * at), viewer=str(who)) for n, (at, who) in enumerate(seen)
        ]
        for piece in (lines[cut:], lines[:cut]):
            if piece:
                await send(db, piece)
                await rate(db)
        async with db.read(WORKER) as tx:
            rows = await tx.rows("SELECT event_id, viewer, at, verdict FROM billing.ad_event")
        judged = judge_hour([ViewerClick(event_id=row.event_id, viewer=row.viewer, at=row.at) for row in rows])
        assert {row.event_id: row.verdict for row in rows} == judged
        await check_books(db)
