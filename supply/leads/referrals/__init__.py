"""Merchants who bring others: their codes, whom they brought, and whether both are rewarded for it."""
