"""Tests of matching, breaks and fees."""
