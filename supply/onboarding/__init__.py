"""How a merchant comes to sell: the checklist, and who ticks what."""
