"""What third parties bear of what a run charges merchants: commission with VAT, and the minimum that it lacked.

A preview reserves it of the payers' caps and says so on the statement; the final run books it, payer's receivable to
payable, and the payer's next claim asks for it. Given up or made anew, a preview lets go of it; a run that is reversed
takes it back, and a later run takes back its part of what it credits (`credit_covers`). A merchant that has to wait for
the payer is relieved once it has paid, so its statement says nothing.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, bindparam, text

from billing.payers import store as payers
from billing.payers.caps import store as caps
from billing.payers.caps.store import CapKey
from billing.payers.rules import Granted, Offer, Priced, period_from, waterfall
from billing.payers.shares import store as shares
from billing.payers.shares.store import CHARGE, PayerShare
from billing.payers.store import Version
from billing.runs.model import Run
from marketplace.core.db import Tx
from marketplace.core.errors import Conflict
from marketplace.flows.payers.cover_cost import commit_cost
from marketplace.flows.payers.credit_covers import (
    CREDITED_BEFORE,
    PER_RUN,
    commit_credited_covers,
    credited_covers,
    ids_of,
    one_at_a_time,
    take_back,
    undo_credited_covers,
)

_merchants = bindparam("merchants", type_=ARRAY(BigInteger))
# What a run credits of what was charged before is none of its charges: it has its own way back.
_CHARGED = text(f"""
SELECT s.merchant_id, s.currency, m.merchant_ref, m.entity_id,
       (-(s.commission_minor + s.vat_minor) + coalesce(c.minor, 0) + coalesce(back.minor, 0))::bigint AS minor
FROM billing.statement s
JOIN supply.merchant m ON m.merchant_id = s.merchant_id
LEFT JOIN (SELECT merchant_id, currency, sum(fee_minor + vat_minor) AS minor FROM billing.run_charge
           WHERE merchant_id = ANY(:merchants) AND run_id = :run_id AND state = 'due' GROUP BY merchant_id, currency
          ) AS c ON c.merchant_id = s.merchant_id AND c.currency = s.currency
LEFT JOIN ({CREDITED_BEFORE}) AS back ON back.merchant_id = s.merchant_id AND back.currency = s.currency
WHERE s.merchant_id = ANY(:merchants) AND s.run_id = :run_id AND s.state = 'preview'
  AND -(s.commission_minor + s.vat_minor) + coalesce(c.minor, 0) + coalesce(back.minor, 0) > 0
ORDER BY s.merchant_id, s.currency
""").bindparams(_merchants)
_RELIEVE = """
UPDATE billing.statement SET other_minor = other_minor + :minor, closing_minor = closing_minor + :minor
WHERE merchant_id = :merchant AND run_id = :run_id AND currency = :currency
"""


async def reserve_covers(tx: Tx, run: Run, merchants: Sequence[int]) -> None:
    """Set aside what payers bear of what these merchants' previewed statements charge, and say so on them."""
    for back in await credited_covers(tx, run, merchants):
        await _relieve(tx, run, back.share.merchant_id, back.share.currency, back.relief_minor)
    on = run.period.last_on
    versions = await payers.paying_charges(tx, on)
    if not versions:
        return
    period = {"from_on": run.from_on, "to_on": run.to_on}
    charged = await tx.rows(_CHARGED, merchants=list(merchants), run_id=run.run_id, **period)
    found = [
        (row, fitting)
        for row in charged
        if (fitting := [one for one in versions if one.terms.is_for(row.merchant_ref, row.entity_id, row.currency, on)])
    ]
    if found:
        await one_at_a_time(tx)
    for row, fitting in found:
        offers = [await _offer(tx, version, on) for version in fitting]
        granted = [one for one in waterfall([Priced(1, None, row.minor, 0)], offers) if one.amount_minor]
        first = run.run_id * PER_RUN + await shares.count_from(tx, row.merchant_id, CHARGE, ids_of(run.run_id))
        made = [_share(tx, run, row, one, on, first + number) for number, one in enumerate(granted)]
        for share, one in zip(made, granted, strict=True):
            if not await caps.reserve(tx, share.cap, one.offer.terms.cap_period, share.shard, share.amount_minor):
                raise Conflict(f"the cap of {one.offer.terms.name} was taken by others meanwhile: preview again")
        await shares.add_shares(tx, made)
        relief = sum(one.amount_minor for one in granted if not one.offer.terms.pay_when_paid)
        await _relieve(tx, run, row.merchant_id, row.currency, relief)


async def _relieve(tx: Tx, run: Run, merchant_id: int, currency: str, minor: int) -> None:
    key = {"merchant": merchant_id, "run_id": run.run_id, "currency": currency}
    await tx.execute(_RELIEVE, {**key, "minor": minor})


async def commit_covers(tx: Tx, run: Run, merchants: Sequence[int]) -> None:
    """Book what payers bear of the charges of merchants whose books are held, in the period that they close."""
    for share in await shares.shares_from(tx, merchants, CHARGE, ids_of(run.run_id), "reserved"):
        await commit_cost(tx, share.merchant_id, CHARGE, share.source_id, share.contract_id, on=run.period.last_on)
    await commit_credited_covers(tx, run, merchants)


async def release_covers(tx: Tx, run_id: int, merchants: Sequence[int] | None = None) -> None:
    """Let go of what a preview has set aside, for these merchants or for all."""
    reserved = await shares.shares_from(tx, merchants, CHARGE, ids_of(run_id), "reserved")
    if reserved:
        await one_at_a_time(tx)
    for share in reserved:
        await shares.store_share(tx, msgspec.structs.replace(share, state="released"))
        await caps.give_back(tx, share.cap, share.shard, share.amount_minor)


async def take_back_covers(tx: Tx, run: Run, merchants: Sequence[int]) -> None:
    """The run is reversed: the payers owe nothing of it any more; what was claimed comes off their next claims.

    The merchants' books are held, and open again in the period; `credit_covers.move_caps` has seen to the caps.
    """
    committed = await shares.shares_from(tx, merchants, CHARGE, ids_of(run.run_id), "committed")
    if committed:
        await one_at_a_time(tx)
    for share in committed:
        if minor := share.amount_minor - share.back_minor:
            await take_back(tx, share, minor, share.source_id, run, cap_moved=True)
    await undo_credited_covers(tx, run, merchants)


async def _offer(tx: Tx, version: Version, on: date) -> Offer:
    terms = version.terms
    key = CapKey(version.payer_id, version.contract_id, period_from(terms.cap_period, on))
    return Offer(
        contract_id=version.contract_id,
        version_id=version.version_id,
        payer_id=version.payer_id,
        room_minor=await caps.room_of(tx, key, terms.cap_period),
        terms=terms,
    )


def _share(tx: Tx, run: Run, row: Any, granted: Granted, on: date, source_id: int) -> PayerShare:
    offer = granted.offer
    return PayerShare(
        merchant_id=row.merchant_id,
        source=CHARGE,
        source_id=source_id,
        contract_id=offer.contract_id,
        version_id=offer.version_id,
        payer_id=offer.payer_id,
        entity_id=row.entity_id,
        source_ref=f"{run.period.name}, run {run.run_id}",
        currency=row.currency,
        state="reserved",
        period_from=period_from(offer.terms.cap_period, on),
        shard=caps.shard_of(source_id),
        line_nos=[1],
        line_minor=[granted.amount_minor],
        line_back_minor=[0],
        amount_minor=granted.amount_minor,
        reserved_at=tx.now,
    )
