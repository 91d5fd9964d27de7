"""Tables of the files that instruct the bank, and of the accounts that they are paid out of."""

from marketplace.core.tables import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    local_table,
    merchant_table,
)

debtor_account = local_table(
    "debtor_account",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("routing", Text, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    CheckConstraint("scheme IN ('iban', 'other')", name="scheme"),
    schema="billing",
)
"""The account of a legal entity that payouts in a currency are paid out of."""

payout_file = local_table(
    "payout_file",
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("pay_on", Date, nullable=False),
    Column("holder", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("routing", Text, nullable=False),
    Column("payouts", Integer, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Instant),
    Column("cancelled_by", Text),
    Column("cancelled_at", Instant),
    Column("cancel_reason", Text),
    CheckConstraint("state IN ('made', 'approved', 'cancelled')", name="state"),
    CheckConstraint("state <> 'approved' OR approved_at IS NOT NULL", name="approved"),
    CheckConstraint("(state = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled"),
    schema="billing",
)
"""holder to routing: the account that it is paid out of, as it was when the file was made."""

payout_file_line = merchant_table(
    "payout_file_line",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payout_id", BigInteger, primary_key=True, autoincrement=False),
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("routing", Text, nullable=False),
    ForeignKeyConstraint(["merchant_id", "payout_id"], ["billing.payout.merchant_id", "billing.payout.payout_id"]),
    Index(None, "file_id", "merchant_id", "payout_id"),
    schema="billing",
)
"""A payout in a file, to the account as it was then. The payout itself names the one file that is not cancelled."""
