"""Courses for merchants: offered, taken, and what they change."""
