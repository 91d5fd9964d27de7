"""Who did what, in the same transaction as the deed."""

from typing import Any

import msgspec
from sqlalchemy import insert

from marketplace.core.db import Tx
from marketplace.core.ids import time_ordered_id
from marketplace.core.tables import audit


async def record(tx: Tx, action: str, subject: str, *, single_operator: bool = False, **detail: Any) -> None:
    """Append one audit row: the transaction's actor did `action` (a past verb phrase) to `subject` ("noun:id").

    single_operator marks a deed that maker and checker shared under the policy of that name.
    """
    await tx.execute(
        insert(audit),
        {
            "audit_id": time_ordered_id(tx.now),
            "at": tx.now,
            "actor": tx.actor,
            "action": action,
            "subject": subject,
            "detail": msgspec.to_builtins(detail),
            "single_operator": single_operator,
        },
    )
