"""Every statement on the platform's own sales. Whoever makes or changes one holds the house's books."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from marketplace.core.db import Tx
from marketplace.core.errors import Conflict, NotFound
from supply.products.own_sales.tables import own_sale


class OwnSale(msgspec.Struct, frozen=True, kw_only=True):
    """Units sold to a buyer for net_minor and VAT, which cost cost_minor. returned_on: when they all came back."""

    sale_id: int
    receipt_ref: str
    house_merchant_id: int
    buyer: str
    currency: str
    processor_id: int
    net_minor: int
    vat_ppm: int
    vat_minor: int
    cost_minor: int
    serials: list[str]
    sold_on: date
    sold_by: str
    returned_on: date | None = None
    returned_by: str | None = None
    return_reason: str | None = None


_SALE = [own_sale.c[name] for name in OwnSale.__struct_fields__]


async def add_sale(tx: Tx, sale: OwnSale) -> OwnSale:
    """Raises Conflict for a receipt that is another sale's."""
    try:
        await tx.execute(insert(own_sale), msgspec.structs.asdict(sale))
    except IntegrityError as fault:
        raise Conflict(f"receipt_ref: {sale.receipt_ref!r} is another sale's", pointer="/receipt_ref") from fault
    return sale


async def get_sale(tx: Tx, sale_id: int) -> OwnSale:
    """Raises NotFound."""
    row = await tx.row(select(*_SALE).where(own_sale.c.sale_id == sale_id))
    if row is None:
        raise NotFound(f"the platform has made no sale {sale_id}")
    return OwnSale(**row._mapping)


async def list_sales(tx: Tx, *, limit: int, after: int | None = None) -> list[OwnSale]:
    """At most `limit` sales, the newest first, those behind the id `after`."""
    query = select(*_SALE).order_by(own_sale.c.sale_id.desc()).limit(limit)
    if after is not None:
        query = query.where(own_sale.c.sale_id < after)
    return [OwnSale(**row._mapping) for row in await tx.rows(query)]


async def note_return(tx: Tx, sale: OwnSale, **values: Any) -> OwnSale:
    """Say that everything has come back."""
    await tx.execute(update(own_sale).where(own_sale.c.receipt_ref == sale.receipt_ref).values(values))
    return msgspec.structs.replace(sale, **values)
