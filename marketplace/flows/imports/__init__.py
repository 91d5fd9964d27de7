"""Orders and files of other systems."""
