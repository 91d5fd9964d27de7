"""All tables of the house: importing this module fills the metadata."""

import billing.ads.order_tables
import billing.ads.tables
import billing.bank_accounts.tables
import billing.bank_files.tables
import billing.breaks.tables
import billing.charges.tables
import billing.documents.tables
import billing.exchange.tables
import billing.exports.tables
import billing.journals.tables
import billing.ledger.tables
import billing.line_disputes.tables
import billing.matching.tables
import billing.openings.tables
import billing.payers.tables
import billing.payments.tables
import billing.payout_files.tables
import billing.payout_terms.tables
import billing.periods.tables
import billing.refunds.tables
import billing.reratings.tables
import billing.runs.tables
import billing.tables
import demand.amendments.tables
import demand.changes.tables
import demand.fulfilment.tables
import demand.refunds.tables
import demand.tables
import incentives.discounts.tables
import incentives.experiments.tables
import incentives.grants.tables
import incentives.tables
import marketplace.core.people.tables
import marketplace.core.webhooks.tables
import marketplace.metrics.tables
import supply.academy.tables
import supply.content.tables
import supply.funnels.tables
import supply.leads.agents.tables
import supply.leads.events.tables
import supply.leads.referrals.tables
import supply.leads.tables
import supply.leads.visits.tables
import supply.products.hardware.tables
import supply.products.own_sales.tables
import supply.products.services.tables
import supply.products.subscriptions.tables
import supply.tables
from marketplace.core.tables import metadata

__all__ = ["billing", "demand", "incentives", "marketplace", "metadata", "supply"]
