"""A payment processor of the outside world, to pay through in tests and demonstrations: a process of its own.

It is deterministic: what becomes of a payment is said by the token it is made with. It keeps its state in a file, its
word about idempotency keys, and sends its events as Standard Webhooks until they are taken.
"""
