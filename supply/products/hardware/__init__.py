"""Hardware sold to merchants: items, units by serial number, quotes and orders, and the work that they need."""
