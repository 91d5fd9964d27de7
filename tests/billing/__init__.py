"""Tests of the ledger, rating, runs and payouts."""
