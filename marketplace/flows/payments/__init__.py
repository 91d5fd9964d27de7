"""Money that comes in, and what the processor says of it."""
