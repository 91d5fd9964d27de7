"""Merchants and buyers that take part in promotions which ask for it."""
