"""Buying, and what becomes of an order."""
