"""Tests of what banks and processors say: readers, proofs, and taking files in."""
