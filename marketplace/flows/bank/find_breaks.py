from marketplace.core.db import Database


async def find_breaks(db: Database, actor: str) -> tuple[int, int]:
    return 0, 0
