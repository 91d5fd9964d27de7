"""Tax documents."""
