"""Safe edits of what was approved: another end, or more budget; proposed by one, approved by another."""
