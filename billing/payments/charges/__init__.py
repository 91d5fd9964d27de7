"""Money asked for an order beside its purchase's own payment: differences of amendments, and cash."""
