"""Tables of grants, twice: those of merchants live with their merchant, those of buyers with their buyer."""

from collections.abc import Callable
from typing import Any

from marketplace.core.tables import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    buyer_table,
    lookup_table,
    merchant_table,
    text,
)

Make = Callable[..., Any]


def _progress(role: str, make: Make) -> None:
    """Where a beneficiary stands in one window (`incentives.grants.model.Progress`)."""
    make(
        f"{role}_progress",
        Column(f"{role}_id", BigInteger, primary_key=True, autoincrement=False),
        Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
        Column("span", Text, primary_key=True),
        Column("starts_at", Instant, nullable=False),
        Column("ends_at", Instant),
        Column("promised", BigInteger, nullable=False),
        Column("settled", BigInteger, nullable=False),
        Column("reached", BigInteger, nullable=False),
        Column("granted_minor", BigInteger, nullable=False),
        Column("pending_minor", BigInteger, nullable=False),
        Column("award_minor", BigInteger),
        Column("void_minor", BigInteger, nullable=False, server_default="0"),
        Column("grants", Integer, nullable=False),
        Column("promise_keys", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
        Column("promise_minor", ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]")),
        Column("promises", Integer, nullable=False, server_default="0"),
        Column("changed_at", Instant, nullable=False),
        ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
        CheckConstraint(
            "granted_minor >= 0 AND pending_minor >= 0 AND void_minor >= 0 AND grants >= 0", name="amounts"
        ),
        CheckConstraint("cardinality(promise_keys) = cardinality(promise_minor)", name="promises"),
        Index(f"ix_{role}_progress_owed", "promotion_id", postgresql_where=text("pending_minor > 0")),
        schema="incentives",
        postgresql_with={"fillfactor": "70"},
    )


def _contribution(role: str, make: Make) -> None:
    """What one event adds to a window now, under its id: so it counts once."""
    make(
        f"{role}_contribution",
        Column(f"{role}_id", BigInteger, nullable=False),
        Column("promotion_id", BigInteger, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("span", Text, nullable=False),
        Column("version_no", Integer, nullable=False),
        Column("promised", BigInteger, nullable=False),
        Column("settled", BigInteger, nullable=False),
        Column("of_buyer", BigInteger),
        Column("line_nos", ARRAY(SmallInteger), nullable=False),
        Column("at", Instant, nullable=False),
        Column("changed_at", Instant, nullable=False),
        PrimaryKeyConstraint(f"{role}_id", "event_id", "promotion_id"),  # all that an event contributes lies together
        ForeignKeyConstraint(
            ["promotion_id", "version_no"],
            ["incentives.promotion_version.promotion_id", "incentives.promotion_version.version_no"],
        ),
        Index(f"ix_{role}_contribution_window", f"{role}_id", "promotion_id", "span", "version_no"),
        schema="incentives",
        postgresql_with={"fillfactor": "80"},
    )


def _grant(role: str, make: Make) -> None:
    """An award, or below zero a clawback, with the shares of funders and of the event's lines as they were divided."""
    make(
        f"{role}_grant",
        Column(f"{role}_id", BigInteger, primary_key=True, autoincrement=False),
        Column("promotion_id", BigInteger, primary_key=True, autoincrement=False),
        Column("span", Text, primary_key=True),
        Column("grant_no", Integer, primary_key=True, autoincrement=False),
        Column("grant_id", BigInteger, nullable=False),
        Column("campaign_id", BigInteger, nullable=False),
        Column("version_no", Integer, nullable=False),
        Column("event_id", Text),
        Column("form", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("funders", ARRAY(Text), nullable=False),
        Column("funder_minor", ARRAY(BigInteger), nullable=False),
        Column("line_nos", ARRAY(SmallInteger), nullable=False),
        Column("line_minor", ARRAY(BigInteger), nullable=False),
        Column("state", Text, nullable=False),
        Column("reservation_key", Text),
        Column("vests_at", Instant),
        Column("at", Instant, nullable=False),
        Column("changed_at", Instant, nullable=False),
        UniqueConstraint(f"{role}_id", "grant_id"),
        ForeignKeyConstraint(
            ["promotion_id", "version_no"],
            ["incentives.promotion_version.promotion_id", "incentives.promotion_version.version_no"],
        ),
        CheckConstraint("state IN ('pending', 'available', 'paid', 'void')", name="state"),
        CheckConstraint("form IN ('credit', 'next_order_voucher', 'fee_reduction', 'discount')", name="form"),
        CheckConstraint("amount_minor <> 0", name="amount"),
        CheckConstraint(
            "cardinality(funders) = cardinality(funder_minor) AND cardinality(funders) > 0"
            " AND cardinality(line_nos) = cardinality(line_minor)",
            name="shares",
        ),
        Index(None, "promotion_id", "at"),
        *([Index(None, "grant_id")] if role == "buyer" else []),  # of merchants' grants one also knows whose they are
        Index(
            f"ix_{role}_grant_open", "promotion_id", "state", postgresql_where=text("state IN ('pending', 'available')")
        ),
        schema="incentives",
        postgresql_with={"fillfactor": "80"},
    )


def _voucher(role: str, make: Make) -> None:
    """A grant that is money off one later order."""
    make(
        f"{role}_voucher",
        Column(f"{role}_id", BigInteger, primary_key=True, autoincrement=False),
        Column("voucher_id", BigInteger, primary_key=True, autoincrement=False),
        Column("promotion_id", BigInteger, nullable=False),
        Column("grant_id", BigInteger, nullable=False),
        Column("code", Text, nullable=False),
        Column("currency", Text, nullable=False),
        Column("amount_minor", BigInteger, nullable=False),
        Column("minimum_minor", BigInteger, nullable=False),
        Column("state", Text, nullable=False),
        Column("issued_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("used_for", Text),
        Column("changed_at", Instant, nullable=False),
        UniqueConstraint(f"{role}_id", "grant_id"),
        ForeignKeyConstraint(["promotion_id"], ["incentives.promotion.promotion_id"]),
        CheckConstraint("state IN ('issued', 'used', 'expired', 'void')", name="state"),
        CheckConstraint("(state = 'used') = (used_for IS NOT NULL)", name="used"),
        CheckConstraint("amount_minor > 0 AND minimum_minor >= 0 AND expires_at > issued_at", name="amounts"),
        Index(f"ix_{role}_voucher_expiring", "expires_at", postgresql_where=text("state = 'issued'")),
        schema="incentives",
        postgresql_with={"fillfactor": "80"},
    )


for _of, _make in (("merchant", merchant_table), ("buyer", buyer_table)):
    for _define in (_progress, _contribution, _grant, _voucher):
        _define(_of, _make)

voucher_code = lookup_table(
    "voucher_code",
    Column("code", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("party_id", BigInteger, nullable=False),
    Column("voucher_id", BigInteger, nullable=False),
    CheckConstraint("role IN ('merchant', 'buyer')", name="role"),
    schema="incentives",
    key="code",
)
"""Whose voucher a code is: no two are alike."""

reward_cursor = merchant_table(
    "reward_cursor",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_no", BigInteger, nullable=False),
    Column("changed_at", Instant, nullable=False),
    schema="incentives",
    postgresql_with={"fillfactor": "50"},
)
"""Up to which entry of a merchant's books the pass of rewards has looked: what was booked after it waits."""
