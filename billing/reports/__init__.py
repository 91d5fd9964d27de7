"""Reports of finance: each figure is a sum over the journal, read from its roll-up."""
