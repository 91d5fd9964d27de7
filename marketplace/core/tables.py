"""The metadata that every package adds its tables to, the five kinds of tables, and the floor's own tables.

The kind of a table says who owns its rows and so where they live on a cluster (decision D2) and which row policies
it gets (D5). It is stated once, where the table is defined; migration, `db distribute` and the tests read it here.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem

__all__ = [
    "ARRAY",
    "JSONB",
    "BigInteger",
    "Boolean",
    "CheckConstraint",
    "Column",
    "Date",
    "ForeignKeyConstraint",
    "Index",
    "Instant",
    "Integer",
    "LargeBinary",
    "PrimaryKeyConstraint",
    "SmallInteger",
    "Text",
    "UniqueConstraint",
    "text",
]

SCHEMAS = ("core", "supply", "demand", "incentives", "billing", "metrics")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(DateTime):
    """An aware instant, `timestamptz`."""

    def __init__(self) -> None:
        super().__init__(timezone=True)


class Placement(msgspec.Struct, frozen=True):
    """Where the rows of a table live on a cluster.

    distributed_by: the column that decides the shard (None: not distributed).
    reference: a copy on every node, for what is mostly read.
    colocated_with: the kind of key; tables of one kind with equal keys share a shard.
    readable_by: tenant roles that may read a reference or local table whole.
    """

    distributed_by: str | None = None
    reference: bool = False
    colocated_with: str | None = None
    readable_by: tuple[str, ...] = ()


def _table(name: str, schema: str, placement: Placement, items: Iterable[SchemaItem], **options: Any) -> Table:
    return Table(name, metadata, *items, schema=schema, info={"placement": placement}, **options)


def merchant_table(name: str, *items: SchemaItem, schema: str, **options: Any) -> Table:
    """A table whose rows belong to a merchant: `merchant_id` leads every key, and only that merchant sees them."""
    return _table(name, schema, Placement("merchant_id", colocated_with="merchant"), items, **options)


def buyer_table(name: str, *items: SchemaItem, schema: str, **options: Any) -> Table:
    """A table whose rows belong to a buyer, led by `buyer_id`."""
    return _table(name, schema, Placement("buyer_id", colocated_with="buyer"), items, **options)


def payer_table(name: str, *items: SchemaItem, schema: str, **options: Any) -> Table:
    """A table whose rows belong to a third-party payer, led by `payer_id`."""
    return _table(name, schema, Placement("payer_id", colocated_with="payer"), items, **options)


def lookup_table(name: str, *items: SchemaItem, schema: str, key: str, **options: Any) -> Table:
    """A table distributed by a key of the outside world, which makes that key unique platform-wide."""
    return _table(name, schema, Placement(key, colocated_with=key), items, **options)


def reference_table(
    name: str, *items: SchemaItem, schema: str, readable_by: tuple[str, ...] = (), **options: Any
) -> Table:
    """A table that is mostly read and small; on a cluster every node holds a copy."""
    return _table(name, schema, Placement(reference=True, readable_by=readable_by), items, **options)


def local_table(name: str, *items: SchemaItem, schema: str, readable_by: tuple[str, ...] = (), **options: Any) -> Table:
    """A table that stays on the coordinator: work, sessions, audit, leads."""
    return _table(name, schema, Placement(readable_by=readable_by), items, **options)


def placement(table: Table) -> Placement:
    """The placement stated at the table's definition."""
    stated = table.info["placement"]
    assert isinstance(stated, Placement)
    return stated


def qualified(table: Table) -> str:
    """`schema.name`, as SQL text needs it."""
    return f"{table.schema}.{table.name}"


id_block = local_table(
    "id_block",
    Column("noun", Text, primary_key=True),
    Column("last_id", BigInteger, nullable=False),
    schema="core",
)

app_user = local_table(
    "app_user",
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("login", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("password_hash", Text),
    Column("roles", ARRAY(Text), nullable=False),
    Column("merchant_id", BigInteger),
    Column("locale", Text, nullable=False, server_default="en"),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("created_at", Instant, nullable=False),
    Column("payer_id", BigInteger),
    Column("email", Text),
    CheckConstraint("cardinality(roles) > 0", name="has_role"),
    Index(None, "email"),
    Index(None, "merchant_id"),
    schema="core",
)

session = local_table(
    "session",
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("viewing_merchant_id", BigInteger),
    ForeignKeyConstraint(["user_id"], ["core.app_user.user_id"], ondelete="CASCADE"),
    Index(None, "user_id"),
    schema="core",
)

sign_in_attempt = local_table(
    "sign_in_attempt",
    Column("subject", Text, primary_key=True),
    Column("window_starts_at", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    schema="core",
    prefixes=["UNLOGGED"],
)

api_key = local_table(
    "api_key",
    Column("key_id", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text)),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
    Column("last_used_at", Instant),
    ForeignKeyConstraint(["user_id"], ["core.app_user.user_id"], ondelete="CASCADE"),
    Index(None, "user_id"),
    schema="core",
)

request_window = local_table(
    "request_window",
    Column("caller", Text, primary_key=True),
    Column("window_starts_at", Instant, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("granted", Integer, nullable=False),
    schema="core",
    prefixes=["UNLOGGED"],
)

idempotency_key = local_table(
    "idempotency_key",
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", LargeBinary),
    Column("created_at", Instant, nullable=False),
    schema="core",
)

outbox = local_table(
    "outbox",
    Column("event_id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("merchant_id", BigInteger),
    Column("payload", JSONB, nullable=False),
    Column("occurred_at", Instant, nullable=False),
    Column("dispatched_at", Instant),
    Index("ix_outbox_waiting", "event_id", postgresql_where=text("dispatched_at IS NULL")),
    schema="core",
)

audit = local_table(
    "audit",
    Column("audit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("single_operator", Boolean, nullable=False, server_default="false"),
    Index(None, "subject", "audit_id"),
    Index(None, "actor", "audit_id"),
    schema="core",
)

policy = local_table(
    "policy",
    Column("name", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Instant, nullable=False),
    schema="core",
)

work_batch = local_table(
    "work_batch",
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("closed_at", Instant),
    schema="core",
)

work_item = local_table(
    "work_item",
    Column("batch_id", BigInteger, primary_key=True, autoincrement=False),
    Column("item_no", Integer, primary_key=True, autoincrement=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="todo"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("not_before", Instant),
    Column("result", JSONB),
    Column("error", Text),
    ForeignKeyConstraint(["batch_id"], ["core.work_batch.batch_id"], ondelete="CASCADE"),
    CheckConstraint("state IN ('todo', 'done', 'parked')", name="state"),
    Index("ix_work_item_todo", "batch_id", "item_no", postgresql_where=text("state = 'todo'")),
    schema="core",
)

last_check = local_table(
    "last_check",
    Column("subject", Text, primary_key=True),
    Column("answer", JSONB),
    Column("checked_at", Instant),
    Column("asked_at", Instant),
    CheckConstraint("(answer IS NULL) = (checked_at IS NULL)", name="checked"),
    schema="core",
)
"""What was found when something was last checked that takes too long while somebody waits. asked_at: by who waits."""
