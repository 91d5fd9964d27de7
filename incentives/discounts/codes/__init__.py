"""Codes that work once: issued for a promotion, used for one order, given back when it comes to nothing."""
