"""Demand: the buyers, what they purchase, and the orders that merchants fulfil."""
