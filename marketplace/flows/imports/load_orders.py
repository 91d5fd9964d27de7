"""How orders of another system get in: streams of records, staged with COPY, filled by set-based SQL in one commit.

The records are consumed once, lazily, in the order categories, products, merchants, buyers, purchases, order lines,
payment lines; what they must satisfy together (no id twice, no reference into nothing) the database checks on the
staging tables, so memory stays flat however many orders there are. Either all of a source is stored or nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from demand.changes.store import note_merchants
from demand.store import queue_delivered
from marketplace.core import audit
from marketplace.core.blocks import reserve
from marketplace.core.crash import crash_point
from marketplace.core.db import WORKER, Database, Tx
from marketplace.core.errors import Conflict
from marketplace.core.money import check_currency
from marketplace.flows.commission.apply_contracts import GIVE_TERMS
from marketplace.flows.imports import load_orders_sql as sql
from marketplace.flows.imports.load_orders_model import (
    REJECTIONS_SHOWN_MAX,
    Buyer,
    Category,
    Loaded,
    Merchant,
    OrderLine,
    OrderSource,
    PaymentLine,
    Product,
    Purchase,
    Rejections,
)
from marketplace.flows.orders.freeze_contracts import freeze_at_sale

_PROGRESS_EVERY = 1000
_ANALYZED_FROM = 2_000  # lines; without statistics the planner takes the settlement of a large load for a small one
_LOADED = (
    "supply.merchant",
    "demand.purchase",
    "demand.merchant_order",
    "demand.order_line",
    "demand.order_due",
    "billing.ledger_head",
    "billing.ledger_roll",
    "billing.entry",
    "billing.payment_line",
    "billing.payment_share",
)

OnProgress = Callable[[int, int], None]


async def load_orders(
    db: Database, actor: str, source: OrderSource, on_progress: OnProgress = lambda done, total: None
) -> Loaded:
    """Load a source in one commit and return what it held; a source loaded before is not touched again.

    Raises Invalid naming every bad row (file, line, reason), and Conflict when an order exists already, when the
    entity keeps another currency or zone, or when a merchant belongs to another entity. Then nothing is stored.
    """
    check_currency(source.currency)
    loaded = await db.write(WORKER, actor, _load, source, on_progress)
    crash_point("import.committed")
    if loaded.order_lines >= _ANALYZED_FROM:
        await db.analyze(*_LOADED)
    return loaded


async def _load(tx: Tx, source: OrderSource, on_progress: OnProgress) -> Loaded:
    await tx.execute("SELECT pg_advisory_xact_lock(hashtext('marketplace.load_orders'))")  # one load at a time
    await tx.plan_in_bulk(brings_rows=True)
    stored = await tx.scalar("SELECT summary FROM billing.data_import WHERE digest = :digest", digest=source.digest)
    if stored is not None:
        return msgspec.json.decode(stored, type=Loaded)
    steps = _Steps(source.rows, on_progress)
    await _stage(tx, source, steps)
    crash_point("import.staged")
    ids = await _market(tx, source)
    await _check_against_stored(tx, ids["entity"])
    row = await tx.row(sql.SUMMARY)
    assert row is not None
    loaded = Loaded(**row._mapping)
    ids["import"] = await reserve(tx, "import", 1) + 1
    await _fill_parties(tx, source, ids, loaded)
    steps.fill()
    crash_point("import.parties")
    await _fill_orders(tx, source, ids, loaded)
    steps.fill()
    crash_point("import.orders")
    await _fill_books(tx, source, ids)
    steps.fill()
    crash_point("import.entries")
    await _remember(tx, source, ids["import"], loaded)
    crash_point("import.before-commit")
    return loaded


class _Steps:
    """Progress over staging, which counts records, and filling, which takes about as long in three steps."""

    def __init__(self, rows: int, on_progress: OnProgress) -> None:
        self._rows = max(rows, 1)
        self._done = 0
        self._on_progress = on_progress

    def staged(self, records: int) -> None:
        self._done += records
        self._on_progress(min(self._done, self._rows), 2 * self._rows)

    def fill(self) -> None:
        self._done = max(self._done, self._rows) + self._rows // 3
        self._on_progress(self._done, 2 * self._rows)


async def _stage(tx: Tx, source: OrderSource, steps: _Steps) -> None:
    """COPY every stream into its staging table, then refuse what is wrong in it."""
    rejections = Rejections()
    streams = source.open(rejections)
    await tx.raw.execute(sql.STAGING)
    zone = ZoneInfo(source.zone)
    await _copy(tx, "load_category", Category, _tuples(streams.categories, steps))
    await _copy(tx, "load_product", Product, _tuples(streams.products, steps))
    await _copy(tx, "load_merchant", Merchant, _tuples(streams.merchants, steps))
    await _copy(tx, "load_buyer", Buyer, _tuples(streams.buyers, steps))
    purchase_columns = (*_columns(Purchase), "placed_on", "delivered_on")
    dated = (
        (*record, record[5].astimezone(zone).date(), record[6].astimezone(zone).date() if record[6] else None)
        for record in _tuples(streams.purchases, steps)
    )
    await tx.copy("load_purchase", purchase_columns, dated)
    await _copy(tx, "load_line", OrderLine, _tuples(streams.lines, steps))
    await _copy(tx, "load_payment", PaymentLine, _tuples(streams.payments, steps))
    await tx.raw.execute(sql.ANALYZE_STAGED)
    await _check_staged(tx, source, rejections)
    rejections.raise_if_any(source.name)


def _columns(record: type[msgspec.Struct]) -> tuple[str, ...]:
    return record.__struct_fields__


async def _copy(tx: Tx, table: str, record: type[msgspec.Struct], records: Iterable[tuple[Any, ...]]) -> None:
    await tx.copy(table, _columns(record), records)


def _tuples(records: Iterable[msgspec.Struct], steps: _Steps) -> Iterator[tuple[Any, ...]]:
    """The records as COPY wants them, counted on the way."""
    number = 0
    for number, record in enumerate(records, start=1):
        if number % _PROGRESS_EVERY == 0:
            steps.staged(_PROGRESS_EVERY)
        yield msgspec.structs.astuple(record)
    steps.staged(number % _PROGRESS_EVERY)


async def _check_staged(tx: Tx, source: OrderSource, rejections: Rejections) -> None:
    """Add every repeated key and every reference into nothing to the rejections, in the order of the lines."""
    for stream, noun, holder, query in sql.CHECKS:
        place = source.places[stream]
        shown = REJECTIONS_SHOWN_MAX
        found = await tx.rows(
            f"SELECT *, count(*) OVER () AS total FROM ({query}) AS found ORDER BY line LIMIT {shown}"
        )
        for row in found:
            column = place.columns[noun]
            if holder is None:
                reason = f"{column}: {row.value!r} stands on line {row.first_line} already"
            else:
                reason = f"{column}: {row.value!r} is not in {source.places[holder].file}"
            rejections.add(place.file, row.line, reason)
        if found:
            rejections.count += found[0].total - len(found)


async def _market(tx: Tx, source: OrderSource) -> dict[str, int]:
    """The entity, its house books and the processor: found by name, or made."""
    entity = await tx.row(
        "SELECT entity_id, currency, zone, house_merchant_id FROM billing.entity WHERE name = :name", name=source.entity
    )
    if entity is None:
        entity_id = await reserve(tx, "entity", 1) + 1
        house = -entity_id
        await tx.execute(
            "INSERT INTO billing.entity (entity_id, name, currency, zone, house_merchant_id)"
            " VALUES (:entity, :name, :currency, :zone, :house)",
            {
                "entity": entity_id,
                "name": source.entity,
                "currency": source.currency,
                "zone": source.zone,
                "house": house,
            },
        )
    else:
        entity_id, house = entity.entity_id, entity.house_merchant_id
        if (entity.currency, entity.zone) != (source.currency, source.zone):
            raise Conflict(
                f"{source.entity} keeps {entity.currency} in {entity.zone},"
                f" this source {source.currency} in {source.zone}"
            )
    processor = await tx.scalar("SELECT processor_id FROM billing.processor WHERE name = :name", name=source.processor)
    if processor is None:
        processor = await reserve(tx, "processor", 1) + 1
        await tx.execute(
            "INSERT INTO billing.processor (processor_id, name) VALUES (:processor, :name)",
            {"processor": processor, "name": source.processor},
        )
    return {"entity": entity_id, "house": house, "processor": processor}


async def _check_against_stored(tx: Tx, entity_id: int) -> None:
    existing = await tx.scalar(sql.EXISTING_ORDER)
    if existing is not None:
        raise Conflict(f"order {existing!r} exists already: nothing was stored")
    foreign = await tx.scalar(sql.MERCHANT_OF_ANOTHER_ENTITY, entity=entity_id)
    if foreign is not None:
        raise Conflict(f"merchant {foreign!r} belongs to another entity: nothing was stored")


async def _fill_parties(tx: Tx, source: OrderSource, ids: dict[str, int], loaded: Loaded) -> None:
    await _numbered(tx, "product", sql.COUNT_NEW_PRODUCTS, sql.NUMBER_PRODUCTS)
    await _numbered(tx, "merchant", sql.COUNT_NEW_MERCHANTS, sql.NUMBER_MERCHANTS)
    await tx.execute(sql.FIND_KNOWN_BUYERS)
    await _numbered(tx, "buyer", sql.COUNT_NEW_BUYERS, sql.NUMBER_BUYERS)
    base = await reserve(tx, "purchase", loaded.orders)
    await tx.execute(sql.NUMBER_PURCHASES, {"base": base})
    await tx.raw.execute(sql.ANALYZE_RESOLVED)
    await _run_all(tx, sql.PARTIES, entity=ids["entity"], currency=source.currency, now=tx.now)
    # A contract applied meanwhile would not see these merchants: it waits for this commit, or we for it.
    await tx.execute("SELECT pg_advisory_xact_lock_shared(hashtext('billing.contract'))")
    new = [row.merchant_id for row in await tx.rows("SELECT merchant_id FROM load_merchant_id WHERE NOT known")]
    await tx.execute(GIVE_TERMS, {"contracts": None, "merchants": new})


async def _fill_orders(tx: Tx, source: OrderSource, ids: dict[str, int], loaded: Loaded) -> None:
    first, last = await _numbered(tx, "order", sql.COUNT_ORDERS, sql.NUMBER_ORDERS)
    await tx.raw.execute("ANALYZE load_order")
    await _numbered(tx, "refund", sql.COUNT_REFUNDS, sql.NUMBER_REFUNDS)
    await _run_all(tx, sql.ORDERS, entity=ids["entity"], currency=source.currency)
    sellers = [row.merchant_id for row in await tx.rows("SELECT DISTINCT merchant_id FROM load_order")]
    await note_merchants(tx, sellers)
    # These tables have no statistics yet, and without any the planner takes a nested loop over all lines for cheap.
    await tx.execute("SET LOCAL enable_nestloop = off")
    await freeze_at_sale(tx, sellers, after_order_id=first, upto_order_id=last)
    await queue_delivered(tx, sellers, after_order_id=first, upto_order_id=last)
    await tx.execute("SET LOCAL enable_nestloop = on")


async def _fill_books(tx: Tx, source: OrderSource, ids: dict[str, int]) -> None:
    known = {**ids, "currency": source.currency, "now": tx.now, "actor": tx.actor}
    # A run that closes the period meanwhile would leave the new heads open: it waits for this commit, or we for it.
    await tx.execute(
        "SELECT entity_id FROM billing.entity WHERE entity_id = :entity FOR SHARE", {"entity": ids["entity"]}
    )
    await _run_all(tx, (sql.FACTS,), **known)
    await tx.raw.execute("ANALYZE load_fact")
    statements = (sql.RESERVE_ENTRY_NUMBERS, sql.OPEN_ROLLS, sql.READ_HEADS, sql.ENTRIES)
    await _run_all(tx, (*statements, sql.PAYMENT_LINES, sql.PAYMENT_SHARES), **known)


async def _numbered(tx: Tx, noun: str, count: str, number: str) -> tuple[int, int]:
    """Reserve ids for what is new and give them out; returns the block (first, last], first excluded."""
    wanted = await tx.scalar(count)
    base = await reserve(tx, noun, wanted)
    await tx.execute(number, {"base": base})
    return base, base + wanted


async def _run_all(tx: Tx, inserts: Iterable[sql.Insert], **known: Any) -> None:
    """Run the statements in turn, each with those of the known values that it names, and count what they store."""
    for insert in inserts:
        bound = {name: value for name, value in known.items() if f":{name}" in insert.statement}
        stored = (await tx.execute(insert.statement, bound)).rowcount
        if insert.rows is not None and stored != (due := await tx.scalar(insert.rows)):
            raise RuntimeError(f"{stored} rows were stored where there are {due}: {insert.statement.strip()[:60]}")


async def _remember(tx: Tx, source: OrderSource, import_id: int, loaded: Loaded) -> None:
    await tx.execute(
        "INSERT INTO billing.data_import (import_id, source, digest, summary, imported_at, imported_by)"
        " VALUES (:import, :source, :digest, :summary, :now, :actor)",
        {
            "import": import_id,
            "source": source.name,
            "digest": source.digest,
            "summary": msgspec.json.encode(loaded).decode(),
            "now": tx.now,
            "actor": tx.actor,
        },
    )
    await audit.record(tx, "orders imported", f"import:{import_id}", source=source.name, orders=loaded.orders)
