"""Documents as a reader sees them: the words of its language around what is stored, set as PDF."""

from pathlib import Path
from typing import Any

from billing.documents.model import Category, Document, Line, Party, State, Subject, Tax, Written
from billing.documents.pdf import typesetter
from marketplace.core.rates import PPM, apply_half_even
from marketplace.web.i18n import Speech, speech


def render_document(written: Written, language: str, fonts: Path | None) -> bytes:
    """The document in a language, as PDF: the same bytes every time.

    Raises GlyphsMissing when no font has a character of it.
    """
    said = content(written, speech(language))
    return typesetter(fonts).write(written.number, said, written.document.issued_on)


def content(written: Written, say: Speech) -> dict[str, Any]:
    """What the template writes, every word and amount as the reader writes them."""
    one = written.document
    language, _, region = say.language.locale.partition("_")
    word = say.label("document_kind", one.kind)
    gross = say.money(one.gross_minor, one.currency)
    return {
        "title": f"{word} {written.number}",
        "lang": language,
        "region": region.rpartition("_")[2] or None,
        "kind": word,
        "stamp": say.label("document_state", one.state) if one.state is State.VOID else "",
        "seller": _party(one.seller, say),
        "buyer": _party(one.buyer, say),
        "labels": {
            "seller": say.text("document.seller"),
            "buyer": say.text("document.buyer"),
            "what": say.text("document.what"),
            "quantity": say.text("document.quantity"),
            "rate": say.text("document.rate"),
            "net": say.text("document.net", currency=one.currency),
            "taxable": say.text("document.taxable"),
            "vat": say.text("document.vat"),
            "total": say.label("document_total", "credited" if one.kind.credits else "charged"),
        },
        "facts": _facts(written, say),
        "lines": [_line(line, one, say) for line in written.lines],
        "taxes": [_tax(tax, one.currency, say) for tax in written.taxes],
        "sums": [
            [say.text("document.net_total"), say.amount(one.net_minor, one.currency)],
            [say.text("document.vat_total"), say.amount(one.vat_minor, one.currency)],
        ],
        "total": gross,
        "notes": _notes(written, say),
        "footer": " · ".join(filter(None, (one.seller.name, one.seller.tax_id, written.number))),
        "page": say.text("document.page", page="{page}", pages="{pages}"),
    }


def _party(party: Party, say: Speech) -> dict[str, Any]:
    country = say.country(party.country)
    rows = [row for row in (*party.address.splitlines(), country) if row]
    return {
        "name": party.name,
        "rows": rows + ([say.text("document.tax_id", tax_id=party.tax_id)] * bool(party.tax_id)),
    }


def _facts(written: Written, say: Speech) -> list[list[str]]:
    one = written.document
    facts = [
        [say.text("document.number"), written.number],
        [say.text("document.issued_on"), say.day(one.issued_on)],
        [say.text("document.period"), _period(one, say)],
    ]
    if one.due_on is not None:
        facts.append([say.text("document.due_on"), say.day(one.due_on)])
    if one.corrects_id is not None:
        facts.append([say.text("document.corrects"), written.numbers[str(one.corrects_id)]])
    if one.replaces_id is not None:
        facts.append([say.text("document.replaces"), written.numbers[str(one.replaces_id)]])
    return facts


def _period(one: Document | Line, say: Speech) -> str:
    """A calendar month by its name, any other period by its first and last day."""
    assert one.from_on is not None
    assert one.to_on is not None
    last = one.to_on.fromordinal(one.to_on.toordinal() - 1)
    if one.from_on.day == 1 and one.to_on.day == 1 and one.from_on.replace(day=1) == last.replace(day=1):
        return say.month(one.from_on)
    return f"{say.day(one.from_on)} – {say.day(last)}"


def _line(line: Line, one: Document, say: Speech) -> dict[str, str]:
    detail = " · ".join(filter(None, (line.description, _period(line, say) if line.from_on else "")))
    return {
        "what": say.label("document_line", line.category),
        "detail": detail,
        "quantity": say.number(line.quantity),
        "rate": _rate(line.vat_ppm, say),
        "net": say.amount(line.net_minor, one.currency),
    }


def _tax(tax: Tax, currency: str, say: Speech) -> list[str]:
    amounts = (say.amount(tax.net_minor, currency), say.amount(tax.vat_minor, currency))
    return [_rate(tax.vat_ppm, say), *amounts]


def _rate(vat_ppm: int, say: Speech) -> str:
    """A rate with as many digits as it needs."""
    digits = next(digits for digits in range(5) if vat_ppm * 10**digits * 100 % PPM == 0)
    return say.percent(vat_ppm, digits)


def _notes(written: Written, say: Speech) -> list[str]:
    one = written.document
    notes = []
    if one.kind.self_billed:
        notes.append(say.text("document.self_billed", seller=one.seller.name, buyer=one.buyer.name))
    elif one.subject is Subject.CLAIM:
        notes.append(say.text("document.with_claim") if one.due_on else say.text("document.off_claim"))
    elif one.kind.credits:
        notes.append(say.text("document.credited"))
    elif one.subject is Subject.TOP_UP:
        notes.append(say.text("document.paid"))
    elif one.due_on is None:
        notes.append(say.text("document.netted"))
    if one.reverses_id is not None:
        notes.append(say.text("document.takes_back", number=written.numbers[str(one.reverses_id)]))
    if any(tax.vat_minor != apply_half_even(tax.net_minor, tax.vat_ppm) for tax in written.taxes):
        notes.append(say.text("document.vat_difference"))
    if any(line.category is Category.FEES for line in written.lines):
        notes.append(say.text("document.fees_note"))
    if one.state is State.VOID:
        notes.append(say.text("document.void_note", reason=one.void_reason or ""))
    return notes
