"""Steering by numbers: what each figure means, what drives it, why it moved, and what was meant to be reached."""
