"""PDFs: the same bytes always, in every language that fonts can write, and never an empty box."""

import hashlib
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from billing.documents.model import PER_RUN, Category, Document, Fact, Kind, Line, Party, State, Subject, Written, write
from billing.documents.pdf import GlyphsMissing
from marketplace.core.db import Database
from marketplace.core.errors import Invalid
from marketplace.flows.documents.export_documents import export_documents
from marketplace.flows.documents.render_document import content, render_document
from marketplace.web.i18n import LANGUAGES, speech
from tests.billing.commands import command_line
from tests.billing.market import billed, order, settled_market
from tests.documents.market import LAMPS, MAY_10
from tests.documents.test_arithmetic import stored

SHARE = "from tests.documents.test_pdf import *; print(digest(render_document(invoice(), 'pt', None)))"


def invoice(lines: int = 3, **changes: Any) -> Written:
    said = [
        Fact(
            merchant_id=1, currency="EUR", subject=Subject.PERIOD, category=Category.COMMISSION, vat_ppm=200_000,
            net_minor=100_000 + place, vat_minor=20_000, description=f"part {place}",
        )
        for place in range(lines)
    ]  # fmt: skip
    [draft] = write(said, run_id=7)
    seller = Party(name="Marketplace SAS", address="12 rue de la Paix\n75002 Paris", country="FR", tax_id="FR1")
    document = msgspec.structs.replace(
        stored(draft), **{"seller": seller, "buyer": LAMPS.party, "issued_on": date(2018, 6, 2), **changes}
    )
    numbers = {"9": "1-INV-01-000041"}
    return Written(document=document, lines=draft.lines, taxes=draft.taxes, numbers=numbers)


def digest(pdf: bytes) -> str:
    return hashlib.sha256(pdf).hexdigest()


@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_same_document_is_the_same_bytes(language: str) -> None:
    first, second = (render_document(invoice(), language, None) for _ in range(2))
    assert first.startswith(b"%PDF-")
    assert first == second
    assert first != render_document(invoice(lines=2), language, None)


def test_another_process_writes_the_same_bytes() -> None:
    done = subprocess.run([sys.executable, "-c", SHARE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(render_document(invoice(), "pt", None))


def test_a_long_document_has_several_pages() -> None:
    short, long = (render_document(invoice(lines), "en", None) for lines in (3, 120))
    assert [re.findall(rb"/Count (\d+)", pdf) for pdf in (short, long)] == [[b"1"], [b"6"]]


@pytest.mark.parametrize(
    ("said", "missing"),
    [("深圳 Lamps", "深圳"), ("ตะเกียง Łódź", "ตะเกียง"), ("Lamps \N{GRINNING FACE}", "\N{GRINNING FACE}")],
)
def test_a_character_that_no_font_has_is_named(said: str, missing: str) -> None:
    written = invoice(buyer=Party(name=said))
    with pytest.raises(
        GlyphsMissing, match=r"document 1-INV-01-000001: no font here has .*MARKETPLACE_FONTS"
    ) as refused:
        render_document(written, "en", None)
    assert set(refused.value.extra["characters"]) == set(missing)


def test_chinese_needs_a_font() -> None:
    """The font that comes with the program has none of it: every character is named, not the first alone."""
    with pytest.raises(GlyphsMissing) as refused:
        render_document(invoice(), "zh", None)
    assert {"发", "票", "税"} <= set(refused.value.extra["characters"])


def test_a_folder_of_fonts_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="MARKETPLACE_FONTS: there is no folder"):
        render_document(invoice(), "en", tmp_path / "nowhere")
    assert render_document(invoice(), "en", tmp_path)


@pytest.mark.parametrize("text", ['"quoted" \\back', "#let x = 1", "$math$ *bold* _it_", "<label> @ref // no comment"])
def test_what_people_write_is_not_markup(text: str) -> None:
    assert render_document(invoice(buyer=Party(name=text, address=text)), "en", None)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_document_has_its_words(kind: Kind, language: str) -> None:
    said = content(invoice(kind=kind, corrects_id=9, reverses_id=9, replaces_id=9), speech(language))
    assert said["kind"] == speech(language).label("document_kind", kind)
    assert sum("1-INV-01-000041" in fact for fact in said["facts"]) == 2
    assert json.dumps(said)


def test_a_void_document_says_so() -> None:
    void = invoice(state=State.VOID, void_reason="wrong address", voided_by="x", void_asked_by="y")
    said = content(void, speech("en"))
    assert (said["stamp"], said["notes"][-1]) == ("VOID", "Void: wrong address")


def test_amounts_and_rates_as_the_reader_writes_them() -> None:
    written = invoice(currency="JPY")
    line = Line(category=Category.COMMISSION, description="", quantity=1_234, vat_ppm=55_000, net_minor=123_456)
    said = content(msgspec.structs.replace(written, lines=(line,)), speech("pt"))
    assert said["lines"] == [
        {
            "what": "Comissão sobre pedidos liquidados",
            "detail": "",
            "quantity": "1.234",
            "rate": "5,5%",
            "net": "123.456",
        }
    ]
    assert Document is type(written.document)


async def test_a_run_is_exported_as_files(db: Database, tmp_path: Path) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10), order(3, 3, MAY_10)])
    run = (await billed(db)).run
    for folder in ("once", "again"):
        assert await export_documents(db, run.run_id, tmp_path / folder, "en", None) == 3
    once, again = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("once", "again"))
    assert sorted(once) == ["1-INV-01-000001.pdf", "1-INV-02-000001.pdf", "1-INV-03-000001.pdf"]
    assert once == again
    (tmp_path / "file").touch()
    with pytest.raises(Invalid):
        await export_documents(db, run.run_id, tmp_path / "file", "en", None)


async def test_from_the_command_line(db: Database, tmp_path: Path) -> None:
    await settled_market(db, [order(1, 1, MAY_10), order(2, 2, MAY_10)])
    run = (await billed(db)).run
    with command_line() as call:
        wanted = ("documents", "export", "--run", str(run.run_id), "--to", str(tmp_path / "all"))
        assert call(*wanted, database=db.url).value["documents"] == 2
        assert "there is no billing run 9" in call(*wanted[:3], "9", *wanted[4:], database=db.url).refusal
        one = ("documents", "render", "1", str(run.run_id * PER_RUN), "--output", str(tmp_path / "one.pdf"))
        assert call(*one, database=db.url).value["number"] == "1-INV-01-000001"
        assert "MARKETPLACE_FONTS" in call(*one, "--language", "zh", database=db.url).refusal
        assert "has no country" in call(*one, "--format", "cii", database=db.url).refusal
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "all" / "1-INV-01-000001.pdf").read_bytes()
