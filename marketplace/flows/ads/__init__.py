"""Advertising sold to merchants."""
