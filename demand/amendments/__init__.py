"""Amendments of paid orders: priced sets of changes that one side proposes and the other accepts."""
