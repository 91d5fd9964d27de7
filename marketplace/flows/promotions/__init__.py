"""Campaigns and promotions: planned, simulated, run."""
