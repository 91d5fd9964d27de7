"""Settled orders rated anew under contracts that were applied late: expected, issued, and the difference."""
