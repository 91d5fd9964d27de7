"""Campaigns: what promotions are made for, what that may cost, when it stops, and who checks what came of it."""
