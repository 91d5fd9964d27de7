"""What a payer bears of one order, charge or promotion, and what has become of it."""
