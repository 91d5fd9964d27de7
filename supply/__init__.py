"""Supply: the merchants, their stores and what they offer."""
