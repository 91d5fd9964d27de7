"""Reports and exports: each figure equals the journal, each file reads back."""
