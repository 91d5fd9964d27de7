"""Measurements: scripts that print one JSON object each. The suite never runs them; README.md says how to."""
