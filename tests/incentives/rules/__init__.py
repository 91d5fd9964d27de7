"""Tests of the pure rules: no database but where SQL must say the same."""
