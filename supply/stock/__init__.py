"""Counted units of listings: on the shelf, and promised to orders."""
