"""Contracts: what a file may say, what applying it does, and which contract a line falls under."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.contracts import store
from billing.contracts.terms import Terms, choose, parse_contracts
from demand.tables import order_line
from marketplace.core.db import WORKER, Database, Role, Scope, Tx
from marketplace.core.errors import AppError, Conflict, Invalid
from marketplace.flows.commission.apply_contracts import Applied, apply_file, apply_versions
from marketplace.flows.commission.settle_orders import settle_through
from marketplace.flows.orders.freeze_contracts import freeze_at_sale
from supply.store import join
from tests.billing.market import FLAT, order, prepare
from tests.builders import Line, Order, add_market, add_orders

GOOD = {"name": '"fashion"', "currency": '"BRL"', "valid_from": "2018-01-01", "rate_ppm": "120000"}


def document(*tables: dict[str, str]) -> bytes:
    return "\n".join(
        "[[contract]]\n" + "\n".join(f"{field} = {value}" for field, value in table.items()) for table in tables
    ).encode()


def changed(**fields: str) -> bytes:
    """The good contract with other fields; an empty value leaves a field out."""
    return document({name: value for name, value in (GOOD | fields).items() if value})


def tiers(*steps: tuple[str, str]) -> dict[str, str]:
    listed = ", ".join(f"{{ from_minor = {start}, rate_ppm = {rate} }}" for start, rate in steps)
    return {"rate_ppm": "", "tiers": f"[{listed}]"}


BAD: dict[str, tuple[bytes, str]] = {
    "not TOML": (b"[[contract]\nname = 1", "not a TOML document"),
    "not text": (b"\xff\xfe", "not a TOML document"),
    "nothing": (b"", r"no \[\[contract\]\] table"),
    "wrong table": (document(GOOD) + b"\n[[promotion]]\nname = 'x'", "promotion: unknown table"),
    "one table": (b"[contract]\nname = 'x'", r"no \[\[contract\]\] table"),
    "no tables": (b"contract = [1]", r"contract\[0\]"),
    "unknown field": (changed(colour='"red"'), r"contract\[0\].*colour"),
    "missing field": (changed(currency=""), r"contract\[0\].*currency"),
    "empty name": (changed(name='"  "'), r"contract\[0\].name"),
    "a formula for a name": (changed(name='"=1+1"'), r"contract\[0\].name: '=1\+1' must begin"),
    "a space before the name": (changed(name='" a"'), r"contract\[0\].name: ' a' must begin"),
    "long name": (changed(name=f'"{"x" * 201}"'), r"contract\[0\].name"),
    "name with NUL": (changed(name='"a\\u0000b"'), r"contract\[0\].name"),
    "category with NUL": (changed(categories='["a\\u0000b"]'), r"contract\[0\].categories"),
    "merchant with NUL": (changed(merchants='["a\\u0000b"]'), r"contract\[0\].merchants"),
    "unknown currency": (changed(currency='"BRX"'), r"contract\[0\].currency: 'BRX'"),
    "small currency": (changed(currency='"brl"'), r"contract\[0\].currency: 'brl'"),
    "float rate": (changed(rate_ppm="120000.5"), r"contract\[0\].rate_ppm"),
    "whole float rate": (changed(rate_ppm="120000.0"), r"contract\[0\].rate_ppm"),
    "text rate": (changed(rate_ppm='"120000"'), r"contract\[0\].rate_ppm"),
    "boolean rate": (changed(rate_ppm="true"), r"contract\[0\].rate_ppm"),
    "rate above one": (changed(rate_ppm="1000001"), r"contract\[0\].rate_ppm: 1000001"),
    "negative rate": (changed(rate_ppm="-1"), r"contract\[0\].rate_ppm: -1"),
    "VAT above one": (changed(vat_ppm="1000001"), r"contract\[0\].vat_ppm: 1000001"),
    "no rate": (changed(rate_ppm=""), r"contract\[0\].rate_ppm: give either"),
    "rate and tiers": (
        changed(**tiers(("0", "1")) | {"rate_ppm": "1"}), r"contract\[0\].rate_ppm: give either",
    ),
    "text for an integer": (changed(fixed_minor='"100"'), r"contract\[0\].fixed_minor"),
    "float amount": (changed(min_minor="1.5"), r"contract\[0\].min_minor"),
    "negative amount": (changed(fixed_minor="-1"), r"contract\[0\].fixed_minor: -1"),
    "negative minimum": (changed(min_minor="-1"), r"contract\[0\].min_minor: -1"),
    "huge amount": (changed(fixed_minor="1" + "0" * 30), r"contract\[0\].fixed_minor"),
    "minimum above maximum": (changed(min_minor="2", max_minor="1"), r"contract\[0\].max_minor: 1 is below"),
    "no tiers": (changed(rate_ppm="", tiers="[]"), r"contract\[0\].tiers"),
    "tier gap": (changed(**tiers(("100", "1"))), r"contract\[0\].tiers: gap"),
    "tiers that fall": (changed(**tiers(("0", "1"), ("9", "1"), ("9", "2"))), r"contract\[0\].tiers: .*rise"),
    "tier rate above one": (changed(**tiers(("0", "1000001"))), r"contract\[0\].tiers: rate_ppm 1000001"),
    "float tier": (changed(**tiers(("0", "0.1"))), r"contract\[0\].tiers"),
    "huge tier": (changed(**tiers(("0", "1"), ("9" * 15, "2"))), r"contract\[0\].tiers"),
    "empty merchants": (changed(merchants="[]"), r"contract\[0\].merchants: must name at least one"),
    "merchant twice": (changed(merchants='["a", "a"]'), r"contract\[0\].merchants"),
    "empty categories": (changed(categories="[]"), r"contract\[0\].categories: must name at least one"),
    "unknown base": (changed(base='"freight"'), r"contract\[0\].base"),
    "ends before it begins": (changed(valid_until="2017-12-31"), r"contract\[0\].valid_until: 2017-12-31 is not after"),
    "ends as it begins": (changed(valid_until="2018-01-01"), r"contract\[0\].valid_until"),
    "no such day": (changed(valid_from='"2018-02-30"'), r"contract\[0\].valid_from"),
    "an instant for a day": (changed(valid_from="2018-01-01T10:00:00Z"), r"contract\[0\].valid_from"),
    "no first month": (changed(first_months="0"), r"contract\[0\].first_months: 0 is not between 1 and 120"),
    "too many first months": (changed(first_months="121"), r"contract\[0\].first_months: 121"),
    "a version twice": (document(GOOD, GOOD), "'fashion'.*overlaps"),
    "overlapping versions": (document(GOOD, GOOD | {"valid_from": "2018-03-01"}), "'fashion'.*2018-03-01 overlaps"),
    "the second is bad": (document(GOOD, GOOD | {"name": '"b"', "rate_ppm": "-1"}), r"contract\[1\].rate_ppm"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_a_file_that_is_not_in_order_is_refused_naming_the_field(bad: str) -> None:
    text, refusal = BAD[bad]
    with pytest.raises(Invalid, match=refusal):
        parse_contracts(text)


async def stored(db: Database) -> list[tuple[object, ...]]:
    tables = ("contract", "contract_merchant_ref", "contract_merchant")
    async with db.read(WORKER) as tx:
        found = [row for t in tables for row in await tx.rows(f"SELECT '{t}', t::text FROM billing.{t} t ORDER BY 2")]
        found += await tx.rows("SELECT noun, last_id FROM core.id_block")
        found += await tx.rows("SELECT action, detail::text FROM core.audit WHERE action LIKE 'contracts%' ORDER BY 2")
    return [tuple(row) for row in found]


async def test_nothing_of_a_refused_file_is_stored(db: Database) -> None:
    before = await stored(db)
    for bad, (text, _) in BAD.items():
        with pytest.raises(AppError):
            await apply_file(db, "test", text)
        assert await stored(db) == before, bad


async def test_versions_may_not_overlap_those_that_are_stored(db: Database) -> None:
    await apply_file(db, "test", changed(valid_from="2018-06-01"))
    before = await stored(db)
    for fields in ({}, {"valid_until": "2018-06-02"}, {"valid_from": "2019-01-01"}):
        with pytest.raises(AppError, match=r"'fashion'.*overlaps"):
            await apply_file(db, "test", document({"name": '"other"', **_rest()}) + b"\n" + changed(**fields))
        assert await stored(db) == before
    assert (await apply_file(db, "test", changed(valid_until="2018-06-01"))).added == 1  # half-open: they touch


def _rest() -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name != "name"}


async def test_applying_a_file_again_changes_nothing(db: Database) -> None:
    await db.write(WORKER, "test", add_market, [1, 2])
    text = document(
        GOOD | {"merchants": '["m2", "m1"]', "categories": '["b", "a"]', "fixed_minor": "7", "vat_ppm": "50000"},
        {**_rest(), "name": '"other"', "merchants": '["zz", "m1", "aa"]', **tiers(("0", "9"), ("5", "8"))},
    ).replace(b"rate_ppm = \n", b"")
    assert await apply_file(db, "test", text) == Applied(2, 0, 0, ["aa", "zz"])
    before = await stored(db)
    turned = text.replace(b'["m2", "m1"]', b'["m1", "m2"]').replace(b'["b", "a"]', b'["a", "b"]')
    for again in (text, turned):
        assert await apply_file(db, "test", again) == Applied(0, 0, 2, ["aa", "zz"])
        assert await stored(db) == before


async def test_terms_of_a_used_version_stay_and_those_of_an_unused_one_may_change(db: Database) -> None:
    other = msgspec.structs.replace(FLAT, name="unused", valid_from=date(2019, 1, 1), merchants=("m1", "m2"))
    await db.write(WORKER, "test", prepare, [order(1, 1, date(2018, 5, 3))], [1, 2], [FLAT, other])
    await settle_through(db, "test", date(2018, 5, 31))
    dearer = msgspec.structs.replace(FLAT, rate_ppm=200_000)
    before = await stored(db)
    for terms in (dearer, msgspec.structs.replace(FLAT, merchants=("m1",)), msgspec.structs.replace(FLAT, vat_ppm=0)):
        with pytest.raises(Conflict, match="'flat' from 2018-01-01: orders were sold or rated under it"):
            await db.write(WORKER, "test", apply_versions, [terms])
    for end in (date(2018, 5, 3), date(2018, 2, 1)):
        with pytest.raises(Conflict, match=f"an order of 2018-05-03 was sold under it, so it cannot end on {end}"):
            await db.write(WORKER, "test", apply_versions, [msgspec.structs.replace(FLAT, valid_until=end)])
    assert await stored(db) == before
    ended = msgspec.structs.replace(FLAT, valid_until=date(2018, 5, 4))
    cheaper = msgspec.structs.replace(other, rate_ppm=1, merchants=("m2",))
    assert await db.write(WORKER, "test", apply_versions, [ended, cheaper]) == Applied(0, 2, 0, [])
    async with db.read(WORKER) as tx:
        assert [version.terms for version in await store.list_versions(tx)] == [ended, cheaper]
    for merchant, named in ((1, []), (2, ["unused"])):  # its own terms, and nobody else's
        async with db.read(Scope(Role.MERCHANT, merchant)) as tx:
            assert [row.name for row in await tx.rows("SELECT name FROM billing.contract_merchant")] == named
            assert [row.name for row in await tx.rows("SELECT name FROM billing.contract")] == ["flat"]


# --- which contract ------------------------------------------------------------------------------------------------

DAY = date(2018, 5, 3)
JOINED = DAY - timedelta(days=45)
"""Its first month is over, its second is not."""
MERCHANTS, CATEGORIES = ["m1", "m2"], [None, "toys", "books"]


@st.composite
def plans(draw: st.DrawFn) -> list[Terms]:
    """Contracts whose names differ in case, accent and script, so that no collation orders them by chance."""
    names = draw(
        st.lists(st.sampled_from(["a", "B", "b", "é", "Z", "ä", "10", "9", "名", "\U0001f4a0", "｡"]), unique=True)
    )
    return [
        Terms(
            name=name,
            currency=draw(st.sampled_from(["EUR", "EUR", "USD"])),
            valid_from=DAY + timedelta(days=draw(st.integers(-2, 1))),
            valid_until=draw(st.none() | st.just(DAY + timedelta(days=2))),
            merchants=draw(st.none() | st.sampled_from([("m1",), ("m1", "m2"), ("new",)])),
            categories=draw(st.none() | st.sampled_from([("toys",), ("books", "toys")])),
            first_months=draw(st.none() | st.integers(1, 3)),
            rate_ppm=1,
        )
        for name in names
    ]


@given(plans(), st.sampled_from(MERCHANTS), st.sampled_from(CATEGORIES))
def test_choose_takes_the_narrowest_then_the_newest_then_the_first_by_code_point(
    contracts: list[Terms], merchant: str, category: str | None
) -> None:
    chosen = choose(contracts, merchant, category, "EUR", DAY, JOINED)
    assert choose(list(reversed(contracts)), merchant, category, "EUR", DAY, JOINED) == chosen
    covering = [terms for terms in contracts if terms.covers(merchant, category, "EUR", DAY, JOINED)]
    if chosen is None:
        assert covering == []
        return
    assert chosen in covering
    for terms in covering:
        if terms is chosen:
            continue
        mine, other = _narrowness(chosen), _narrowness(terms)
        assert mine >= other
        if mine == other:
            assert chosen.first_months is not None or terms.first_months is None
        if (mine, chosen.first_months is None) == (other, terms.first_months is None):
            assert chosen.valid_from >= terms.valid_from
            if chosen.valid_from == terms.valid_from:
                assert list(map(ord, chosen.name)) < list(map(ord, terms.name))
    others = [terms for terms in contracts if terms is not chosen]
    assert choose(others, merchant, category, "EUR", DAY, JOINED) != chosen


def _narrowness(terms: Terms) -> int:
    """The issue's order, in words: both named, merchants, categories, neither."""
    return {(True, True): 4, (True, False): 3, (False, True): 2, (False, False): 1}[
        terms.merchants is not None, terms.categories is not None
    ]


@settings(max_examples=40)
@given(contracts=plans())
async def test_freezing_at_the_sale_is_choose(db: Database, contracts: list[Terms]) -> None:
    await db.write(WORKER, "test", _refreeze, contracts)
    async with db.read(WORKER) as tx:
        rows = await tx.rows(
            """SELECT l.merchant_id, l.category, k.name FROM demand.order_line l
               LEFT JOIN billing.contract k USING (contract_id)"""
        )
    chosen = {
        (m, c): choose(contracts, f"m{m}", c, "EUR", DAY, JOINED if m == 1 else None)
        for m in (1, 2)
        for c in CATEGORIES
    }
    wanted = {key: terms.name if terms else None for key, terms in chosen.items()}
    assert {(row.merchant_id, row.category): row.name for row in rows} == wanted


async def _refreeze(tx: Tx, contracts: list[Terms]) -> None:
    """One market for all examples: contracts are put in anew, and every line is sold again."""
    if not await tx.scalar("SELECT count(*) FROM billing.entity"):
        lines = tuple(Line(goods_minor=100, category=category) for category in CATEGORIES)
        at = datetime(DAY.year, DAY.month, DAY.day, 10, tzinfo=UTC)
        await add_market(tx, [1, 2])
        await join(tx, 1, JOINED)
        await add_orders(
            tx, [Order(merchant_id=m, order_id=m, lines=lines, placed_at=at, settles_at=None) for m in (1, 2)]
        )
    for table in ("contract", "contract_merchant", "contract_merchant_ref"):
        await tx.execute(f"DELETE FROM billing.{table}")
    await tx.execute(order_line.update().values(contract_id=None))
    await apply_versions(tx, contracts)
    await freeze_at_sale(tx, [1, 2], after_order_id=0, upto_order_id=100)


@pytest.mark.parametrize(
    ("joined", "months", "last"),
    [
        (date(2018, 1, 31), 1, date(2018, 2, 27)),  # February has no 31st: the month ends with it
        (date(2018, 1, 15), 2, date(2018, 3, 14)),
        (date(2017, 12, 1), 12, date(2018, 11, 30)),
        (date(2018, 11, 30), 3, date(2019, 2, 27)),
    ],
)
async def test_a_rate_for_the_first_months_ends_by_itself(db: Database, joined: date, months: int, last: date) -> None:
    promotion = msgspec.structs.replace(FLAT, name="welcome", valid_from=date(2017, 1, 1), first_months=months)
    promotion = msgspec.structs.replace(promotion, rate_ppm=10_000)
    newer = msgspec.structs.replace(FLAT, valid_from=date(2017, 6, 1))
    orders = [order(1, 1, last), order(1, 2, last + timedelta(days=1)), order(2, 3, last)]
    await db.write(WORKER, "test", prepare, orders, (1, 2), (promotion, newer))
    await db.write(WORKER, "test", join, 1, joined)
    await settle_through(db, "test", date(2019, 12, 31))
    async with db.read(WORKER) as tx:
        rows = await tx.rows("SELECT order_id, commission_minor FROM billing.commission_line ORDER BY order_id")
    assert [tuple(row) for row in rows] == [(1, 120), (2, 1_200), (3, 1_200)]
    for on in (last, last + timedelta(days=1)):
        assert promotion.covers("m1", None, "EUR", on, joined) == (on == last)
