"""All tables of the house: importing this module fills the metadata."""

import billing.ledger.tables
import billing.payments.tables
import billing.refunds.tables
import billing.tables
import demand.fulfilment.tables
import demand.refunds.tables
import demand.tables
import supply.tables
from marketplace.core.tables import metadata

__all__ = ["billing", "demand", "metadata", "supply"]
