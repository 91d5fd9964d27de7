"""The invariants of the books, each as one SQL query that must find nothing."""

import msgspec

from marketplace.core.db import WORKER, Database, Tx
from marketplace.flows.proofs import (
    verify_ad_orders,
    verify_ads,
    verify_agents,
    verify_amendments,
    verify_commission,
    verify_documents,
    verify_exchange,
    verify_journals,
    verify_ledger,
    verify_matching,
    verify_metrics,
    verify_payers,
    verify_payouts,
    verify_periods,
    verify_products,
    verify_refunds,
    verify_rewards,
    verify_stock,
)
from marketplace.flows.proofs.verify_ledger import LEGS

SAMPLE = 5


class Proof(msgspec.Struct, frozen=True):
    """One invariant: what it states, how many rows contradict it, and the first of them."""

    name: str
    states: str
    ok: bool
    violations: int
    examples: list[str]


class Verified(msgspec.Struct, frozen=True):
    """All proofs; `open_items` are not faults but what a person still has to settle."""

    ok: bool
    entries: int
    proofs: list[Proof]
    open_items: dict[str, int]


async def verify_books(db: Database) -> Verified:
    """Check every invariant against the stored rows, nothing against a cache but the cache itself."""
    async with db.read(WORKER) as tx:
        await tx.plan_in_bulk()
        proofs = [await _prove(tx, name, states, query) for name, states, query in PROOFS]
        open_items = {name: int(await tx.scalar(query) or 0) for name, query in OPEN_ITEMS.items()}
        entries = await tx.scalar("SELECT count(*) FROM billing.entry")
    return Verified(all(proof.ok for proof in proofs), entries, proofs, open_items)


async def _prove(tx: Tx, name: str, states: str, query: str) -> Proof:
    rows = await tx.rows(query)
    return Proof(name, states, not rows, len(rows), [" ".join(map(str, row)) for row in rows[:SAMPLE]])


PROOFS: tuple[tuple[str, str, str], ...] = tuple(
    proof
    for subject in (
        verify_ledger,
        verify_refunds,
        verify_commission,
        verify_amendments,
        verify_payers,
        verify_payouts,
        verify_stock,
        verify_products,
        verify_ads,
        verify_ad_orders,
        verify_journals,
        verify_exchange,
        verify_documents,
        verify_rewards,
        verify_agents,
        verify_matching,
        verify_periods,
        verify_metrics,
    )
    for proof in subject.PROOFS
)
"""Of each proof its name, what it states, and the query that finds what contradicts it."""

OPEN_ITEMS = {
    "parked_orders": "SELECT count(*) FROM billing.parked_order",
    "unassigned_payments_minor": f"SELECT -sum(leg.amount) FROM {LEGS} WHERE leg.account = 2900",
    "buyer_refunds_due_minor": f"SELECT -sum(leg.amount) FROM {LEGS} WHERE leg.account = 2400",
    "void_documents": f"SELECT ({verify_documents.VOID_DOCUMENTS}) + ({verify_documents.VOID_TO_PAYERS})",
    "entries_not_rolled_up": """SELECT sum(h.last_entry_no - r.rolled_no) FROM billing.ledger_head h
        JOIN billing.ledger_roll r ON r.merchant_id = h.merchant_id""",
}
