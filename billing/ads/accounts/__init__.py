"""Prepaid balances of ads: what tops them up, what is granted, what is given back."""
