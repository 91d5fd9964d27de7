"""What campaigns were charged, as the API shows it."""

from collections.abc import Sequence

import msgspec

from billing.ads.model import Charge
from marketplace.core.db import Tx

_COLUMNS = ", ".join(Charge.__struct_fields__)


async def list_charges(
    tx: Tx, merchant_id: int, campaign_id: int, *, limit: int, before: int | None
) -> Sequence[Charge]:
    """Charges of a campaign, the newest first, below the charge `before`."""
    rows = await tx.rows(
        f"""
        SELECT {_COLUMNS} FROM billing.ad_charge WHERE merchant_id = :merchant AND campaign_id = :campaign
          AND charge_id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY charge_id DESC LIMIT :limit
        """,
        merchant=merchant_id,
        campaign=campaign_id,
        before=before,
        limit=limit,
    )
    return [msgspec.convert(dict(row._mapping), Charge) for row in rows]
