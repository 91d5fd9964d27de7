"""What finance does in the ledger itself."""
