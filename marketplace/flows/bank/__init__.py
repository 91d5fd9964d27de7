"""Files of banks and processors, and what they are matched to."""
