"""Vouchers: grants that are money off one later order, found by a code, used once."""
