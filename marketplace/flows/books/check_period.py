"""The checklist of a month: each proof holds, or what it found is a break that a second person has approved."""

from billing.periods import store
from billing.periods.checks_sql import CHECKS
from billing.periods.model import BookPeriod, Check, CheckState, Finding, judged
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.proofs.verify_books import PROOFS

SAMPLE = 20
"""Findings of a proof that are shown; its fingerprint is over all of them."""

AT_ALL_TIMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "subledgers-are-ledger",
        "orders, charges, claims, credit, ads, payouts and stock come to what their accounts in the ledger say",
        (
            "pending-is-unsettled", "payouts-are-entries", "refunds-are-entries", "charges-are-receivable",
            "charges-are-deferred", "payer-receivables-are-shares", "ads-are-ledger", "reserves-are-ledger",
            "stock-is-units", "rollup-is-journal", "book-days-are-rollup",
        ),
    ),
    (
        "tax-is-documents",
        "tax documents have the VAT that the tax accounts have, and their series have no gaps",
        (
            "documents-are-vat", "documents-are-lines", "series-have-no-gaps", "payer-documents-are-fees",
            "payer-documents-are-claims",
        ),
    ),
)  # fmt: skip
"""Proofs of `marketplace verify` that a month is closed with: they hold at all times, also after its end."""


async def check_period(tx: Tx, period: BookPeriod) -> list[Check]:
    """Prove everything that a month is closed with."""
    await tx.plan_in_bulk()
    approvals = await store.list_approvals(tx, period)
    span = period.period
    bound = {"entity": period.entity_id, "from_on": span.from_on, "to_on": span.to_on}
    checks = []
    for name, states, query in CHECKS:
        found = [Finding(*row) for row in await tx.rows(query, **bound)]
        checks.append(judged(name, states, found, approvals, SAMPLE))
    queries = {name: query for name, _, query in PROOFS}
    for name, states, proofs in AT_ALL_TIMES:
        found = []
        for proof in proofs:
            rows = await tx.rows(queries[proof])
            found += [Finding(proof, None, None, " ".join(map(str, row))) for row in rows]
        checks.append(judged(name, states, found, approvals, SAMPLE))
    return checks


async def check_closable(tx: Tx, period: BookPeriod) -> list[Check]:
    """Raise Conflict naming what does not hold and nobody has approved."""
    checks = await check_period(tx, period)
    if red := [check for check in checks if check.state is CheckState.RED]:
        raise Conflict(
            f"{period.period.name} cannot be closed: "
            + "; ".join(f"{check.name} found {check.violations}" for check in red)
            + ". Mend it, or have a second person approve the break",
            checks=[check.name for check in red],
        )
    return checks
