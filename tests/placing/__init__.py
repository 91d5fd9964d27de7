"""Carts, quotes and placing them."""
