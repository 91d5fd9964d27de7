"""The ledger: balanced entries in each merchant's own books, numbered without gaps, never changed."""
