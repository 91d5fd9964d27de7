"""Tables of the terms of payouts, of holds, and of what was kept back or carried over."""

from marketplace.core.tables import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    merchant_table,
    text,
)

payout_terms = merchant_table(
    "payout_terms",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("terms_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("minimum_minor", BigInteger, nullable=False),
    Column("reserve_ppm", Integer, nullable=False),
    Column("reserve_days", Integer, nullable=False),
    Column("days", Text, nullable=False),
    Column("weekday", SmallInteger),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    CheckConstraint("minimum_minor >= 0", name="minimum"),
    CheckConstraint("reserve_ppm BETWEEN 0 AND 999999 AND reserve_days >= 0", name="reserve"),
    CheckConstraint("(reserve_ppm > 0) = (reserve_days > 0)", name="reserve_days"),
    CheckConstraint("days IN ('every_run', 'daily', 'weekly', 'ten_days', 'monthly', 'manual')", name="days"),
    CheckConstraint("(days = 'weekly') = (weekday IS NOT NULL) AND weekday BETWEEN 1 AND 7", name="weekday"),
    CheckConstraint("state IN ('proposed', 'active', 'replaced', 'rejected')", name="state"),
    Index("uq_payout_terms_active", "merchant_id", "currency", unique=True, postgresql_where=text("state = 'active'")),
    Index(
        "uq_payout_terms_proposed", "merchant_id", "currency", unique=True, postgresql_where=text("state = 'proposed'")
    ),
    schema="billing",
)
"""A version of a merchant's terms in a currency; one is active, and one more may wait for a second person."""

payout_hold = merchant_table(
    "payout_hold",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hold_id", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_at", Instant, nullable=False),
    Column("released_by", Text),
    Column("released_at", Instant),
    Column("release_reason", Text),
    CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released"),
    Index("uq_payout_hold_live", "merchant_id", unique=True, postgresql_where=text("released_at IS NULL")),
    schema="billing",
)

payout_reserve = merchant_table(
    "payout_reserve",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payout_id", BigInteger, primary_key=True, autoincrement=False),
    Column("terms_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("base_minor", BigInteger, nullable=False),
    Column("held_minor", BigInteger, nullable=False),
    Column("held_on", Date, nullable=False),
    Column("release_on", Date, nullable=False),
    Column("state", Text, nullable=False),
    ForeignKeyConstraint(["merchant_id", "payout_id"], ["billing.payout.merchant_id", "billing.payout.payout_id"]),
    CheckConstraint("base_minor >= 0 AND held_minor >= 0", name="amounts"),
    CheckConstraint("state IN ('held', 'released', 'cancelled')", name="state"),
    Index(None, "merchant_id", "terms_id"),
    Index("ix_payout_reserve_due", "release_on", postgresql_where=text("state = 'held'")),
    schema="billing",
)
"""What was kept of a payout under which terms. base_minor: what it was a share of, less what came back from the bank.

A payout that comes back is paid again, and kept of again only what more there is to pay: so its amount leaves the base
and what was kept of it stays.
"""

payout_carried = merchant_table(
    "payout_carried",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Column("limit_minor", BigInteger),
    CheckConstraint("amount_minor > 0", name="amount"),
    CheckConstraint("why IN ('minimum', 'on_hold')", name="why"),
    CheckConstraint("(why = 'minimum') = (limit_minor IS NOT NULL)", name="minimum"),
    schema="billing",
)
"""What a run owed a merchant and did not pay, and why: it stays owed, and the next run looks again."""

payout_due = merchant_table(
    "payout_due",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("due_on", Date),
    Column("state", Text, nullable=False),
    Column("payout_id", BigInteger),
    Column("replaced_by", BigInteger),
    ForeignKeyConstraint(["merchant_id", "payout_id"], ["billing.payout.merchant_id", "billing.payout.payout_id"]),
    CheckConstraint("state IN ('waiting', 'paid', 'replaced', 'nothing', 'cancelled')", name="state"),
    CheckConstraint("(state = 'replaced') = (replaced_by IS NOT NULL)", name="replaced"),
    CheckConstraint(
        "state NOT IN ('paid', 'waiting', 'replaced') OR (state = 'paid') = (payout_id IS NOT NULL)", name="paid"
    ),
    Index("ix_payout_due_waiting", "due_on", postgresql_where=text("state = 'waiting'")),
    schema="billing",
)
"""What a final run left to be paid on a day of the merchant's terms. replaced_by: the later run that has it."""
