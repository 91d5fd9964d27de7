"""Insertion orders: ads that people sell, delivered as agreed and billed afterwards."""
