"""Visits of reps to those who may be won: planned, checked in and out at the place, and looked at when they are odd."""
