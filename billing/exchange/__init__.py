"""Several currencies: which a legal entity keeps books in, approved rates, and exchange as one entry per currency."""
