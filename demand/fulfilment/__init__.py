"""What leaves a merchant for an order, in parts, and what comes back."""
