"""The keys that sign what sponsored positions carry."""

import secrets

from marketplace.core.db import Tx

_KEY_BYTES = 32


async def read_keys(tx: Tx) -> dict[int, bytes]:
    """Every key by its number; the highest one signs."""
    return {row.key_id: row.secret for row in await tx.rows("SELECT key_id, secret FROM billing.ad_key")}


async def add_first_key(tx: Tx) -> None:
    """Make the first key, unless somebody has."""
    await tx.execute(
        "INSERT INTO billing.ad_key (key_id, secret, made_at) VALUES (1, :secret, :now) ON CONFLICT DO NOTHING",
        {"secret": secrets.token_bytes(_KEY_BYTES), "now": tx.now},
    )
