"""What a billing run charges by itself."""

from marketplace.core.tables import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Text,
    merchant_table,
)

run_charge = merchant_table(
    "run_charge",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("charge_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("contract_id", BigInteger, nullable=False),
    Column("minimum_minor", BigInteger, nullable=False),
    Column("commission_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    CheckConstraint("fee_minor > 0 AND vat_minor >= 0", name="amounts"),
    CheckConstraint("state IN ('due', 'posted', 'reversed')", name="state"),
    Index(None, "merchant_id", "run_id"),
    schema="billing",
)
"""The minimum monthly commission less what the month's orders earned, when that is less; one per run and currency.

It is due while the run is previewed, an entry of kind commission_minimum (its source_id) once the run is final, and
taken back with the run.
"""
