"""Steering: figures rolled up by day, shown and explained, watched, set as goals, and talked over every week."""
