"""Tables of third-party payers: contracts, caps and their leases, shares, claims, remittances."""

from marketplace.core.tables import (
    ARRAY,
    JSONB,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Instant,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    merchant_table,
    payer_table,
    reference_table,
    text,
)

payer = reference_table(
    "payer",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("email", Text, nullable=False, server_default=text("''")),
    Column("address", Text, nullable=False, server_default=text("''")),
    Column("country", Text, nullable=False, server_default=text("''")),
    Column("tax_id", Text, nullable=False, server_default=text("''")),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    UniqueConstraint("name"),
    CheckConstraint("kind IN ('brand', 'bank', 'insurer', 'government', 'distributor')", name="kind"),
    schema="billing",
)

payer_contract = reference_table(
    "payer_contract",
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("payer_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("pays", Text, nullable=False),
    Column("cap_period", Text, nullable=False),
    UniqueConstraint("name"),
    ForeignKeyConstraint(["payer_id"], ["billing.payer.payer_id"]),
    CheckConstraint("pays IN ('order', 'charges', 'promotion')", name="pays"),
    CheckConstraint("cap_period IN ('day', 'month', 'whole')", name="cap_period"),
    schema="billing",
)
"""What all versions of a name have in common. contract_id is the dimension of account 1110."""

payer_version = reference_table(
    "payer_version",
    Column("version_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, nullable=False),
    Column("payer_id", BigInteger, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_until", Date),
    Column("terms", JSONB, nullable=False),
    Column("applied_at", Instant, nullable=False),
    Column("applied_by", Text, nullable=False),
    UniqueConstraint("contract_id", "valid_from"),
    ForeignKeyConstraint(["contract_id"], ["billing.payer_contract.contract_id"]),
    CheckConstraint("valid_until > valid_from", name="validity"),
    schema="billing",
)
"""The terms (`billing.payers.terms.PayerTerms`) of a contract from a day on. A used version keeps its terms."""

payer_cap = payer_table(
    "payer_cap",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("period_from", Date, primary_key=True),
    Column("limit_minor", BigInteger, nullable=False),
    Column("leased_minor", BigInteger, nullable=False),
    CheckConstraint("leased_minor BETWEEN 0 AND limit_minor", name="leased"),
    schema="billing",
)
"""The centre of a contract's cap in a period: how much there is, and how much of it the leases hold.

A contract without a cap has a limit that nothing reaches (`billing.payers.rules.NO_LIMIT`).
"""

payer_lease = payer_table(
    "payer_lease",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("period_from", Date, primary_key=True),
    Column("shard", SmallInteger, primary_key=True, autoincrement=False),
    Column("granted_minor", BigInteger, nullable=False),
    Column("used_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["payer_id", "contract_id", "period_from"],
        ["billing.payer_cap.payer_id", "billing.payer_cap.contract_id", "billing.payer_cap.period_from"],
    ),
    CheckConstraint("used_minor BETWEEN 0 AND granted_minor", name="used"),
    schema="billing",
    postgresql_with={"fillfactor": "50"},  # changes in place, all the time
)
"""What spenders take from: reserved and committed shares together are used_minor. Each takes from its own shard."""

payer_share = merchant_table(
    "payer_share",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("source_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version_id", BigInteger, nullable=False),
    Column("payer_id", BigInteger, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("source_ref", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("period_from", Date, nullable=False),
    Column("shard", SmallInteger, nullable=False),
    Column("line_nos", ARRAY(SmallInteger), nullable=False),
    Column("line_minor", ARRAY(BigInteger), nullable=False),
    Column("line_back_minor", ARRAY(BigInteger), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("back_minor", BigInteger, nullable=False, server_default="0"),
    Column("rejected_minor", BigInteger, nullable=False, server_default="0"),
    Column("rejected_back_minor", BigInteger, nullable=False, server_default="0"),
    Column("claimed_minor", BigInteger, nullable=False, server_default="0"),
    Column("fee_minor", BigInteger, nullable=False, server_default="0"),
    Column("vat_minor", BigInteger, nullable=False, server_default="0"),
    Column("remitted_minor", BigInteger, nullable=False, server_default="0"),
    Column("held_minor", BigInteger, nullable=False, server_default="0"),
    Column("claimable_on", Date),
    Column("reserved_at", Instant, nullable=False),
    ForeignKeyConstraint(["contract_id"], ["billing.payer_contract.contract_id"]),
    ForeignKeyConstraint(["version_id"], ["billing.payer_version.version_id"]),
    CheckConstraint("source IN ('order', 'charge', 'promotion')", name="source"),
    CheckConstraint("state IN ('reserved', 'committed', 'released')", name="state"),
    CheckConstraint("amount_minor > 0 AND back_minor BETWEEN 0 AND amount_minor", name="amounts"),
    CheckConstraint(
        "rejected_back_minor BETWEEN 0 AND rejected_minor AND rejected_minor <= amount_minor AND held_minor >= 0",
        name="rejected",
    ),
    CheckConstraint(
        "cardinality(line_nos) = cardinality(line_minor) AND cardinality(line_nos) = cardinality(line_back_minor)",
        name="lines",
    ),
    Index("ix_payer_share_claimable", "contract_id", "claimable_on", postgresql_where=text("claimable_on IS NOT NULL")),
    Index("ix_payer_share_version", "version_id"),
    Index("ix_payer_share_reserved", "merchant_id", "source_ref", postgresql_where=text("state = 'reserved'")),
    schema="billing",
    postgresql_with={"fillfactor": "80"},
)
"""What a contract bears of an order, a charge or a promotion; see `billing.payers.rules.Standing` for the amounts.

reserved: takes from the cap; committed: booked on account 1110; released: came to nothing. period_from, shard: the
lease it has taken from. line_…: of an order, by its lines. held_minor: what the merchant waits for on account 2010
until the payer pays. claimable_on: when the order was settled, or the charge or promotion booked.
"""

payer_back = merchant_table(
    "payer_back",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("refund_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("undone", Boolean, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("source_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_nos", ARRAY(SmallInteger), nullable=False),
    Column("line_minor", ARRAY(BigInteger), nullable=False),
    Column("payer_minor", BigInteger, nullable=False),
    Column("rejected_back_minor", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["merchant_id", "source", "source_id", "contract_id"],
        [
            "billing.payer_share.merchant_id",
            "billing.payer_share.source",
            "billing.payer_share.source_id",
            "billing.payer_share.contract_id",
        ],
    ),
    Index(None, "merchant_id", "source_id"),
    schema="billing",
)
"""What a refund took back of a share, by line: payer_minor to the payer, the rest to who bore the payer's rejection.

undone: the same with the other sign, because the refund was cancelled.
"""

payer_entry = merchant_table(
    "payer_entry",
    Column("merchant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("source_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("entry_id", BigInteger, primary_key=True, autoincrement=False),
    schema="billing",
)
"""By which facts entries about a share are booked (kind and source_id of the entry); a remittance books several."""

payer_series = payer_table(
    "payer_series",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, primary_key=True, autoincrement=False),
    Column("last_no", Integer, nullable=False),
    schema="billing",
)
"""The number of the last claim of a legal entity on a payer: without gaps."""

payer_claim = payer_table(
    "payer_claim",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("claim_id", BigInteger, primary_key=True, autoincrement=False),
    Column("contract_id", BigInteger, nullable=False),
    Column("entity_id", Integer, nullable=False),
    Column("claim_no", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("through", Date, nullable=False),
    Column("lines", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("rejected_minor", BigInteger, nullable=False, server_default="0"),
    Column("remitted_minor", BigInteger, nullable=False, server_default="0"),
    Column("sent_on", Date, nullable=False),
    Column("due_on", Date, nullable=False),
    Column("dunning_level", SmallInteger, nullable=False, server_default="0"),
    Column("dunned_at", Instant),
    Column("sent_at", Instant, nullable=False),
    Column("sent_by", Text, nullable=False),
    Column("accepted_at", Instant),
    Column("accepted_by", Text),
    Column("documented", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("payer_id", "entity_id", "claim_no"),
    Index(None, "due_on", "claim_id"),
    schema="billing",
)
"""What a payer was asked to pay under a contract. rejected_minor: of share, fee and VAT, as remitted_minor is.

The sum of its lines, always. It is paid when nothing is open; a rejected part is claimed again by a later claim.

documented: what it charges stands in a document. Claims that were sent before payers had documents have none.
"""

payer_claim_line = payer_table(
    "payer_claim_line",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("claim_id", BigInteger, primary_key=True, autoincrement=False),
    Column("line_no", Integer, primary_key=True, autoincrement=False),
    Column("merchant_id", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_id", BigInteger, nullable=False),
    Column("source_ref", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("rejected_minor", BigInteger, nullable=False, server_default="0"),
    Column("fee_back_minor", BigInteger, nullable=False, server_default="0"),
    Column("reclaimed_minor", BigInteger, nullable=False, server_default="0"),
    Column("remitted_minor", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(["payer_id", "claim_id"], ["billing.payer_claim.payer_id", "billing.payer_claim.claim_id"]),
    CheckConstraint("source IN ('order', 'charge', 'promotion', 'claim')", name="source"),
    CheckConstraint(
        "rejected_minor BETWEEN 0 AND greatest(amount_minor, 0) AND reclaimed_minor BETWEEN 0 AND rejected_minor",
        name="rejected",
    ),
    schema="billing",
)
"""One share of a claim, with the platform's fee and VAT; negative where more had been claimed than the payer bears.

source `claim`: the fixed fee, in the house's books. fee_back_minor: fee and VAT that a rejection took back.
"""

payer_remittance = payer_table(
    "payer_remittance",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("remittance_id", BigInteger, primary_key=True, autoincrement=False),
    Column("claim_id", BigInteger, nullable=False),
    Column("bank_ref", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("received_on", Date, nullable=False),
    Column("line_nos", ARRAY(Integer), nullable=False),
    Column("line_minor", ARRAY(BigInteger), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["payer_id", "claim_id"], ["billing.payer_claim.payer_id", "billing.payer_claim.claim_id"]),
    UniqueConstraint("payer_id", "bank_ref", "claim_id"),
    CheckConstraint("amount_minor > 0", name="amount"),
    schema="billing",
)
"""Money of a payer for a claim, by the claim's lines. remittance_id is the batch on account 1030."""

payer_rejection = payer_table(
    "payer_rejection",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("rejection_id", BigInteger, primary_key=True, autoincrement=False),
    Column("claim_id", BigInteger, nullable=False),
    Column("line_no", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("booked_on", Date, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    ForeignKeyConstraint(["payer_id", "claim_id"], ["billing.payer_claim.payer_id", "billing.payer_claim.claim_id"]),
    CheckConstraint("kind IN ('rejected', 'reclaimed') AND amount_minor > 0", name="kind"),
    Index(None, "payer_id", "claim_id"),
    schema="billing",
)
"""What a payer refused of a claim's line, and why; or that it is to be claimed again after all. fee_minor: with VAT."""

payer_document = payer_table(
    "payer_document",
    Column("payer_id", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Integer, nullable=False),
    Column("claim_id", BigInteger, nullable=False),
    Column("rejection_id", BigInteger),
    Column("kind", Text, nullable=False),
    Column("series", Text, nullable=False),
    Column("serial", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("to_on", Date, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("due_on", Date),
    Column("net_minor", BigInteger, nullable=False),
    Column("vat_minor", BigInteger, nullable=False),
    Column("seller", JSONB, nullable=False),
    Column("buyer", JSONB, nullable=False),
    Column("lines", JSONB, nullable=False),
    Column("taxes", JSONB, nullable=False),
    Column("corrects_id", BigInteger),
    Column("replaces_id", BigInteger),
    Column("state", Text, nullable=False, server_default="issued"),
    Column("void_reason", Text),
    Column("void_asked_by", Text),
    Column("voided_by", Text),
    Column("voided_at", Instant),
    Column("issued_by", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    ForeignKeyConstraint(["payer_id", "claim_id"], ["billing.payer_claim.payer_id", "billing.payer_claim.claim_id"]),
    *(
        ForeignKeyConstraint(
            ["payer_id", column], ["billing.payer_document.payer_id", "billing.payer_document.document_id"]
        )
        for column in ("corrects_id", "replaces_id")
    ),
    UniqueConstraint("payer_id", "series", "serial"),
    UniqueConstraint("payer_id", "replaces_id"),
    CheckConstraint("kind IN ('invoice', 'credit_note')", name="kind"),
    CheckConstraint("net_minor + vat_minor >= 0", name="gross"),
    CheckConstraint("state IN ('issued', 'void')", name="state"),
    CheckConstraint("(state = 'void') = (voided_by IS NOT NULL)", name="void"),
    CheckConstraint("(void_asked_by IS NULL) = (void_reason IS NULL)", name="asked"),
    CheckConstraint("to_on > from_on", name="period"),
    Index(None, "payer_id", "claim_id"),
    schema="billing",
)
"""A numbered document to a payer: the platform's fee on a claim, and what of it a rejection takes back.

`billing.payers.invoices.store.PayerDocument` says what the columns mean. Only a void changes its state.
"""
