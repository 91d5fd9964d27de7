"""Tables of visits and of the places where they should be. They stay on the coordinator, as leads do."""

from marketplace.core.tables import (
    JSONB,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    Text,
    UniqueConstraint,
    local_table,
    text,
)

lead_site = local_table(
    "lead_site",
    Column("site_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("latitude_udeg", Integer, nullable=False),
    Column("longitude_udeg", Integer, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    CheckConstraint(
        "latitude_udeg BETWEEN -90000000 AND 90000000 AND longitude_udeg BETWEEN -180000000 AND 180000000", name="place"
    ),
    Index(None, "lead_id"),
    schema="supply",
)
"""A place of a lead, in millionths of a degree."""

visit = local_table(
    "visit",
    Column("visit_id", BigInteger, primary_key=True, autoincrement=False),
    Column("lead_id", BigInteger, nullable=False),
    Column("rep_id", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("planned_at", Instant),
    Column("device_id", Text),
    Column("device_ref", Text),
    Column("in_at", Instant),
    Column("in_latitude_udeg", Integer),
    Column("in_longitude_udeg", Integer),
    Column("in_accuracy_m", Integer),
    Column("out_at", Instant),
    Column("out_latitude_udeg", Integer),
    Column("out_longitude_udeg", Integer),
    Column("out_accuracy_m", Integer),
    Column("distance_m", Integer),
    Column("skew_s", Integer, nullable=False, server_default="0"),
    Column("mocked", Boolean, nullable=False, server_default="false"),
    Column("photo_hash", Text, nullable=False, server_default=text("''")),
    Column("result", Text, nullable=False, server_default=text("''")),
    Column("next_step", Text, nullable=False, server_default=text("''")),
    Column("flags", JSONB, nullable=False, server_default=text("'[]'")),
    Column("valid", Boolean),
    Column("reviewed_by", Text),
    Column("review_reason", Text, nullable=False, server_default=text("''")),
    Column("synced_at", Instant),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    ForeignKeyConstraint(["lead_id"], ["supply.lead.lead_id"]),
    ForeignKeyConstraint(["rep_id"], ["supply.rep.user_id"]),
    UniqueConstraint("device_id", "device_ref"),
    CheckConstraint("state IN ('planned', 'open', 'done', 'cancelled')", name="state"),
    CheckConstraint("state NOT IN ('open', 'done') OR in_at IS NOT NULL", name="began"),
    CheckConstraint("(state = 'done') = (out_at IS NOT NULL) AND coalesce(out_at >= in_at, true)", name="over"),
    CheckConstraint("(valid IS NULL) = (reviewed_by IS NULL)", name="reviewed"),
    Index(None, "lead_id"),
    Index(None, "rep_id", "in_at"),
    Index("ix_visit_photo", "photo_hash", postgresql_where=text("photo_hash <> ''")),
    schema="supply",
)
"""A rep at a lead's place, see `supply.leads.visits.model.Visit`."""

VISIT_COUNTS = "coalesce(v.valid, v.flags = CAST('[]' AS jsonb))"
"""The SQL of `supply.leads.visits.model.Visit.counts`, for a visit `v` that is done."""
