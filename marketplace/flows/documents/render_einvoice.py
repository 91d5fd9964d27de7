"""Documents as e-invoices, where the extra that writes them is installed."""

from importlib import import_module
from typing import get_args

from billing.documents.model import Category, Syntax, Written
from marketplace.core.errors import Conflict
from marketplace.web.i18n import speech

SYNTAXES: tuple[str, ...] = get_args(Syntax)


def render_einvoice(written: Written, language: str, syntax: str) -> bytes:
    """The document as XML of EN 16931, its lines named in a language; the same bytes every time.

    Raises Conflict without the extra `einvoice`, or where a party's country is not known.
    """
    try:
        einvoice = import_module("billing.documents.einvoice")
    except ModuleNotFoundError as fault:
        raise Conflict(
            "e-invoices need the extra `einvoice`: install marketplace-operations[einvoice]", missing=fault.name
        ) from fault
    say = speech(language)
    names = {category: say.label("document_line", category) for category in Category}
    content: bytes = einvoice.write_einvoice(written, syntax, names)
    return content
