"""Files for the bank: each payout in one of them, made by one person and approved by another, the same bytes always."""

import asyncio
import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.bank_accounts import store as bank_accounts
from billing.bank_accounts.model import Scheme
from billing.payout_files import store
from billing.payout_files.model import (
    NAMESPACE,
    REFERENCE_LENGTH_MAX,
    FileLine,
    FileState,
    Party,
    PayoutFile,
    as_csv,
    pain_001,
    payout_reference,
)
from billing.runs import store as runs
from billing.runs.model import Payout
from marketplace.core import policies
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict, Forbidden, Invalid
from marketplace.core.money import MINOR_DIGITS
from marketplace.flows.payouts.instruct_bank import (
    MakeFile,
    SetDebtor,
    approve_file,
    cancel_file,
    make_file,
    read_bytes,
    set_debtor,
)
from marketplace.flows.payouts.pay_merchants import ConfirmPayout, confirm_payout
from marketplace.flows.payouts.set_payout_terms import hold_payouts
from marketplace.flows.runs.run_billing import reverse_run
from tests.billing.accounts import OTHER_IBAN
from tests.billing.commands import command_line
from tests.billing.locks import wait_until_blocked
from tests.billing.market import CHECKER, MAKER, NET_OF_120, check_books
from tests.billing.test_payouts import confirm, give_back, instructed

TODAY = date(2018, 9, 3)
HOUSE = Party(holder="Marketplace Ltd", scheme=Scheme.IBAN, number="DE89370400440532013000", routing="COBADEFFXXX")
NS = {"p": NAMESPACE}


async def to_pay(db: Database, merchants: tuple[int, ...] = (1, 2)) -> list[Payout]:
    payouts = await instructed(db, merchants)
    await db.write(WORKER, MAKER, set_debtor, SetDebtor(currency="EUR", party=HOUSE))
    return payouts


async def made(db: Database, actor: str = MAKER) -> PayoutFile:
    return await db.write(WORKER, actor, make_file, MakeFile(currency="EUR", pay_on=TODAY))


async def of(db: Database, file: PayoutFile, kind: str = "xml") -> bytes:
    async with db.read(WORKER) as tx:
        return await read_bytes(tx, file.file_id, kind)


async def again(db: Database, payout: Payout) -> Payout:
    async with db.read(WORKER) as tx:
        return await runs.get_payout(tx, payout.merchant_id, payout.payout_id)


def file_of(lines: list[FileLine], currency: str = "EUR") -> PayoutFile:
    at = datetime(2018, 9, 3, 12, tzinfo=UTC)
    empty = dict.fromkeys(("approved_by", "approved_at", "cancelled_by", "cancelled_at", "cancel_reason"))
    return PayoutFile(
        file_id=2**63 - 1, entity_id=1, currency=currency, pay_on=TODAY, payouts=len(lines),
        total_minor=sum(line.amount_minor for line in lines), state=FileState.APPROVED, made_by="x", made_at=at,
        **empty,
    )  # fmt: skip


# --- the bytes ------------------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=200)
_PARTIES = st.builds(
    Party, holder=_TEXT, scheme=st.sampled_from(Scheme), number=st.just("12345678"), routing=st.sampled_from(["", "X1"])
)
_LINES = st.lists(
    st.builds(
        FileLine, merchant_id=st.integers(1, 2**63 - 1), payout_id=st.integers(100, 10**12),
        amount_minor=st.integers(1, 10**12), creditor=_PARTIES,
    ), min_size=1, max_size=8,
)  # fmt: skip


@given(_LINES, st.sampled_from(sorted(MINOR_DIGITS)))
def test_xml_and_csv_say_the_same_in_the_currency_s_decimals(lines: list[FileLine], currency: str) -> None:
    file = file_of(lines, currency)
    xml, text = pain_001(file, HOUSE, lines), as_csv(file, HOUSE, lines)
    assert (xml, text) == (pain_001(file, HOUSE, lines), as_csv(file, HOUSE, lines))
    root = ET.fromstring(xml)  # our own
    digits = MINOR_DIGITS[currency]
    transfers = root.findall(".//p:CdtTrfTxInf", NS)
    rows = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    assert len(transfers) == len(rows) == len(lines)
    for transfer, row, line in zip(transfers, rows, lines, strict=True):
        reference = transfer.findtext("p:PmtId/p:EndToEndId", namespaces=NS)
        amount = transfer.find("p:Amt/p:InstdAmt", NS)
        assert reference == row["reference"] == line.reference
        assert len(reference) <= REFERENCE_LENGTH_MAX
        assert amount is not None
        assert (amount.text, amount.get("Ccy")) == (row["amount"], currency)
        assert len(row["amount"].partition(".")[2]) == digits
        assert int(row["amount"].replace(".", "")) == line.amount_minor
        assert transfer.findtext("p:Cdtr/p:Nm", namespaces=NS) == line.creditor.holder[:140]
        assert row["creditor"] == line.creditor.holder
    for group in ("p:GrpHdr", "p:PmtInf"):
        part = root.find(f"p:CstmrCdtTrfInitn/{group}", NS)
        assert part is not None
        assert part.findtext("p:NbOfTxs", namespaces=NS) == str(len(lines))
        total = part.findtext("p:CtrlSum", namespaces=NS) or ""
        assert int(total.replace(".", "")) == file.total_minor
    ids = [root.findtext(f".//p:{tag}", namespaces=NS) or "" for tag in ("MsgId", "PmtInfId")]
    assert max(map(len, ids)) <= 35


def test_the_elements_stand_in_the_order_of_the_schema() -> None:
    party = Party(holder="Shop", scheme=Scheme.OTHER, number="12 345", routing="021000021")
    line = FileLine(merchant_id=1, payout_id=100, amount_minor=5, creditor=party)
    root = ET.fromstring(pain_001(file_of([line]), HOUSE, [line]))  # our own
    [payment] = root.findall("p:CstmrCdtTrfInitn/p:PmtInf", NS)
    assert [child.tag.partition("}")[2] for child in payment] == [
        "PmtInfId", "PmtMtd", "NbOfTxs", "CtrlSum", "ReqdExctnDt", "Dbtr", "DbtrAcct", "DbtrAgt", "ChrgBr",
        "CdtTrfTxInf",
    ]  # fmt: skip
    [transfer] = payment.findall("p:CdtTrfTxInf", NS)
    assert [child.tag.partition("}")[2] for child in transfer] == [
        "PmtId", "Amt", "CdtrAgt", "Cdtr", "CdtrAcct", "RmtInf",
    ]  # fmt: skip
    assert transfer.findtext("p:CdtrAcct/p:Id/p:Othr/p:Id", namespaces=NS) == "12 345"
    assert transfer.findtext("p:CdtrAgt/p:FinInstnId/p:ClrSysMmbId/p:MmbId", namespaces=NS) == "021000021"
    assert payment.findtext("p:DbtrAgt/p:FinInstnId/p:BICFI", namespaces=NS) == "COBADEFFXXX"


def test_lines_that_are_not_the_file_s_are_refused_and_so_is_a_reference_that_is_too_long() -> None:
    line = FileLine(merchant_id=1, payout_id=100, amount_minor=5, creditor=HOUSE)
    for wrong in ([line, line], [msgspec.structs.replace(line, amount_minor=6)], []):
        for render in (pain_001, as_csv):
            with pytest.raises(Conflict, match="not what it was made of"):
                render(file_of([line]), HOUSE, wrong)
    with pytest.raises(Invalid, match="more than 35 characters"):
        payout_reference(2**62, 2**62)


# --- the life of a file ---------------------------------------------------------------------------------------------


async def test_a_file_goes_from_one_person_to_another_and_then_to_the_bank(db: Database) -> None:
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    payouts = await to_pay(db)
    file = await made(db)
    assert (file.state, file.payouts, file.total_minor) == (FileState.MADE, 2, 2 * NET_OF_120)
    with pytest.raises(Conflict, match="only an approved one"):
        await of(db, file)
    with pytest.raises(Conflict, match="no payout in EUR waits"):
        await made(db)
    with pytest.raises(Conflict, match="is made"):
        await confirm(db, payouts[0])
    with pytest.raises(Forbidden, match="made by maker"):
        await db.write(WORKER, MAKER, approve_file, file.file_id)
    approved = await db.write(WORKER, CHECKER, approve_file, file.file_id)
    assert (approved.state, approved.approved_by) == (FileState.APPROVED, CHECKER)
    root = ET.fromstring(await of(db, file))  # our own
    assert [node.text for node in root.findall(".//p:EndToEndId", NS)] == [
        f"{payout.merchant_id}-{payout.payout_id}" for payout in payouts
    ]
    assert [node.text for node in root.findall(".//p:CdtrAcct/p:Id/p:IBAN", NS)] == [OTHER_IBAN] * 2
    assert (await of(db, file, "csv")).count(b"\r\n") == 3
    assert (await confirm(db, payouts[0])).state == "confirmed"
    with pytest.raises(Conflict, match="the bank has paid or returned 1"):
        await db.write(WORKER, MAKER, cancel_file, file.file_id, "refused")
    await check_books(db)


async def test_of_many_makers_at_once_each_payout_goes_into_one_file(db: Database) -> None:
    await to_pay(db, tuple(range(1, 13)))
    outcomes = await asyncio.gather(*(made(db, f"maker {n}") for n in range(6)), return_exceptions=True)
    files = [one for one in outcomes if isinstance(one, PayoutFile)]
    assert {type(one) for one in outcomes} == {PayoutFile, Conflict}
    assert sum(file.payouts for file in files) == 12
    async with db.read(WORKER) as tx:
        lines = await tx.rows("SELECT merchant_id, payout_id FROM billing.payout_file_line")
    assert len(lines) == len(set(lines)) == 12
    await check_books(db)


async def test_the_account_is_the_one_of_when_the_file_was_made(db: Database) -> None:
    await to_pay(db)
    file = await made(db)
    await db.write(WORKER, CHECKER, approve_file, file.file_id)
    before = await of(db, file), await of(db, file, "csv")
    await db.write(WORKER, MAKER, bank_accounts.reject, 1, 101, "stolen")
    async with db.engine.begin() as owner:
        await owner.exec_driver_sql("UPDATE billing.bank_account SET number = 'XX00', holder = 'thief'")
    other = msgspec.structs.replace(HOUSE, holder="Another Ltd")
    await db.write(WORKER, MAKER, set_debtor, SetDebtor(currency="EUR", party=other))
    assert (await of(db, file), await of(db, file, "csv")) == before


async def test_a_cancelled_file_frees_its_payouts_and_only_another_person_cancels_what_may_be_with_the_bank(
    db: Database,
) -> None:
    await db.write(WORKER, "admin", policies.switch, "single_operator", on=False)
    [payout, _] = await to_pay(db)
    first = await made(db)
    await db.write(WORKER, MAKER, cancel_file, first.file_id, "wrong day")
    assert (await again(db, payout)).file_id is None
    second = await made(db)
    assert (second.payouts, (await again(db, payout)).file_id) == (2, second.file_id)
    await db.write(WORKER, CHECKER, approve_file, second.file_id)
    with pytest.raises(Forbidden, match="made by checker"):
        await db.write(WORKER, CHECKER, cancel_file, second.file_id, "the bank refused it")
    cancelled = await db.write(WORKER, MAKER, cancel_file, second.file_id, "the bank refused it")
    assert (cancelled.state, cancelled.cancel_reason) == (FileState.CANCELLED, "the bank refused it")
    with pytest.raises(Conflict, match="is cancelled"):
        await db.write(WORKER, CHECKER, approve_file, second.file_id)
    with pytest.raises(Conflict, match="is cancelled"):
        await db.write(WORKER, MAKER, cancel_file, second.file_id, "again")
    await check_books(db)


async def test_what_is_held_or_has_no_account_to_go_to_is_in_no_file(db: Database) -> None:
    payouts = await to_pay(db, (1, 2, 3))
    await db.write(WORKER, MAKER, hold_payouts, 1, "suspected fraud")
    await db.write(WORKER, MAKER, bank_accounts.reject, 2, 102, "stolen")
    file = await made(db)
    assert [(await again(db, payout)).file_id for payout in payouts] == [None, None, file.file_id]
    await db.write(WORKER, MAKER, hold_payouts, 3, "suspected fraud")
    with pytest.raises(Conflict, match=r"payout 3/\d+: the merchant's payouts are held; cancel the file"):
        await db.write(WORKER, CHECKER, approve_file, file.file_id)


async def test_a_file_with_an_account_that_was_refused_meanwhile_does_not_leave(db: Database) -> None:
    await to_pay(db)
    file = await made(db)
    await db.write(WORKER, MAKER, bank_accounts.reject, 2, 102, "stolen")
    with pytest.raises(Conflict, match=r"payout 2/\d+: its bank account is rejected; cancel the file"):
        await db.write(WORKER, CHECKER, approve_file, file.file_id)


async def test_a_file_is_not_cancelled_while_the_bank_says_that_it_has_paid(db: Database) -> None:
    """The cancelling waits for the confirmation that began first, and then sees it."""
    [payout, _] = await to_pay(db)
    file = await made(db)
    await db.write(WORKER, CHECKER, approve_file, file.file_id)
    confirmed, release = asyncio.Event(), asyncio.Event()

    async def confirm_and_wait(tx: Tx) -> None:
        key = {"merchant_id": payout.merchant_id, "payout_id": payout.payout_id}
        await confirm_payout(tx, ConfirmPayout(**key, bank_ref="B-1", on=date(2018, 6, 2)))
        confirmed.set()
        await release.wait()

    confirming = asyncio.create_task(db.write(WORKER, "bank", confirm_and_wait))
    await asyncio.wait_for(confirmed.wait(), 10)
    cancelling = asyncio.create_task(db.write(WORKER, MAKER, cancel_file, file.file_id, "refused"))
    await wait_until_blocked(db)
    release.set()
    await confirming
    with pytest.raises(Conflict, match="the bank has paid or returned 1 of its payouts"):
        await cancelling
    assert (await again(db, payout)).file_id == file.file_id
    await check_books(db)


async def test_a_payout_in_a_file_keeps_its_run_from_being_reversed_and_comes_back_only_from_the_bank(
    db: Database,
) -> None:
    [payout, _] = await to_pay(db)
    file = await made(db)
    with pytest.raises(Conflict, match="is made"):
        await give_back(db, payout, ref=None)
    await db.write(WORKER, CHECKER, approve_file, file.file_id)
    with pytest.raises(Conflict, match=f"in payout file {file.file_id} for the bank"):
        await reverse_run(db, CHECKER, payout.run_id)
    assert (await give_back(db, payout, ref=None, reason="account closed")).state == "returned"
    await check_books(db)


async def test_what_has_not_left_is_called_off_with_its_run_and_so_is_its_file(db: Database) -> None:
    """The file was made and not approved; its payouts are mirrored, and the next run pays the same."""
    paid = await to_pay(db)
    file = await made(db)
    await reverse_run(db, CHECKER, paid[0].run_id)
    assert {(await again(db, payout)).state for payout in paid} == {"cancelled"}
    async with db.read(WORKER) as tx:
        cancelled = await store.get_file(tx, file.file_id)
    assert (cancelled.state, cancelled.cancel_reason) == ("cancelled", f"billing run {paid[0].run_id} is reversed")
    with pytest.raises(Conflict, match="is cancelled"):
        await db.write(WORKER, CHECKER, approve_file, file.file_id)
    await check_books(db)


async def test_without_an_account_to_pay_out_of_or_on_a_day_that_is_past_there_is_no_file(db: Database) -> None:
    await instructed(db)
    with pytest.raises(Conflict, match="which account pays out EUR"):
        await made(db)
    await db.write(WORKER, MAKER, set_debtor, SetDebtor(currency="EUR", party=HOUSE))
    with pytest.raises(Invalid, match="pay_on: 2018-09-02 is before today"):
        await db.write(WORKER, MAKER, make_file, MakeFile(currency="EUR", pay_on=date(2018, 9, 2)))
    await db.write(WORKER, MAKER, set_debtor, SetDebtor(currency="USD", party=HOUSE))
    with pytest.raises(Conflict, match="no payout in USD waits"):
        await db.write(WORKER, MAKER, make_file, MakeFile(currency="USD", pay_on=TODAY))
    wrong = msgspec.structs.replace(HOUSE, number="DE88370400440532013000")
    with pytest.raises(Invalid, match="check digits"):
        await db.write(WORKER, MAKER, set_debtor, SetDebtor(currency="EUR", party=wrong))
    async with db.read(WORKER) as tx:
        assert await store.list_files(tx, limit=9) == []


async def test_from_the_command_line_to_the_bank(db: Database, tmp_path: Path) -> None:
    """Made, approved and written in processes of their own; the same bytes both times, and a clear word before."""
    await instructed(db, (1, 2))
    target = tmp_path / "payouts.xml"
    account = ("--currency", "EUR", "--holder", "The house", "--number", HOUSE.number, "--routing", HOUSE.routing)
    with command_line() as run:
        assert run("payouts", "account", *account, database=db.url).value["routing"] == HOUSE.routing
        file = run("payouts", "make", "--currency", "EUR", "--on", "2018-09-03", database=db.url).value
        export = ("payouts", "export", str(file["file_id"]), "--to", str(target))
        early = run(*export, database=db.url)
        assert "only an approved one" in early.refusal
        assert run("payouts", "approve", str(file["file_id"]), database=db.url).value["state"] == "approved"
        sizes = [run(*export, database=db.url).value["bytes"] for _ in range(2)]
    async with db.read(WORKER) as tx:
        content = await read_bytes(tx, file["file_id"], "xml")
    assert target.read_bytes() == content  # a small file
    assert sizes == [len(content)] * 2
