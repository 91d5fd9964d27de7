"""Every statement on claims, remittances and rejections."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import insert

from billing.payers.tables import payer_claim, payer_claim_line, payer_rejection, payer_remittance
from marketplace.core.db import Tx
from marketplace.core.errors import NotFound
from marketplace.core.ids import time_ordered_id

S = TypeVar("S", bound=msgspec.Struct)

FEE = "claim"
"""The source of a claim's fixed fee, which belongs to the house."""


class PayerClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, in minor units. rejected_minor and remitted_minor are of share, fee and VAT together.

    accepted_at: since when the payer says that what is open is right. documented: false for claims sent before payers
    had documents, whose fee stands in none.
    """

    payer_id: int
    claim_id: int
    contract_id: int
    entity_id: int
    claim_no: int
    currency: str
    through: date
    lines: int
    amount_minor: int
    fee_minor: int
    vat_minor: int
    rejected_minor: int
    remitted_minor: int
    sent_on: date
    due_on: date
    dunning_level: int
    sent_at: datetime
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    documented: bool = True

    @property
    def open_minor(self) -> int:
        return self.amount_minor + self.fee_minor + self.vat_minor - self.rejected_minor - self.remitted_minor


class ClaimLine(msgspec.Struct, frozen=True, kw_only=True):
    """One share of a claim, see `billing.payers.tables`."""

    line_no: int
    merchant_id: int
    source: str
    source_id: int
    source_ref: str
    amount_minor: int
    fee_minor: int
    vat_minor: int
    rejected_minor: int = 0
    fee_back_minor: int = 0
    reclaimed_minor: int = 0
    remitted_minor: int = 0

    @property
    def open_minor(self) -> int:
        claimed = self.amount_minor + self.fee_minor + self.vat_minor
        return claimed - self.rejected_minor - self.fee_back_minor - self.remitted_minor


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer refused of a line, or what is to be claimed again (`reclaimed`); fee_minor with VAT."""

    rejection_id: int
    claim_id: int
    line_no: int
    kind: str
    amount_minor: int
    fee_minor: int
    reason: str
    booked_on: date


class Remittance(msgspec.Struct, frozen=True, kw_only=True):
    """A payer's money for a claim; bank_ref: the bank's name of it."""

    remittance_id: int
    claim_id: int
    bank_ref: str
    currency: str
    amount_minor: int
    received_on: date


_CLAIM = ", ".join(PayerClaim.__struct_fields__)
_LINE = ", ".join(ClaimLine.__struct_fields__)
_OPEN = "amount_minor + fee_minor + vat_minor - rejected_minor - remitted_minor"


async def next_no(tx: Tx, payer_id: int, entity_id: int) -> int:
    """The number of a legal entity's next claim on a payer; held, so that none is left out."""
    number: int = await tx.scalar(
        """
        INSERT INTO billing.payer_series AS s (payer_id, entity_id, last_no) VALUES (:payer, :entity, 1)
        ON CONFLICT (payer_id, entity_id) DO UPDATE SET last_no = s.last_no + 1 RETURNING last_no
        """,
        payer=payer_id,
        entity=entity_id,
    )
    return number


async def add_claim(tx: Tx, claim: PayerClaim, lines: Sequence[ClaimLine]) -> None:
    """Store a claim with its lines."""
    await tx.execute(insert(payer_claim), msgspec.structs.asdict(claim) | {"sent_by": tx.actor})
    key = {"payer_id": claim.payer_id, "claim_id": claim.claim_id}
    await tx.execute(insert(payer_claim_line), [{**key, **msgspec.structs.asdict(line)} for line in lines])


async def get_claim(tx: Tx, payer_id: int, claim_id: int, *, lock: bool = False) -> PayerClaim:
    """Raises NotFound."""
    row = await tx.row(
        f"SELECT {_CLAIM} FROM billing.payer_claim WHERE payer_id = :payer AND claim_id = :claim"
        + (" FOR UPDATE" if lock else ""),
        payer=payer_id,
        claim=claim_id,
    )
    if row is None:
        raise NotFound(f"payer {payer_id} has no claim {claim_id}")
    return PayerClaim(**row._mapping)


async def list_claims(
    tx: Tx, payer_id: int | None, *, limit: int, after: int | None = None, unpaid: bool = False
) -> list[PayerClaim]:
    """At most `limit` claims, the newest first, those behind the id `after`: on one payer or on all."""
    rows = await tx.rows(
        f"""
        SELECT {_CLAIM} FROM billing.payer_claim
        WHERE (CAST(:payer AS bigint) IS NULL OR payer_id = :payer)
          AND (CAST(:after AS bigint) IS NULL OR claim_id < :after) AND (NOT :unpaid OR {_OPEN} <> 0)
        ORDER BY claim_id DESC LIMIT :limit
        """,
        payer=payer_id,
        after=after,
        unpaid=unpaid,
        limit=limit,
    )
    return [PayerClaim(**row._mapping) for row in rows]


async def lines_of(
    tx: Tx, payer_id: int, claim_id: int, *, after: int = 0, limit: int | None = None
) -> list[ClaimLine]:
    """A claim's lines by number, those behind `after`."""
    rows = await tx.rows(
        f"""
        SELECT {_LINE} FROM billing.payer_claim_line
        WHERE payer_id = :payer AND claim_id = :claim AND line_no > :after ORDER BY line_no LIMIT :limit
        """,
        payer=payer_id,
        claim=claim_id,
        after=after,
        limit=limit,
    )
    return [ClaimLine(**row._mapping) for row in rows]


async def store_line(tx: Tx, claim: PayerClaim, line: ClaimLine) -> None:
    """Bring a locked claim's line level with the value."""
    await tx.execute(
        """
        UPDATE billing.payer_claim_line SET rejected_minor = :rejected_minor, fee_back_minor = :fee_back_minor,
               reclaimed_minor = :reclaimed_minor, remitted_minor = :remitted_minor
        WHERE payer_id = :payer AND claim_id = :claim AND line_no = :line_no
        """,
        msgspec.structs.asdict(line) | {"payer": claim.payer_id, "claim": claim.claim_id},
    )


async def add_to_claim(tx: Tx, claim: PayerClaim, *, rejected_minor: int = 0, remitted_minor: int = 0) -> PayerClaim:
    """Add to what of a locked claim is rejected or paid; returns it."""
    await tx.execute(
        """
        UPDATE billing.payer_claim SET rejected_minor = rejected_minor + :rejected,
               remitted_minor = remitted_minor + :remitted
        WHERE payer_id = :payer AND claim_id = :claim
        """,
        {"rejected": rejected_minor, "remitted": remitted_minor, "payer": claim.payer_id, "claim": claim.claim_id},
    )
    return await get_claim(tx, claim.payer_id, claim.claim_id)


async def add_remittance(
    tx: Tx,
    claim: PayerClaim,
    remittance_id: int,
    *,
    bank_ref: str,
    amount_minor: int,
    received_on: date,
    shares: dict[int, int],
) -> None:
    """Store money that came for a claim. shares: by line number."""
    row: dict[str, Any] = {
        "payer_id": claim.payer_id,
        "remittance_id": remittance_id,
        "claim_id": claim.claim_id,
        "bank_ref": bank_ref,
        "currency": claim.currency,
        "amount_minor": amount_minor,
        "received_on": received_on,
        "line_nos": list(shares),
        "line_minor": list(shares.values()),
        "at": tx.now,
        "actor": tx.actor,
    }
    await tx.execute(insert(payer_remittance), row)


async def note_accepted(tx: Tx, claim: PayerClaim) -> PayerClaim:
    """Note that the payer agrees with a locked claim."""
    await tx.execute(
        """
        UPDATE billing.payer_claim SET accepted_at = :now, accepted_by = :actor
        WHERE payer_id = :payer AND claim_id = :claim
        """,
        {"now": tx.now, "actor": tx.actor, "payer": claim.payer_id, "claim": claim.claim_id},
    )
    return msgspec.structs.replace(claim, accepted_at=tx.now, accepted_by=tx.actor)


async def list_remittances(
    tx: Tx, payer_id: int, *, claim_id: int | None = None, limit: int, after: int | None = None
) -> list[Remittance]:
    """At most `limit` payments of a payer, the newest first, those behind the id `after`: for one claim or for all."""
    return await _newest(tx, Remittance, "remittance", payer_id, claim_id, limit, after)


async def remittance_of(tx: Tx, payer_id: int, claim_id: int, bank_ref: str) -> int:
    """The id of the money that came for a claim under the bank's reference."""
    found: int = await tx.scalar(
        """
        SELECT remittance_id FROM billing.payer_remittance
        WHERE payer_id = :payer AND claim_id = :claim AND bank_ref = :ref
        """,
        payer=payer_id,
        claim=claim_id,
        ref=bank_ref,
    )
    return found


async def add_rejection(
    tx: Tx, claim: PayerClaim, line_no: int, *, kind: str, amount_minor: int, fee_minor: int, reason: str, on: date
) -> Rejection:
    """Store what a payer refused of a line, or that it is claimed again."""
    rejection = Rejection(
        rejection_id=time_ordered_id(tx.now),
        claim_id=claim.claim_id,
        line_no=line_no,
        kind=kind,
        amount_minor=amount_minor,
        fee_minor=fee_minor,
        reason=reason,
        booked_on=on,
    )
    row = msgspec.structs.asdict(rejection) | {"payer_id": claim.payer_id, "at": tx.now, "actor": tx.actor}
    await tx.execute(insert(payer_rejection), row)
    return rejection


async def list_rejections(
    tx: Tx, payer_id: int, *, claim_id: int | None = None, limit: int, after: int | None = None
) -> list[Rejection]:
    """At most `limit` rejections and re-claims, the newest first, those behind the id `after`."""
    return await _newest(tx, Rejection, "rejection", payer_id, claim_id, limit, after)


async def _newest(
    tx: Tx, kind: type[S], name: str, payer_id: int, claim_id: int | None, limit: int, after: int | None
) -> list[S]:
    """Rows of billing.payer_<name>, the newest first, those behind the id `after`: of one claim or of all."""
    rows = await tx.rows(
        f"""
        SELECT {", ".join(kind.__struct_fields__)} FROM billing.payer_{name}
        WHERE payer_id = :payer AND (CAST(:claim AS bigint) IS NULL OR claim_id = :claim)
          AND (CAST(:after AS bigint) IS NULL OR {name}_id < :after)
        ORDER BY {name}_id DESC LIMIT :limit
        """,
        payer=payer_id,
        claim=claim_id,
        after=after,
        limit=limit,
    )
    return [kind(**row._mapping) for row in rows]


class PayerStatement(msgspec.Struct, frozen=True, kw_only=True):
    """What a payer was asked for and has paid in [from_on, to_on).

    closing = opening + claimed - remitted - rejected, each with the platform's fee and VAT.
    """

    payer_id: int
    currency: str
    from_on: date
    to_on: date
    opening_minor: int
    claimed_minor: int
    remitted_minor: int
    rejected_minor: int
    closing_minor: int


async def statement_of(tx: Tx, payer_id: int, from_on: date, to_on: date) -> list[PayerStatement]:
    """A payer's statement over local days, one for each currency."""
    rows = await tx.rows(
        """
        SELECT currency,
               coalesce(sum(claimed - remitted - rejected) FILTER (WHERE on_day < :from_on), 0)::bigint AS opening,
               coalesce(sum(claimed) FILTER (WHERE on_day >= :from_on), 0)::bigint AS claimed,
               coalesce(sum(remitted) FILTER (WHERE on_day >= :from_on), 0)::bigint AS remitted,
               coalesce(sum(rejected) FILTER (WHERE on_day >= :from_on), 0)::bigint AS rejected
        FROM (SELECT currency, sent_on AS on_day, amount_minor + fee_minor + vat_minor AS claimed, 0 AS remitted,
                     0 AS rejected
              FROM billing.payer_claim WHERE payer_id = :payer
              UNION ALL
              SELECT currency, received_on, 0, amount_minor, 0 FROM billing.payer_remittance WHERE payer_id = :payer
              UNION ALL
              SELECT c.currency, r.booked_on, 0, 0, r.amount_minor + r.fee_minor
              FROM billing.payer_rejection r
              JOIN billing.payer_claim c ON c.payer_id = r.payer_id AND c.claim_id = r.claim_id
              WHERE r.payer_id = :payer AND r.kind = 'rejected') AS moved
        WHERE on_day < :to_on GROUP BY currency ORDER BY currency
        """,
        payer=payer_id,
        from_on=from_on,
        to_on=to_on,
    )
    return [
        PayerStatement(
            payer_id=payer_id,
            currency=row.currency,
            from_on=from_on,
            to_on=to_on,
            opening_minor=row.opening,
            claimed_minor=row.claimed,
            remitted_minor=row.remitted,
            rejected_minor=row.rejected,
            closing_minor=row.opening + row.claimed - row.remitted - row.rejected,
        )
        for row in rows
    ]


async def open_claims(tx: Tx, payer_id: int | None) -> list[PayerClaim]:
    """Claims that are not paid, by due day: of one payer or of all."""
    rows = await tx.rows(
        f"""
        SELECT {_CLAIM} FROM billing.payer_claim
        WHERE (CAST(:payer AS bigint) IS NULL OR payer_id = :payer) AND {_OPEN} <> 0 ORDER BY due_on, claim_id
        """,
        payer=payer_id,
    )
    return [PayerClaim(**row._mapping) for row in rows]


async def overdue(tx: Tx, due_before: date, after: tuple[int, int], limit: int) -> Sequence[Any]:
    """Keys of claims that were due before a day and are owed still, behind the key `after`."""
    return await tx.rows(
        f"""
        SELECT payer_id, claim_id FROM billing.payer_claim
        WHERE due_on < :before AND {_OPEN} > 0
          AND (payer_id, claim_id) > (CAST(:payer AS bigint), CAST(:claim AS bigint))
        ORDER BY payer_id, claim_id LIMIT :limit
        """,
        before=due_before,
        payer=after[0],
        claim=after[1],
        limit=limit,
    )


async def note_dunned(tx: Tx, claim: PayerClaim, level: int) -> PayerClaim:
    """Raise the dunning level of a locked claim."""
    await tx.execute(
        """
        UPDATE billing.payer_claim SET dunning_level = :level, dunned_at = :now
        WHERE payer_id = :payer AND claim_id = :claim
        """,
        {"level": level, "now": tx.now, "payer": claim.payer_id, "claim": claim.claim_id},
    )
    return msgspec.structs.replace(claim, dunning_level=level)
