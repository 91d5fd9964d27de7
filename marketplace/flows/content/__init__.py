"""Content: planned, sent, taken up, and what it brought."""
