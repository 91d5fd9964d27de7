"""E-invoices of EN 16931: valid by their schemas (the library refuses others), and clear about what they need."""

import subprocess
import sys
from datetime import date

import msgspec
import pytest

from billing.documents.model import Category, Kind, Line, Party, Tax
from marketplace.core.errors import Conflict
from marketplace.flows.documents.render_einvoice import SYNTAXES, render_einvoice
from tests.documents.test_pdf import invoice


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_document_is_valid(kind: Kind, syntax: str) -> None:
    pytest.importorskip("facturx")
    lines = (
        Line(category=Category.REFUND, description="", quantity=3, vat_ppm=55_000, net_minor=-1_000),
        Line(category=Category.SUBSCRIPTION, description="Tool", quantity=1, vat_ppm=0, net_minor=9_000,
             from_on=date(2018, 5, 4), to_on=date(2019, 5, 4)),
    )  # fmt: skip
    taxes = (Tax(vat_ppm=55_000, net_minor=-1_000, vat_minor=-55), Tax(vat_ppm=0, net_minor=9_000, vat_minor=0))
    written = invoice(kind=kind, corrects_id=9, net_minor=8_000, vat_minor=-55, due_on=date(2018, 7, 1))
    xml = render_einvoice(msgspec.structs.replace(written, lines=lines, taxes=taxes), "en", syntax)
    assert xml == render_einvoice(msgspec.structs.replace(written, lines=lines, taxes=taxes), "en", syntax)
    said = xml.decode()
    assert all(part in said for part in (written.number, "1-INV-01-000041", "79.45", "-0.55", "Commission on refunds"))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_amount_has_as_many_decimals_as_its_currency_and_at_most_two(syntax: str) -> None:
    """BR-DEC: dinars have three, of which an e-invoice takes those that are two in truth; yen have none."""
    pytest.importorskip("facturx")

    def said(currency: str, net: int, vat: int) -> str:
        lines = (Line(category=Category.COMMISSION, description="", quantity=1, vat_ppm=50_000, net_minor=net),)
        taxes = (Tax(vat_ppm=50_000, net_minor=net, vat_minor=vat),)
        written = invoice(currency=currency, net_minor=net, vat_minor=vat, due_on=date(2018, 7, 1))
        return render_einvoice(msgspec.structs.replace(written, lines=lines, taxes=taxes), "en", syntax).decode()

    dinars, yen = said("KWD", 10_200, 510), said("JPY", 10_000, 500)
    assert all(f">{amount}<" in dinars for amount in ("10.20", "0.51", "10.71"))
    assert all(f">{amount}<" in yen for amount in ("10000", "500", "10500"))
    with pytest.raises(Conflict, match=r"10\.205 BHD has 3 decimals; in an e-invoice of EN 16931 an amount has"):
        said("BHD", 10_205, 510)


def test_without_a_country_there_is_none() -> None:
    pytest.importorskip("facturx")
    with pytest.raises(Conflict, match="Nowhere Ltd has no country"):
        render_einvoice(invoice(buyer=Party(name="Nowhere Ltd")), "en", "cii")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "billing.documents.einvoice", raising=False)
    monkeypatch.setitem(sys.modules, "facturx", None)
    with pytest.raises(Conflict, match=r"install marketplace-operations\[einvoice\]"):
        render_einvoice(invoice(), "en", "ubl")


def test_nothing_else_needs_it() -> None:
    """The program runs without the extra: no module but one imports it."""
    loads = "import marketplace.app, marketplace.cli.documents, sys; print('facturx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
