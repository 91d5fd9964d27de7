"""Named areas, who manages them, and the reps in them."""
