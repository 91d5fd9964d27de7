"""Tables of content. They are the house's own and stay on the coordinator, as channels and leads do."""

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
    Text,
    local_table,
)

content_partner = local_table(
    "content_partner",
    Column("partner_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("contact", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    schema="supply",
)
"""With whom content is exchanged."""

content_piece = local_table(
    "content_piece",
    Column("piece_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("partner_id", BigInteger),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["partner_id"], ["supply.content_partner.partner_id"]),
    CheckConstraint("kind IN ('article', 'guide', 'newsletter', 'post', 'video')", name="kind"),
    schema="supply",
)
"""Something to be read or seen; its code is the campaign of its touches, leads and costs."""

content_send = local_table(
    "content_send",
    Column("send_id", BigInteger, primary_key=True, autoincrement=False),
    Column("piece_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("partner_id", BigInteger),
    Column("planned_on", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("sent_at", Instant),
    Column("recipients", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["piece_id"], ["supply.content_piece.piece_id"]),
    ForeignKeyConstraint(["channel_id"], ["supply.channel.channel_id"]),
    ForeignKeyConstraint(["partner_id"], ["supply.content_partner.partner_id"]),
    CheckConstraint("state IN ('planned', 'sent', 'cancelled')", name="state"),
    CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
    CheckConstraint("recipients >= 0 AND (state = 'sent' OR recipients = 0)", name="recipients"),
    Index(None, "piece_id", "channel_id"),
    Index(None, "planned_on", "send_id"),
    schema="supply",
)
"""A piece over a channel: a cell of the media matrix, planned and then sent."""

content_day = local_table(
    "content_day",
    Column("send_id", BigInteger, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    Column("opens", Integer, nullable=False),
    Column("shares", Integer, nullable=False),
    ForeignKeyConstraint(["send_id"], ["supply.content_send.send_id"]),
    CheckConstraint("opens >= 0 AND shares >= 0", name="counts"),
    schema="supply",
)
"""How a send was taken up on a day; told again, the counts are replaced."""
