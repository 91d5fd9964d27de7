"""What the platform sells to buyers itself, out of the house's stock."""
