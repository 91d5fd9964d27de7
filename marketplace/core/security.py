"""Database roles, what each may do, and the row policies: derived from the kind of every table (decisions D5, D5a)."""

from collections.abc import Iterator

from sqlalchemy import Table

from marketplace.core.db import Role
from marketplace.core.tables import placement, qualified

APPEND_ONLY = frozenset(
    {
        "billing.charge_movement",
        "billing.ad_campaign_event",
        "billing.ad_charge",
        "billing.ad_movement",
        "billing.ad_order_bill",
        "billing.ad_order_event",
        "billing.ad_receipt",
        "billing.bank_file_part",
        "billing.bank_line",
        "billing.bank_mapping",
        "billing.credit_movement",
        "billing.document_line",
        "billing.document_tax",
        "billing.entry",
        "billing.line_dispute_message",
        "billing.match_group",
        "billing.payer_back",
        "billing.payer_rejection",
        "billing.period_block",
        "billing.period_seal",
        "billing.processor_line",
        "billing.recon_break_step",
        "core.audit",
        "demand.order_event",
        "demand.refund_line",
        "demand.return_line",
        "demand.shipment_line",
        "incentives.discount_back",
        "supply.agent_movement",
        "supply.agent_plan",
        "metrics.alert_event",
        "metrics.first_report",
        "metrics.goal_revision",
        "metrics.review",
        "metrics.review_decision",
        "metrics.review_note",
        "supply.lead_event",
        "supply.lead_merge",
        "supply.referral_programme",
        "supply.referral_reward",
        "supply.service_month",
        "supply.stage_event",
        "supply.stock_movement",
        "supply.subscription_step",
        "supply.touch",
    }
)
"""Tables of which no application role may ever change or remove a row: what was, is not rewritten.

No reference table is among them: on Citus whoever adds a row to one must be allowed to change it, too.
"""

CHANGEABLE = {
    "billing.ad_event": ("verdict",),
    "billing.bank_file": (
        "state",
        "format",
        "mapping_id",
        "flaws",
        "statements",
        "lines",
        "stored_lines",
        "new_lines",
        "settlement_id",
        "moved_at",
    ),
    "billing.document": ("state", "void_reason", "void_asked_by", "voided_by", "voided_at"),
    "billing.payer_document": ("state", "void_reason", "void_asked_by", "voided_by", "voided_at"),
    "billing.inbox_event": ("state", "attempts", "not_before", "error", "applied_at"),
    "billing.processor_file": ("state", "new_lines", "lines", "gross_minor", "fee_minor", "net_minor"),
}
"""Tables whose rows stay, and of whose columns only these may be changed: what a processor said is kept as it came."""

FORGETTABLE = frozenset({"billing.ad_event"})
"""Those of them whose rows may be removed when they have served their purpose."""

_TENANT_SETTING = {
    "merchant_id": (Role.MERCHANT, "app.merchant_id"),
    "buyer_id": (Role.BUYER, "app.buyer_id"),
    "payer_id": (Role.PAYER, "app.payer_id"),
}


def _tenant(key: str) -> str:
    """The id of the tenant that asks."""
    return f"nullif(current_setting('{_TENANT_SETTING[key][1]}', true), '')::bigint"


def _own(key: str) -> str:
    """What holds for the rows of the tenant whose id stands in this column."""
    return f"{key} = {_tenant(key)}"


_USER = "nullif(current_setting('app.user_id', true), '')::bigint"
_OWN_PERSON = f"user_id = {_USER}"
_OF_DISTRIBUTOR = f"(SELECT p.agent_id FROM supply.agent_person p WHERE p.user_id = {_USER})"
_OWN_LEAD = (
    f"owner_id = {_USER} OR territory_id IN (SELECT t.territory_id FROM supply.territory t"
    f" JOIN supply.territory above ON above.territory_id = ANY(t.path) WHERE above.manager_id = {_USER})"
    f" OR lead_id IN (SELECT c.lead_id FROM supply.lead_credit c WHERE c.agent_id IN {_OF_DISTRIBUTOR})"
)
"""A lead is seen by the rep who holds it, by who manages its territory or one above, and by the distributor who brought
it; by no tenant at all."""

_OF_LEADS = (
    "supply.attribution_share",
    "supply.lead_event",
    "supply.lead_merge",
    "supply.lead_site",
    "supply.lead_task",
    "supply.attendee",
    "supply.referral",
    "supply.stage_entry",
    "supply.stage_event",
    "supply.touch",
    "supply.visit",
)
"""Tables that tell of leads, and are seen by who sees the lead. They stay on the coordinator, as leads do."""


_OWN_AGENT = (
    f"user_id = {_USER} OR agent_id IN {_OF_DISTRIBUTOR}"
    " OR coalesce((SELECT r.territory_id FROM supply.rep r WHERE r.user_id = agent.user_id),"
    " territory_id) IN (SELECT t.territory_id FROM supply.territory t"
    f" JOIN supply.territory above ON above.territory_id = ANY(t.path) WHERE above.manager_id = {_USER})"
)
"""Commission is seen by the rep or distributor who earns it, and by who manages the agent's territory or one above."""

_OF_AGENTS = ("supply.agent_commission", "supply.agent_movement", "supply.lead_credit")
"""Not lead_credit with the leads: whether one sees a lead may hang on who brought it."""


def _of_own_agent(name: str) -> str:
    return f"EXISTS (SELECT FROM supply.agent a WHERE a.agent_id = {name.partition('.')[2]}.agent_id)"


def _of_own_lead(name: str) -> str:
    return f"EXISTS (SELECT FROM supply.lead l WHERE l.lead_id = {name.partition('.')[2]}.lead_id)"


# The reference tables with something to hide: a merchant sees list plans here, and what was negotiated with itself in
# contract_merchant, and live promotions that are for it; a payer sees itself and its own contracts. (A policy with a
# sub-query would be refused by Citus.)
_OWN_POLICIES = {
    "incentives.public_promotion": {
        Role.MERCHANT: f"live AND (merchants IS NULL OR {_tenant('merchant_id')} = ANY(merchants))"
    },
    "supply.lead": {Role.SALES: _OWN_LEAD},
    "supply.agent": {Role.SALES: _OWN_AGENT},
    "supply.agent_person": {Role.SALES: _OWN_PERSON},
    **{name: {Role.SALES: _of_own_lead(name)} for name in _OF_LEADS},
    **{name: {Role.SALES: _of_own_agent(name)} for name in _OF_AGENTS},
    "billing.contract": {Role.MERCHANT: "NOT negotiated"},
    "billing.payer": {Role.PAYER: _own("payer_id")},
    "billing.payer_contract": {Role.PAYER: _own("payer_id")},
    "billing.payer_version": {Role.PAYER: _own("payer_id")},
}

# What a tenant sees of its own rows only once it is settled, a preview or a quote that nobody has approved is not the
# merchant's to read yet; or never: why it is paid nothing is said to it by people, what a proposal would change is not
# changed, how a quote came about and who is held out of an experiment is the house's own.
_OWN_ONCE = {
    "billing.journal": "false",
    "billing.ad_order": "quoted_at IS NOT NULL",
    "billing.ad_order_event": "false",
    "billing.ad_order_line": "shown",
    "metrics.merchant_span": "false",
    "metrics.order_day": "false",
    "billing.payout_hold": "false",
    "billing.period_block": "false",
    "billing.rerating_line": "false",
    "billing.run_charge": "state <> 'due'",
    "incentives.exposure": "false",
    "billing.statement": "state IN ('final', 'reversed')",
}

# What staff and worker may add. The sub-query is why a cluster goes without it (its house roles pass by every policy,
# see `marketplace.cluster`): there the heads of the books alone keep entries out of closed days.
MAY_ADD = {
    "billing.entry": "effective_on > coalesce((SELECT e.sealed_through FROM billing.entity e"
    " WHERE e.entity_id = entry.entity_id), '-infinity')",
}


def role_statements() -> Iterator[str]:
    """Create the application roles where they are missing, for the whole server.

    They may log in, without a password: on Citus the coordinator reaches its workers as the role that is set.
    """
    for role in Role:
        yield (
            f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN"
            f" CREATE ROLE {role} LOGIN NOBYPASSRLS; END IF; END $$"
        )
        yield f"GRANT {role} TO CURRENT_USER"


def table_statements(table: Table) -> Iterator[str]:
    """Privileges and policies of one table: one policy per role, forced on the owner too."""
    name, kept_by = qualified(table), placement(table)
    writes = "SELECT, INSERT, UPDATE, DELETE"
    if name in APPEND_ONLY:
        writes = "SELECT, INSERT"
    elif name in CHANGEABLE:
        writes = f"SELECT, INSERT, UPDATE ({', '.join(CHANGEABLE[name])})"
        writes += ", DELETE" if name in FORGETTABLE else ""
    yield f"GRANT {writes} ON {name} TO {Role.STAFF}, {Role.WORKER}"
    for reader in kept_by.readable_by:
        yield f"GRANT SELECT ON {name} TO {reader}"
    policies = dict(_OWN_POLICIES.get(name, {}))
    if kept_by.distributed_by in _TENANT_SETTING:
        role, own = _TENANT_SETTING[kept_by.distributed_by][0], _own(kept_by.distributed_by)
        policies[role] = f"{own} AND {_OWN_ONCE[name]}" if name in _OWN_ONCE else own
    if not policies:
        return
    yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"
    for staff in (Role.STAFF, Role.WORKER):
        yield f"CREATE POLICY {staff} ON {name} TO {staff} USING (true) WITH CHECK ({MAY_ADD.get(name, 'true')})"
    for role, condition in policies.items():
        yield f"GRANT SELECT ON {name} TO {role}"
        yield f"CREATE POLICY {role} ON {name} FOR SELECT TO {role} USING ({condition})"
