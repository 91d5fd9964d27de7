"""Documents as e-invoices of EN 16931, in CII or UBL, each checked against its schema. Needs the extra `einvoice`.

Nothing else imports this module; `marketplace.flows.documents.render_einvoice` does when it is asked to.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import facturx

from billing.documents.model import Category, Document, Kind, Line, Party, Subject, Syntax, Tax, Written
from marketplace.core.errors import Conflict
from marketplace.core.money import text_from_minor

LEVEL = "en16931"
_FLAVOR = {"cii": "factur-x", "ubl": "ubl-2.1"}
_TYPE_CODE = {
    Kind.INVOICE: "380",
    Kind.CREDIT_NOTE: "381",
    Kind.SELF_BILLED_INVOICE: "389",
    Kind.SELF_BILLED_CREDIT_NOTE: "261",
}
"""UNTDID 1001."""
_ONE = "C62"
"""UN/ECE recommendation 20: one, of whatever it is."""
_EXEMPT_REASON = "Not subject to VAT"
_DECIMALS_MAX = 2
"""BR-DEC-01 to 28: of every amount, whatever its currency has."""
_SETTLED = {Subject.CLAIM: "Taken off the claim"}


def write_einvoice(written: Written, syntax: Syntax, names: Mapping[Category, str]) -> bytes:
    """The document as XML. names: what its lines charge for.

    Raises Conflict where a party has no country, without which there is no e-invoice, and for an amount with more
    decimals than one may have.
    """
    one = written.document
    for party in (one.seller, one.buyer):
        if not party.country:
            raise Conflict(f"document {written.number}: {party.name} has no country; set it in its billing details")
    xml = facturx.generate_xml(
        _fields(written, names), flavor=_FLAVOR[syntax], level=LEVEL, check_xsd=True, check_schematron=False
    )
    assert isinstance(xml, bytes)
    return xml


def _fields(written: Written, names: Mapping[Category, str]) -> dict[str, Any]:
    """What the business terms (BT) and groups (BG) of EN 16931 are; BT-106 to BT-115 by BR-CO-10 to 16."""
    one = written.document

    def amount(minor: int) -> str:
        return _amount(minor, one)

    fields: dict[str, Any] = {
        "BT-1": written.number,
        "BT-2": one.issued_on,
        "BT-3": _TYPE_CODE[one.kind],
        "BT-5": one.currency,
        "BT-24": "urn:cen.eu:en16931:2017",
        "BT-72": one.to_on - timedelta(days=1),
        "BT-73": one.from_on,
        "BT-74": one.to_on - timedelta(days=1),
        "BT-106": amount(one.net_minor),
        "BT-109": amount(one.net_minor),
        "BT-110": amount(one.vat_minor),
        "BT-112": amount(one.gross_minor),
        "BT-115": amount(one.gross_minor),
        "BT-20": None if one.due_on else _SETTLED.get(one.subject, "Settled with the merchant's earnings"),
        "BT-9": one.due_on,
        "BG-4": _party(one.seller),
        "BG-7": _party(one.buyer),
        "BG-23": [_tax(tax, one) for tax in written.taxes],
        "BG-25": [_line(place, line, one, names) for place, line in enumerate(written.lines, start=1)],
    }
    if one.corrects_id is not None:
        fields["BG-3"] = [{"BT-25": written.numbers[str(one.corrects_id)]}]
    return {name: value for name, value in fields.items() if value is not None}


def _party(party: Party) -> dict[str, Any]:
    rows = dict(zip(("addr_l1", "addr_l2", "addr_l3"), party.address.splitlines(), strict=False))
    named = {"name": party.name, "country_code": party.country, **rows}
    return {**named, "vat_identifier": party.tax_id} if party.tax_id else named


def _amount(minor: int, one: Document) -> str:
    text = text_from_minor(minor, one.currency)
    whole, _, fraction = text.partition(".")
    if fraction[_DECIMALS_MAX:].strip("0"):
        raise Conflict(
            f"document {one.number}: {text} {one.currency} has {len(fraction)} decimals; in an e-invoice of EN 16931"
            f" an amount has at most {_DECIMALS_MAX}; send it as PDF"
        )
    return f"{whole}.{fraction[:_DECIMALS_MAX]}" if fraction else whole


def _category(vat_ppm: int) -> str:
    """UNCL5305: standard rate, or exempt."""
    return "S" if vat_ppm else "E"


def _percent(vat_ppm: int) -> str:
    return f"{vat_ppm // 10_000}.{vat_ppm % 10_000:04d}".rstrip("0").rstrip(".")


def _tax(tax: Tax, one: Document) -> dict[str, Any]:
    fields = {
        "BT-116": _amount(tax.net_minor, one),
        "BT-117": _amount(tax.vat_minor, one),
        "BT-118": _category(tax.vat_ppm),
        "BT-119": _percent(tax.vat_ppm),
    }
    return fields if tax.vat_ppm else {**fields, "BT-120": _EXEMPT_REASON}


def _line(place: int, line: Line, one: Document, names: Mapping[Category, str]) -> dict[str, Any]:
    """One piece at the line's net: a price is never negative (BR-27), a quantity may be."""
    fields: dict[str, Any] = {
        "BT-126": str(place),
        "BT-129": "-1" if line.net_minor < 0 else "1",
        "BT-130": _ONE,
        "BT-131": _amount(line.net_minor, one),
        "BT-146": _amount(abs(line.net_minor), one),
        "BT-151": _category(line.vat_ppm),
        "BT-152": _percent(line.vat_ppm),
        "BT-153": names[line.category],
        "BT-154": line.description or None,
    }
    if line.from_on is not None and line.to_on is not None:
        fields |= {"BT-134": line.from_on, "BT-135": line.to_on - timedelta(days=1)}
    return {name: value for name, value in fields.items() if value is not None}
