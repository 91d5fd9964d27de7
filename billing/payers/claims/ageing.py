"""What is open of claims, by how long it is overdue."""

from collections.abc import Iterable
from datetime import date

import msgspec

from billing.payers.claims.store import PayerClaim
from billing.payers.rules import ageing_bucket


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """What is open of a payer's claims, by how long it is overdue."""

    payer_id: int
    currency: str
    bucket: str
    claims: int
    open_minor: int


def age_claims(open_claims: Iterable[PayerClaim], on: date) -> list[Aged]:
    """The sums of claims by payer, currency and bucket, on a day."""
    sums: dict[tuple[int, str, str], tuple[int, int]] = {}
    for claim in open_claims:
        key = (claim.payer_id, claim.currency, ageing_bucket(claim.due_on, on))
        count, minor = sums.get(key, (0, 0))
        sums[key] = count + 1, minor + claim.open_minor
    return [
        Aged(payer_id=key[0], currency=key[1], bucket=key[2], claims=count, open_minor=minor)
        for key, (count, minor) in sorted(sums.items())
    ]
