"""Opening balances from another system, as a checked file."""
