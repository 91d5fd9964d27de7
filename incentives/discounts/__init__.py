"""Discounts at checkout: what promotions take off an order, who bears it, and what refunds take back of it."""
