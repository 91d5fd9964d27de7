"""What matching books, as balanced legs. Pure."""

from billing.ledger.chart import Account
from billing.ledger.model import Leg, legs
from billing.matching.model import Book, ResidueKind

RESIDUES = {
    ResidueKind.FEE: Account.PROCESSOR_FEES,
    ResidueKind.EXCHANGE: Account.EXCHANGE_RESULT,
    ResidueKind.ROUNDING: Account.ROUNDING,
    ResidueKind.ADJUSTMENT: Account.ADJUSTMENTS,
}


def line_suspended(amount_minor: int, line_id: int) -> tuple[Leg, ...]:
    """A line of the bank that nobody has claimed yet is in the bank, and owed to nobody known; negated: claimed."""
    return legs({Account.BANK: amount_minor, Account.SUSPENSE: -amount_minor}, dimensions={Account.SUSPENSE: line_id})


def residue_booked(book: Book, kind: ResidueKind, residue_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """N: what theirs has more than ours, or less where it is negative, and what explains it."""
    return _on(book, RESIDUES[kind], residue_minor, processor_id)


def written_off(book: Book, amount_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """N: so much more is on their book, or less where it is negative, than anybody can explain."""
    return _on(book, Account.ADJUSTMENTS, amount_minor, processor_id)


def _on(book: Book, against: Account, minor: int, processor_id: int) -> tuple[Leg, ...]:
    side = Account.BANK if book is Book.BANK else Account.PROCESSOR_CLEARING
    return legs({side: minor, against: -minor}, dimensions={Account.PROCESSOR_CLEARING: processor_id})


def processor_charged(fee_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """L: what a processor kept of what it had captured, where its lines come by files of banks."""
    return legs(
        {Account.PROCESSOR_FEES: fee_minor, Account.PROCESSOR_CLEARING: -fee_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )


def processor_paid_out(amount_minor: int, processor_id: int) -> tuple[Leg, ...]:
    """What a processor said it would pay out is in the bank."""
    return legs(
        {Account.BANK: amount_minor, Account.PROCESSOR_CLEARING: -amount_minor},
        dimensions={Account.PROCESSOR_CLEARING: processor_id},
    )
