"""Webhooks: events told to the servers of merchants and of the house, signed, repeated, and kept account of."""
