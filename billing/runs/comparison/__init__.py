"""What moved from one run to the next, by merchant and statement column."""
