"""Buyers' credit with the platform."""
