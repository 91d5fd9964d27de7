"""One file per process that crosses packages, named by what it does."""
