"""What final runs left to be paid on a day of the merchants' own."""
