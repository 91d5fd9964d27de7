"""`marketplace documents …`: invoices and credit notes as PDF files."""

from pathlib import Path

import rich_click as click

from billing.documents import store
from marketplace.cli.base import Outcome, Session, command, out
from marketplace.cli.root import cli
from marketplace.core.db import STAFF
from marketplace.flows.documents.export_documents import export_documents, write_file
from marketplace.flows.documents.render_document import render_document
from marketplace.flows.documents.render_einvoice import SYNTAXES, render_einvoice
from marketplace.web.i18n import DEFAULT_LANGUAGE, LANGUAGES

_language = click.option(
    "--language", type=click.Choice(list(LANGUAGES)), default=DEFAULT_LANGUAGE, show_default=True, help="Of its words."
)


@cli.group("documents")
def documents() -> None:
    """Invoices and credit notes as PDF files."""


@command(documents, "export")
@click.option("--run", "run_id", required=True, type=int, help="The billing run that issued them.")
@click.option("--to", "folder", required=True, type=click.Path(path_type=Path), help="The folder to write to.")
@_language
async def export(session: Session, run_id: int, folder: Path, language: str) -> Outcome:
    """Write every document of a run as a PDF of its own, named by its number."""
    count = await export_documents(session.db, run_id, folder, language, session.settings.fonts)
    value = {"run_id": run_id, "folder": str(folder), "documents": count}
    return Outcome(value, show=lambda: out.print(f"{count:,} documents written to {folder}.", highlight=False))


@command(documents, "render")
@click.argument("merchant_id", metavar="MERCHANT", type=int)
@click.argument("document_id", metavar="DOCUMENT", type=int)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--format", "file_format", type=click.Choice(["pdf", *SYNTAXES]), default="pdf", show_default=True)
@_language
async def render(
    session: Session, merchant_id: int, document_id: int, output: Path, file_format: str, language: str
) -> Outcome:
    """Write one document as PDF, or as an e-invoice of EN 16931 in CII or UBL: the same bytes every time."""
    async with session.db.read(STAFF) as tx:
        written = await store.get_document(tx, merchant_id, document_id)
    if file_format == "pdf":
        content = render_document(written, language, session.settings.fonts)
    else:
        content = render_einvoice(written, language, file_format)
    write_file(output, content)
    value = {"number": written.number, "format": file_format, "bytes": len(content), "path": str(output)}
    return Outcome(value, show=lambda: out.print(f"{written.number} written to {output}.", highlight=False))
