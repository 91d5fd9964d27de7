"""Files that instruct the bank to pay merchants."""
