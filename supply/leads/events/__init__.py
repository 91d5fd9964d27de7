"""Conferences and trade fairs: who was registered, who was met there, what was to follow, and what came of it."""
