"""The tree of channels, and what was spent on each."""
