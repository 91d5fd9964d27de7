"""Grants: what beneficiaries have done for a promotion, what they got by it, and the vouchers among it."""
