"""The table of the platform's own sales."""

from marketplace.core.tables import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Text,
    lookup_table,
)

own_sale = lookup_table(
    "own_sale",
    Column("receipt_ref", Text, primary_key=True),
    Column("sale_id", BigInteger, nullable=False),
    Column("house_merchant_id", BigInteger, nullable=False),
    Column("buyer", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("vat_ppm", Integer, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("serials", ARRAY(Text), nullable=False),
    Column("sold_on", Date, nullable=False),
    Column("sold_by", Text, nullable=False),
    Column("returned_on", Date),
    Column("returned_by", Text),
    Column("return_reason", Text),
    CheckConstraint("net_minor > 0 AND vat_minor >= 0 AND cost_minor > 0", name="amounts"),
    CheckConstraint("(returned_on IS NULL) = (returned_by IS NULL)", name="returned"),
    CheckConstraint("(returned_on IS NULL) = (return_reason IS NULL)", name="reason"),
    Index(None, "sale_id"),
    schema="supply",
    key="receipt_ref",
)
"""A sale of units that the house owned, in its own name; receipt_ref: the processor's name of the buyer's payment."""
