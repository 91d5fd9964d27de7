"""One page of any list: what its query finds, sorted by one of its columns, behind the last row of the page before.

Rows that have the same in that column come by their key, so no row is shown twice or passed over. What has nothing
there comes last, whichever way the list is sorted.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from marketplace.core.db import Tx

_TYPES = {int: "bigint", str: "text", bool: "boolean", date: "date", datetime: "timestamptz"}


async def read_page(
    tx: Tx,
    query: str,
    bound: Mapping[str, Any],
    *,
    where: Sequence[str],
    by: str,
    nullable: bool,
    key: Sequence[str],
    kinds: Sequence[type],
    falling: bool,
    after: Sequence[Any] | None,
    limit: int,
) -> Sequence[Any]:
    """At most `limit` rows of `query` of which all of `where` is true.

    kinds: of the column `by` and of the columns of the key. after: the value in that column and the key of the last
    row that was shown.
    """
    direction = "DESC" if falling else "ASC"
    order = [f"r.{by} {direction}{' NULLS LAST' if nullable else ''}", *(f"r.{name} {direction}" for name in key)]
    places = {f"after_{no}": value for no, value in enumerate(after or ())}
    beyond = _beyond([by, *key], kinds, after, nullable=nullable, sign="<" if falling else ">")
    wanted = " AND ".join((beyond, *where))
    statement = f"SELECT * FROM ({query}) AS r WHERE {wanted} ORDER BY {', '.join(order)} LIMIT :page_rows"
    return await tx.rows(statement, **bound, **places, page_rows=limit)


def _beyond(
    names: Sequence[str], kinds: Sequence[type], after: Sequence[Any] | None, *, nullable: bool, sign: str
) -> str:
    """What is true of the rows behind the place `after`."""
    if after is None:
        return "true"
    columns = [f"r.{name}" for name in names]
    places = [f"CAST(:after_{no} AS {_TYPES[kind]})" for no, kind in enumerate(kinds)]
    if after[0] is None:
        at_the_end = f"({', '.join(columns[1:])}) {sign} ({', '.join(places[1:])})"
        return f"{columns[0]} IS NULL AND CAST(:after_0 AS text) IS NULL AND {at_the_end}"
    behind = f"({', '.join(columns)}) {sign} ({', '.join(places)})"
    return f"({behind} OR {columns[0]} IS NULL)" if nullable else behind
