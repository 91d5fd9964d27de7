"""Tests of what the platform sells to its merchants."""
