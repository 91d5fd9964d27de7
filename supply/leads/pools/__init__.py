"""Leads that wait for a rep: claiming, dealing out, and coming back."""
