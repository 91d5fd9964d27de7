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
        "billing.ad_receipt",
        "billing.bank_file_part",
        "billing.bank_line",
        "billing.bank_mapping",
        "billing.credit_movement",
        "billing.entry",
        "billing.line_dispute_message",
        "billing.payer_back",
        "billing.payer_rejection",
        "billing.processor_line",
        "core.audit",
        "demand.order_event",
        "demand.refund_line",
        "demand.return_line",
        "demand.shipment_line",
        "supply.service_month",
        "supply.stock_movement",
        "supply.subscription_step",
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
        "moved_at",
    ),
    "billing.inbox_event": ("state", "attempts", "not_before", "error", "applied_at"),
    "billing.processor_file": ("state", "new_lines", "lines", "gross_minor", "fee_minor", "net_minor"),
}
"""Tables whose rows stay, and of whose columns only these may be changed: what a processor said is kept as it came."""

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


# The reference tables with something to hide: a merchant sees list plans here, and what was negotiated with itself in
# contract_merchant, and live promotions that are for it; a payer sees itself and its own contracts. (A policy with a
# sub-query would be refused by Citus.)
_OWN_POLICIES = {
    "incentives.public_promotion": {
        Role.MERCHANT: f"live AND (merchants IS NULL OR {_tenant('merchant_id')} = ANY(merchants))"
    },
    "billing.contract": {Role.MERCHANT: "NOT negotiated"},
    "billing.payer": {Role.PAYER: _own("payer_id")},
    "billing.payer_contract": {Role.PAYER: _own("payer_id")},
    "billing.payer_version": {Role.PAYER: _own("payer_id")},
}

# What a tenant sees of its own rows only once it is settled, a preview is not the merchant's to read yet; or never: why
# it is paid nothing is said to it by people, and what a proposal would change is not changed.
_OWN_ONCE = {
    "billing.journal": "false",
    "billing.payout_hold": "false",
    "billing.rerating_line": "false",
    "billing.run_charge": "state <> 'due'",
    "billing.statement": "state IN ('final', 'reversed')",
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
        yield f"CREATE POLICY {staff} ON {name} TO {staff} USING (true) WITH CHECK (true)"
    for role, condition in policies.items():
        yield f"GRANT SELECT ON {name} TO {role}"
        yield f"CREATE POLICY {role} ON {name} FOR SELECT TO {role} USING ({condition})"
