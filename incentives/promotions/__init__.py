"""Promotions: their versions, which never change, and the public view of them."""
