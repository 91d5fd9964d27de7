"""Any table by a mapping: decimals and groups as they are written, in CSV and in workbooks, never through a float."""

import io
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.bank_files.mapping import Mapping, check_mapping, read_table
from billing.bank_files.model import Kind, Line, Statement, Unreadable
from billing.bank_files.proofs import prove
from billing.bank_files.text import amount
from marketplace.core.errors import Invalid
from marketplace.core.money import MINOR_DIGITS
from tests.bank_files.test_hostile import workbook
from tests.bank_files.writers import major

MAPPING = Mapping(account="till", currency="EUR", day="Day", amount="Amount", text="What")


def read(content: bytes, mapping: Mapping = MAPPING) -> tuple[list[Line], Statement]:
    *lines, statement = read_table(io.BytesIO(content), mapping)
    assert isinstance(statement, Statement)
    return [line for line in lines if isinstance(line, Line)], statement


@settings(max_examples=100)
@given(minor=st.integers(-(10**12), 10**12), currency=st.sampled_from(["JPY", "EUR", "KWD"]), comma=st.booleans())
def test_amounts_with_thousands_set_apart(minor: int, currency: str, comma: bool) -> None:
    whole, _, rest = major(minor, currency).partition(".")
    groups = f"{int(whole):,}"
    shown = f"{groups}.{rest}" if MINOR_DIGITS[currency] else groups
    if comma:
        shown = shown.translate(str.maketrans(",.", ".,"))
    shown = f"-{shown}" if minor < 0 else shown
    assert amount("x", shown, currency, comma=comma, grouped=True) == minor


@pytest.mark.parametrize(
    ("text", "comma"),
    [("1.5", True), *((text, False) for text in ("1,5", "1,00,0", "12,3456", "1,234,5", "", "1 2", "--1", "1-", "١"))],
)
def test_what_is_no_amount_in_this_way_of_writing(text: str, comma: bool) -> None:
    with pytest.raises(Unreadable, match=r"^line 7: amount"):
        amount("line 7: amount", text, "EUR", comma=comma, grouped=True)


def test_a_workbook_is_read_like_csv() -> None:
    rows: list[tuple[object, ...]] = [
        ("Till 1", None, None),
        ("Day", "Amount", "What"),
        (datetime(2018, 9, 1, 12, 30), 0.1 + 0.2, "a sum of floats"),  # noqa: DTZ001  # a workbook knows no zones
        (date(2018, 9, 2), 1234567.89, "much"),
        ("2018-09-03", "-1,234.50", "as text"),
        (None, None, None),
        (date(2018, 9, 4), 12, 77),
    ]
    lines, statement = read(workbook(rows))
    assert [(line.position, line.day.day, line.amount_minor, line.text) for line in lines] == [
        (3, 1, 30, "a sum of floats"), (4, 2, 123_456_789, "much"), (5, 3, -123_450, "as text"), (7, 4, 1_200, "77"),
    ]  # fmt: skip
    assert (statement.kind, statement.account, statement.currency) == (Kind.PROCESSOR, "till", "EUR")


def test_two_columns_fees_and_minor_units() -> None:
    mapping = Mapping(
        account="p", currency_column="Cur", day="On", paid_in="In", paid_out="Out", fee="Fee", minor=True,
        day_pattern="%d/%m/%y", bank_ref="Id", delimiter="|",
    )  # fmt: skip
    lines, statement = read(b"Id|On|In|Out|Fee|Cur\n1|01/09/18|500||20|EUR\n2|02/09/18||7|0|jpy\n", mapping)
    told = [(x.bank_ref, x.amount_minor, x.gross_minor, x.fee_minor, x.currency) for x in lines]
    assert told == [("1", 500, 520, 20, "EUR"), ("2", -7, -7, 0, "JPY")]
    assert statement.currency is None


def test_a_running_balance_is_followed() -> None:
    mapping = Mapping(
        account="a", currency="EUR", day="Day", amount="Amount", balance="Balance", kind="statement", negated=False
    )
    good = b"Day,Amount,Balance\n2018-09-01,1.00,11.00\n2018-09-02,-2.50,8.50\n"
    [proved] = prove(read_table(io.BytesIO(good), mapping))
    assert (proved.statement.opening_minor, proved.statement.closing_minor, proved.flaws) == (1_000, 850, ())
    [proved] = prove(read_table(io.BytesIO(good.replace(b"8.50", b"8.51")), mapping))
    assert "do not make closing 8.51" in proved.flaws[0]


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"amount": ""}, ["amount"]),
        ({"paid_in": "In", "paid_out": "Out"}, ["amount"]),
        ({"currency": ""}, ["currency"]),
        ({"currency": "XXX"}, ["currency"]),
        ({"currency": "", "currency_column": "Cur", "balance": "Balance"}, ["balance"]),
        ({"amount": "", "currency": "", "balance": "Balance"}, ["amount", "currency", "balance"]),
    ],
)
def test_a_mapping_that_can_read_nothing_is_refused(wrong: dict[str, str], fields: list[str]) -> None:
    """All that is wrong is named at once."""
    told = {"account": "a", "currency": "EUR", "day": "Day", "amount": "Amount"} | wrong
    with pytest.raises(Invalid) as refused:
        check_mapping(Mapping(**told))  # type: ignore[arg-type]  # fields by name
    assert [fault["pointer"] for fault in refused.value.extra["errors"]] == [f"/mapping/{name}" for name in fields]


def test_columns_that_are_missing_are_named() -> None:
    with pytest.raises(Unreadable, match="names all columns; What are missing"):
        read(b"Day,Amount\n2018-09-01,1.00\n")
    with pytest.raises(Unreadable, match=r"line 2: has only 2 fields, 'What' is missing"):
        read(b"Day,Amount,What\n2018-09-01,1.00\n")
    assert read(b"Day,Amount,What\n")[0] == []
