"""Dense ids for bulk loads, reserved in the loading transaction so that a repeated load gives the same ids."""

from sqlalchemy.dialects.postgresql import insert

from marketplace.core.db import Tx
from marketplace.core.tables import id_block


async def reserve(tx: Tx, noun: str, count: int) -> int:
    """Reserve `count` ids for `noun` and return the one before the first: the block is (returned, returned + count]."""
    statement = insert(id_block).values(noun=noun, last_id=count)
    last: int = await tx.scalar(
        statement.on_conflict_do_update(
            index_elements=["noun"], set_={"last_id": id_block.c.last_id + statement.excluded.last_id}
        ).returning(id_block.c.last_id)
    )
    return last - count
