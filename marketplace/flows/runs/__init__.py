"""Billing runs: from a draft to entries, documents and payouts."""
