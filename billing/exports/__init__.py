"""The journal as other programs read it."""
