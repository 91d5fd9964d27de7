"""Tests of orders after they were placed."""
