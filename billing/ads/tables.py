"""Tables of ads: prepaid accounts and what moves them, campaigns, events, hours, charges and slots."""

from marketplace.core.tables import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    local_table,
    lookup_table,
    merchant_table,
    reference_table,
    text,
)

ad_terms = reference_table(
    "ad_terms",
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("valid_from", Date, primary_key=True),
    Column("vat_ppm", Integer, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("vat_ppm BETWEEN 0 AND 1000000", name="vat"),
    schema="billing",
    readable_by=("app_merchant",),
)

ad_placement = reference_table(
    "ad_placement",
    Column("placement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("pricing", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("positions", Integer, nullable=False),
    Column("reserve_minor", BigInteger, nullable=False),
    Column("slot_minutes", Integer, nullable=False),
    Column("slot_price_minor", BigInteger, nullable=False),
    Column("list_price_minor", BigInteger, nullable=False, server_default="0"),
    Column("open", Boolean, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("pricing IN ('click', 'thousand', 'slot')", name="pricing"),
    CheckConstraint(
        "positions >= 0 AND reserve_minor >= 0 AND slot_price_minor >= 0 AND list_price_minor >= 0", name="amounts"
    ),
    CheckConstraint("(pricing = 'slot') = (slot_minutes > 0)", name="slots"),
    schema="billing",
    readable_by=("app_merchant",),
)

ad_key = local_table(
    "ad_key",
    Column("key_id", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
    Column("made_at", Instant, nullable=False),
    schema="billing",
)
"""The keys that sign what a sponsored position carries: the newest signs, the others are still believed."""

ad_account = merchant_table(
    "ad_account",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, primary_key=True),
    Column("paid_minor", BigInteger, nullable=False, server_default="0"),
    Column("granted_minor", BigInteger, nullable=False, server_default="0"),
    Column("held_minor", BigInteger, nullable=False, server_default="0"),
    Column("topped_minor", BigInteger, nullable=False, server_default="0"),
    Column("vat_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_vat_minor", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("paid_minor >= 0 AND granted_minor >= 0", name="never_overspent"),
    CheckConstraint("held_minor >= 0 AND held_minor <= paid_minor + granted_minor", name="held"),
    CheckConstraint("refunded_minor <= topped_minor AND refunded_vat_minor <= vat_minor", name="refunded"),
    schema="billing",
    postgresql_with={"fillfactor": "70"},
)
"""A merchant's prepaid balance; 2100 and 2110 say the same. Whoever changes it holds the merchant's ledger head."""

ad_receipt = lookup_table(
    "ad_receipt",
    Column("receipt_ref", Text, primary_key=True),
    Column("merchant_id", BigInteger, nullable=False),
    Column("movement_id", BigInteger, nullable=False),
    schema="billing",
    key="receipt_ref",
)
"""Money that came in for a top-up, by the bank's or the processor's own reference: no receipt is booked twice."""

ad_movement = merchant_table(
    "ad_movement",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("movement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("granted_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("ref", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("entry_no", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    CheckConstraint("kind IN ('top_up', 'grant', 'refund')", name="kind"),
    CheckConstraint("source IN ('bank', 'processor', 'earnings', '')", name="source"),
    schema="billing",
)

ad_grant = merchant_table(
    "ad_grant",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("grant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="proposed"),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    CheckConstraint("state IN ('proposed', 'approved', 'rejected')", name="state"),
    CheckConstraint("amount_minor > 0", name="amount"),
    schema="billing",
)

ad_campaign = merchant_table(
    "ad_campaign",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("placement_id", BigInteger, nullable=False),
    Column("product_id", BigInteger, nullable=False),
    Column("pricing", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("bid_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger),
    Column("spent_minor", BigInteger, nullable=False, server_default="0"),
    Column("zone", Text, nullable=False),
    Column("pacing", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("ends_at", Instant),
    Column("state", Text, nullable=False, server_default="draft"),
    Column("quality_ppm", Integer, nullable=False, server_default="1000000"),
    Column("guaranteed", Boolean, nullable=False, server_default=text("false")),
    Column("version", Integer, nullable=False, server_default="1"),
    ForeignKeyConstraint(["placement_id"], ["billing.ad_placement.placement_id"]),
    CheckConstraint("pricing IN ('click', 'thousand', 'slot')", name="pricing"),
    CheckConstraint("pacing IN ('even', 'at_once')", name="pacing"),
    CheckConstraint("state IN ('draft', 'in_review', 'active', 'paused', 'suspended', 'ended')", name="state"),
    CheckConstraint("bid_minor >= 0 AND quality_ppm > 0", name="bid"),
    CheckConstraint("spent_minor >= 0 AND (total_minor IS NULL OR spent_minor <= total_minor)", name="within_total"),
    CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="window"),
    Index("ix_ad_campaign_ending", "ends_at", postgresql_where=text("state <> 'ended' AND ends_at IS NOT NULL")),
    schema="billing",
    postgresql_with={"fillfactor": "80"},
)

ad_target = merchant_table(
    "ad_target",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("term", Text, primary_key=True),
    ForeignKeyConstraint(
        ["merchant_id", "campaign_id"], ["billing.ad_campaign.merchant_id", "billing.ad_campaign.campaign_id"]
    ),
    CheckConstraint("kind IN ('category', 'word')", name="kind"),
    Index(None, "term", "kind"),
    schema="billing",
)
"""What somebody must look for to be shown a campaign: a category, or a word in lower case."""

ad_budget = merchant_table(
    "ad_budget",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("from_on", Date, primary_key=True),
    Column("daily_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "campaign_id"], ["billing.ad_campaign.merchant_id", "billing.ad_campaign.campaign_id"]
    ),
    CheckConstraint("daily_minor >= 0", name="daily"),
    schema="billing",
)
"""The daily budget from a local day of the campaign on, until the next row. Of days gone by it never changes, and of
the day itself it may only be raised: so what was spent on a day can be held against what was allowed."""

ad_campaign_event = merchant_table(
    "ad_campaign_event",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_no", Integer, primary_key=True, autoincrement=False),
    Column("move", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("party", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    schema="billing",
)

ad_event = merchant_table(
    "ad_event",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, primary_key=True),
    Column("campaign_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("hour_at", Instant, nullable=False),
    Column("viewer", BigInteger, nullable=False),
    Column("buyer_id", BigInteger),
    Column("price_milli", BigInteger, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
    Index("ix_ad_event_clicks", "merchant_id", "campaign_id", "hour_at", postgresql_where=text("kind = 'click'")),
    Index(
        "ix_ad_event_buyer",
        "merchant_id",
        "buyer_id",
        "at",
        postgresql_where=text("kind = 'click' AND buyer_id IS NOT NULL"),
    ),
    Index("ix_ad_event_hour", "hour_at", postgresql_using="brin"),
    schema="billing",
)
"""What was seen and clicked, as it came. Only the verdict changes, until it is forgotten. Without foreign keys and
checks: what comes in by the thousand a second is checked before, and its campaign is read with the batch."""

ad_bucket = merchant_table(
    "ad_bucket",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, primary_key=True, autoincrement=False),
    Column("hour_at", Instant, primary_key=True),
    Column("on_day", Date, nullable=False),
    Column("impressions", BigInteger, nullable=False, server_default="0"),
    Column("invalid_impressions", BigInteger, nullable=False, server_default="0"),
    Column("clicks", BigInteger, nullable=False, server_default="0"),
    Column("invalid_clicks", BigInteger, nullable=False, server_default="0"),
    Column("judged_clicks", BigInteger, nullable=False, server_default="0"),
    Column("gross_milli", BigInteger, nullable=False, server_default="0"),
    Column("invalid_milli", BigInteger, nullable=False, server_default="0"),
    Column("rated_milli", BigInteger, nullable=False, server_default="0"),
    Column("billed_minor", BigInteger, nullable=False, server_default="0"),
    Column("unbilled_minor", BigInteger, nullable=False, server_default="0"),
    Column("events_kept", Text, nullable=False, server_default="all"),
    CheckConstraint("billed_minor >= 0 AND unbilled_minor >= 0", name="amounts"),
    CheckConstraint("events_kept IN ('all', 'clicks', 'none')", name="events_kept"),
    Index(None, "merchant_id", "campaign_id", "on_day"),
    Index(
        "ix_ad_bucket_due",
        "merchant_id",
        "hour_at",
        postgresql_where=text("clicks <> judged_clicks OR gross_milli - invalid_milli <> rated_milli"),
    ),
    Index("ix_ad_bucket_events", "hour_at", "merchant_id", postgresql_where=text("events_kept <> 'none'")),
    schema="billing",
    postgresql_with={"fillfactor": "50"},  # counted up in place with every batch
)
"""An hour of a campaign. What comes in counts up clicks, impressions and gross; rating, which holds the merchant's
head, judges clicks and moves the rest. on_day: the local day of the campaign that the hour belongs to. events_kept:
which of its events are still stored; what was counted of them stays."""

ad_charge = merchant_table(
    "ad_charge",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("charge_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("hour_at", Instant, nullable=False),
    Column("on_day", Date, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("granted_minor", BigInteger, nullable=False),
    Column("paid_minor", BigInteger, nullable=False),
    Column("credits_charge_id", BigInteger),
    Column("booking_id", BigInteger),
    Column("rules_version", Integer, nullable=False),
    Column("entry_no", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    CheckConstraint("kind IN ('use', 'slot', 'credit')", name="kind"),
    CheckConstraint("amount_minor = granted_minor + paid_minor AND amount_minor <> 0", name="parts"),
    CheckConstraint("(kind = 'credit') = (amount_minor < 0)", name="sign"),
    CheckConstraint("(kind = 'credit') = (credits_charge_id IS NOT NULL)", name="credit"),
    Index(None, "merchant_id", "campaign_id", "hour_at"),
    schema="billing",
)
"""The ad bill, line by line. A line is never changed: an hour that turns out otherwise gets another line."""

ad_booking = merchant_table(
    "ad_booking",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("booking_id", BigInteger, primary_key=True, autoincrement=False),
    Column("campaign_id", BigInteger, nullable=False),
    Column("placement_id", BigInteger, nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("to_at", Instant, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="booked"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "campaign_id"], ["billing.ad_campaign.merchant_id", "billing.ad_campaign.campaign_id"]
    ),
    CheckConstraint("state IN ('booked', 'charged', 'cancelled')", name="state"),
    CheckConstraint("to_at > from_at AND price_minor >= 0", name="window"),
    Index("ix_ad_booking_beginning", "from_at", postgresql_where=text("state = 'booked'")),
    schema="billing",
)

ad_slot = lookup_table(
    "ad_slot",
    Column("placement_id", BigInteger, primary_key=True, autoincrement=False),
    Column("slot_at", Instant, primary_key=True),
    Column("merchant_id", BigInteger, nullable=False),
    Column("booking_id", BigInteger, nullable=False),
    schema="billing",
    key="placement_id",
)
"""The calendar: each slot of a placement that is sold, by the instant it begins; no slot can be sold twice."""
