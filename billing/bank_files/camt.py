"""camt.052, .053 and .054 (ISO 20022), versions 02 and later: statements, intraday reports and notifications. Pure.

The document is read as a stream and forgotten entry by entry. Entities, document types and the network are off, and the
parser's own limits (of depth, of one text) are on.
An entry whose details carry amounts that sum to it is one line for each of them, else one line.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
from lxml import etree

from billing.bank_files.model import Items, Kind, Line, Statement, Unreadable
from billing.bank_files.text import amount, day, short
from marketplace.core.money import text_from_minor

DETAILS_MAX = 100_000
"""Of one entry, which is held until it ends."""
HELD_BYTES_MAX = 2**25
"""Of what is no entry."""

_KINDS = {"Stmt": Kind.STATEMENT, "Rpt": Kind.INTERIM, "Ntfctn": Kind.NOTIFICATION}
_MESSAGES = {"BkToCstmrStmt", "BkToCstmrAcctRpt", "BkToCstmrDbtCdtNtfctn"}
_SIGNS = {"CRDT": 1, "DBIT": -1}
_OPENING, _CLOSING = ("OPBD", "PRCD", "ITBD"), ("CLBD", "ITBD")
_JOINED = ("RmtInf/Ustrd",)

Leaves = dict[str, str]
"""Texts of an element by the path to them, the first where there are several; attributes as `Amt@Ccy`."""


class _Open(msgspec.Struct):
    """A statement that is being read. sums: of its entries by CdtDbtInd, as number and amount."""

    kind: Kind
    place: str
    leaves: Leaves
    balances: dict[str, tuple[int, str, str]]
    details: list[Leaves]
    sums: dict[str, list[int]]
    currencies: set[str]
    entries: int = 0


def read(stream: BinaryIO) -> Items:
    """The lines and statements of a document. Raises Unreadable naming the element."""
    statement: _Open | None = None
    statements = entries = 0
    for event, element in _events(stream):
        name, parent = _local(element), _parent(element)
        if event == "start" and name in _KINDS and parent in _MESSAGES:
            statements += 1
            sums = {"CRDT": [0, 0], "DBIT": [0, 0]}
            statement = _Open(_KINDS[name], f"{name} {statements}", {}, {}, [], sums, set())
        if event == "start" or statement is None:
            continue
        if name == "TxDtls":
            _detail(statement, element)
        elif name == "Ntry" and parent in _KINDS:
            entries += 1
            yield from _entry(statement, entries, _leaves(element))
            _forget(element)
        elif name == "Bal" and parent in _KINDS:
            _balance(statement, _leaves(element))
        elif name in _KINDS and parent in _MESSAGES:
            statement.leaves = _leaves(element)
            yield _closed(statement)
            statement = None
            _forget(element)
    if not statements:
        raise Unreadable("the document holds no Stmt, Rpt or Ntfctn")


class _Measured:
    """A stream of which so much may be read without meeting anything of interest: the tree of all that is held."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.held = 0

    def read(self, size: int) -> bytes:
        chunk = self.stream.read(size)
        self.held += len(chunk)
        if self.held > HELD_BYTES_MAX:
            raise Unreadable(f"there are more than {HELD_BYTES_MAX:,} bytes without an entry or a balance")
        return chunk


def _events(stream: BinaryIO) -> Iterator[tuple[str, Any]]:
    measured = _Measured(stream)
    parsed = etree.iterparse(
        measured,
        events=("start", "end"),
        tag=[f"{{*}}{name}" for name in (*_KINDS, "Bal", "Ntry", "TxDtls")],
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for event, element in parsed:
            measured.held = 0
            if event == "start" and element.getroottree().docinfo.doctype:
                raise Unreadable("the document declares a document type (DTD); none is let in")
            yield event, element
    except etree.XMLSyntaxError as fault:
        raise Unreadable(f"line {fault.lineno}: is not well-formed XML: {fault.msg}") from fault


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _parent(element: Any) -> str:
    parent = element.getparent()
    return "" if parent is None else _local(parent)


def _forget(element: Any) -> None:
    """Free an element and those before it under the same parent."""
    element.clear(keep_tail=False)
    while (before := element.getprevious()) is not None and _local(before) in {"TxDtls", "Ntry", *_KINDS}:
        element.getparent().remove(before)


def _leaves(element: Any) -> Leaves:
    found: Leaves = {}
    pending = [(child, _local(child)) for child in reversed(element)]
    while pending:
        at, path = pending.pop()
        for name, value in at.attrib.items():
            found.setdefault(f"{path}@{name}", value)
        if len(at):
            pending.extend((child, f"{path}/{_local(child)}") for child in reversed(at))
        elif at.text and (text := at.text.strip()):
            if path in found and path.endswith(_JOINED):
                found[path] += " " + text
            else:
                found.setdefault(path, text)
    return found


def _first(leaves: Leaves, *paths: str) -> str:
    return next((leaves[path] for path in paths if leaves.get(path)), "")


def _signed(place: str, leaves: Leaves, sign: str, path: str = "Amt") -> tuple[int, str]:
    """An amount in minor units and its currency; in ISO 20022 the sign stands apart from it."""
    currency = leaves.get(f"{path}@Ccy", "")
    text = leaves.get(path, "")
    if text.startswith(("-", "+")):
        raise Unreadable(f"{place}/{path}: {text[:20]!r} has a sign; CdtDbtInd has it")
    if sign not in _SIGNS:
        raise Unreadable(f"{place}/CdtDbtInd: {sign[:20]!r} is neither CRDT nor DBIT")
    return _SIGNS[sign] * amount(f"{place}/{path}", text, currency), currency


def _detail(statement: _Open, element: Any) -> None:
    statement.details.append(_leaves(element))
    if len(statement.details) > DETAILS_MAX:
        raise Unreadable(f"{statement.place}: an entry has more than {DETAILS_MAX:,} details")
    _forget(element)


def _balance(statement: _Open, leaves: Leaves) -> None:
    code = _first(leaves, "Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry", "Tp/Cd")
    place = f"{statement.place}/Bal {code}"
    minor, currency = _signed(place, leaves, leaves.get("CdtDbtInd", ""))
    known = statement.balances.get(code)
    if known is None or code in _CLOSING:  # of several intermediate ones the first opens and the last closes
        statement.balances.setdefault(f"{code} first", (minor, currency, _first(leaves, "Dt/Dt", "Dt/DtTm")))
        statement.balances[code] = minor, currency, _first(leaves, "Dt/Dt", "Dt/DtTm")


def _entry(statement: _Open, number: int, leaves: Leaves) -> Iterator[Line]:
    statement.entries += 1
    place = f"{statement.place}/Ntry {statement.entries}"
    indicator = leaves.get("CdtDbtInd", "")
    minor, currency = _signed(place, leaves, indicator)
    statement.currencies.add(currency)
    counted = statement.sums[indicator]
    counted[0] += 1
    counted[1] += abs(minor)
    booked_on, value_on = _day(place, leaves, "BookgDt"), _day(place, leaves, "ValDt")
    if booked_on is None and value_on is None:
        raise Unreadable(f"{place}: has neither BookgDt nor ValDt")
    whole: dict[str, Any] = {
        "position": number,
        "day": booked_on or value_on,
        "value_day": value_on,
        "currency": currency,
        "type_code": _type_code(leaves),
        "booked": _first(leaves, "Sts/Cd", "Sts") in {"BOOK", ""},
    }
    reversal = leaves.get("RvslInd") in {"true", "1"}
    parts = _parts(place, statement.details, minor, currency, indicator)
    if len(parts) < 2:  # its only details add to the entry what they know
        [only] = [details for _, details in parts] or [statement.details[0] if len(statement.details) == 1 else {}]
        parts = [(minor, only)]
    for part, details in parts:
        texts = _texts(place, leaves, details, paid_in=(details.get("CdtDbtInd", indicator) == "CRDT") is not reversal)
        yield Line(**whole, **texts, amount_minor=part)
    statement.details = []


def _parts(place: str, details: list[Leaves], minor: int, currency: str, indicator: str) -> list[tuple[int, Leaves]]:
    """Each detail with its amount, when they are several and sum to the entry's; else none."""
    if len(details) < 2:
        return []
    parts = []
    for number, one in enumerate(details, start=1):
        path = next((path for path in ("Amt", "AmtDtls/TxAmt/Amt") if path in one), None)
        if path is None or one.get(f"{path}@Ccy") != currency:
            return []
        signed, _ = _signed(f"{place}/TxDtls {number}", one, one.get("CdtDbtInd", indicator), path)
        parts.append((signed, one))
    return parts if sum(part for part, _ in parts) == minor else []


def _texts(place: str, leaves: Leaves, details: Leaves, *, paid_in: bool) -> dict[str, Any]:
    other = "Dbtr" if paid_in else "Cdtr"
    texts = {
        "bank_ref": _first(details, "Refs/AcctSvcrRef") or _first(leaves, "AcctSvcrRef", "NtryRef"),
        "end_to_end": _first(details, "Refs/EndToEndId", "Refs/InstrId"),
        "batch_ref": _first(leaves | details, "NtryDtls/Btch/PmtInfId", "NtryDtls/Btch/MsgId", "Refs/PmtInfId"),
        "party": _first(details, f"RltdPties/{other}/Pty/Nm", f"RltdPties/{other}/Nm", f"RltdPties/{other}/Agt/Nm"),
        "party_account": _first(details, f"RltdPties/{other}Acct/Id/IBAN", f"RltdPties/{other}Acct/Id/Othr/Id"),
        "text": _first(details, "RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "AddtlTxInf")
        or _first(leaves, "AddtlNtryInf"),
    }
    if texts["end_to_end"] == "NOTPROVIDED":
        texts["end_to_end"] = ""
    return {name: short(f"{place}/{name}", text) for name, text in texts.items()}


def _type_code(leaves: Leaves) -> str:
    domain = [leaves.get(f"BkTxCd/Domn/{path}", "") for path in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")]
    return "/".join(filter(None, domain)) or _first(leaves, "BkTxCd/Prtry/Cd")


def _day(place: str, leaves: Leaves, path: str) -> Any:
    text = _first(leaves, f"{path}/Dt", f"{path}/DtTm")
    return day(f"{place}/{path}", text) if text else None


def _closed(statement: _Open) -> Statement:
    leaves, place = statement.leaves, statement.place
    account = _first(leaves, "Acct/Id/IBAN", "Acct/Id/Othr/Id")
    if not account:
        raise Unreadable(f"{place}/Acct/Id: names no account")
    flaws = list(_wrong_totals(statement))
    opening, opened = _stated(statement, [f"{code} first" for code in _OPENING])
    closing, closed = _stated(statement, _CLOSING)
    currency = _currency(statement)
    for what, balance in (("opening", opened), ("closing", closed)):
        if balance and balance[1] != currency:
            flaws.append(f"{place}: the {what} balance is in {balance[1]}, the account in {currency}")
    if statement.kind is Kind.STATEMENT and (opening is None or closing is None):
        flaws.append(f"{place}: has no {'opening' if opening is None else 'closing'} balance")
    from_text = _first(leaves, "FrToDt/FrDtTm", "FrToDt/FrDt") or (opened[2] if opened else "")
    to_text = _first(leaves, "FrToDt/ToDtTm", "FrToDt/ToDt") or (closed[2] if closed else "")
    return Statement(
        kind=statement.kind,
        account=short(place, account),
        currency=currency,
        number=_first(leaves, "LglSeqNb", "ElctrncSeqNb"),
        reference=short(place, leaves.get("Id", "")),
        from_day=day(f"{place}/FrToDt", from_text) if from_text else None,
        to_day=day(f"{place}/FrToDt", to_text) if to_text else None,
        opening_minor=opening if opened and opened[1] == currency else None,
        closing_minor=closing if closed and closed[1] == currency else None,
        flaws=tuple(flaws),
    )


def _currency(statement: _Open) -> str | None:
    """The account's, else that of its balances, else that of all entries."""
    said = statement.leaves.get("Acct/Ccy") or next((balance[1] for balance in statement.balances.values()), None)
    return said or (next(iter(statement.currencies)) if len(statement.currencies) == 1 else None)


def _stated(statement: _Open, codes: Any) -> tuple[int | None, tuple[int, str, str] | None]:
    balance = next((statement.balances[code] for code in codes if code in statement.balances), None)
    return (balance[0] if balance else None), balance


def _wrong_totals(statement: _Open) -> Iterator[str]:
    """What of the summary is not so of the entries."""
    sums = statement.sums
    found = {
        "TtlNtries": (sums["CRDT"][0] + sums["DBIT"][0], sums["CRDT"][1] + sums["DBIT"][1]),
        "TtlCdtNtries": tuple(sums["CRDT"]),
        "TtlDbtNtries": tuple(sums["DBIT"]),
    }
    currency = _currency(statement)
    for name, (count, minor) in found.items():
        path = f"TxsSummry/{name}"
        stated = statement.leaves.get(f"{path}/NbOfNtries")
        if stated and stated.lstrip("0") != str(count).lstrip("0"):
            yield f"{statement.place}/{path}: counts {stated[:20]} entries, there are {count}"
        stated = statement.leaves.get(f"{path}/Sum")
        if stated and currency and amount(f"{statement.place}/{path}/Sum", stated, currency) != minor:
            made = f"{text_from_minor(minor, currency)} {currency}"
            yield f"{statement.place}/{path}: sums to {stated[:20]}, the entries to {made}"
