"""Periods: their life, their seals, and races between posting and closing."""
