"""Winning merchants."""
