"""Discounts at checkout."""
