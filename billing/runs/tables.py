"""What a billing run charges by itself, and when runs are opened."""

from marketplace.core.tables import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    local_table,
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

run_schedule = local_table(
    "run_schedule",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("cadence", Text, nullable=False),
    Column("weekday", SmallInteger),
    Column("starts_on", Date, nullable=False),
    Column("payout_days", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("cadence IN ('weekly', 'ten_days', 'monthly')", name="cadence"),
    CheckConstraint("(cadence = 'weekly') = (weekday IS NOT NULL) AND weekday BETWEEN 1 AND 7", name="weekday"),
    CheckConstraint("payout_days BETWEEN 1 AND 365", name="payout_days"),
    schema="billing",
)
"""How an entity's days are billed by the clock, in its zone."""
