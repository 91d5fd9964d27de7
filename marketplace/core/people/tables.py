"""Second factors, sign-ins that are halfway through, links that let somebody in once, and mails to be sent.

Of whatever opens something only a hash is stored. The exception is the secret of a second factor, which the codes are
computed from; like all of these it can be read by the roles of staff and worker only.
"""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    local_table,
    text,
)

_OF_USER = "core.app_user.user_id"

second_factor = local_table(
    "second_factor",
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("secret", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("confirmed_at", Instant),
    Column("last_step", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(["user_id"], [_OF_USER], ondelete="CASCADE"),
    schema="core",
)

recovery_code = local_table(
    "recovery_code",
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("code_hash", LargeBinary, primary_key=True),
    Column("used_at", Instant),
    ForeignKeyConstraint(["user_id"], [_OF_USER], ondelete="CASCADE"),
    schema="core",
)

half_sign_in = local_table(
    "half_sign_in",
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
    ForeignKeyConstraint(["user_id"], [_OF_USER], ondelete="CASCADE"),
    Index(None, "user_id"),
    schema="core",
)

access_link = local_table(
    "access_link",
    Column("link_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("user_id", BigInteger),
    Column("name", Text),
    Column("roles", ARRAY(Text)),
    Column("merchant_id", BigInteger),
    Column("made_by", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("withdrawn_at", Instant),
    ForeignKeyConstraint(["user_id"], [_OF_USER], ondelete="CASCADE"),
    CheckConstraint("(kind = 'reset') = (user_id IS NOT NULL)", name="reset_of_user"),
    CheckConstraint("(kind = 'invitation') = (roles IS NOT NULL)", name="invitation_to_roles"),
    Index("ix_access_link_open", "merchant_id", "email", postgresql_where=text("used_at IS NULL")),
    schema="core",
)

link_token = local_table(
    "link_token",
    Column("token_hash", LargeBinary, primary_key=True),
    Column("link_id", BigInteger, nullable=False),
    ForeignKeyConstraint(["link_id"], ["core.access_link.link_id"], ondelete="CASCADE"),
    Index(None, "link_id"),
    schema="core",
)

mail = local_table(
    "mail",
    Column("mail_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("locale", Text, nullable=False),
    Column("link_id", BigInteger),
    Column("facts", JSONB, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("sent_at", Instant),
    Column("error", Text),
    ForeignKeyConstraint(["link_id"], ["core.access_link.link_id"], ondelete="CASCADE"),
    Index("ix_mail_waiting", "not_before", postgresql_where=text("sent_at IS NULL")),
    schema="core",
)

notice = local_table(
    "notice",
    Column("notice_id", BigInteger, primary_key=True, autoincrement=False),
    Column("audience", Text, nullable=False),
    Column("merchant_id", BigInteger),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    CheckConstraint("(audience = 'merchant') = (merchant_id IS NOT NULL)", name="merchant"),
    Index(None, "merchant_id", "notice_id"),
    Index(None, "audience", "notice_id"),
    Index(None, "made_at"),
    schema="core",
)
"""What people are told of in the console: those of one merchant, or of the house's ops or finance."""

notice_reader = local_table(
    "notice_reader",
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("seen_id", BigInteger, nullable=False, server_default="0"),
    Column("by_mail", Boolean, nullable=False, server_default="true"),
    ForeignKeyConstraint(["user_id"], [_OF_USER], ondelete="CASCADE"),
    schema="core",
)
"""How far somebody has read its notices, and whether it wants them by mail, too; without a row it does."""

identity = local_table(
    "identity",
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("linked_at", Instant, nullable=False),
    ForeignKeyConstraint(["user_id"], [_OF_USER], ondelete="CASCADE"),
    UniqueConstraint("issuer", "user_id"),
    Index(None, "user_id"),
    schema="core",
)

oidc_attempt = local_table(
    "oidc_attempt",
    Column("state_hash", LargeBinary, primary_key=True),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("next_path", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    schema="core",
)
