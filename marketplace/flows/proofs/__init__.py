"""Proofs that the books hold, row by row."""
