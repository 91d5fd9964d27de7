"""Estimators against scipy, and against effects that were planted."""
