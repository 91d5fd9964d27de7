"""API keys of the demonstration, to place and deliver an order with at once."""

import msgspec

from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.sessions import create_api_key
from marketplace.core.users import get_user

NAME = "demonstration"
LOGINS = ("shop", "merchant")


class DemoKey(msgspec.Struct, frozen=True):
    """A user's API key; None when it was shown by an earlier run."""

    login: str
    key: str | None


async def make_keys(db: Database, actor: str) -> list[DemoKey]:
    """A key for the shop, and one for the merchant: made once, shown once."""
    return await db.write(WORKER, actor, _make)


async def _make(tx: Tx) -> list[DemoKey]:
    known = {row.user_id for row in await tx.rows("SELECT user_id FROM core.api_key WHERE name = :name", name=NAME)}
    keys = []
    for login in LOGINS:
        owner = await get_user(tx, login)
        made = None if owner.user_id in known else await create_api_key(tx, owner.user_id, NAME)
        keys.append(DemoKey(login, None if made is None else made.key))
    return keys
