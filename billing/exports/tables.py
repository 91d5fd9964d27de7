"""The table of what our accounts are called elsewhere."""

from marketplace.core.tables import CheckConstraint, Column, Instant, Integer, Text, local_table

erp_account = local_table(
    "erp_account",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("account", Integer, primary_key=True, autoincrement=False),
    Column("number", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("cost_center", Text, nullable=False),
    Column("tax_code", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("number <> ''", name="number"),
    schema="billing",
)
"""Which account of the ERP's chart takes what a legal entity has on one of ours."""
