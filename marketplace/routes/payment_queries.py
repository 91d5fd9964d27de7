"""Settlement files as they were booked."""

from billing.payments.model import ProcessorFile
from marketplace.core.db import Tx

_FILE_COLUMNS = ", ".join(ProcessorFile.__struct_fields__)


async def list_files(tx: Tx, *, limit: int, before_id: int | None = None) -> list[ProcessorFile]:
    """At most `limit` settlement files, the newest first, those before `before_id`."""
    rows = await tx.rows(
        f"""
        SELECT {_FILE_COLUMNS} FROM billing.processor_file
        WHERE file_id < coalesce(CAST(:before AS bigint), 9223372036854775807) ORDER BY file_id DESC LIMIT :limit
        """,
        before=before_id,
        limit=limit,
    )
    return [ProcessorFile(**row._mapping) for row in rows]
