"""Months of a legal entity: open, soft-closed, closed under a seal, reopened."""
