"""Tools that merchants subscribe to."""
