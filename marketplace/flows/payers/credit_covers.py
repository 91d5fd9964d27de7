"""What a later run credits of charges that payers bore: their shares unwind by the part that is credited.

A credit belongs to the run that charged the sale. What an earlier run charged, less what was credited before, is the
base by which its shares go, as a refund's are by the price of its lines.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, text

from billing import postings
from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import Going, split_back, unwind
from billing.payers.shares import store as shares
from billing.payers.shares.store import CHARGE, PayerShare
from billing.runs.model import Run
from billing.runs.sql import span
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.payers.book_share import post_share
from marketplace.flows.payers.unwind_shares import move_share

PER_RUN = 10_000
"""Source ids of a run: run_id * PER_RUN and what follows, by merchant."""

# Commission with VAT that a line takes back of a sale that an earlier statement has charged.
_SALE = """
JOIN billing.commission_line sale ON sale.merchant_id = c.merchant_id AND sale.order_id = c.order_id
 AND sale.contract_id = c.contract_id AND sale.kind = 'sale'"""
_TAKES_BACK = "c.kind <> 'sale' AND c.commission_minor + c.vat_minor < 0"

CREDITED_BEFORE = f"""
SELECT c.merchant_id, c.currency, -sum(c.commission_minor + c.vat_minor)::bigint AS minor
FROM ({span(2000)}) AS span
JOIN billing.commission_line c ON c.merchant_id = span.merchant_id
 AND c.entry_no BETWEEN span.first_no AND span.last_no
 AND c.effective_on >= :from_on AND c.effective_on < :to_on
{_SALE} AND sale.effective_on < :from_on
WHERE {_TAKES_BACK} GROUP BY c.merchant_id, c.currency"""
"""By merchant and currency: what a period credits of what was charged before it."""

_GOING = text(f"""
SELECT s.merchant_id, s.currency, s.run_id, (charged.minor + coalesce(m.minor, 0))::bigint AS base_minor,
       gone.before_minor::bigint, gone.going_minor::bigint
FROM (SELECT DISTINCT merchant_id, currency, source_id / {PER_RUN} AS run_id FROM billing.payer_share
      WHERE merchant_id = ANY(:merchants) AND source = '{CHARGE}' AND state = 'committed'
        AND back_minor < amount_minor AND source_id < :run_id * {PER_RUN}) AS borne
JOIN billing.statement s ON s.merchant_id = borne.merchant_id AND s.run_id = borne.run_id
 AND s.currency = borne.currency AND s.state = 'final'
JOIN billing.statement n ON n.merchant_id = s.merchant_id AND n.run_id = :run_id AND n.currency = s.currency
 AND n.state = 'preview'
LEFT JOIN (SELECT merchant_id, run_id, currency, sum(fee_minor + vat_minor) AS minor FROM billing.run_charge
           WHERE merchant_id = ANY(:merchants) AND state = 'posted' GROUP BY 1, 2, 3
          ) AS m ON m.merchant_id = s.merchant_id AND m.run_id = s.run_id AND m.currency = s.currency
CROSS JOIN LATERAL (
    SELECT coalesce(sum(c.commission_minor + c.vat_minor), 0) AS minor
    FROM billing.commission_line c {_SALE}
    WHERE c.merchant_id = s.merchant_id AND c.currency = s.currency AND c.effective_on >= s.from_on
      AND c.effective_on < s.to_on AND NOT ({_TAKES_BACK} AND sale.effective_on < s.from_on)
) AS charged
CROSS JOIN LATERAL (
    SELECT coalesce(-sum(c.commission_minor + c.vat_minor) FILTER (WHERE c.effective_on < :from_on), 0) AS before_minor,
           -sum(c.commission_minor + c.vat_minor) FILTER (WHERE c.effective_on >= :from_on) AS going_minor
    FROM billing.commission_line c {_SALE} AND sale.effective_on >= s.from_on AND sale.effective_on < s.to_on
    WHERE c.merchant_id = s.merchant_id AND c.currency = s.currency AND c.effective_on >= s.to_on
      AND c.effective_on < :to_on AND {_TAKES_BACK}
) AS gone
WHERE gone.going_minor > 0
ORDER BY s.merchant_id, s.currency, s.run_id
""").bindparams(bindparam("merchants", type_=ARRAY(BigInteger)), bindparam("run_id", type_=BigInteger))


class CreditedCover(msgspec.Struct, frozen=True, kw_only=True):
    """What of a share goes back to its payer or, rejected, to whoever bore that; relief_minor: what the merchant gets
    by it, below zero as a rule."""

    share: PayerShare
    back_minor: int
    relief_minor: int


async def credited_covers(tx: Tx, run: Run, merchants: Sequence[int]) -> list[CreditedCover]:
    """What the run's previewed statements of these merchants take back of what payers bore of earlier charges."""
    period = {"from_on": run.from_on, "to_on": run.to_on}
    going = await tx.rows(_GOING, merchants=list(merchants), run_id=run.run_id, **period)
    if not going:
        return []
    runs = [row.run_id for row in going]
    held: dict[tuple[int, str, int], list[PayerShare]] = {}
    ids = (min(runs) * PER_RUN, (max(runs) + 1) * PER_RUN)
    for share in await shares.shares_from(tx, sorted({row.merchant_id for row in going}), CHARGE, ids, "committed"):
        held.setdefault((share.merchant_id, share.currency, share.source_id // PER_RUN), []).append(share)
    credited = []
    for row in going:
        borne = held[row.merchant_id, row.currency, row.run_id]
        line = Going(base_minor=row.base_minor, before_minor=row.before_minor, going_minor=row.going_minor)
        backs = unwind(
            [(share.borne, {1: line}) for share in borne],
            given_minor=row.going_minor,
            buyers_left_minor=row.going_minor,
        )
        for share, lines in zip(borne, backs, strict=True):
            if minor := lines.get(1, 0):
                credited.append(await _credited(tx, share, minor))
    return credited


async def _credited(tx: Tx, share: PayerShare, minor: int) -> CreditedCover:
    terms = (await payers.get_version(tx, share.version_id)).terms
    _, to_bearer = split_back(share.standing, minor)
    after = msgspec.structs.replace(
        share, back_minor=share.back_minor + minor, rejected_back_minor=share.rejected_back_minor + to_bearer
    )
    held = after.standing.unpaid_minor if terms.pay_when_paid else 0
    relief = share.held_minor - held - minor + (to_bearer if terms.recourse else 0)
    return CreditedCover(share=share, back_minor=minor, relief_minor=relief)


async def commit_credited_covers(tx: Tx, run: Run, merchants: Sequence[int]) -> None:
    """Book it in the period that these merchants close, whose books are held; what was claimed comes off next claims.

    It stands under ids of the run behind those of the run's own shares.
    """
    credited = await credited_covers(tx, run, merchants)
    if credited:
        await one_at_a_time(tx)
    for one in credited:
        share = one.share
        first = run.run_id * PER_RUN + await shares.count_from(tx, share.merchant_id, CHARGE, ids_of(run.run_id))
        taken = await shares.backs_from(tx, [share.merchant_id], CHARGE, ids_of(run.run_id))
        await take_back(tx, share, one.back_minor, first + len(taken), run)


async def take_back(tx: Tx, share: PayerShare, minor: int, back_id: int, run: Run, *, cap_moved: bool = False) -> None:
    """The payer bears so much less of a charge: on the run's last day, under an id of the merchant and run."""
    on = run.period.last_on
    _, to_bearer = split_back(share.standing, minor)
    legs = postings.charge_covered(-minor, share.contract_id)
    await post_share(tx, share, "payer_charge_reversed", legs, on=on, source_id=back_id)
    await shares.add_back(tx, share, back_id, {1: minor}, to_bearer)
    await move_share(tx, share, {1: minor}, to_bearer, on=on, cap_moved=cap_moved)


async def move_caps(tx: Tx, run: Run) -> None:
    """The run is to be reversed: bring every cap to where that leaves it, at once, before any bucket is taken back.

    What payers bear of the run's own charges is free, and what it has credited of earlier ones they bear again. Raises
    Conflict when a cap has no room for that, so a reversal is refused as a whole.
    """
    moved: dict[CapKey, list[Any]] = {}
    for row in await shares.moves_of(tx, CHARGE, ids_of(run.run_id)):
        moved.setdefault(CapKey(row.payer_id, row.contract_id, row.period_from), []).append(row)
    if moved:
        await one_at_a_time(tx)
    for key, rows in moved.items():
        await caps.hold_known(tx, key)
        for row in rows:
            await caps.give_back(tx, key, row.shard, row.freed_minor)
        for row in rows:
            if not await caps.reserve(tx, key, "whole", row.shard, row.taken_minor):
                terms = (await payers.version_on(tx, key.contract_id, run.period.last_on)).terms
                raise Conflict(
                    f"run {run.run_id}: it has credited {row.taken_minor} of earlier charges to {terms.payer}, whose"
                    f" cap ({terms.name}) has been used up since; give that another limit, then reverse the run"
                )


async def undo_credited_covers(tx: Tx, run: Run, merchants: Sequence[int]) -> None:
    """The run is reversed: payers bear again what it has credited of earlier runs; `move_caps` has seen to the caps.

    The merchants' books are held, and open again in the period.
    """
    on = run.period.last_on
    backs = await shares.backs_from(tx, merchants, CHARGE, ids_of(run.run_id))
    credited = [row for row in backs if row.source_id < run.run_id * PER_RUN]
    if credited:
        await one_at_a_time(tx)
    for row in credited:
        share = await shares.get_share(tx, row.merchant_id, CHARGE, row.source_id, row.contract_id)
        assert share is not None
        [minor] = row.line_minor
        legs = postings.charge_covered(minor, share.contract_id)
        await post_share(tx, share, "payer_charge", legs, on=on, source_id=row.refund_id)
        await shares.add_back(tx, share, row.refund_id, {1: -minor}, -row.rejected_back_minor, undone=True)
        await move_share(tx, share, {1: -minor}, -row.rejected_back_minor, on=on, cap_moved=True)


async def one_at_a_time(tx: Tx) -> None:
    """Hold the caps of charges until the transaction ends: buckets would take them in the order of their merchants."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('covers_of_charges'))")


def ids_of(run_id: int) -> tuple[int, int]:
    """The ids of a run: [first, next)."""
    return run_id * PER_RUN, (run_id + 1) * PER_RUN
