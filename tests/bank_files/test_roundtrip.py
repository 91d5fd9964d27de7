"""What is written in a format is read back the same: amounts, days, references, texts, balances, in all exponents."""

import gzip
import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.bank_files import readers
from billing.bank_files.model import Kind, Line, Statement
from billing.bank_files.packing import unpacked
from billing.bank_files.proofs import Proved, prove
from billing.bank_files.readers import Format
from tests.bank_files import writers
from tests.bank_files.writers import DAY

CURRENCIES = ("EUR", "JPY", "KWD")
REFERENCE = st.text("ABCXYZ0189", min_size=1, max_size=16)
TEXT = st.text("abc XYZ äöüß -.:0189", max_size=40).map(lambda text: " ".join(text.split()).strip(" .:-"))
AMOUNT = st.integers(-(10**9), 10**9)
few = settings(max_examples=30)


def lines(type_codes: Sequence[str] | Callable[[int], str], *, fees: bool = False, text: st.SearchStrategy[str] = TEXT):  # type: ignore[no-untyped-def]  # a strategy of a tuple
    @st.composite
    def build(draw: st.DrawFn) -> tuple[str, list[Line]]:
        currency = draw(st.sampled_from(CURRENCIES))
        found = []
        for position in range(draw(st.integers(0, 6))):
            gross = draw(AMOUNT)
            fee = draw(st.integers(-(10**6), 10**6)) if fees else 0
            amount = gross - fee
            code = type_codes(amount) if callable(type_codes) else draw(st.sampled_from(type_codes))
            day = DAY + timedelta(days=draw(st.integers(-200, 200)))
            line = Line(
                position=position + 1,
                day=day,
                value_day=day + timedelta(days=draw(st.integers(-5, 5))),
                amount_minor=amount,
                currency=currency,
                gross_minor=gross if fees else None,
                fee_minor=fee if fees else None,
                bank_ref=draw(REFERENCE),
                end_to_end=draw(REFERENCE),
                batch_ref=draw(REFERENCE),
                party=draw(REFERENCE),
                party_account=draw(REFERENCE),
                text=draw(text),
                type_code=code,
            )
            found.append(line)
        return currency, found

    return build()


def read(content: bytes, expected: Format) -> tuple[list[Line], list[Proved]]:
    stream = unpacked(io.BytesIO(content))
    assert readers.detect(stream) is expected
    items = list(readers.read(stream, expected))
    return [item for item in items if isinstance(item, Line)], list(prove(items))


def as_told(line: Line, *fields: str) -> tuple[object, ...]:
    return tuple(getattr(line, field) for field in ("amount_minor", "currency", "day", *fields))


def same(found: Sequence[Line], written: Sequence[Line], *fields: str) -> None:
    assert [as_told(line, *fields) for line in found] == [as_told(line, *fields) for line in written]


@pytest.mark.parametrize("version", ["02", "04", "08", "13"])
@few
@given(given_lines=lines(("544", "020")), opening=AMOUNT)
def test_camt(version: str, given_lines: tuple[str, list[Line]], opening: int) -> None:
    currency, written = given_lines
    found, [proved] = read(writers.camt(written, opening, currency, version), Format.CAMT)
    same(
        found, written, "value_day", "bank_ref", "end_to_end", "party", "party_account", "text", "type_code", "position"
    )
    told = proved.statement
    assert (told.account, told.currency, told.number, told.kind) == (writers.ACCOUNT, currency, "7", Kind.STATEMENT)
    assert (told.opening_minor, told.closing_minor, proved.flaws) == (
        opening,
        opening + sum(x.amount_minor for x in written),
        (),
    )


@few
@given(
    given_lines=lines(("NTRF", "FMSC"), text=st.from_regex("[a-z0-9]{2,8}( [a-z0-9]{2,8}){0,3}", fullmatch=True)),
    opening=AMOUNT,
)
def test_mt940(given_lines: tuple[str, list[Line]], opening: int) -> None:
    currency, written = given_lines
    found, [proved] = read(writers.mt940(written, opening, currency), Format.MT940)
    same(found, written, "value_day", "bank_ref", "end_to_end", "party", "party_account", "text", "type_code")
    assert (proved.statement.opening_minor, proved.lines, proved.flaws) == (opening, len(written), ())


@few
@given(given_lines=lines(lambda amount: "142" if amount >= 0 else "451"), opening=AMOUNT)
def test_bai2(given_lines: tuple[str, list[Line]], opening: int) -> None:
    currency, written = given_lines
    written = [line for line in written if line.text.isascii()]
    found, [proved] = read(writers.bai2(written, opening, currency), Format.BAI2)
    fields = ("amount_minor", "currency", "value_day", "bank_ref", "end_to_end", "text", "type_code")
    assert [[getattr(x, name) for name in fields] for x in found] == [
        [getattr(x, name) for name in fields] for x in written
    ]
    assert (proved.statement.opening_minor, proved.sum_minor, proved.flaws) == (
        opening,
        sum(x.amount_minor for x in written),
        (),
    )


FEES = ("gross_minor", "fee_minor", "bank_ref", "end_to_end", "text", "type_code")


@few
@given(given_lines=lines(("charge", "refund"), fees=True))
def test_stripe(given_lines: tuple[str, list[Line]]) -> None:
    currency, written = given_lines
    found, [proved] = read(writers.stripe(written, currency), Format.STRIPE)
    same(found, written, *FEES, "value_day", "batch_ref")
    assert (proved.statement.kind, proved.statement.account, proved.flaws) == (Kind.PROCESSOR, "stripe", ())


@few
@given(given_lines=lines(("Settled", "Refunded"), fees=True))
def test_adyen(given_lines: tuple[str, list[Line]]) -> None:
    currency, written = given_lines
    found, [proved] = read(writers.adyen(written, currency), Format.ADYEN)
    same(found, written, *FEES, "batch_ref", "party")
    assert proved.flaws == ()


@few
@given(given_lines=lines(("T0006", "T1107"), fees=True))
def test_paypal(given_lines: tuple[str, list[Line]]) -> None:
    currency, written = given_lines
    found, [proved] = read(writers.paypal(written, currency), Format.PAYPAL)
    same(found, written, *FEES, "party_account")
    assert (proved.statement.account, proved.flaws) == ("paypal:SHOP", ())


CHINESE = st.text("云膳过桥米线传奇广场店", max_size=12)


@few
@given(given_lines=lines(("在线支付", "交易退款"), text=CHINESE))
def test_alipay(given_lines: tuple[str, list[Line]]) -> None:
    written = [line for line in given_lines[1] if line.currency == "EUR" and line.amount_minor]
    found, [proved] = read(writers.alipay(written), Format.CHINESE)
    fields = ("amount_minor", "day", "bank_ref", "end_to_end", "party_account", "text", "type_code")
    assert [[getattr(x, name) for name in fields] for x in found] == [
        [getattr(x, name) for name in fields] for x in written
    ]
    assert (proved.statement.account, proved.flaws) == ("alipay:20881234567890120156", ())


@few
@given(given_lines=lines(lambda amount: "SUCCESS", fees=True, text=CHINESE))
def test_wechat(given_lines: tuple[str, list[Line]]) -> None:
    written = given_lines[1]
    found, [proved] = read(writers.wechat(written), Format.CHINESE)
    fields = ("amount_minor", "gross_minor", "fee_minor", "day", "bank_ref", "end_to_end", "party_account", "text")
    assert [[getattr(x, name) for name in fields] for x in found] == [
        [getattr(x, name) for name in fields] for x in written
    ]
    assert proved.flaws == ()


@few
@given(given_lines=lines(("544",)))
def test_compressed_files_are_the_same(given_lines: tuple[str, list[Line]]) -> None:
    currency, written = given_lines
    plain = writers.camt(written, 0, currency)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("statement.xml", plain)
    expected = read(plain, Format.CAMT)
    assert read(gzip.compress(plain), Format.CAMT) == expected
    assert read(archive.getvalue(), Format.CAMT) == expected


def test_an_entry_of_several_details_is_a_line_for_each() -> None:
    [line] = [
        Line(position=1, day=DAY, value_day=DAY, amount_minor=-900, currency="EUR", end_to_end="A", type_code="X")
    ]
    plain = writers.camt([line], 0, "EUR").decode()
    head, _, tail = plain.partition("<NtryDtls>")
    details = "".join(
        f'<TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs><Amt Ccy="EUR">{amount}</Amt></TxDtls>'
        for name, amount in (("A", "3.00"), ("B", "6.00"))
    )
    batch = "<Btch><PmtInfId>P9</PmtInfId></Btch>"
    both = f"{head}<NtryDtls>{batch}{details}</NtryDtls>{tail.partition('</NtryDtls>')[2]}"
    found, [proved] = read(both.encode(), Format.CAMT)
    assert [(x.amount_minor, x.end_to_end, x.batch_ref) for x in found] == [(-300, "A", "P9"), (-600, "B", "P9")]
    assert (proved.lines, proved.flaws) == (2, ())
    [whole], _ = read(both.replace(">6.00<", ">5.00<").encode(), Format.CAMT)
    assert (whole.amount_minor, whole.end_to_end) == (-900, "")


def test_a_statement_is_what_its_end_says() -> None:
    statement = Statement(kind=Kind.INTERIM, account="A", currency=None)
    line = Line(position=1, day=DAY, amount_minor=5, currency="EUR", booked=False)
    [proved] = prove([line, statement])
    assert (proved.lines, proved.sum_minor) == (1, 0)
