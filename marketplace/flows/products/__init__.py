"""Tools, hardware and services sold to merchants."""
