"""Where webhooks go, what each is owed, and every attempt to tell it. All stay on the coordinator."""

from marketplace.core.tables import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    local_table,
    text,
)

# merchant_id: whose events it is told of; NULL for an endpoint of the house, which is told of all. topics: those it
# wants, none for all. The secrets are kept as they are, because each message is signed with them anew.
webhook_endpoint = local_table(
    "webhook_endpoint",
    Column("endpoint_id", BigInteger, primary_key=True, autoincrement=False),
    Column("merchant_id", BigInteger),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("topics", ARRAY(Text), nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("disabled_because", Text),
    Column("secret", Text, nullable=False),
    Column("previous_secret", Text),
    Column("previous_until", Instant),
    Column("failing_since", Instant),
    Column("created_at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("state IN ('active', 'disabled')", name="state"),
    CheckConstraint("(previous_secret IS NULL) = (previous_until IS NULL)", name="previous"),
    Index(None, "merchant_id", "endpoint_id"),
    schema="core",
)

# not_before: when it is sent next; a claimed one has it moved past the time a sender may take, so that it is sent
# again should that sender die. leased_until: until then a sender is at it. attempts_before: those made before it was
# asked for again.
webhook_delivery = local_table(
    "webhook_delivery",
    Column("endpoint_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("attempts_before", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant),
    Column("leased_until", Instant),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    ForeignKeyConstraint(["endpoint_id"], ["core.webhook_endpoint.endpoint_id"], ondelete="CASCADE"),
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
    CheckConstraint("(state = 'pending') = (not_before IS NOT NULL)", name="due"),
    Index("ix_webhook_delivery_due", "endpoint_id", "not_before", postgresql_where=text("state = 'pending'")),
    Index("ix_webhook_delivery_leased", "endpoint_id", postgresql_where=text("leased_until IS NOT NULL")),
    Index("ix_webhook_delivery_failed", "endpoint_id", "event_id", postgresql_where=text("state = 'failed'")),
    schema="core",
)

webhook_attempt = local_table(
    "webhook_attempt",
    Column("endpoint_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt_no", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("status", SmallInteger),
    Column("duration_ms", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("error", Text),
    ForeignKeyConstraint(
        ["endpoint_id", "event_id"],
        ["core.webhook_delivery.endpoint_id", "core.webhook_delivery.event_id"],
        ondelete="CASCADE",
    ),
    schema="core",
)
