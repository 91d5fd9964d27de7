"""Ads sold to merchants: prepaid accounts, campaigns, auctions, what was seen and clicked, and what that costs."""
