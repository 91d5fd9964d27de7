"""All tables of the house: importing this module fills the metadata."""

import billing.ledger.tables
import billing.payments.tables
import billing.tables
import demand.amendments.tables
import demand.tables
import supply.tables
from marketplace.core.tables import metadata

__all__ = ["billing", "demand", "metadata", "supply"]
