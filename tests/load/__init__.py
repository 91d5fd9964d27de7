"""How orders of another system get in."""
