"""Tax documents to payers: the platform's fee on what it claims from them."""
