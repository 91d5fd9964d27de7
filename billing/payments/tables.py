"""Tables of payments: what buyers pay, its parts by order, their credit, and what processors are told."""

from marketplace.core.tables import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Instant,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    buyer_table,
    local_table,
    lookup_table,
    merchant_table,
    text,
)

payment = buyer_table(
    "payment",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("purchase_id", BigInteger, nullable=False),
    Column("merchant_id", BigInteger),
    Column("amendment_id", BigInteger),
    Column("processor_id", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("processor_ref", Text),
    Column("failure", Text),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("authorised_at", Instant),
    Column("captured_at", Instant),
    Column("captured_minor", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("state IN ('created', 'authorised', 'captured', 'failed', 'voided')", name="state"),
    CheckConstraint("amount_minor >= 0 AND credit_minor >= 0", name="amounts"),
    CheckConstraint("captured_minor BETWEEN 0 AND amount_minor", name="captured"),
    Index(None, "buyer_id", "purchase_id"),
    Index(None, "payment_id"),
    schema="billing",
    postgresql_with={"fillfactor": "80"},
)
"""What a buyer pays at once for a purchase, over all its merchants, or for an amendment of one order.

amount_minor goes through the processor, credit_minor comes out of the buyer's credit. captured_minor is less than
amount_minor where orders were cancelled before the capture. method: the processor's token of card or account.
"""

payment_part = merchant_table(
    "payment_part",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payment_id", BigInteger, primary_key=True, autoincrement=False),
    Column("order_id", BigInteger, primary_key=True, autoincrement=False),
    Column("buyer_id", BigInteger, nullable=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False, server_default="0"),
    Column("state", Text, nullable=False, server_default="open"),
    Column("capture_asked", Boolean, nullable=False, server_default="false"),
    Column("captured_minor", BigInteger, nullable=False, server_default="0"),
    Column("fee_minor", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("state IN ('open', 'captured', 'released')", name="state"),
    CheckConstraint("amount_minor >= 0 AND credit_minor >= 0", name="amounts"),
    CheckConstraint("captured_minor BETWEEN 0 AND amount_minor", name="captured"),
    CheckConstraint("fee_minor >= 0", name="fee"),
    Index(None, "merchant_id", "order_id"),
    Index(None, "payment_id"),
    schema="billing",
    postgresql_with={"fillfactor": "80"},
)
"""An order's part of a payment: open until the money is captured, or released when it will not be.

capture_asked: it was open when the processor was told to capture, so money may come for it although it is released
meanwhile. captured_minor: what came through the processor for it, and is given back where the part is released.
fee_minor: what the processor has charged for it so far, known from its settlement file.
"""

credit_account = buyer_table(
    "credit_account",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("balance_minor", BigInteger, nullable=False),
    Column("reserved_minor", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("reserved_minor >= 0 AND reserved_minor <= balance_minor", name="never_overdrawn"),
    schema="billing",
    postgresql_with={"fillfactor": "70"},
)
"""A buyer's credit with the platform, and what of it is set aside for payments not captured yet.

The balance is what the house's account 2410 says of the buyer (dimension: buyer_id); `verify` compares.
"""

credit_movement = buyer_table(
    "credit_movement",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    CheckConstraint("kind IN ('granted', 'used', 'refunded', 'expired', 'rebate')", name="kind"),
    CheckConstraint("amount_minor <> 0", name="amount"),
    UniqueConstraint("buyer_id", "kind", "source_id"),
    schema="billing",
)
"""Why a buyer's credit changed: what was granted, refunded into it, used for a payment, or expired. Signed."""

credit_grant = buyer_table(
    "credit_grant",
    Column("buyer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("grant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("left_minor", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
    CheckConstraint("left_minor BETWEEN 0 AND amount_minor", name="left"),
    Index("ix_credit_grant_left", "expires_at", postgresql_where=text("left_minor > 0")),
    schema="billing",
    postgresql_with={"fillfactor": "70"},
)
"""Credit that was granted for a time, and what of it is neither used nor expired; grant_id: its movement's source.

Only these expire: what was granted without an end, and what a refund turned into credit, stays the buyer's. Of a
buyer's credit the grant that expires first is used first, and credit that does not expire last.
"""

payment_command = local_table(
    "payment_command",
    Column("command_id", BigInteger, primary_key=True, autoincrement=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("buyer_id", BigInteger, nullable=False),
    Column("payment_id", BigInteger, nullable=False),
    Column("merchant_id", BigInteger),
    Column("refund_id", BigInteger),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("method", Text, nullable=False, server_default=text("''")),
    Column("state", Text, nullable=False, server_default="todo"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant),
    Column("error", Text),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("kind IN ('authorise', 'capture', 'void', 'refund')", name="kind"),
    CheckConstraint("state IN ('todo', 'sent', 'parked')", name="state"),
    Index("ix_payment_command_todo", "command_id", postgresql_where=text("state = 'todo'")),
    Index(None, "payment_id"),
    schema="billing",
)
"""What a processor still has to be told, written in the transaction that decided it; command_id makes it once."""

inbox_event = local_table(
    "inbox_event",
    Column("inbox_id", BigInteger, primary_key=True, autoincrement=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("event_ref", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant),
    Column("error", Text),
    Column("received_at", Instant, nullable=False),
    Column("applied_at", Instant),
    CheckConstraint("state IN ('waiting', 'applied', 'parked')", name="state"),
    CheckConstraint("(state = 'applied') = (applied_at IS NOT NULL)", name="applied"),
    UniqueConstraint("processor_id", "event_ref"),
    Index("ix_inbox_event_waiting", "inbox_id", postgresql_where=text("state = 'waiting'")),
    Index("ix_inbox_event_parked", "inbox_id", postgresql_where=text("state = 'parked'")),
    schema="billing",
)
"""What processors have told us, word for word, each event once: event_ref is the processor's own id of it."""

processor_file = local_table(
    "processor_file",
    Column("file_id", BigInteger, primary_key=True, autoincrement=False),
    Column("processor_id", BigInteger, nullable=False),
    Column("batch_ref", Text, nullable=False),
    Column("paid_on", Date, nullable=False),
    Column("currency", Text, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("new_lines", Integer, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("imported_at", Instant, nullable=False),
    Column("imported_by", Text, nullable=False),
    CheckConstraint("state IN ('booking', 'booked')", name="state"),
    Index(None, "processor_id", "batch_ref"),
    Index(
        "uq_processor_file_booking",
        "processor_id",
        "batch_ref",
        "currency",
        unique=True,
        postgresql_where=text("state = 'booking'"),
    ),
    schema="billing",
)
"""A processor's settlement file: the bank batch it explains, and the sums of its new lines as far as they are booked.

file_id is the batch that the lines carry on account 1030. new_lines: how many it set out to book; lines: how many of
them it has. A file that was left while it was `booking` goes on when it is imported again.
"""

processor_line = lookup_table(
    "processor_line",
    Column("line_ref", Text, primary_key=True),
    Column("processor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_id", BigInteger, nullable=False),
    Column("file_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("dispute_ref", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("gross_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    CheckConstraint("net_minor = gross_minor - fee_minor", name="net"),
    Index(None, "reference"),
    schema="billing",
    key="line_ref",
)
"""A line of a settlement file, once, whichever files it came in. line_id is the source of what it booked."""

payment_break = local_table(
    "payment_break",
    Column("currency", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("order_ref", Text, primary_key=True),
    Column("paid_minor", BigInteger, nullable=False),
    Column("due_minor", BigInteger, nullable=False),
    schema="billing",
)
"""Purchases whose payments and orders did not fit when they were last compared."""
