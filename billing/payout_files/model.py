"""A file of payouts as a value, and its bytes: ISO 20022 pain.001.001.09, or CSV with the same content. Pure.

The bytes follow from the file and its lines alone, which never change: made again they are the same.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from xml.etree import ElementTree as ET

import msgspec

from billing.bank_accounts.model import Scheme
from marketplace.core.errors import Conflict, Invalid
from marketplace.core.money import text_from_minor

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
REFERENCE_LENGTH_MAX = 35
"""Of an EndToEndId (ISO 20022 type Max35Text)."""
NAME_LENGTH_MAX = 140

_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")


class FileState(StrEnum):
    MADE = "made"
    APPROVED = "approved"
    CANCELLED = "cancelled"


_S = FileState
MOVES: dict[FileState, frozenset[FileState]] = {
    _S.MADE: frozenset({_S.APPROVED, _S.CANCELLED}),
    _S.APPROVED: frozenset({_S.CANCELLED}),
    _S.CANCELLED: frozenset(),
}


def check_move(file_id: int, now: FileState, then: FileState) -> None:
    """Raise Conflict when a file in state `now` cannot become `then`."""
    if then not in MOVES[now]:
        raise Conflict(f"payout file {file_id} is {now}; it cannot become {then}", state=now.value)


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays or is paid, and the account. routing: a BIC, or the bank's code in its country; empty if not known."""

    holder: str
    scheme: Scheme
    number: str
    routing: str


class PayoutFile(msgspec.Struct, frozen=True, kw_only=True):
    """An instruction to the bank: payouts in one currency, out of one account of the entity, on one day."""

    file_id: int
    entity_id: int
    currency: str
    pay_on: date
    payouts: int
    total_minor: int
    state: FileState
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    cancelled_by: str | None
    cancelled_at: datetime | None
    cancel_reason: str | None


class FileLine(msgspec.Struct, frozen=True, kw_only=True):
    """One payout of a file, to the account as it was when the file was made."""

    merchant_id: int
    payout_id: int
    amount_minor: int
    creditor: Party

    @property
    def reference(self) -> str:
        return payout_reference(self.merchant_id, self.payout_id)


def payout_reference(merchant_id: int, payout_id: int) -> str:
    """What the bank calls a payout, end to end. Raises Invalid for ids that make it too long."""
    reference = f"{merchant_id}-{payout_id}"
    if len(reference) > REFERENCE_LENGTH_MAX:
        raise Invalid(f"payout {payout_id}: its reference has more than {REFERENCE_LENGTH_MAX} characters")
    return reference


def check_sums(file: PayoutFile, lines: Sequence[FileLine]) -> None:
    """Raise Conflict unless the lines are as many as the file says and sum to its total: no bank gets another file."""
    if (len(lines), sum(line.amount_minor for line in lines)) != (file.payouts, file.total_minor):
        raise Conflict(f"payout file {file.file_id}: its lines are not what it was made of")


def pain_001(file: PayoutFile, debtor: Party, lines: Sequence[FileLine]) -> bytes:
    """The file as pain.001.001.09: one payment information, of the debtor's account and the day."""
    check_sums(file, lines)
    total = text_from_minor(file.total_minor, file.currency)
    root = ET.Element("Document", xmlns=NAMESPACE)
    initiation = ET.SubElement(root, "CstmrCdtTrfInitn")
    header = ET.SubElement(initiation, "GrpHdr")
    _leaf(header, "MsgId", f"PAYOUT-{file.file_id}")
    _leaf(header, "CreDtTm", f"{file.made_at:%Y-%m-%dT%H:%M:%SZ}")
    _leaf(header, "NbOfTxs", str(file.payouts))
    _leaf(header, "CtrlSum", total)
    _leaf(ET.SubElement(header, "InitgPty"), "Nm", debtor.holder[:NAME_LENGTH_MAX])
    payment = ET.SubElement(initiation, "PmtInf")
    _leaf(payment, "PmtInfId", f"PAYOUT-{file.file_id}-1")
    _leaf(payment, "PmtMtd", "TRF")
    _leaf(payment, "NbOfTxs", str(file.payouts))
    _leaf(payment, "CtrlSum", total)
    _leaf(ET.SubElement(payment, "ReqdExctnDt"), "Dt", file.pay_on.isoformat())
    _leaf(ET.SubElement(payment, "Dbtr"), "Nm", debtor.holder[:NAME_LENGTH_MAX])
    _account(payment, "DbtrAcct", debtor, file.currency)
    agent = ET.SubElement(ET.SubElement(payment, "DbtrAgt"), "FinInstnId")
    if debtor.routing:
        _routing(agent, debtor.routing)
    else:
        _leaf(ET.SubElement(agent, "Othr"), "Id", "NOTPROVIDED")
    _leaf(payment, "ChrgBr", "SLEV")
    for line in lines:
        _transfer(payment, file, line)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _transfer(payment: ET.Element, file: PayoutFile, line: FileLine) -> None:
    transfer = ET.SubElement(payment, "CdtTrfTxInf")
    _leaf(ET.SubElement(transfer, "PmtId"), "EndToEndId", line.reference)
    amount = ET.SubElement(ET.SubElement(transfer, "Amt"), "InstdAmt", Ccy=file.currency)
    amount.text = text_from_minor(line.amount_minor, file.currency)
    if line.creditor.routing:
        _routing(ET.SubElement(ET.SubElement(transfer, "CdtrAgt"), "FinInstnId"), line.creditor.routing)
    _leaf(ET.SubElement(transfer, "Cdtr"), "Nm", line.creditor.holder[:NAME_LENGTH_MAX])
    _account(transfer, "CdtrAcct", line.creditor)
    _leaf(ET.SubElement(transfer, "RmtInf"), "Ustrd", f"Payout {line.reference}")


def _account(parent: ET.Element, tag: str, party: Party, currency: str = "") -> None:
    account = ET.SubElement(parent, tag)
    named = ET.SubElement(account, "Id")
    if party.scheme is Scheme.IBAN:
        _leaf(named, "IBAN", party.number)
    else:
        _leaf(ET.SubElement(named, "Othr"), "Id", party.number)
    if currency:
        _leaf(account, "Ccy", currency)


def _routing(agent: ET.Element, routing: str) -> None:
    """A BIC where it is one, else the bank's code in its clearing system."""
    if _BIC.fullmatch(routing):
        _leaf(agent, "BICFI", routing)
    else:
        _leaf(ET.SubElement(agent, "ClrSysMmbId"), "MmbId", routing)


def _leaf(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


CSV_COLUMNS = (
    "reference", "pay_on", "amount", "currency", "creditor", "scheme", "account", "routing",
    "debtor", "debtor_scheme", "debtor_account", "debtor_routing",
)  # fmt: skip


def as_csv(file: PayoutFile, debtor: Party, lines: Sequence[FileLine]) -> bytes:
    """The file as CSV: a header, and a line per payout; amounts in major units with a point."""
    check_sums(file, lines)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        amount = text_from_minor(line.amount_minor, file.currency)
        parties = [
            value
            for party in (line.creditor, debtor)
            for value in (party.holder, party.scheme, party.number, party.routing)
        ]
        writer.writerow([line.reference, file.pay_on.isoformat(), amount, file.currency, *parties])
    return text.getvalue().encode()
