"""The life of a month as rules; what an approval is good for; the digest depends on what was posted, nothing else."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from billing.ledger.tables import entry as entry_table
from billing.periods import store
from billing.periods.model import (
    MOVES,
    BookPeriod,
    BreakApproval,
    CheckState,
    Finding,
    PeriodState,
    check_move,
    fingerprint_of,
    judged,
    month_named,
)
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Invalid
from tests.builders import add_market
from tests.periods.market import digest_of

MAY_1 = date(2018, 5, 1)
FINDINGS = st.lists(
    st.builds(
        Finding, st.text(max_size=5), st.sampled_from(["EUR", None]), st.integers() | st.none(), st.text(max_size=5)
    ),
    max_size=5,
    unique=True,
)


def test_a_closed_month_is_only_reopened_and_an_open_one_is_never_closed_at_once() -> None:
    assert MOVES[PeriodState.CLOSED] == {PeriodState.REOPENED}
    assert PeriodState.CLOSED not in MOVES[PeriodState.OPEN]
    for now in PeriodState:
        for then in PeriodState:
            period = BookPeriod(entity_id=1, month_on=MAY_1, state=now)
            if then not in MOVES[now]:
                with pytest.raises(Conflict, match=f"2018-05 is {now}; it cannot become {then}"):
                    check_move(period, then)


@pytest.mark.parametrize("name", ["2018-5", "2018", "2018-13", "2018-05-01..2018-05-31", ""])
def test_only_months_are_closed(name: str) -> None:
    with pytest.raises(Invalid):
        month_named(name)


@given(FINDINGS, FINDINGS, st.randoms())
def test_an_approval_is_for_what_was_found_and_nothing_else(
    then: list[Finding], now: list[Finding], shuffler: Any
) -> None:
    given_for = fingerprint_of(then)
    approval = BreakApproval(
        approval_id=1, check="x", fingerprint=given_for, reason="r", asked_by="a",
        asked_at=datetime(2018, 6, 1, tzinfo=UTC), approved_by="b", approved_at=datetime(2018, 6, 1, tzinfo=UTC),
        single_operator=False,
    )  # fmt: skip
    shuffler.shuffle(now)
    same = {*then} == {*now}
    wanted = CheckState.GREEN if not now else CheckState.APPROVED if same else CheckState.RED
    assert judged("x", "", now, [approval], 2).state is wanted
    assert judged("another", "", now, [approval], 2).state is (CheckState.RED if now else CheckState.GREEN)


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=6)
AT = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def journals(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Entries of two merchants, on days of May or before it, with gaps in their numbers that cross blocks."""
    keys = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(990, 1_010)), max_size=12, unique=True))
    found = []
    for merchant_id, entry_no in keys:
        amounts = draw(st.lists(st.integers(1, 10**12), min_size=1, max_size=3))
        legs = len(amounts) + 1
        found.append({
            "merchant_id": merchant_id, "entry_no": entry_no, "kind": draw(TEXTS), "source_id": entry_no,
            "entity_id": 1, "currency": draw(st.sampled_from(["EUR", "JPY"])), "occurred_at": draw(AT),
            "effective_on": MAY_1 + timedelta(days=draw(st.integers(-400, 30))), "prior_period": draw(st.booleans()),
            "accounts": draw(st.lists(st.integers(1000, 6999), min_size=legs, max_size=legs)),
            "dimensions": draw(st.lists(st.integers(0, 2**63 - 1), min_size=legs, max_size=legs)),
            "amounts": [*amounts, -sum(amounts)], "posted_at": draw(AT), "posted_by": draw(TEXTS),
        })  # fmt: skip
    return found


async def sealed(tx: Tx, rows: list[dict[str, Any]]) -> str:
    """The digest of these rows as the database computes it; they are gone afterwards."""
    await tx.execute("SAVEPOINT here")
    if rows:
        await tx.execute(insert(entry_table), rows)
    period = await store.save(
        tx, BookPeriod(entity_id=1, month_on=MAY_1, state=PeriodState.SOFT_CLOSED), state=PeriodState.CLOSED, seal_no=1
    )
    held = BookPeriod(entity_id=1, month_on=MAY_1, state=period.state, seal_no=0)
    digest = (await store.seal(tx, held, None, single=False)).digest
    await tx.execute("ROLLBACK TO SAVEPOINT here")
    return digest


async def test_the_digest_is_the_same_in_any_order_of_insertion_and_in_python(db: Database) -> None:
    """Drawn outside of the loop, because Hypothesis drives no coroutines of ours."""
    drawn: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = []

    @given(journals(), st.randoms())
    def draw(rows: list[dict[str, Any]], shuffler: Any) -> None:
        shuffled = list(rows)
        shuffler.shuffle(shuffled)
        drawn.append((rows, shuffled))

    draw()

    async def compare(tx: Tx) -> None:
        await add_market(tx, [1, 2])
        await tx.raw.execute("RESET ROLE")
        await tx.raw.execute("SET LOCAL timezone = 'Asia/Shanghai'")
        await tx.raw.execute("SET LOCAL datestyle = 'German'")
        for rows, shuffled in drawn:
            wanted = digest_of([SimpleNamespace(**row) for row in rows], MAY_1)
            assert await sealed(tx, rows) == wanted
            assert await sealed(tx, shuffled) == wanted

    await db.write(WORKER, "test", compare)


@given(journals().filter(bool), st.data())
def test_the_digest_changes_with_any_change(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    changed = [dict(row) for row in rows]
    victim = data.draw(st.sampled_from(changed))
    field = data.draw(st.sampled_from(sorted(victim)))
    value = victim[field]
    if isinstance(value, bool):
        victim[field] = not value
    elif isinstance(value, list):
        victim[field] = [*value[:-1], value[-1] + 1]
    elif isinstance(value, int):
        victim[field] = value + 10_000
    elif isinstance(value, datetime):
        victim[field] = value + timedelta(microseconds=1)
    elif isinstance(value, date):
        victim[field] = value - timedelta(days=1)
    else:
        victim[field] = value + "x"
    before, after = ([SimpleNamespace(**row) for row in each] for each in (rows, changed))
    assert digest_of(before, MAY_1) != digest_of(after, MAY_1)
    assert digest_of(before, MAY_1) != digest_of(before[1:], MAY_1)
    assert digest_of(before, MAY_1) != digest_of(before, MAY_1, b"\x00" * 32)
