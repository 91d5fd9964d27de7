"""What must hold of documents, told apart from how they are made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from billing.documents.model import Draft, Kind, Tax
from marketplace.core.rates import apply_half_even


def off_by(tax: Tax) -> int:
    """How far a tax is from rate times net (BR-CO-17): 0 where it was rounded once for its document."""
    return tax.vat_minor - apply_half_even(tax.net_minor, tax.vat_ppm)


def left_of(original: Sequence[Tax], changes: Iterable[tuple[Kind, Kind, Sequence[Tax]]]) -> Mapping[int, Tax]:
    """What is left of a document by rate after what corrects it: (its kind, the correction's kind, its taxes).

    It is never below zero at any rate: a merchant is not given back more than it was charged.
    """
    left = {tax.vat_ppm: [tax.net_minor, tax.vat_minor] for tax in original}
    for kind, other, taxes in changes:
        sign = 1 if kind == other else -1
        for tax in taxes:
            of_rate = left.setdefault(tax.vat_ppm, [0, 0])
            of_rate[0] += sign * tax.net_minor
            of_rate[1] += sign * tax.vat_minor
    return {rate: Tax(vat_ppm=rate, net_minor=net, vat_minor=vat) for rate, (net, vat) in left.items()}


def signed(drafts: Iterable[Draft]) -> Iterator[tuple[Draft, int]]:
    """Each document with its sign in what the merchant owes; self-billed ones say what it is owed."""
    for draft in drafts:
        yield draft, (1 if draft.kind in {Kind.INVOICE, Kind.SELF_BILLED_CREDIT_NOTE} else -1)
