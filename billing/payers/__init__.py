"""Third parties that pay part of the bill: their contracts, caps, shares, claims and remittances."""
