"""Money that goes back to buyers, and goods that come back from them."""
