"""Campaigns and where they may be shown."""
