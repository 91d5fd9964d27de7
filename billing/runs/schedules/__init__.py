"""When the runs of a legal entity are opened by the clock."""
