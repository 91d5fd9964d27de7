"""Money on its way to merchants."""
