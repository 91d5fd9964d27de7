"""Billing runs: one statement per merchant and currency for a period, closed and paid out in one go."""
