"""Billing: the ledger, commission contracts, settlement, billing runs, payouts and reconciliation."""
